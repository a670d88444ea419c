"""The native API of the fabric: who may do what, what is asked of the controller and answered."""

from typing import Any

import pytest
from msgspec import to_builtins
from tests.doubles.http import Client
from tests.doubles.store import ADMIN
from tests.unit.server.overlay_scene import fabric_network, leaf, replaced, topology

from netwright.model.topology import Capacities
from netwright.model.wire import HostRegistration
from netwright.server import upkeep
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import TokenAuthenticator
from netwright.server.commands import (
    CreatePorts,
    PortDraft,
    RegisterHost,
    Tick,
)
from netwright.server.core import Core
from netwright.server.metrics import Metrics
from netwright.server.overlay import asking

AUTH = TokenAuthenticator("secret", b"agents")
Clients = tuple[Client, Client]


@pytest.fixture
async def clients(core: Core) -> Clients:
    """An administrator's and the fabric controller's, of a server with a fabric."""
    edge = Edge(core, AUTH, Metrics(), body_bytes_max=1 << 22)
    admin = Client(application(edge), {"x-auth-token": "secret"})
    token = (await admin.post("/v1/fabric/credential", None)).json["token"]
    controller = Client(application(edge), {"x-auth-token": token})
    await core.commit(replaced(topology()))
    await core.commit(fabric_network("red", 5000))
    registration = HostRegistration(epoch="e", driver="ovs")
    await core.commit(RegisterHost(caller=ADMIN, host="h1", registration=registration))
    drafts = tuple(
        PortDraft(id=n, project_id="p", network_id="red", host="h1", fixed_ips=()) for n in "ab"
    )
    await core.commit(CreatePorts(caller=ADMIN, drafts=drafts))
    small = (leaf(1, capacities=Capacities(macs=1)), leaf(2), leaf(3), leaf(4))
    wanted = to_builtins(topology(switches=small))
    assert (await admin.ask("PUT", "/v1/topology", wanted)).status == 200
    return admin, controller


async def lease(controller: Client) -> int:
    taken = await controller.post("/v1/leases/fabric", {"holder": "one", "ttl_s": 60})
    assert taken.status == 200, taken
    return int(taken.json["token"])


async def test_the_controllers_credential_is_for_its_own_work_alone(clients: Clients) -> None:
    admin, controller = clients
    assert (await controller.get("/v1/topology")).status == 200
    for method, path, body in (
        ("GET", "/v2.0/networks", None),
        ("GET", "/v1/hosts", None),
        ("GET", "/v1/switches", None),
        ("PUT", "/v1/topology", {}),
        ("POST", "/v1/fabric/credential", None),
        ("POST", "/v1/fabric/plan", {}),
        ("POST", "/v1/reports", {"host": "h1", "epoch": "e"}),
        ("POST", "/v1/leases/other", {"holder": "x", "ttl_s": 1}),
        ("GET", "/v1/watch?kinds=port", None),
        ("GET", "/v1/watch", None),
        ("GET", "/v1/watch?kinds=network&host=h1", None),
        ("GET", "/v1/watch?group=g", None),
    ):
        answer = await controller.ask(method, path, body)
        assert answer.status == 403, (method, path, answer)
        assert answer.json["error"]["next"] if path.startswith("/v1") else True
    host = {"x-auth-token": AUTH.host_credential("h1")}
    for method, path in (("POST", "/v1/fabric/reports"), ("GET", "/v1/topology")):
        assert (await admin.ask(method, path, {"token": 1}, headers=host)).status == 403


async def test_reports_are_taken_from_the_lease_holder_and_shown(
    clients: Clients, core: Core
) -> None:
    admin, controller = clients
    refused = await controller.post("/v1/fabric/reports", {"token": 1})
    assert (refused.status, refused.json["error"]["type"]) == (409, "StaleLease")
    token = await lease(controller)
    (attachment,) = await core.reader.attachments("red")
    report = {
        "network_id": "red",
        "host": "h1",
        "generation": attachment.generation,
        "status": "up",
    }
    whole = {
        "token": token,
        "attachments": [report, {**report, "network_id": "blue"}],
        "switches": [{"switch": "leaf1", "status": "drifted", "drift": ["VLAN 7 is missing"]}],
        "links": [{"end": {"node": "leaf1", "interface": "h1"}, "is_up": False}],
        "clear_at": None,
    }
    answer = await controller.post("/v1/fabric/reports", whole)
    assert answer.json == {
        "results": [
            {"id": "red@h1", "result": "applied"},
            {"id": "blue@h1", "result": "unknown"},
        ]
    }
    shown = (await admin.get("/v1/switches/leaf1")).json
    assert (shown["status"], shown["drift"]) == ("drifted", ["VLAN 7 is missing"])
    assert shown["conditions"] == {"MACs exceeded": "switch leaf1 has 2 MACs and room for 1"}
    others = (await admin.get("/v1/switches")).json["switches"]
    assert [(one["name"], one["status"]) for one in others] == [
        ("leaf1", "drifted"),
        ("leaf2", None),
        ("leaf3", None),
        ("leaf4", None),
    ]
    assert (await admin.get("/v1/switches/leaf9")).status == 404
    capacity = (await admin.get("/v1/fabric/capacity")).json["switches"]
    assert capacity[0]["vnis"] == {"used": 1, "capacity": None}
    beat = {"epoch": "e", "neighbours": {"eth0": "leaf1/h1", "eth1": "leaf3/x"}}
    assert (await admin.post("/v1/hosts/h1/heartbeat", beat)).status == 200
    links = (await admin.get("/v1/links?host=h1")).json["links"]
    assert [
        (one["interface"], one["declared"], one["heard"], one["is_up"], one["contradiction"])
        for one in links
    ] == [
        ("eth0", "leaf1/h1", "leaf1/h1", False, ""),
        (
            "eth1",
            "leaf2/h1",
            "leaf3/x",
            None,
            "eth1 of host h1 hangs on leaf2/h1 by the inventory, and hears leaf3/x by LLDP",
        ),
    ]
    assert len((await admin.get("/v1/links")).json["links"]) == 8
    host = (await admin.get("/v1/hosts/h1")).json
    assert host["conditions"].keys() == {"cabling", "leaf links"}


async def test_what_is_asked_is_answered_by_the_lease_holder_once(clients: Clients) -> None:
    admin, controller = clients
    asked = await admin.post("/v1/fabric/plan", {"switches": ["leaf1"]})
    assert asked.status == 202
    path = f"/v1/operations/{asked.json['id']}"
    assert (await admin.get(path)).json["state"] == "pending"
    token = await lease(controller)
    body = {"token": token, "state": "running"}
    assert (await controller.put(path, {**body, "token": token - 1})).status == 409
    assert (await controller.put(path, {**body, "state": "pending"})).status == 400
    assert (await controller.put(path, {**body, "state": "failed"})).status == 400
    assert (await controller.put(path, body)).json["state"] == "running"
    done = {**body, "state": "done", "result": {"switches": {"leaf1": ["add VLAN 7"]}}}
    assert (await controller.put(path, done)).status == 200
    late = {**body, "state": "done", "result": "other"}
    assert (await controller.put(path, late)).status == 200
    shown = (await admin.get(path)).json
    assert (shown["state"], shown["result"]) == ("done", done["result"])
    assert (await controller.put("/v1/operations/none", done)).status == 404


async def test_a_failure_says_whose_fault_it_is(clients: Clients) -> None:
    admin, controller = clients
    asked = await admin.post("/v1/fabric/drain", {"switch": "leaf2"})
    path = f"/v1/operations/{asked.json['id']}"
    error = {"type": "SwitchRefused", "fault": "device", "message": "leaf2 is busy", "next": "wait"}
    body = {"token": await lease(controller), "state": "failed", "error": error}
    assert (await controller.put(path, body)).status == 200
    shown = (await admin.get(path)).json
    assert (shown["state"], shown["status"], shown["error"]) == ("failed", 502, error)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("plan", {"switches": ["leaf9"]}, 400),
        ("apply", {"switch": "leaf1"}, 400),
        ("drain", {}, 400),
        ("drain", {"switch": "leaf9", "force": True}, 400),
        ("drain", {"switch": "leaf1", "force": "yes"}, 400),
        ("drain", {"switch": "leaf1", "force": True}, 202),
        ("undrain", {"switch": "leaf9"}, 400),
        ("undrain", {"switch": "leaf1", "force": True}, 400),
        ("plan", None, 202),
        ("apply", {}, 202),
    ],
)
async def test_what_is_asked_names_switches_of_the_inventory(
    clients: Clients, path: str, body: Any, status: int
) -> None:
    assert (await clients[0].post(f"/v1/fabric/{path}", body)).status == status


async def test_without_a_controller_it_fails_in_time_and_says_so(
    clients: Clients, core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, controller = clients
    asked = [(await admin.post("/v1/fabric/plan", {})).json["id"] for _ in range(2)]
    await core.commit(Tick(caller=ADMIN, late_operations=tuple(asked)))
    assert (await admin.get(f"/v1/operations/{asked[0]}")).json["state"] == "pending"
    body = {"token": await lease(controller), "state": "running"}
    assert (await controller.put(f"/v1/operations/{asked[1]}", body)).status == 200
    monkeypatch.setattr(asking, "TAKEN_WITHIN_S", 0.0)
    monkeypatch.setattr(upkeep, "TAKEN_WITHIN_S", 0.0)
    await core.commit(Tick(caller=ADMIN, late_operations=tuple(asked)))
    shown = (await admin.get(f"/v1/operations/{asked[0]}")).json
    assert (shown["state"], shown["status"]) == ("failed", 503)
    assert shown["error"]["message"] == (
        "No fabric controller took fabric plan within 0 s (the last that held its lease was one). "
        "Nothing was done."
    )
    assert (await admin.get(f"/v1/operations/{asked[1]}")).json["state"] == "running"
    monkeypatch.setattr(asking, "DONE_WITHIN_S", 0.0)
    await core.commit(Tick(caller=ADMIN, late_operations=tuple(asked)))
    shown = (await admin.get(f"/v1/operations/{asked[1]}")).json
    assert shown["error"]["message"].startswith("Fabric plan was begun and not ended within 0 s")


async def test_fences_of_ports_are_reported_beside_attachments(clients: Clients) -> None:
    """Also in the last of several parts; of a fence that is none the server says so."""
    _, controller = clients
    attachment = {"network_id": "red", "host": "h1", "generation": 1, "status": "up"}
    fence = {"host": "h1", "port_id": "a", "generation": 1, "status": "up"}
    said = {"token": await lease(controller), "attachments": [attachment] * 101, "fences": [fence]}
    answer = await controller.post("/v1/fabric/reports", said)
    assert answer.status == 200, answer
    *others, last = answer.json["results"]
    assert len(others) == 101
    assert last == {"id": "a@h1", "result": "unknown"}


async def test_floating_ips_are_reported_beside_attachments(clients: Clients) -> None:
    admin, controller = clients

    async def made(name: str, **attributes: Any) -> Any:
        return (await admin.post(f"/v2.0/{name}s", {name: attributes})).json[name]

    vlan = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}
    out = await made("network", **vlan, **{"provider:segmentation_id": 7, "router:external": True})
    inner = await made("network", **vlan, **{"provider:segmentation_id": 8})
    for network, cidr in ((out, "203.0.113.0/24"), (inner, "10.7.0.0/24")):
        subnet = await made("subnet", network_id=network["id"], ip_version=4, cidr=cidr)
    router = await made("router", external_gateway_info={"network_id": out["id"]})
    path = f"/v2.0/routers/{router['id']}/add_router_interface"
    assert (await admin.put(path, {"subnet_id": subnet["id"]})).status == 200
    port = await made("port", network_id=inner["id"])
    floating = await made("floatingip", floating_network_id=out["id"], port_id=port["id"])
    said = {key: floating[key] for key in ("id", "port_id", "fixed_ip_address")}
    reports = {"token": await lease(controller), "floating": [{**said, "status": "up"}]}
    answer = await controller.post("/v1/fabric/reports", reports)
    assert (answer.status, answer.json) == (200, {"results": []})
    shown = (await admin.get(f"/v2.0/floatingips/{floating['id']}")).json["floatingip"]
    assert shown["status"] == "ACTIVE"
