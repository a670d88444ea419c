"""Ports for containers: what a host's agent may ask for and delete, and nothing beyond it."""

from typing import Any

import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of

from netwright.model.resources import DEFAULT_PROJECT, Network, Port
from netwright.model.segments import own_segment_id
from netwright.model.wire import CONTAINER_OWNER
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.api.v1 import containers
from netwright.server.auth import TokenAuthenticator
from netwright.server.commands import Command
from netwright.server.core import Core
from netwright.server.metrics import Metrics

EPOCH = "e1"
REGISTRATION = {"epoch": EPOCH, "driver": "ovs", "physical_networks": {"physnet1": "br-bond"}}
SEGMENT = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}
PORTS = "/v1/hosts/h1/container-ports"


class World:
    """An admin, the agents of two hosts, and a network labelled env=prod."""

    def __init__(self, core: Core) -> None:
        authenticator = TokenAuthenticator("admin", b"x")
        projects = (DEFAULT_PROJECT, "pods")
        edge = Edge(
            core,
            authenticator,
            Metrics(),
            body_bytes_max=1 << 20,
            container_projects=projects,
        )
        served = application(edge)
        self.admin = Client(served, {"x-auth-token": "admin", "x-project-id": DEFAULT_PROJECT})
        self.h1, self.h2 = (
            Client(served, {"x-auth-token": authenticator.host_credential(name)})
            for name in ("h1", "h2")
        )

    async def begin(self) -> None:
        for name, agent in (("h1", self.h1), ("h2", self.h2)):
            assert (await agent.put(f"/v1/hosts/{name}", REGISTRATION)).status == 200
        await self.network(101, {"env": "prod"}, "10.0.1.0/24")

    async def network(self, vlan: int, labels: dict[str, str], cidr: str, **more: Any) -> str:
        wanted = {**SEGMENT, "provider:segmentation_id": vlan, "labels": labels, **more}
        answer = await self.admin.post("/v2.0/networks", {"network": wanted})
        assert answer.status == 201, answer
        network_id = str(answer.json["network"]["id"])
        subnet = {"network_id": network_id, "ip_version": 4, "cidr": cidr}
        assert (await self.admin.post("/v2.0/subnets", {"subnet": subnet})).status == 201
        return network_id

    async def make(self, *names: str, **more: Any) -> list[dict[str, Any]]:
        answer = await self.h1.post(PORTS, wanted(*names, **more))
        assert answer.status == 200, answer
        return list(answer.json["outcomes"])

    async def end(self, *names: str, host: str = "h1") -> list[dict[str, Any]]:
        agent = self.h1 if host == "h1" else self.h2
        answer = await agent.ask("DELETE", f"/v1/hosts/{host}/container-ports", ended(*names))
        assert answer.status == 200, answer
        return list(answer.json["outcomes"])


def wanted(*names: str, labels: str = "env=prod", **more: Any) -> dict[str, Any]:
    ports = [{"unique_name": name, "network_labels": labels, "device_id": name} for name in names]
    return {"epoch": EPOCH, "project_id": DEFAULT_PROJECT, "ports": ports, **more}


def ended(*names: str, **more: Any) -> dict[str, Any]:
    return {"epoch": EPOCH, "project_id": DEFAULT_PROJECT, "unique_names": list(names), **more}


@pytest.fixture
async def world(core: Core) -> World:
    world = World(core)
    await world.begin()
    return world


async def test_a_port_is_made_and_bound_in_one(world: World, core: Core) -> None:
    one, two = await world.make("h1/a/eth0", "h1/b/eth0")
    port = one["port"]
    assert port["fixed_ips"][0]["ip_address"] != two["port"]["fixed_ips"][0]["ip_address"]
    stored = await core.reader.port(port["id"])
    assert stored is not None
    assert stored.active_binding is not None
    assert (stored.active_binding.host, stored.device_owner) == ("h1", CONTAINER_OWNER)
    assert (stored.project_id, stored.device_id) == (DEFAULT_PROJECT, "h1/a/eth0")
    history = await core.reader.history(port["id"])
    assert {each.actor for each in history} == {"agent h1"}


async def test_asking_again_answers_the_same_port(world: World) -> None:
    (first,) = await world.make("h1/a/eth0")
    (again,) = await world.make("h1/a/eth0")
    assert again["port"]["id"] == first["port"]["id"]


async def test_each_fails_alone(world: World) -> None:
    await world.network(102, {"env": "tiny"}, "10.0.2.0/29")  # 5 addresses
    body = wanted(*(f"h1/{n}/eth0" for n in range(7)), labels="env=tiny")
    body["ports"] += wanted("h1/good/eth0")["ports"]
    body["ports"] += wanted("h1/lost/eth0", labels="env=nowhere")["ports"]
    body["ports"] += wanted("h1/odd/eth0", labels="env=(")["ports"]
    answer = await world.h1.post(PORTS, body)
    types = [each.get("error", {}).get("type", "made") for each in answer.json["outcomes"]]
    assert sorted(types[:7]) == ["NoNetworkForLabels"] * 2 + ["made"] * 5
    assert types[7:] == ["made", "NoNetworkForLabels", "InvalidInput"]
    refused = answer.json["outcomes"][8]["error"]
    assert (refused["status"], bool(refused["next"])) == (409, True)


async def test_deletion_frees_what_is_the_hosts_own(world: World, core: Core) -> None:
    (made,) = await world.make("h1/a/eth0")
    gone, unknown, twice = await world.end("h1/a/eth0", "h1/b/eth0", "h1/a/eth0")
    assert gone == {}
    assert unknown["error"]["type"] == "PortNotFound"
    assert twice in ({}, {"error": {**unknown["error"], **twice.get("error", {})}})
    assert await core.reader.port(made["port"]["id"]) is None
    (again,) = await world.end("h1/a/eth0")
    assert again["error"]["type"] == "PortNotFound"


async def test_an_agent_deletes_no_port_of_another_host(world: World, core: Core) -> None:
    (made,) = await world.make("h1/a/eth0")
    (outcome,) = await world.end("h1/a/eth0", host="h2")
    assert outcome["error"]["type"] == "PortNotFound"
    assert await core.reader.port(made["port"]["id"]) is not None


@pytest.mark.parametrize("bound", [True, False])
async def test_an_agent_neither_gets_nor_deletes_a_port_that_is_no_containers(
    world: World, core: Core, *, bound: bool
) -> None:
    networks = (await world.admin.get("/v2.0/networks")).json["networks"]
    port = {"network_id": networks[0]["id"], "unique_name": "vm"}
    host = {"binding:host_id": "h1", "device_owner": "compute:nova"}
    answer = await world.admin.post("/v2.0/ports", {"port": {**port, **(host if bound else {})}})
    assert answer.status == 201
    (outcome,) = await world.make("vm")
    assert outcome["error"]["type"] == "UniqueNameConflict"
    assert answer.json["port"]["mac_address"] not in str(outcome)
    (outcome,) = await world.end("vm")
    assert outcome["error"]["type"] == "PortNotFound"
    assert await core.reader.one(Port, answer.json["port"]["id"]) is not None


POD = {
    "cluster": "blue",
    "namespace": "shop",
    "name": "web-0",
    "uid": "u1",
    "owner": {"api_version": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "u0"},
}


def named(name: str, container: str, **more: Any) -> dict[str, Any]:
    """A claim of a lasting name."""
    body = wanted(name)
    body["ports"] = [{**body["ports"][0], "device_id": container, "keep": "1h", **more}]
    return body


def ended_container(name: str, container: str) -> dict[str, Any]:
    item = {"unique_name": name, "container_id": container}
    return {"epoch": EPOCH, "project_id": DEFAULT_PROJECT, "ended": [item]}


async def test_a_named_port_moves_and_is_kept(world: World) -> None:
    """By the new forms; an old container's end is told once, then it is unknown."""
    first = (await world.h1.post(PORTS, named("web-0", "a", pod=POD))).json["outcomes"][0]["port"]
    h2 = "/v1/hosts/h2/container-ports"
    second = (await world.h2.post(h2, named("web-0", "b"))).json["outcomes"][0]["port"]
    assert (second["id"], second["fixed_ips"]) == (first["id"], first["fixed_ips"])
    late_end = ended_container("web-0", "a")
    assert (await world.h1.ask("DELETE", PORTS, late_end)).json["outcomes"] == [{}]
    (late,) = (await world.h1.ask("DELETE", PORTS, late_end)).json["outcomes"]
    assert (late["error"]["status"], late["error"]["type"]) == (404, "PortNotFound")
    (gone,) = (await world.h2.ask("DELETE", h2, ended_container("web-0", "b"))).json["outcomes"]
    assert gone == {}
    shown = (await world.admin.get(f"/v2.0/ports/{first['id']}")).json["port"]
    assert shown["binding:host_id"] == ""
    assert (shown["claim"]["container_id"], shown["claim"]["keep"]) == ("b", "1h")
    assert shown["claim"]["kept_until"] > shown["claim"]["ended_at"]
    assert "h2" not in str(shown["claim"])
    (listed,) = (await world.admin.get("/v2.0/ports?fields=claim")).json["ports"]
    assert listed["claim"] == shown["claim"]


async def test_the_api_shows_the_pod(world: World) -> None:
    await world.h1.post(PORTS, named("web-0", "a", pod=POD, keep="while-owner-exists"))
    (port,) = (await world.admin.get("/v2.0/ports")).json["ports"]
    assert port["claim"] == {
        "container_id": "a",
        "cluster": "blue",
        "namespace": "shop",
        "pod": "web-0",
        "pod_uid": "u1",
        "owner": "StatefulSet web",
        "keep": "while-owner-exists",
        "ended_at": None,
        "kept_until": None,
    }
    explained = (await world.admin.get(f"/v1/ports/{port['id']}/explain")).json["text"]
    assert (
        "It is of pod shop/web-0, container a; when that ends, its address is kept while"
        " StatefulSet web exists." in explained
    )


async def test_the_server_fills_in_the_slot(world: World) -> None:
    body = named("web/{slot}", "a", slots=2)
    body["ports"] += named("web/{slot}", "b", slots=2)["ports"]
    body["ports"] += named("web/{slot}", "c", slots=2)["ports"]
    one, two, three = (await world.h1.post(PORTS, body)).json["outcomes"]
    assert [each["port"]["unique_name"] for each in (one, two)] == ["web/0", "web/1"]
    assert (three["error"]["status"], three["error"]["type"]) == (409, "NoSlotFree")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"slots": 2}, "slots"),
        ({"unique_name": "web/{slot}"}, "slots"),
        ({"keep": "soon"}, "'soon' is none of"),
        ({"keep": "while-owner-exists"}, "needs the pod"),
        ({"device_id": ""}, "device_id"),
    ],
)
async def test_what_fields_do_not_mean_together_fails_alone(
    world: World, more: dict[str, Any], says: str
) -> None:
    body = named("web-0", "a", **more)
    body["ports"] += named("web-1", "b")["ports"]
    refused, made = (await world.h1.post(PORTS, body)).json["outcomes"]
    assert refused["error"]["status"] == 400
    assert says in refused["error"]["message"]
    assert made["port"]["unique_name"] == "web-1"


async def test_not_all_slots_of_many_names_are_looked_up_at_once(
    world: World, core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each name's slots are read whole: a thousand names would be ten million numbers."""
    monkeypatch.setattr(containers, "SLOTS_AT_ONCE_MAX", 20_000)
    commit, under_way, most = core.commit, 0, 0

    async def counted(command: Command) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await commit(command)
        finally:
            under_way -= 1

    monkeypatch.setattr(core, "commit", counted)
    ports = [
        {
            "unique_name": f"{name}/{{slot}}",
            "network_labels": "env=prod",
            "device_id": f"{name}{number}",
            "slots": 10_000,
        }
        for name in "abcde"
        for number in range(2)
    ]
    body = {"epoch": EPOCH, "project_id": DEFAULT_PROJECT, "ports": ports}
    outcomes = (await world.h1.post(PORTS, body)).json["outcomes"]
    names = [each["port"]["unique_name"] for each in outcomes]
    assert names == [f"{name}/{number}" for name in "abcde" for number in range(2)]
    assert most == 4


async def test_an_end_that_names_nobody_is_refused(world: World) -> None:
    nobody = {"epoch": EPOCH, "project_id": DEFAULT_PROJECT}
    assert refusal(await world.h1.ask("DELETE", PORTS, nobody)) == (400, "InvalidInput")


@pytest.mark.parametrize("domain", ["zone", "rack", ["leaf1", "leaf2"], None])
async def test_a_networks_drift_domain_is_an_admins_to_set_and_see(
    world: World, core: Core, domain: Any
) -> None:
    network_id = await world.network(102, {}, "10.0.2.0/24", project_id="p")
    path = f"/v2.0/networks/{network_id}"
    answer = await world.admin.put(path, {"network": {"drift_domain": domain}})
    assert answer.status == 200, answer
    assert (await world.admin.get(path)).json["network"]["drift_domain"] == domain
    stored = await core.reader.one(Network, network_id)
    assert stored is not None
    assert stored.drift_domain == (tuple(domain) if isinstance(domain, list) else domain)
    listed = await world.admin.get(f"/v2.0/networks?id={network_id}&fields=drift_domain")
    assert listed.json["networks"] == [{"drift_domain": domain}]
    owner = client_of(core, "p")
    assert "drift_domain" not in (await owner.get(path)).json["network"]
    answer = await owner.put(path, {"network": {"drift_domain": "zone"}})
    assert answer.status == 403


@pytest.mark.parametrize("domain", ["row", "", [], ["leaf1", "leaf1"], [""], 7])
async def test_no_drift_domain(world: World, domain: Any) -> None:
    network_id = await world.network(102, {}, "10.0.2.0/24")
    path = f"/v2.0/networks/{network_id}"
    answer = await world.admin.put(path, {"network": {"drift_domain": domain}})
    assert answer.status == 400
    assert "drift_domain" in answer.error["message"]


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.error["type"]


async def test_projects_that_the_settings_do_not_name_are_closed_to_agents(world: World) -> None:
    await world.network(102, {"env": "secret"}, "10.0.2.0/24", project_id="vault")
    answer = await world.h1.post(PORTS, wanted("x", labels="env=secret", project_id="vault"))
    assert refusal(answer) == (403, "PolicyNotAuthorized")
    assert "project vault" in answer.error["message"]
    answer = await world.h1.ask("DELETE", PORTS, ended("x", project_id="vault"))
    assert refusal(answer) == (403, "PolicyNotAuthorized")
    (outcome,) = await world.make("x", labels="env=secret", project_id="pods")
    assert outcome["error"]["type"] == "NoNetworkForLabels"  # another project's is not to be had


async def test_only_the_newest_agent_of_the_host_itself_is_heard(world: World) -> None:
    assert refusal(await world.h2.post(PORTS, wanted("x"))) == (403, "PolicyNotAuthorized")
    old = wanted("x", epoch="e0")
    assert refusal(await world.h1.post(PORTS, old)) == (409, "StaleEpoch")
    stranger = "/v1/hosts/h9/container-ports"
    assert refusal(await world.admin.post(stranger, wanted("x"))) == (404, "HostNotFound")


async def test_agents_have_no_other_way_to_ports(world: World) -> None:
    for method, target in (
        ("GET", "/v2.0/ports"),
        ("POST", "/v2.0/ports"),
        ("DELETE", "/v2.0/ports"),
    ):
        answer = await world.h1.ask(method, target, {"ports": []})
        assert refusal(answer) == (403, "PolicyNotAuthorized")


@pytest.mark.parametrize(
    "change",
    [
        {"ports": []},
        {"ports": wanted(*("x" * 300,))["ports"]},
        {"project_id": ""},
        {"colour": "red"},
        {"ports": [{"unique_name": "x"}]},
    ],
)
async def test_what_is_wrong_with_a_requests_form_is_refused_whole(
    world: World, change: dict[str, Any]
) -> None:
    assert (await world.h1.post(PORTS, {**wanted("x"), **change})).status == 400


async def test_a_quota_holds_for_agents_too(world: World) -> None:
    quota = {"quota": {"port": 1}}
    assert (await world.admin.put(f"/v2.0/quotas/{DEFAULT_PROJECT}", quota)).status == 200
    outcomes = await world.make("a", "b")
    assert sorted(each.get("error", {}).get("type", "") for each in outcomes) == ["", "OverQuota"]


async def test_a_container_has_an_address_of_its_hosts_segment(world: World) -> None:
    """Its host is known as it asks, though its port is made before it is bound."""
    network = await world.network(109, {"env": "routed"}, "10.0.9.0/24")
    subnets = (await world.admin.get(f"/v2.0/subnets?network_id={network}")).json["subnets"]
    on_it = {"subnet": {"segment_id": own_segment_id(network)}}
    assert (await world.admin.put(f"/v2.0/subnets/{subnets[0]['id']}", on_it)).status == 200
    (outcome,) = await world.make("web-0", labels="env=routed")
    assert outcome["port"]["fixed_ips"][0]["ip_address"].startswith("10.0.9.")


ID = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"


async def test_a_port_that_is_made_has_the_id_that_the_agent_has_chosen(world: World) -> None:
    asked = wanted("h1/a/eth0")
    asked["ports"][0]["port_id"] = ID
    for _ in range(2):  # an answer may be lost
        (outcome,) = (await world.h1.post(PORTS, asked)).json["outcomes"]
        assert outcome["port"]["id"] == ID


async def test_a_port_that_is_there_keeps_its_id(world: World) -> None:
    (before,) = await world.make("h1/a/eth0")
    asked = wanted("h1/a/eth0")
    asked["ports"][0]["port_id"] = ID
    (outcome,) = (await world.h1.post(PORTS, asked)).json["outcomes"]
    assert outcome["port"]["id"] == before["port"]["id"]


async def test_an_id_that_a_port_has_is_refused_to_another_and_costs_others_nothing(
    world: World,
) -> None:
    (before,) = await world.make("h1/a/eth0")
    asked = wanted("h1/b/eth0", "h1/c/eth0")
    asked["ports"][0]["port_id"] = before["port"]["id"]
    refused, made = (await world.h1.post(PORTS, asked)).json["outcomes"]
    assert refused["error"]["type"] == "IdInUse"
    assert made["port"]["unique_name"] == "h1/c/eth0"


async def test_a_port_of_an_id_that_another_had_goes_on_with_its_history(world: World) -> None:
    """Rows of the one would be in the place of the other's, which no commit could write."""
    for name in ("h1/a/eth0", "h1/b/eth0"):
        asked = wanted(name)
        asked["ports"][0]["port_id"] = ID
        (made,) = (await world.h1.post(PORTS, asked)).json["outcomes"]
        assert made["port"]["id"] == ID
        assert (await world.admin.ask("DELETE", f"/v2.0/ports/{ID}")).status == 204
        gone = {"plane": "underlay", "port_id": ID, "status": "withdrawn", "generation": 1}
        said = {"host": "h1", "epoch": REGISTRATION["epoch"], "reports": [gone]}
        assert (await world.h1.post("/v1/reports", said)).status == 200
        assert (await world.admin.get(f"/v2.0/ports/{ID}")).status == 404


@pytest.mark.parametrize("port_id", ["x", ID.upper(), f"{ID}\n", f" {ID}"])
async def test_no_id(world: World, port_id: str) -> None:
    asked = wanted("h1/a/eth0")
    asked["ports"][0]["port_id"] = port_id
    answer = await world.h1.post(PORTS, asked)
    assert answer.status == 400
    assert "port_id" in answer.error["message"]
