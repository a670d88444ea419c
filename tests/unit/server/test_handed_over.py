"""Resources that another service owns: made with its ids and tags; edge and core together."""

from typing import Any

import pytest
from tests.doubles.http import Client
from tests.unit.server.projects import client_of

from netwright.server.core import Core

MARK = "cloud"
KINDS = ("network", "subnet", "port", "router", "security_group", "floatingip")


def collection(kind: str) -> str:
    return f"/v2.0/{kind.replace('_', '-')}s"


def id_of(kind: str) -> str:
    return f"00000000-0000-4000-8000-{KINDS.index(kind):012}"


def segment(vlan_id: int) -> dict[str, Any]:
    return {
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": vlan_id,
    }


async def made(client: Client, kind: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(collection(kind), {kind: body})
    assert answer.status == 201, answer
    found: dict[str, Any] = answer.json[kind]
    return found


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


@pytest.fixture
async def bodies(admin: Client) -> dict[str, dict[str, Any]]:
    """What each kind needs, beside that it is handed over."""
    network = await made(admin, "network", **segment(100), **{"router:external": True})
    other = {"network_id": network["id"], "ip_version": 4, "cidr": "10.9.0.0/24"}
    await made(admin, "subnet", **other)
    return {
        "network": segment(101),
        "subnet": {**other, "cidr": "10.8.0.0/24"},
        "port": {"network_id": network["id"]},
        "router": {},
        "security_group": {"name": "g"},
        "floatingip": {"floating_network_id": network["id"]},
    }


@pytest.mark.parametrize("kind", KINDS)
async def test_it_has_its_owners_id_and_tags(
    core: Core, admin: Client, bodies: dict[str, dict[str, Any]], kind: str
) -> None:
    wanted = {**bodies[kind], "handed_over": {"id": id_of(kind), "tags": [MARK, "b"]}}
    shown = await made(admin, kind, **wanted)
    assert shown["id"] == id_of(kind)
    assert sorted(shown["tags"]) == ["b", MARK]
    listed = (await admin.get(f"{collection(kind)}?tags={MARK}")).json[f"{kind}s"]
    assert [each["id"] for each in listed] == [id_of(kind)]

    again = await admin.post(collection(kind), {kind: wanted})
    assert again.status == 409
    assert again.json["NeutronError"]["type"] == "IdInUse"
    other = {**wanted, "handed_over": {"id": id_of(kind).replace("-8", "-9")}}
    if kind == "subnet":
        other["cidr"] = "10.7.0.0/24"
    twice = await admin.post(collection(kind), {f"{kind}s": [other, other]})
    assert twice.status == 409
    assert (await admin.get(f"{collection(kind)}?id={other['handed_over']['id']}")).json == {
        f"{kind}s": []
    }


@pytest.mark.parametrize("kind", KINDS)
async def test_only_an_administrator_says_so(
    core: Core, bodies: dict[str, dict[str, Any]], kind: str
) -> None:
    member = client_of(core, "p1")
    plain = {name: value for name, value in bodies[kind].items() if "provider:" not in name}
    body = {**plain, "handed_over": {"id": id_of(kind)}}
    answer = await member.post(collection(kind), {kind: body})
    assert answer.status == 403, answer
    assert f"create_{kind}:handed_over" in str(answer.json)
    answer = await member.post(collection(kind), {kind: {**body, "handed_over": None}})
    assert "handed_over" not in str(answer.json)


@pytest.mark.parametrize("wrong", [{"id": "x"}, {"tags": []}, {"id": None}, {"id": 7}, "x"])
async def test_what_is_no_id(admin: Client, wrong: Any) -> None:
    answer = await admin.post("/v2.0/networks", {"network": {"handed_over": wrong}})
    assert answer.status == 400


async def test_a_deleted_ports_id_is_its_hosts_until_it_has_gone(core: Core, admin: Client) -> None:
    """A port that is bound goes when its host says so; until then its id is no other's."""
    network = await made(admin, "network", **segment(100))
    host = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "br-bond"}}
    assert (await admin.put("/v1/hosts/host1", host)).status == 200
    body = {"network_id": network["id"], "handed_over": {"id": id_of("port")}}
    await made(admin, "port", **body, **{"binding:host_id": "host1"})
    assert (await admin.ask("DELETE", f"/v2.0/ports/{id_of('port')}")).status == 204
    assert (await admin.post("/v2.0/ports", {"port": body})).status == 409
    report = {"port_id": id_of("port"), "plane": "underlay", "generation": 1}
    said = {"host": "host1", "epoch": "e", "reports": [{**report, "status": "withdrawn"}]}
    assert (await admin.post("/v1/reports", said)).status == 200
    await made(admin, "port", **body, **{"binding:host_id": "host1"})
