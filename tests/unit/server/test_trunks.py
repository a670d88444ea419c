"""Trunks, edge and core together, on both databases: what is in them, where they are bound."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of
from tests.unit.server.routing_scene import a_network, made, said

from netwright.model.resources import Port
from netwright.model.states import BindingState, Plane
from netwright.model.wire import HostRegistration, Report, ReportBatch, ReportStatus
from netwright.server.commands import ApplyReports, Caller, RegisterHost
from netwright.server.core import Core
from netwright.server.store.checking import check

ADMIN = Caller(project_id="", is_admin=True)


class Scene(NamedTuple):
    core: Core
    admin: Client
    owner: Client
    parent: str
    red: str
    blue: str

    async def trunk(self, *subports: tuple[str, int], **more: Any) -> Answer:
        wanted = {"port_id": self.parent, "sub_ports": [vlan(*one) for one in subports], **more}
        return await self.owner.post("/v2.0/trunks", {"trunk": wanted})

    async def made(self, *subports: tuple[str, int]) -> str:
        answer = await self.trunk(*subports)
        assert answer.status == 201, answer
        return str(answer.json["trunk"]["id"])

    async def bind(self, host: str) -> None:
        change = {"port": {"binding:host_id": host, "device_owner": "compute:nova"}}
        assert (await self.admin.put(f"/v2.0/ports/{self.parent}", change)).status == 200

    async def port(self, id_: str) -> Port:
        found = await self.core.reader.port(id_)
        assert found is not None
        return found

    async def where(self, id_: str) -> dict[str, tuple[bool, BindingState]]:
        return {one.host: (one.active, one.state) for one in (await self.port(id_)).bindings}

    async def report(
        self, host: str, id_: str, status: ReportStatus = ReportStatus.UP, cause: str = ""
    ) -> None:
        binding = (await self.port(id_)).binding_on(host)
        assert binding is not None
        one = Report(
            plane=Plane.UNDERLAY,
            generation=binding.generation,
            status=status,
            port_id=id_,
            cause=cause,
        )
        batch = ReportBatch(host=host, epoch="e", reports=(one,))
        await self.core.commit(ApplyReports(caller=ADMIN, batch=batch))

    async def status(self, trunk: str) -> str:
        return str((await self.owner.get(f"/v2.0/trunks/{trunk}")).json["trunk"]["status"])


def vlan(port: str, number: int) -> dict[str, Any]:
    return {"port_id": port, "segmentation_type": "vlan", "segmentation_id": number}


@pytest.fixture
async def one(core: Core) -> Scene:
    admin, owner = client_of(core, "admin"), client_of(core, "owner")
    registration = HostRegistration(epoch="e", driver="ovs", physical_networks={"physnet1": "br-1"})
    for host in ("h1", "h2"):
        await core.commit(RegisterHost(caller=ADMIN, host=host, registration=registration))
    ports = []
    for _ in range(3):
        network = await a_network(admin, project_id="owner")
        ports.append((await made(owner, "port", network_id=network))["id"])
    return Scene(core, admin, owner, *ports)


@pytest.fixture(autouse=True)
async def consistent(core: Core, database_url: str) -> AsyncIterator[None]:
    yield
    assert (await check(database_url)).wrong == []


async def test_a_trunk_and_its_subports(one: Scene) -> None:
    trunk = await one.made((one.red, 7))
    path = f"/v2.0/trunks/{trunk}"
    added = await one.owner.put(f"{path}/add_subports", {"sub_ports": [vlan(one.blue, 8)]})
    assert added.json["sub_ports"] == [vlan(one.red, 7), vlan(one.blue, 8)]
    assert (await one.owner.get(f"{path}/get_subports")).json == {
        "sub_ports": added.json["sub_ports"]
    }
    red = (await one.owner.get(f"/v2.0/ports/{one.red}")).json["port"]
    assert (red["device_owner"], red["device_id"]) == ("trunk:subport", trunk)
    assert red["trunk_details"] is None
    parent = (await one.owner.get(f"/v2.0/ports/{one.parent}")).json["port"]
    assert parent["trunk_details"]["trunk_id"] == trunk
    first = {**vlan(one.red, 7), "mac_address": red["mac_address"]}
    assert parent["trunk_details"]["sub_ports"][0] == first
    (listed,) = (await one.owner.get(f"/v2.0/ports?id={one.parent}")).json["ports"]
    assert listed["trunk_details"] == parent["trunk_details"]
    gone = await one.owner.put(f"{path}/remove_subports", {"sub_ports": [{"port_id": one.red}]})
    assert gone.json["sub_ports"] == [vlan(one.blue, 8)]
    assert (await one.port(one.red)).trunk is None
    assert (await one.port(one.red)).device_owner == ""
    assert (await one.owner.ask("DELETE", path)).status == 204
    for port in (one.parent, one.red, one.blue):
        assert (await one.owner.ask("DELETE", f"/v2.0/ports/{port}")).status == 204


async def test_what_neutron_refuses(one: Scene) -> None:
    trunk = await one.made((one.red, 7))
    path = f"/v2.0/trunks/{trunk}"
    lonely = (await made(one.owner, "port", network_id=(await one.port(one.red)).network_id))["id"]
    attached = await made(
        one.owner, "port", network_id=(await one.port(one.red)).network_id, device_id="vm"
    )

    async def adding(*subports: dict[str, Any]) -> tuple[int, str]:
        return said(await one.owner.put(f"{path}/add_subports", {"sub_ports": list(subports)}))

    assert said(await one.trunk()) == (409, "ParentPortInUse")
    assert await adding(vlan(one.red, 9)) == (409, "TrunkPortInUse")
    assert await adding(vlan(one.parent, 9)) == (409, "ParentPortInUse")
    assert await adding(vlan(one.blue, 7)) == (409, "DuplicateSubPort")
    assert await adding(vlan(attached["id"], 9)) == (409, "PortInUse")
    assert await adding(vlan(one.blue, 8), vlan(lonely, 8)) == (400, "InvalidInput")
    assert await adding({"port_id": one.blue}) == (400, "InvalidInput")
    assert await adding(vlan(one.blue, 4095)) == (400, "InvalidInput")
    for port, error in ((one.parent, "PortInUseAsTrunkParent"), (one.red, "PortInUseAsSubPort")):
        assert said(await one.owner.ask("DELETE", f"/v2.0/ports/{port}")) == (409, error)
    removed = {"sub_ports": [{"port_id": one.blue}]}
    answer = await one.owner.put(f"{path}/remove_subports", removed)
    assert said(answer) == (404, "SubPortNotFound")
    stranger = client_of(one.core, "stranger")
    assert (await stranger.get(path)).status == 404
    assert (await stranger.put(f"{path}/add_subports", {"sub_ports": []})).status == 404
    await one.owner.put(path, {"trunk": {"admin_state_up": False}})
    assert await adding(vlan(one.blue, 9)) == (409, "TrunkDisabled")
    assert said(await one.owner.ask("DELETE", path)) == (409, "TrunkDisabled")
    assert (await one.port(one.blue)).trunk is None, "what was refused has changed nothing"


async def test_a_subports_frames_fit_and_its_vlan_may_be_its_networks(one: Scene) -> None:
    narrow = (await one.port(one.parent)).network_id
    assert (
        await one.admin.put(f"/v2.0/networks/{narrow}", {"network": {"mtu": 1400}})
    ).status == 200
    answer = await one.trunk((one.red, 7))
    assert said(answer) == (409, "SubPortMtuGreaterThanTrunkPortMtu")
    assert (
        await one.admin.put(f"/v2.0/networks/{narrow}", {"network": {"mtu": 1500}})
    ).status == 200
    inherits = {"port_id": one.red, "segmentation_type": "inherit"}
    wanted = {"port_id": one.parent, "sub_ports": [inherits]}
    (found,) = (await one.owner.post("/v2.0/trunks", {"trunk": wanted})).json["trunk"]["sub_ports"]
    network = await one.admin.get(f"/v2.0/networks/{(await one.port(one.red)).network_id}")
    assert found["segmentation_id"] == network.json["network"]["provider:segmentation_id"]


async def test_subports_are_bound_where_their_parent_is(one: Scene) -> None:
    trunk = await one.made((one.red, 7))
    await one.bind("h1")
    assert (await one.where(one.red)) == {"h1": (True, BindingState.PREPARING)}
    added = {"sub_ports": [vlan(one.blue, 8)]}
    await one.owner.put(f"/v2.0/trunks/{trunk}/add_subports", added)
    assert (await one.where(one.blue)) == {"h1": (True, BindingState.PREPARING)}
    for port in (one.parent, one.red, one.blue):
        await one.report("h1", port)
    await one.bind("h2")
    for port in (one.parent, one.red, one.blue):
        assert (await one.where(port)) == {
            "h1": (False, BindingState.WITHDRAWING),
            "h2": (True, BindingState.PREPARING),
        }
    gone = {"sub_ports": [{"port_id": one.red}]}
    await one.owner.put(f"/v2.0/trunks/{trunk}/remove_subports", gone)
    left = await one.where(one.red)
    assert {active for active, _ in left.values()} == {False}
    await one.bind("")
    assert not any(active for active, _ in (await one.where(one.blue)).values())


async def test_subports_go_with_a_live_migration(one: Scene) -> None:
    await one.made((one.red, 7))
    await one.bind("h1")
    for port in (one.parent, one.red):
        await one.report("h1", port)
    path = f"/v2.0/ports/{one.parent}/bindings"
    assert (await one.admin.post(path, {"binding": {"host": "h2"}})).status == 201
    red = await one.port(one.red)
    ahead = red.binding_on("h2")
    assert ahead is not None
    assert ahead.is_standby
    assert (await one.admin.put(f"{path}/h2/activate", {})).status == 200
    active = (await one.port(one.red)).active_binding
    assert active is not None
    assert active.host == "h2"
    assert (await one.admin.ask("DELETE", f"{path}/h1")).status == 204
    await one.report("h1", one.red, ReportStatus.WITHDRAWN)
    assert list(await one.where(one.red)) == ["h2"]


async def test_how_a_trunk_stands(one: Scene) -> None:
    trunk = await one.made((one.red, 7), (one.blue, 8))
    assert await one.status(trunk) == "DOWN"
    await one.bind("h1")
    assert await one.status(trunk) == "BUILD"
    await one.report("h1", one.parent)
    await one.report("h1", one.red)
    assert await one.status(trunk) == "BUILD"
    await one.report("h1", one.blue)
    assert await one.status(trunk) == "ACTIVE"
    await one.report("h1", one.blue, ReportStatus.REFUSED, "no such thing")
    assert await one.status(trunk) == "DEGRADED"
    await one.report("h1", one.blue)
    assert await one.status(trunk) == "ACTIVE"
    (found,) = (await one.owner.get("/v2.0/trunks?status=ACTIVE")).json["trunks"]
    assert found["id"] == trunk
    await one.bind("")
    assert await one.status(trunk) == "DOWN"
