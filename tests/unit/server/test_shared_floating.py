"""Gateways and floating IPs of servers that share one PostgreSQL: races, made to happen."""

import asyncio
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import ADMIN, WAIT_S, network, opened, port, subnet
from tests.unit.server.test_shared_pools import raced
from tests.unit.server.test_shared_routers import enter, routers

from netwright.model.errors import PortNotFound
from netwright.model.routing import FloatingIp, Router
from netwright.model.routing_errors import (
    ExternalGatewayForFloatingIPNotFound,
    ExternalNetworkInUse,
    FloatingIPPortAlreadyAssociated,
    RouterExternalGatewayInUseByFloatingIp,
    RouterInterfaceInUseByFloatingIP,
)
from netwright.server.commands import Command, DeletePorts, UpdateNetwork
from netwright.server.core import Core
from netwright.server.queries import Query
from netwright.server.routing_commands import (
    CreateFloatingIps,
    DeleteFloatingIp,
    FloatingIpDraft,
    GatewayWish,
    RemoveInterface,
    UpdateFloatingIp,
    UpdateRouter,
)


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


def gateway(router: str, port_id: str = "g") -> UpdateRouter:
    wish = GatewayWish(network_id="out", new_port_id=port_id)
    return UpdateRouter(caller=ADMIN, id=router, gateway=wish)


def new(id_: str, port_id: str | None = None) -> CreateFloatingIps:
    draft = FloatingIpDraft(
        id=id_, project_id="p", floating_network_id="out", port_id=port_id, new_port_id=f"of-{id_}"
    )
    return CreateFloatingIps(caller=ADMIN, drafts=(draft,))


def lead(id_: str, port_id: str | None) -> UpdateFloatingIp:
    return UpdateFloatingIp(caller=ADMIN, id=id_, port_id=port_id)


async def prepared(core: Core, *more: Command) -> None:
    """Router `r` between the external network `out` and port `vm`; floating IPs `f` and `f2`."""
    await core.commit(network("out", 300))
    await core.commit(subnet("outer", "out", "203.0.113.0/24"))
    await core.commit(UpdateNetwork(caller=ADMIN, id="out", external=True))
    await routers(core, "r")
    await core.commit(enter("r", "sub", "i"))
    await core.commit(port("vm"))
    for command in (new("f"), new("f2"), *more):
        await core.commit(command)


async def led(core: Core, id_: str) -> str | None:
    floating = await core.reader.one(FloatingIp, id_)
    assert floating is not None
    return floating.port_id


async def test_a_port_has_one_floating_ip_of_a_network(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await prepared(a, gateway("r"))
        mine, theirs = await raced(a, lead("f", "vm"), b, lead("f2", "vm"))
        assert isinstance(mine, FloatingIPPortAlreadyAssociated)
        assert theirs[0].port_id == "vm"
        assert await led(a, "f") is None


async def test_a_new_one_counts_too(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await prepared(a, gateway("r"))
        mine, _ = await raced(a, lead("f", "vm"), b, new("f3", "vm"))
        assert isinstance(mine, FloatingIPPortAlreadyAssociated)


async def test_a_port_does_not_go_under_its_floating_ip(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await prepared(a, gateway("r"))
        gone = DeletePorts(caller=ADMIN, ids=("vm",))
        mine, _ = await raced(a, gone, b, lead("f", "vm"))
        assert mine == ()
        assert await led(a, "f") is None  # the port's end was decided anew, and let it go
        await a.commit(port("vm2"))
        mine, _ = await raced(a, lead("f", "vm2"), b, DeletePorts(caller=ADMIN, ids=("vm2",)))
        assert isinstance(mine, PortNotFound)


@pytest.mark.parametrize(
    ("removal", "refused"),
    [
        (
            UpdateRouter(caller=ADMIN, id="r", gateway=None),
            RouterExternalGatewayInUseByFloatingIp,
        ),
        (
            RemoveInterface(caller=ADMIN, router_id="r", subnet_id="sub"),
            RouterInterfaceInUseByFloatingIP,
        ),
    ],
)
async def test_what_it_leads_over_does_not_go_under_it(
    url: str, removal: Any, refused: type[Exception]
) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await prepared(a, gateway("r"))
        mine, _ = await raced(a, removal, b, lead("f", "vm"))
        assert isinstance(mine, refused)
        await a.commit(lead("f", None))
        mine, _ = await raced(a, lead("f2", "vm"), b, removal)
        assert isinstance(mine, ExternalGatewayForFloatingIPNotFound)


async def test_a_router_that_comes_meanwhile_is_found(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await prepared(a)
        mine, _ = await raced(a, lead("f", "vm"), b, gateway("r"))
        assert mine[0].router_id == "r"
        await routers(a, "s")
        await a.commit(gateway("s", "g2"))
        await a.commit(lead("f", None))
        await a.commit(UpdateRouter(caller=ADMIN, id="r", gateway=None))
        await a.commit(RemoveInterface(caller=ADMIN, router_id="r", subnet_id="sub"))
        mine, _ = await raced(a, lead("f", "vm"), b, enter("s", "sub", "j"))
        assert mine[0].router_id == "s"


@pytest.mark.parametrize("use", [gateway("r"), new("f3")])
async def test_a_network_stays_external_that_is_used_meanwhile(url: str, use: Command) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await prepared(a)
        for id_ in ("f", "f2"):
            await a.commit(DeleteFloatingIp(caller=ADMIN, id=id_))
        inner = UpdateNetwork(caller=ADMIN, id="out", external=False)
        mine, _ = await raced(a, inner, b, use)
        assert isinstance(mine, ExternalNetworkInUse)


async def test_two_changes_of_one_are_both_kept(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await prepared(a, gateway("r"))
        change = UpdateFloatingIp(caller=ADMIN, id="f", description="d")
        await raced(a, change, b, lead("f", "vm"))
        (floating,) = await a.reader.many(FloatingIp, Query(filters=(("id", ("f",)),)))
        assert (floating.description, floating.port_id) == ("d", "vm")
        (router,) = await a.reader.many(Router, Query())
        assert router.gateway is not None
