"""Routers of servers that share one PostgreSQL: races, made to happen."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import (
    ADMIN,
    WAIT_S,
    network,
    opened,
    outcome,
    port,
    subnet,
)
from tests.unit.server.test_shared_pools import raced

from netwright.model.errors import (
    BadRequest,
    IpAddressAlreadyAllocated,
    SubnetInUse,
    SubnetNotFound,
)
from netwright.model.resources import Port
from netwright.model.routing import Router
from netwright.model.routing_errors import (
    GatewayIpInUse,
    PortInUse,
    RouterInUse,
    RouterNotFound,
    ServicePortInUse,
)
from netwright.server.commands import DeletePorts, DeleteSubnet, UpdateSubnet
from netwright.server.core import Core
from netwright.server.queries import Query
from netwright.server.routing_commands import (
    AddInterface,
    CreateRouters,
    DeleteRouter,
    InterfaceChanged,
    RouterDraft,
)


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


async def routers(core: Core, *names: str) -> None:
    drafts = tuple(RouterDraft(id=name, project_id="p") for name in names)
    await core.commit(CreateRouters(caller=ADMIN, drafts=drafts))


def enter(router: str, subnet_id: str, port_id: str) -> AddInterface:
    return AddInterface(caller=ADMIN, router_id=router, subnet_id=subnet_id, new_port_id=port_id)


def take(router: str, port_id: str) -> AddInterface:
    return AddInterface(caller=ADMIN, router_id=router, port_id=port_id)


async def interfaces(core: Core, router: str) -> list[str]:
    found = await core.reader.one(Router, router)
    assert found is not None
    return [each.port_id for each in found.interfaces]


async def ports_of(core: Core, router: str) -> Sequence[Port]:
    return await core.reader.many(Port, Query(filters=(("device_id", (router,)),)))


async def test_two_interfaces_of_one_router_are_both_kept(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await routers(a, "r")
        await a.commit(network("other", 300))
        await a.commit(subnet("sub2", "other", "10.7.0.0/24"))
        mine, theirs = await raced(a, enter("r", "sub", "p1"), b, enter("r", "sub2", "p2"))
        assert isinstance(mine, InterfaceChanged)
        assert isinstance(theirs, InterfaceChanged)
        assert await interfaces(b, "r") == ["p2", "p1"]


async def test_two_that_overlap_are_not(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await routers(a, "r")
        await a.commit(network("other", 300))
        await a.commit(subnet("sub2", "other", "10.0.0.0/16"))
        mine, _ = await raced(a, enter("r", "sub", "p1"), b, enter("r", "sub2", "p2"))
        assert isinstance(mine, BadRequest)
        assert await interfaces(a, "r") == ["p2"]
        assert [each.id for each in await ports_of(a, "r")] == ["p2"]


async def test_a_gateways_address_goes_to_one_router(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await routers(a, "r", "s")
        mine, _ = await raced(a, enter("r", "sub", "p1"), b, enter("s", "sub", "p2"))
        assert isinstance(mine, IpAddressAlreadyAllocated)
        assert await interfaces(a, "r") == []


async def test_a_router_is_not_deleted_under_an_interface(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await routers(a, "r", "s")
        mine, _ = await raced(a, DeleteRouter(caller=ADMIN, id="r"), b, enter("r", "sub", "p1"))
        assert isinstance(mine, RouterInUse)
        await a.commit(port("p2"))
        mine, _ = await raced(a, take("s", "p2"), b, DeleteRouter(caller=ADMIN, id="s"))
        assert isinstance(mine, RouterNotFound)
        assert await ports_of(a, "s") == []


async def test_a_subnet_is_not_deleted_under_an_interface(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await routers(a, "r")
        gone = DeleteSubnet(caller=ADMIN, id="sub")
        mine, _ = await raced(a, gone, b, enter("r", "sub", "p1"))
        assert isinstance(mine, SubnetInUse)
        await a.commit(network("other", 300))
        await a.commit(subnet("sub2", "other", "10.7.0.0/24"))
        gone = DeleteSubnet(caller=ADMIN, id="sub2")
        mine, _ = await raced(a, enter("r", "sub2", "p2"), b, gone)
        assert isinstance(mine, SubnetNotFound)
        assert await interfaces(a, "r") == ["p1"]


async def test_a_gateway_that_changes_meanwhile_is_the_routers_address(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await routers(a, "r")
        change = UpdateSubnet(caller=ADMIN, id="sub", gateway_ip="10.0.3.254", allocation_pools=())
        mine, theirs = await raced(a, enter("r", "sub", "p1"), b, change)
        assert isinstance(mine, InterfaceChanged)
        assert theirs[0].gateway_ip == "10.0.3.254"
        (made,) = await ports_of(a, "r")
        assert [ip.ip_address for ip in made.fixed_ips] == ["10.0.3.254"]


async def test_a_gateway_does_not_change_under_an_interface(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await routers(a, "r")
        change = UpdateSubnet(caller=ADMIN, id="sub", gateway_ip=None)
        mine, _ = await raced(a, change, b, enter("r", "sub", "p1"))
        assert isinstance(mine, GatewayIpInUse)


async def test_a_port_is_one_routers(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await routers(a, "r", "s")
        await a.commit(port("p1"))
        mine, _ = await raced(a, take("r", "p1"), b, take("s", "p1"))
        assert isinstance(mine, PortInUse)
        assert (await interfaces(a, "r"), await interfaces(a, "s")) == ([], ["p1"])
        await a.commit(port("p2"))
        gone = DeletePorts(caller=ADMIN, ids=("p2",))
        mine, _ = await raced(a, gone, b, take("r", "p2"))
        assert isinstance(mine, ServicePortInUse)


async def test_many_at_once(url: str) -> None:
    """Every interface that was granted is there, with its port, and nothing else is."""
    count = 16
    async with opened(url, 4) as cores, asyncio.timeout(WAIT_S * 3):
        await routers(cores[0], "r", "s")
        for n in range(count):
            await cores[0].commit(network(f"n{n}", 300 + n))
            await cores[0].commit(subnet(f"s{n}", f"n{n}", f"10.{n // 2 + 1}.0.0/24"))
        made = await asyncio.gather(
            *(
                outcome(cores[n % 4], enter(router, f"s{n}", f"{router}{n}"))
                for n in range(count)
                for router in ("r", "s")
            )
        )
        granted = sorted(each.port_id for each in made if isinstance(each, InterfaceChanged))
        there = sorted([*await interfaces(cores[1], "r"), *await interfaces(cores[2], "s")])
        ports = [each.id for name in ("r", "s") for each in await ports_of(cores[3], name)]
        assert granted == there == sorted(ports)
        assert granted
        for name in ("r", "s"):
            router = await cores[0].reader.one(Router, name)
            assert router is not None
            cidrs = [each.cidr for each in router.interfaces]
            assert len(set(cidrs)) == len(cidrs)
