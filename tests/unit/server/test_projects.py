"""Projects do not reach each other, edge and core together: what is another's is not found."""

from typing import Any

from tests.doubles.http import Client
from tests.unit.server.projects import client_of

from netwright.model.states import Plane
from netwright.model.wire import DevicesSeen, HostRegistration, Report, ReportBatch, ReportStatus
from netwright.server.commands import ApplyReports, Caller, RegisterHost, SeeDevices
from netwright.server.core import Core

ADMIN = Caller(project_id="p", is_admin=True)


async def _made(client: Client, name: str, **attributes: Any) -> str:
    answer = await client.post(f"/v2.0/{name}s", {name: attributes})
    assert answer.status == 201, answer
    made: str = answer.json[name]["id"]
    return made


async def _network(client: Client, vlan: int, **attributes: Any) -> dict[str, str]:
    network = await _made(
        client,
        "network",
        **{
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": vlan,
            "project_id": "owner",
            **attributes,
        },
    )
    subnet = await _made(
        client,
        "subnet",
        network_id=network,
        ip_version=4,
        cidr="10.0.0.0/24",
        project_id="owner",
    )
    port = await _made(client, "port", network_id=network, project_id="owner")
    return {"network": network, "subnet": subnet, "port": port}


async def test_what_is_anothers_is_not_found(core: Core) -> None:
    admin, owner, other = (client_of(core, name) for name in ("admin", "owner", "other"))
    ids = await _network(admin, 101)
    for name, id_ in ids.items():
        path = f"/v2.0/{name}s/{id_}"
        body = {name: {"name": "mine"}}
        assert (await other.get(path)).status == 404
        assert (await other.put(path, body)).status == 404
        assert (await other.ask("DELETE", path)).status == 404
        assert (await other.get(f"/v2.0/{name}s")).json == {f"{name}s": []}
        assert (await other.get(f"/v2.0/{name}s?id={id_}")).json == {f"{name}s": []}
        assert (await owner.put(path, body)).status == 200
        assert len((await owner.get(f"/v2.0/{name}s")).json[f"{name}s"]) == 1
    on_it = {"network_id": ids["network"]}
    assert (await other.post("/v2.0/ports", {"port": on_it})).status == 404
    subnet = {**on_it, "ip_version": 4, "cidr": "10.1.0.0/24"}
    assert (await other.post("/v2.0/subnets", {"subnet": subnet})).status == 404
    for name in ("port", "subnet", "network"):
        assert (await owner.ask("DELETE", f"/v2.0/{name}s/{ids[name]}")).status == 204


async def test_a_shared_network_is_used_and_not_changed(core: Core) -> None:
    admin, other = client_of(core, "admin"), client_of(core, "other")
    ids = await _network(admin, 102, shared=True)
    port = await _made(other, "port", network_id=ids["network"])
    assert [one["id"] for one in (await other.get("/v2.0/ports")).json["ports"]] == [port]
    assert len((await other.get("/v2.0/networks?shared=True")).json["networks"]) == 1
    assert len((await other.get("/v2.0/subnets")).json["subnets"]) == 1
    for name in ("network", "subnet"):
        path = f"/v2.0/{name}s/{ids[name]}"
        assert (await other.get(path)).status == 200
        assert (await other.put(path, {name: {"name": "mine"}})).status == 403
        assert (await other.ask("DELETE", path)).status == 403


async def test_unique_names_are_each_projects_own(core: Core) -> None:
    admin, owner, other = (client_of(core, name) for name in ("admin", "owner", "other"))
    network = (await _network(admin, 103, shared=True))["network"]
    body = {"port": {"network_id": network, "unique_name": "web"}}
    first = await owner.post("/v2.0/ports", body)
    again = await owner.post("/v2.0/ports", body)
    theirs = await other.post("/v2.0/ports", body)
    assert (first.status, again.status, theirs.status) == (201, 200, 201)
    assert again.json["port"]["id"] == first.json["port"]["id"] != theirs.json["port"]["id"]
    elsewhere = {**body["port"], "fixed_ips": [{"ip_address": "10.0.0.99"}]}
    conflict = await owner.post("/v2.0/ports", {"port": elsewhere})
    assert (conflict.status, conflict.error["type"]) == (409, "UniqueNameConflict")
    assert first.json["port"]["id"] in conflict.error["message"]


HOST = "rack7-blade3"


async def _bound(core: Core, owner: Client) -> str:
    """A port of the owner's, wired on HOST, whose agent then lost it with words of its own."""
    admin = client_of(core, "admin")
    registration = HostRegistration(epoch="e", driver="ovs", physical_networks={"physnet1": "br"})
    await core.commit(RegisterHost(caller=ADMIN, host=HOST, registration=registration))
    port = (await _network(admin, 104))["port"]
    answer = await admin.put(f"/v2.0/ports/{port}", {"port": {"binding:host_id": HOST}})
    assert answer.status == 200, answer
    for status in (ReportStatus.UP, ReportStatus.DOWN):
        one = Report(
            plane=Plane.UNDERLAY,
            generation=1,
            status=status,
            port_id=port,
            cause="tap1 of rack7-blade3 left br-int",
        )
        batch = ReportBatch(host=HOST, epoch="e", reports=(one,))
        await core.commit(ApplyReports(caller=ADMIN, batch=batch))
    assert (await owner.get(f"/v2.0/ports/{port}")).json["port"]["status"] == "DOWN"
    return port


async def test_projects_are_told_nothing_of_hosts(core: Core) -> None:
    admin, owner = client_of(core, "admin"), client_of(core, "owner")
    port = await _bound(core, owner)
    path = f"/v1/ports/{port}"
    told = [
        await owner.get(f"{path}/history"),
        await owner.get(f"{path}/explain"),
        await owner.put(f"/v2.0/ports/{port}", {"port": {"mac_address": "02:00:00:00:00:09"}}),
        await owner.put(f"/v2.0/ports/{port}", {"port": {"binding:vnic_type": "baremetal"}}),
        await owner.get(f"/v2.0/ports?binding:host_id={HOST}"),
        await owner.get(f"/v2.0/ports/{port}"),
    ]
    assert [answer.status for answer in told] == [200, 200, 403, 400, 403, 200]
    for answer in told:
        for word in ("rack7", "br-int", "physnet1", "tap1"):
            assert word not in answer.body.decode(), answer
    assert [one["actor"] for one in told[0].json["history"]] == ["admin", "agent", "agent"]
    assert "Its wiring is down, for" in told[1].json["text"]
    assert HOST in (await admin.get(f"{path}/explain")).json["text"]
    assert (await admin.get(f"{path}/history")).json["history"][-1]["host"] == HOST


async def test_networks_are_not_found_by_what_projects_do_not_see(core: Core) -> None:
    await _network(client_of(core, "admin"), 105)
    for name, value in (("physical_network", "physnet1"), ("segmentation_id", "105")):
        answer = await client_of(core, "owner").get(f"/v2.0/networks?provider:{name}={value}")
        assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")
        assert name in answer.error["message"]


async def test_anothers_marker_is_answered_like_one_that_is_not_there(core: Core) -> None:
    ids = await _network(client_of(core, "admin"), 106)
    other, absent = client_of(core, "other"), "0190c9d2-0000-7000-8000-0000000000ff"
    for name, foreign in ids.items():
        answers = [
            await other.get(f"/v2.0/{name}s?limit=1&sort_key=name&marker={marker}")
            for marker in (foreign, absent)
        ]
        told = [answer.body.decode().replace(foreign, absent) for answer in answers]
        assert [answer.status for answer in answers] == [404, 404]
        assert told[0] == told[1]


async def test_agents_learn_of_ports_that_are_theirs_or_nobodys(core: Core) -> None:
    admin = client_of(core, "admin")
    elsewhere = await _bound(core, client_of(core, "owner"))
    free = (await _network(admin, 107))["port"]
    left = await _made(admin, "port", network_id=(await _network(admin, 108))["network"])
    for host in (HOST, ""):
        await admin.put(f"/v2.0/ports/{left}", {"port": {"binding:host_id": host}})
    asked = DevicesSeen(epoch="e", port_ids=(elsewhere, free, "unknown", left))
    # A free one is offered to the first host that asks, and is nobody else's then.
    for host, known in ((HOST, [elsewhere, free, left]), ("other", [])):
        registration = HostRegistration(
            epoch="e", driver="ovs", physical_networks={"physnet1": "br-bond"}
        )
        await core.commit(RegisterHost(caller=ADMIN, host=host, registration=registration))
        answers = await core.commit(SeeDevices(caller=ADMIN, host=host, devices=asked))
        assert [port.id for port in answers.ports] == known


async def test_a_default_is_nothing_that_only_an_admin_may_ask_for(core: Core) -> None:
    """As in Neutron's policy; the segment has no default, so naming any is asking for one."""
    await _network(client_of(core, "admin"), 109)
    owner = client_of(core, "owner")
    body: dict[str, Any] = {"shared": False, "provider:network_type": "vlan"}
    answer = await owner.post("/v2.0/networks", {"network": body})
    assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")
    assert "provider:network_type" in answer.error["message"]
    answer = await owner.post("/v2.0/networks", {"network": {"shared": False}})
    assert answer.status != 403, "whether a segment is left is another matter"


async def test_sending_back_what_one_was_shown_changes_nothing(core: Core) -> None:
    admin, owner = client_of(core, "admin"), client_of(core, "owner")
    ids = await _network(admin, 110, project_id="owner")
    path = f"/v2.0/networks/{ids['network']}"
    for shared, status in ((False, 200), (True, 403)):
        answer = await owner.put(path, {"network": {"name": "mine", "shared": shared}})
        assert answer.status == status, answer
    await admin.put(path, {"network": {"shared": True}})
    answer = await owner.put(path, {"network": {"shared": True}})
    assert (answer.status, answer.json["network"]["shared"]) == (200, True)
    assert (await owner.put(path, {"network": {"shared": False}})).status == 403


async def test_what_one_is_not_shown_cannot_be_found_out_by_trying(core: Core) -> None:
    admin, owner = client_of(core, "admin"), client_of(core, "owner")
    ids = await _network(admin, 111, project_id="owner")
    port = await _made(owner, "port", network_id=ids["network"])
    for host in (HOST, ""):
        await admin.put(f"/v2.0/ports/{port}", {"port": {"binding:host_id": host}})
        for guess in (HOST, "", None):
            change = {"port": {"binding:host_id": guess}}
            assert (await owner.put(f"/v2.0/ports/{port}", change)).status == 403
        assert (await owner.put(f"/v2.0/ports/{port}", {"port": {"name": "x"}})).status == 200
