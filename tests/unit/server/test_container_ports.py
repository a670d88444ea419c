"""Ports for containers: what a host's agent may ask for and delete, and nothing beyond it."""

from typing import Any

import pytest
from tests.doubles.http import Answer, Client

from netwright.model.resources import DEFAULT_PROJECT, Port
from netwright.model.wire import CONTAINER_OWNER
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import TokenAuthenticator
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
