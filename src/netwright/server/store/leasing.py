"""Leases blocks of addresses to this process's ledger, and finds free addresses when it cannot."""

from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec

from netwright.db.transaction import Transaction, Work
from netwright.ipam.addresses import Address, AddressRange, from_key, from_text, to_key
from netwright.ipam.blocks import BlockView, Geometry, block_bits_for
from netwright.ipam.ledger import Ledger, Shortfall
from netwright.ipam.pools import usable_range
from netwright.ipam.resting import Fullness, fullness
from netwright.ipam.selection import (
    LEASE_S,
    BlockRow,
    BlockTable,
    choose_leases,
    choose_survey,
)
from netwright.model.resources import Pool, Subnet
from netwright.server.needs import Needs
from netwright.server.store import schema
from netwright.server.world import World

T = TypeVar("T")

_ROUNDS_MAX = 2_000  # a /8 of full blocks, looked into 64 blocks a round
_LEASABLE_ROWS_MAX = 256
_EVERY_ROW = 2**62


Aside: TypeAlias = Callable[[Work[T]], Awaitable[T]]
"""Runs work in a transaction that is committed at once, where the database can: `Database.aside`.

Leases are made so: they shall stand before an address of theirs is used, and no process shall hold
their rows while it waits for its turn to write.
"""


async def supply(
    tx: Transaction, aside: "Aside[_Supply]", world: World, demand: dict[str, int]
) -> None:
    """Lease or survey until the ledger can meet the demand or knows that nobody can."""
    for round_ in range(_ROUNDS_MAX):
        gaps = world.ledger.shortfall(demand, world.now)
        if not gaps:
            return
        for gap in gaps:
            find = partial(_find, world, gap, round_)
            # What this batch makes or cuts anew nobody else can use yet, and may be undone.
            own = world.subnets.get(gap.subnet_id) != world.subnets.loaded(gap.subnet_id)
            _learn(world, gap.subnet_id, await (find(tx) if own else aside(find)))
    raise AssertionError(f"the ledger asks for blocks without end: {gaps}")


def adapt_ledger(world: World) -> None:
    """Let the ledger forget what it knows under pools that the loaded subnets no longer have."""
    for subnet in world.subnets.values():
        world.ledger.adapt(subnet.id, geometry_of(subnet))


def demand_of(world: World, needs: Needs) -> dict[str, int]:
    """How many addresses the batch draws from each subnet, as far as can be foretold."""
    demand = dict(needs.subnet_draws)
    for network_id, count in needs.draws.items():
        drawn: set[int] = set()
        for subnet in world.subnets_of(network_id):
            if subnet.ip_version not in drawn and subnet.ipv6_address_mode is None:
                drawn.add(subnet.ip_version)
                demand[subnet.id] = demand.get(subnet.id, 0) + count
    return {subnet_id: count for subnet_id, count in demand.items() if _exists(world, subnet_id)}


def geometry_of(subnet: Subnet) -> Geometry:
    """The cut follows from the CIDR, which never changes, so that all processes cut alike."""
    return _geometry(subnet.cidr, subnet.allocation_pools)


@lru_cache(maxsize=4096)  # every batch asks, and reading addresses costs more than the batch's load
def _geometry(cidr: str, pools: tuple[Pool, ...]) -> Geometry:
    ranges = tuple(AddressRange(from_text(pool.start), from_text(pool.end)) for pool in pools)
    return Geometry(ranges, block_bits_for([usable_range(cidr)]))


async def forget_blocks(tx: Transaction, subnet_ids: Iterable[str]) -> None:
    """Void leases and full marks: the pools are others now, or gone. The unique key protects."""
    keys = [(subnet_id,) for subnet_id in subnet_ids]
    await tx.delete(schema.block, keys, by=("subnet_id",))


async def open_blocks(tx: Transaction, subnet: Subnet, addresses: Iterable[Address]) -> None:
    """Note that blocks have a free address again."""
    geometry = geometry_of(subnet)
    blocks = {geometry.block_of(address) for address in addresses}
    rows = [(subnet.id, to_key(block), False) for block in sorted(blocks)]
    await tx.update(schema.block, ("is_full",), rows)


async def return_leases(tx: Transaction, ledger: Ledger) -> None:
    """A process that stops gives back what it leased."""
    await tx.run("UPDATE block SET owner = NULL, expires_at = NULL WHERE owner = $1", ledger.owner)


async def renew_leases(tx: Transaction, ledger: Ledger, now: float) -> None:
    """Renew the leases in use that end soon; those of idle subnets are left to lapse."""
    ending = ledger.renewals(now, within_s=LEASE_S / 2, idle_s=LEASE_S)
    for subnet_id, blocks in ending.items():
        renewed = []
        for block in blocks:
            found = await tx.rows(
                "UPDATE block SET expires_at = $1 WHERE subnet_id = $2 AND number = $3 "
                "AND owner = $4 RETURNING number",
                now + LEASE_S,
                subnet_id,
                to_key(block),
                ledger.owner,
            )
            renewed += [block] * len(found)
        ledger.renew(subnet_id, renewed, now + LEASE_S)


decode_subnet = lru_cache(maxsize=4096)(msgspec.json.Decoder(Subnet).decode)


class _Supply(NamedTuple):
    """What was found for the ledger: `leased` blocks or a survey's; `full` if that is whole."""

    geometry: Geometry
    views: list[BlockView]
    leased: bool
    full: Fullness | None
    rested: list[Address]


async def _find(world: World, gap: Shortfall, round_: int, tx: Transaction) -> _Supply:
    """Changes the table, but neither the world nor the ledger: it may be undone and done again."""
    subnet = world.subnets.get(gap.subnet_id)
    assert subnet is not None, f"subnet {gap.subnet_id} was not loaded"
    await _require_as_loaded(tx, world, subnet.id)
    geometry = geometry_of(subnet)
    if subnet.id in world.recuts:
        await forget_blocks(tx, [subnet.id])
    rested: list[Address] = []
    leases = await _leases(tx, world, subnet, gap, round_)
    if not leases:  # before it is given up: what has rested since upkeep came by
        rested = await _forget_rested(tx, subnet, world.now)
        leases = await _leases(tx, world, subnet, gap, round_) if rested else ()
    if leases:
        await _write_leases(tx, world, subnet.id, leases)
        views = await _views(tx, subnet.id, geometry, leases)
        return _Supply(geometry, views, leased=True, full=None, rested=rested)
    table = await _table(tx, subnet.id, _EVERY_ROW)
    survey = choose_survey(geometry, table, surveyed=gap.surveyed)
    views = await _views(tx, subnet.id, geometry, survey.blocks)
    full = await _fullness(tx, subnet.id, geometry) if survey.complete else None
    return _Supply(geometry, views, leased=False, full=full, rested=rested)


async def _leases(
    tx: Transaction, world: World, subnet: Subnet, gap: Shortfall, round_: int
) -> tuple[Address, ...]:
    return choose_leases(
        geometry_of(subnet),
        await _table(tx, subnet.id, _LEASABLE_ROWS_MAX),
        owner=world.ledger.owner,
        held=gap.held,
        missing=gap.missing,
        now=world.now,
        round_=min(round_, 6),
        block_yield=gap.block_yield,
        ahead=gap.ahead,
    )


class SubnetChanged(Exception):
    """Another process has changed the subnet since it was loaded: its blocks are others now."""


async def _require_as_loaded(tx: Transaction, world: World, subnet_id: str) -> None:
    """Raises SubnetChanged. The row stays as it is until the leases are committed."""
    rows = await tx.rows("SELECT body FROM subnet WHERE id = $1 FOR SHARE", subnet_id)
    loaded = world.subnets.loaded(subnet_id)
    if [decode_subnet(body) for (body,) in rows] != ([] if loaded is None else [loaded]):
        raise SubnetChanged(subnet_id)


def _learn(world: World, subnet_id: str, found: _Supply) -> None:
    for address in found.rested:  # who takes one in this batch must insert its row, not update it
        world.allocations.unload((subnet_id, address))
    world.recuts.discard(subnet_id)
    if found.leased:
        expires_at = world.now + LEASE_S
        world.ledger.lease(subnet_id, found.geometry, found.views, expires_at)
    else:
        world.ledger.survey(subnet_id, found.geometry, found.views, found.full)


async def _forget_rested(tx: Transaction, subnet: Subnet, now: float) -> list[Address]:
    """Delete the rows of addresses that have rested, and open their blocks.

    They are found among all that rest: whoever looked among the subnet's would read it whole.
    """
    rows = await tx.rows(
        "DELETE FROM allocation WHERE (subnet_id, address) IN (SELECT subnet_id, address "
        "FROM allocation WHERE rests_until <= $2 AND subnet_id || '' = $1 FOR UPDATE SKIP LOCKED) "
        "RETURNING address",
        subnet.id,
        now,
    )
    addresses = [from_key(key) for (key,) in rows]
    await open_blocks(tx, subnet, addresses)
    return addresses


async def _fullness(tx: Transaction, subnet_id: str, geometry: Geometry) -> Fullness:
    rests = await tx.rows(
        "SELECT address, rests_until FROM allocation "
        "WHERE subnet_id = $1 AND rests_until IS NOT NULL",
        subnet_id,
    )
    in_pools = [until for key, until in rests if geometry.holds(from_key(key))]
    return fullness(geometry.capacity, in_pools)


async def _table(tx: Transaction, subnet_id: str, rows_max: int) -> BlockTable:
    rows = await tx.rows(
        "SELECT number, owner, expires_at FROM block WHERE subnet_id = $1 AND NOT is_full "
        "ORDER BY expires_at NULLS FIRST LIMIT $2",
        subnet_id,
        rows_max,
    )
    open_rows = tuple(
        BlockRow(block=from_key(number), owner=owner, lease_expires_at=expires_at or 0.0)
        for number, owner, expires_at in rows
    )
    newest = await tx.rows(
        "SELECT number FROM block WHERE subnet_id = $1 ORDER BY number DESC LIMIT 1", subnet_id
    )
    return BlockTable(open_rows=open_rows, newest=from_key(newest[0][0]) if newest else None)


async def _write_leases(
    tx: Transaction, world: World, subnet_id: str, blocks: tuple[Address, ...]
) -> None:
    expires_at = world.now + LEASE_S
    rows = [(subnet_id, to_key(b), world.ledger.owner, expires_at, False) for b in sorted(blocks)]
    await tx.upsert(schema.block, rows)


async def _views(
    tx: Transaction,
    subnet_id: str,
    geometry: Geometry,
    blocks: tuple[Address, ...],
) -> list[BlockView]:
    """What the table shows in the blocks; a full one is marked, so that nobody looks again."""
    spans = [geometry.block_range(block) for block in blocks]
    keys = [(to_key(span.first), to_key(span.last)) for span in spans]
    taken = await tx.last_bytes(schema.allocation, (subnet_id,), keys)
    views = [geometry.view_of(*seen) for seen in zip(blocks, taken, strict=True)]
    full = [(subnet_id, to_key(view.block), None, None, True) for view in views if view.is_full]
    await tx.update(schema.block, ("owner", "expires_at", "is_full"), full)
    return views


def _exists(world: World, subnet_id: str) -> bool:
    return world.subnets.get(subnet_id) is not None
