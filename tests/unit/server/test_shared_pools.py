"""Subnet pools and scopes of servers that share one PostgreSQL: races, made to happen."""

import asyncio
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import ADMIN, WAIT_S, network, opened, outcome
from tests.unit.server.test_shared_races import held_before_its_turn

from netwright.model.addressing import AddressScope, SubnetPool
from netwright.model.addressing_errors import (
    AddressScopeInUse,
    AddressScopeNotFound,
    AddressScopePrefixConflict,
    NetworkAddressScopeAffinityError,
    SubnetAllocationError,
    SubnetPoolDeleteError,
    SubnetPoolNotFound,
    SubnetPoolQuotaExceeded,
)
from netwright.model.errors import InvalidInput
from netwright.model.resources import Network, Subnet
from netwright.server.addressing_commands import (
    AddressScopeDraft,
    CreateAddressScopes,
    CreateSubnetPools,
    DeleteAddressScope,
    DeleteSubnetPool,
    SubnetPoolDraft,
    UpdateSubnetPool,
)
from netwright.server.commands import Command, CreateSubnets, DeleteSubnet, SubnetDraft
from netwright.server.core import Core
from netwright.server.queries import Query


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


def pool(id_: str, *prefixes: str, **attributes: Any) -> CreateSubnetPools:
    given = {"prefixes": prefixes or ("10.1.0.0/16",), "default_prefixlen": 24, **attributes}
    draft = SubnetPoolDraft(id=id_, project_id="p", name=id_, ip_version=4, **given)
    return CreateSubnetPools(caller=ADMIN, drafts=(draft,))


def scope(id_: str) -> CreateAddressScopes:
    draft = AddressScopeDraft(id=id_, project_id="p", ip_version=4)
    return CreateAddressScopes(caller=ADMIN, drafts=(draft,))


def of_pool(id_: str, network_id: str, pool_id: str | None = "pool", **attributes: Any) -> Command:
    draft = SubnetDraft(
        id=id_,
        project_id="p",
        network_id=network_id,
        ip_version=4,
        subnetpool_id=pool_id,
        **attributes,
    )
    return CreateSubnets(caller=ADMIN, drafts=(draft,))


def update(id_: str, **attributes: Any) -> UpdateSubnetPool:
    return UpdateSubnetPool(caller=ADMIN, id=id_, **attributes)


def delete(id_: str) -> DeleteSubnetPool:
    return DeleteSubnetPool(caller=ADMIN, id=id_)


async def raced(a: Core, mine: Command, b: Core, theirs: Command) -> tuple[Any, Any]:
    """What becomes of a command that is decided when another process commits one of its own."""
    async with held_before_its_turn(a) as reached:
        task = asyncio.create_task(outcome(a, mine))
        await reached.wait()
        other = await outcome(b, theirs)
    return await task, other


async def networks(core: Core, count: int = 2) -> None:
    for n in range(count):
        await core.commit(network(f"n{n}", 300 + n))


async def test_two_processes_never_give_one_prefix_twice(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await networks(a)
        await a.commit(pool("pool"))
        mine, theirs = await raced(a, of_pool("s0", "n0"), b, of_pool("s1", "n1"))
        assert (mine[0].cidr, theirs[0].cidr) == ("10.1.1.0/24", "10.1.0.0/24")


async def test_a_named_prefix_is_given_once(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await networks(a)
        await a.commit(pool("pool"))
        wish = {"cidr": "10.1.64.0/18"}
        mine, theirs = await raced(
            a, of_pool("s0", "n0", **wish), b, of_pool("s1", "n1", cidr="10.1.100.0/24")
        )
        assert isinstance(mine, SubnetAllocationError)
        assert isinstance(theirs, tuple)


async def test_what_comes_back_meanwhile_joins_what_is_free(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await networks(a, 4)
        await a.commit(pool("pool", "10.1.0.0/22"))
        for n in range(4):
            await a.commit(of_pool(f"s{n}", f"n{n}"))
        mine, theirs = await raced(
            a, DeleteSubnet(caller=ADMIN, id="s0"), b, DeleteSubnet(caller=ADMIN, id="s1")
        )
        assert (mine, theirs) == ((), ())
        (made,) = await a.commit(of_pool("wide", "n0", prefixlen=23))
        assert made.cidr == "10.1.0.0/23"


async def test_many_at_once_share_no_address(url: str) -> None:
    count = 48
    async with opened(url, 4) as cores, asyncio.timeout(WAIT_S * 3):
        await networks(cores[0], count)
        await cores[0].commit(pool("pool", "10.1.0.0/19"))
        made = await asyncio.gather(
            *(outcome(cores[n % 4], of_pool(f"s{n}", f"n{n}")) for n in range(count))
        )
        cidrs = {each[0].cidr for each in made if isinstance(each, tuple)}
        assert cidrs == {f"10.1.{n}.0/24" for n in range(32)}
        failed = [each for each in made if not isinstance(each, tuple)]
        assert all(isinstance(each, SubnetAllocationError) for each in failed)
        found = await cores[1].reader.one(SubnetPool, "pool")
        assert found is not None
        assert found.subnets == 32


async def test_a_pool_is_not_deleted_under_a_subnet(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await networks(a)
        await a.commit(pool("pool"))
        mine, _ = await raced(a, delete("pool"), b, of_pool("s0", "n0"))
        assert isinstance(mine, SubnetPoolDeleteError)
        await a.commit(DeleteSubnet(caller=ADMIN, id="s0"))
        mine, _ = await raced(a, of_pool("s0", "n0"), b, delete("pool"))
        assert isinstance(mine, SubnetPoolNotFound)


async def test_a_quota_is_not_overdrawn(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await networks(a)
        await a.commit(pool("pool", default_quota=256))
        mine, theirs = await raced(a, of_pool("s0", "n0"), b, of_pool("s1", "n1"))
        assert isinstance(mine, SubnetPoolQuotaExceeded)
        assert isinstance(theirs, tuple)


async def test_there_is_one_default_pool(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(pool("q", "10.9.0.0/16"))
        mine, _ = await raced(a, pool("r", is_default=True), b, update("q", is_default=True))
        assert isinstance(mine, InvalidInput)


async def test_two_pools_that_join_a_scope_share_no_address(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(scope("s"))
        mine, _ = await raced(
            a, pool("p1", address_scope_id="s"), b, pool("p2", address_scope_id="s")
        )
        assert isinstance(mine, AddressScopePrefixConflict)
        await a.commit(pool("p3", "10.2.0.0/17", address_scope_id="s"))
        await a.commit(pool("p4", "10.2.128.0/18", address_scope_id="s"))
        mine, _ = await raced(
            a, update("p3", prefixes=("10.2.0.0/17", "10.2.192.0/18")),
            b, update("p4", prefixes=("10.2.128.0/17",)),
        )  # fmt: skip
        assert isinstance(mine, AddressScopePrefixConflict)


async def test_a_scope_is_not_deleted_under_a_pool(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(scope("s"))
        gone = DeleteAddressScope(caller=ADMIN, id="s")
        mine, _ = await raced(a, gone, b, pool("p1", address_scope_id="s"))
        assert isinstance(mine, AddressScopeInUse)
        await a.commit(delete("p1"))
        mine, _ = await raced(a, pool("p1", address_scope_id="s"), b, gone)
        assert isinstance(mine, AddressScopeNotFound)
        assert await a.reader.many(AddressScope, Query()) == []


async def test_a_pool_that_changes_its_scope_takes_its_networks_along(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await networks(a)
        await a.commit(scope("s"))
        await a.commit(pool("pool"))
        rescope = update("pool", address_scope_id="s")
        mine, _ = await raced(a, rescope, b, of_pool("s0", "n0"))
        assert isinstance(mine, tuple)
        found = await a.reader.one(Network, "n0")
        assert found is not None
        assert found.ipv4_address_scope == "s"
        await a.commit(pool("beside", "10.2.0.0/16", address_scope_id="s"))
        leave = update("pool", address_scope_id=None)
        mine, _ = await raced(a, leave, b, of_pool("s1", "n0", "beside"))
        assert isinstance(mine, NetworkAddressScopeAffinityError)
        assert len(await a.reader.many(Subnet, Query(filters=(("network_id", ("n0",)),)))) == 2
