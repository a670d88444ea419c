"""A server on a database with a network, a subnet, a host and two ports in it, one bound."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from netwright.model.resources import NetworkType, Segment
from netwright.model.wire import HostRegistration
from netwright.server.commands import (
    Caller,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    NetworkDraft,
    PortChange,
    PortDraft,
    RegisterHost,
    SubnetDraft,
    UpdatePorts,
)
from netwright.server.core import Core

ADMIN = Caller(project_id="p", is_admin=True)
_SEGMENT = Segment(network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100)
REGISTRATION = HostRegistration(
    epoch="life1", driver="ovs", physical_networks={"physnet1": "br-bond"}
)


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[Core]:
    """Closed at the end."""
    core = await Core.open(url)
    await core.start()
    try:
        yield core
    finally:
        await core.close()


@asynccontextmanager
async def filled(url: str) -> AsyncIterator[Core]:
    """Ports `a`, bound to `h1`, and `bb` in network `net`; closed at the end."""
    async with serving(url) as core:
        network = NetworkDraft(id="net", project_id="p", segment=_SEGMENT)
        subnet = SubnetDraft(
            id="sub", project_id="p", network_id="net", cidr="10.0.0.0/28", ip_version=4
        )
        await core.commit(CreateNetworks(caller=ADMIN, drafts=(network,)))
        await core.commit(CreateSubnets(caller=ADMIN, drafts=(subnet,)))
        await core.commit(RegisterHost(caller=ADMIN, host="h1", registration=REGISTRATION))
        await create(core, "a")
        await create(core, "bb")
        await core.commit(UpdatePorts(caller=ADMIN, changes=(PortChange(id="a", host="h1"),)))
        yield core


async def create(core: Core, port_id: str) -> None:
    draft = PortDraft(id=port_id, project_id="p", network_id="net")
    await core.commit(CreatePorts(caller=ADMIN, drafts=(draft,)))
