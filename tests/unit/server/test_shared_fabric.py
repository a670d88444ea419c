"""Fabric networks of servers that share one PostgreSQL: races, made to happen."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.doubles.sql import execute
from tests.unit.server.overlay_scene import HOSTS, LEAVES, bonded, leaf, replaced, topology
from tests.unit.server.test_shared_database import ADMIN, WAIT_S, opened, outcome, subnet
from tests.unit.server.test_shared_pools import raced

from netwright.model.errors import TunnelIdInUse
from netwright.model.fabric import AttachmentReport, FabricReports
from netwright.model.resources import Attachment, NetworkType, Port, Segment, VnicType
from netwright.model.routing import Router
from netwright.model.states import AttachmentState, Plane, PortState
from netwright.model.topology import Capacities
from netwright.model.wire import HostRegistration, Report, ReportBatch, ReportStatus
from netwright.server.commands import (
    ApplyReports,
    CreateNetworks,
    CreatePorts,
    DeletePorts,
    NetworkDraft,
    PortDraft,
    RegisterHost,
)
from netwright.server.core import Core
from netwright.server.fabric_commands import ApplyFabricReports
from netwright.server.overlay.reporting import StaleLease
from netwright.server.routing_commands import AddInterface, CreateRouters, RouterDraft
from netwright.server.topology import TopologyInUse

Cores = Sequence[Core]


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


@asynccontextmanager
async def fabric(url: str, **of_topology: Any) -> AsyncIterator[Cores]:
    """Two servers with a fabric, the networks red and blue, and hosts h1 to h4."""
    async with opened(url, 2) as cores, asyncio.timeout(WAIT_S):
        await cores[0].commit(replaced(topology(**of_topology)))
        for number, name in enumerate(("red", "blue")):
            await cores[0].commit(network(name, 5000 + number))
        registration = HostRegistration(epoch="life1", driver="ovs")
        for name in ("h1", "h2", "h3", "h4"):
            await cores[0].commit(RegisterHost(caller=ADMIN, host=name, registration=registration))
        yield cores


def network(name: str, vni: int) -> CreateNetworks:
    segment = Segment(network_type=NetworkType.VXLAN, segmentation_id=vni)
    return CreateNetworks(
        caller=ADMIN, drafts=(NetworkDraft(id=name, project_id="p", segment=segment),)
    )


def port(port_id: str, network_id: str, host: str, **attributes: Any) -> CreatePorts:
    draft = PortDraft(
        id=port_id, project_id="p", network_id=network_id, host=host, fixed_ips=(), **attributes
    )
    return CreatePorts(caller=ADMIN, drafts=(draft,))


def reported(port_id: str, host: str, status: ReportStatus) -> ApplyReports:
    one = Report(plane=Plane.UNDERLAY, generation=1, status=status, port_id=port_id)
    return ApplyReports(caller=ADMIN, batch=ReportBatch(host=host, epoch="life1", reports=(one,)))


async def told(core: Core, token: int, status: ReportStatus, host: str = "h1") -> Any:
    (attachment,) = [each for each in await core.reader.attachments("red") if each.host == host]
    return said(token, attachment, status)


def said(token: int, attachment: Attachment, status: ReportStatus) -> ApplyFabricReports:
    report = AttachmentReport(
        network_id=attachment.network_id,
        host=attachment.host,
        generation=attachment.generation,
        status=status,
    )
    return ApplyFabricReports(
        caller=ADMIN, reports=FabricReports(token=token, attachments=(report,))
    )


async def state(core: Core, port_id: str) -> PortState:
    found = await core.reader.port(port_id)
    assert found is not None
    return found.state


async def test_two_networks_never_get_one_vlan(url: str) -> None:
    async with fabric(url, vlans=((100, 101),)) as (a, b):
        await raced(a, port("a", "red", "h1"), b, port("b", "blue", "h2"))
        rows = await execute(url, "SELECT vlan FROM domain_vlan ORDER BY vlan")
        assert rows == [(100,), (101,)]


async def test_one_network_never_gets_two_vlans(url: str) -> None:
    async with fabric(url) as (a, b):
        mine, theirs = await raced(a, port("a", "red", "h1"), b, port("b", "red", "h2"))
        assert {port.state for (port,) in (mine, theirs)} == {PortState.WIRING}
        found = await a.reader.attachments("red")
        assert len({each.vlan for each in found}) == 1
        assert len(await execute(url, "SELECT vlan FROM domain_vlan")) == 1


async def test_a_vlan_is_not_given_back_under_a_network_that_comes(url: str) -> None:
    async with fabric(url) as (a, b):
        token = await a.take_lease("fabric", "one", 60)
        await a.commit(port("a", "red", "h1"))
        await a.commit(DeletePorts(caller=ADMIN, ids=("a",)))
        await a.commit(reported("a", "h1", ReportStatus.WITHDRAWN))
        gone = await told(a, token, ReportStatus.WITHDRAWN)
        await raced(a, gone, b, port("b", "red", "h2"))
        (attachment,) = await a.reader.attachments("red")
        rows = await execute(url, "SELECT vlan FROM domain_vlan")
        assert rows == [(attachment.vlan,)]


async def test_a_network_that_comes_gets_a_vlan_anew_when_its_last_has_just_gone(
    url: str,
) -> None:
    async with fabric(url) as (a, b):
        token = await a.take_lease("fabric", "one", 60)
        await a.commit(port("a", "red", "h1"))
        await a.commit(DeletePorts(caller=ADMIN, ids=("a",)))
        await a.commit(reported("a", "h1", ReportStatus.WITHDRAWN))
        gone = await told(a, token, ReportStatus.WITHDRAWN)
        await raced(a, port("b", "red", "h2"), b, gone)
        (attachment,) = await a.reader.attachments("red")
        rows = await execute(url, "SELECT vlan FROM domain_vlan")
        assert rows == [(attachment.vlan,)]


async def test_a_port_that_comes_while_its_attachment_goes_up_follows(url: str) -> None:
    async with fabric(url) as (a, b):
        token = await a.take_lease("fabric", "one", 60)
        await a.commit(port("a", "red", "h1"))
        await b.commit(port("b", "red", "h1"))
        up = await told(a, token, ReportStatus.UP)
        await raced(a, up, b, reported("b", "h1", ReportStatus.UP))
        assert await state(a, "b") is PortState.ACTIVE
        up = await told(a, token, ReportStatus.DOWN)
        mine, _ = await raced(a, port("c", "red", "h1"), b, up)
        await a.commit(reported("c", "h1", ReportStatus.UP))
        assert mine[0].state is PortState.DEGRADED
        assert await state(a, "c") is PortState.DEGRADED
        again = await told(a, token, ReportStatus.UP)
        _, (new,) = await raced(a, again, b, port("d", "red", "h1"))
        assert isinstance(new, Port)
        await b.commit(reported("d", "h1", ReportStatus.UP))
        assert await state(a, "d") is PortState.ACTIVE


async def test_an_older_controllers_report_does_not_overtake_the_newer(url: str) -> None:
    async with fabric(url) as (a, b):
        old = await a.take_lease("fabric", "one", 0)
        await a.commit(port("a", "red", "h1"))
        late = await told(a, old, ReportStatus.DOWN)
        new = await b.take_lease("fabric", "two", 60)
        assert new > old
        assert isinstance(await outcome(a, late), StaleLease)
        up = await told(b, new, ReportStatus.UP)
        await b.commit(up)
        (attachment,) = await a.reader.attachments("red")
        assert attachment.state is AttachmentState.UP


async def test_an_inventory_does_not_join_what_has_just_come_apart(url: str) -> None:
    async with fabric(url, vlans=((100, 100),)) as (a, b):
        await b.commit(port("b", "blue", "h3"))
        joined = replaced(topology(vlans=((100, 100),), links=(*HOSTS, *bonded("h5", 2, 3))))
        mine, _ = await raced(a, joined, b, port("a", "red", "h1"))
        assert isinstance(mine, TopologyInUse)


async def test_a_binding_sees_the_inventory_that_came_before_it(url: str) -> None:
    async with fabric(url) as (a, b):
        mine, _ = await raced(a, port("a", "red", "h1"), b, replaced(topology(vlans=((300, 300),))))
        assert mine[0].state is PortState.WIRING
        (attachment,) = await a.reader.attachments("red")
        assert attachment.vlan == 300


async def test_a_leafs_vnis_are_not_exceeded_together(url: str) -> None:
    small = (leaf(1, capacities=Capacities(vnis=1)), *LEAVES[1:])
    async with fabric(url, switches=small) as (a, b):
        mine, theirs = await raced(a, port("a", "red", "h1"), b, port("b", "blue", "h2"))
        assert (mine[0].state, theirs[0].state) == (PortState.ERROR, PortState.WIRING)


async def test_one_interface_is_one_machines(url: str) -> None:
    metal: dict[str, Any] = {
        "vnic_type": VnicType.BAREMETAL,
        "profile": {"local_link_information": [{"switch_info": "leaf1", "port_id": "swp9"}]},
    }
    async with fabric(url) as (a, b):
        mine, theirs = await raced(
            a, port("a", "red", "n1", **metal), b, port("b", "blue", "n2", **metal)
        )
        assert (mine[0].state, theirs[0].state) == (PortState.ERROR, PortState.WIRING)


async def test_a_vni_is_a_networks_or_a_routers(url: str) -> None:
    async with fabric(url, l3vnis=((9000, 9000),)) as (a, b):
        draft = RouterDraft(id="r", project_id="p")
        await a.commit(CreateRouters(caller=ADMIN, drafts=(draft,)))
        await a.commit(subnet("one", "red", "10.1.0.0/24"))
        await a.commit(
            CreatePorts(
                caller=ADMIN,
                drafts=(
                    PortDraft(id="x", project_id="p", network_id="red"),
                    PortDraft(id="y", project_id="p", network_id="net"),
                ),
            )
        )
        await a.commit(AddInterface(caller=ADMIN, router_id="r", port_id="x"))
        enter = AddInterface(caller=ADMIN, router_id="r", port_id="y")
        mine, _ = await raced(a, network("n", 9000), b, enter)
        assert isinstance(mine, TunnelIdInUse)
        router = await a.reader.one(Router, "r")
        assert router is not None
        assert router.vni == 9000
