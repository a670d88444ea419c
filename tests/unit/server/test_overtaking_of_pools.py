"""Which events of pools, scopes and routers concern what a batch was decided on."""

from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from netwright.ipam.ledger import Ledger
from netwright.model.addressing import AddressScope, SubnetPool
from netwright.model.routing import Router, RouterInterface
from netwright.model.wire import Kind
from netwright.server.needs import Needs
from netwright.server.overtaking import is_outdated
from netwright.server.store.event_rows import EventRow
from netwright.server.world import World

POOL = SubnetPool(
    id="pool", project_id="p", name="pool", ip_version=4, prefixes=("10.0.0.0/8",),
    min_prefixlen=8, max_prefixlen=32, default_prefixlen=24,
)  # fmt: skip
SCOPE = AddressScope(id="scope", project_id="p", ip_version=4)
ROUTER = Router(id="router", project_id="p")
INTERFACE = RouterInterface(
    port_id="port", network_id="net", subnet_id="sub", ip_address="10.0.0.1", cidr="10.0.0.0/24"
)


@pytest.fixture
def world() -> World:
    """A pool, a scope and a router were read."""
    world = World(0.0, Ledger("test"))
    world.of(SubnetPool).load("pool", POOL)
    world.of(AddressScope).load("scope", SCOPE)
    world.of(Router).load("router", ROUTER)
    return world


def outdated(
    world: World, kind: Kind, id_: str, value: object = None, *, wanted: Any = None
) -> bool:
    body = None if value is None else json.encode(value)
    needs = Needs()
    if wanted is not None:
        needs.plain[wanted].add(id_)
    return is_outdated(world, needs, [EventRow(1, kind, id_, frozenset(), frozenset(), body)])


def test_what_was_read_and_changed_concerns(world: World) -> None:
    assert outdated(world, Kind.SUBNET_POOL, "pool", replace(POOL, allocated=1))
    assert outdated(world, Kind.SUBNET_POOL, "pool")
    assert outdated(world, Kind.ADDRESS_SCOPE, "scope", replace(SCOPE, name="new"))
    assert outdated(world, Kind.ADDRESS_SCOPE, "scope")
    assert outdated(world, Kind.ROUTER, "router", replace(ROUTER, interfaces=(INTERFACE,)))
    assert outdated(world, Kind.ROUTER, "router")


def test_what_was_not_read_does_not(world: World) -> None:
    assert not outdated(world, Kind.SUBNET_POOL, "pool", POOL)
    assert not outdated(world, Kind.SUBNET_POOL, "q", replace(POOL, id="q", is_default=True))
    assert not outdated(world, Kind.SUBNET_POOL, "q")
    assert not outdated(world, Kind.ADDRESS_SCOPE, "t", replace(SCOPE, id="t"))
    assert not outdated(world, Kind.ROUTER, "s", replace(ROUTER, interfaces=(INTERFACE,)))
    assert not outdated(world, Kind.ROUTER, "s")


def test_what_was_missed_and_has_come_concerns(world: World) -> None:
    assert outdated(world, Kind.SUBNET_POOL, "q", replace(POOL, id="q"), wanted=SubnetPool)
    assert outdated(world, Kind.ADDRESS_SCOPE, "t", replace(SCOPE, id="t"), wanted=AddressScope)
    assert outdated(world, Kind.ROUTER, "s", replace(ROUTER, id="s"), wanted=Router)


def test_a_pool_more_concerns_who_read_all_of_its_scope(world: World) -> None:
    world.whole_scopes.add("scope")
    other = replace(POOL, id="q", address_scope_id="scope")
    assert outdated(world, Kind.SUBNET_POOL, "q", other)
    assert not outdated(world, Kind.SUBNET_POOL, "q", replace(other, address_scope_id="t"))


def test_a_default_pool_concerns_who_looked_for_it(world: World) -> None:
    world.default_versions.add(4)
    other = replace(POOL, id="q", is_default=True)
    assert outdated(world, Kind.SUBNET_POOL, "q", other)
    assert not outdated(world, Kind.SUBNET_POOL, "q", replace(other, ip_version=6))
    assert not outdated(world, Kind.SUBNET_POOL, "q", replace(other, is_default=False))


def test_a_router_that_enters_a_network_concerns_who_changes_its_subnets(world: World) -> None:
    world.whole_networks.add("net")
    entered = replace(ROUTER, id="s", interfaces=(INTERFACE,))
    assert outdated(world, Kind.ROUTER, "s", entered)
    elsewhere = replace(entered, interfaces=(replace(INTERFACE, network_id="other"),))
    assert not outdated(world, Kind.ROUTER, "s", elsewhere)
