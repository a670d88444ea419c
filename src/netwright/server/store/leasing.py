"""Leases blocks of addresses to this process's ledger, and finds free addresses when it cannot."""

import sqlite3
from collections.abc import Iterable
from functools import lru_cache

from netwright.ipam.addresses import Address, AddressRange, from_key, from_text, to_key
from netwright.ipam.blocks import BlockView, Geometry, block_bits_for
from netwright.ipam.ledger import Ledger, Shortfall
from netwright.ipam.pools import usable_range
from netwright.ipam.resting import fullness
from netwright.ipam.selection import (
    LEASE_S,
    BlockRow,
    BlockTable,
    choose_leases,
    choose_survey,
)
from netwright.model.resources import Pool, Subnet
from netwright.server.needs import Needs
from netwright.server.world import World

_ROUNDS_MAX = 2_000  # a /8 of full blocks, looked into 64 blocks a round
_LEASABLE_ROWS_MAX = 256


def supply(connection: sqlite3.Connection, world: World, demand: dict[str, int]) -> None:
    """Lease or survey until the ledger can meet the demand or knows that nobody can."""
    for round_ in range(_ROUNDS_MAX):
        gaps = world.ledger.shortfall(demand, world.now)
        if not gaps:
            return
        for gap in gaps:
            _supply(connection, world, gap, round_)
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


def forget_rested(connection: sqlite3.Connection, world: World, subnet: Subnet) -> None:
    """Delete the rows of addresses that have rested, and open their blocks."""
    rows = connection.execute(
        "DELETE FROM allocation WHERE subnet_id = ? AND rests_until <= ? RETURNING address",
        (subnet.id, world.now),
    ).fetchall()
    addresses = [from_key(key) for (key,) in rows]
    for address in addresses:  # who takes one in this batch must insert its row, not update it
        world.allocations.unload((subnet.id, address))
    open_blocks(connection, subnet, addresses)


def forget_blocks(connection: sqlite3.Connection, subnet_ids: Iterable[str]) -> None:
    """Void leases and full marks: the pools are others now, or gone. The unique key protects."""
    connection.executemany(
        "DELETE FROM block WHERE subnet_id = ?", [(subnet_id,) for subnet_id in subnet_ids]
    )


def open_blocks(
    connection: sqlite3.Connection, subnet: Subnet, addresses: Iterable[Address]
) -> None:
    """Note that blocks have a free address again."""
    geometry = geometry_of(subnet)
    blocks = {geometry.block_of(address) for address in addresses}
    connection.executemany(
        "UPDATE block SET is_full = 0 WHERE subnet_id = ? AND number = ?",
        [(subnet.id, to_key(block)) for block in blocks],
    )


def return_leases(connection: sqlite3.Connection, ledger: Ledger) -> None:
    """A process that stops gives back what it leased."""
    connection.execute(
        "UPDATE block SET owner = NULL, expires_at = NULL WHERE owner = ?", (ledger.owner,)
    )


def renew_leases(connection: sqlite3.Connection, ledger: Ledger, now: float) -> None:
    """Renew the leases in use that end soon; those of idle subnets are left to lapse."""
    ending = ledger.renewals(now, within_s=LEASE_S / 2, idle_s=LEASE_S)
    for subnet_id, blocks in ending.items():
        connection.executemany(
            "UPDATE block SET expires_at = ? WHERE subnet_id = ? AND number = ? AND owner = ?",
            [(now + LEASE_S, subnet_id, to_key(block), ledger.owner) for block in blocks],
        )
        ledger.renew(subnet_id, blocks, now + LEASE_S)


def _supply(connection: sqlite3.Connection, world: World, gap: Shortfall, round_: int) -> None:
    subnet = world.subnets.get(gap.subnet_id)
    assert subnet is not None, f"subnet {gap.subnet_id} was not loaded"
    geometry = geometry_of(subnet)
    forget_rested(connection, world, subnet)
    if subnet.id in world.recuts:
        forget_blocks(connection, [subnet.id])
        world.recuts.remove(subnet.id)
    leases = choose_leases(
        geometry,
        _table(connection, subnet.id, _LEASABLE_ROWS_MAX),
        owner=world.ledger.owner,
        held=gap.held,
        missing=gap.missing,
        now=world.now,
        round_=min(round_, 6),
    )
    if leases:
        _write_leases(connection, world, subnet.id, leases)
        views = _views(connection, subnet.id, geometry, leases)
        world.ledger.lease(subnet.id, geometry, views, world.now + LEASE_S)
        return
    table = _table(connection, subnet.id, -1)
    survey = choose_survey(geometry, table, surveyed=gap.surveyed)
    views = _views(connection, subnet.id, geometry, survey.blocks)
    full = None
    if survey.complete:
        rests = connection.execute(
            "SELECT address, rests_until FROM allocation "
            "WHERE subnet_id = ? AND rests_until IS NOT NULL",
            (subnet.id,),
        )
        in_pools = [until for key, until in rests if geometry.holds(from_key(key))]
        full = fullness(geometry.capacity, in_pools)
    world.ledger.survey(subnet.id, geometry, views, full)


def _table(connection: sqlite3.Connection, subnet_id: str, rows_max: int) -> BlockTable:
    rows = connection.execute(
        "SELECT number, owner, expires_at FROM block WHERE subnet_id = ? AND is_full = 0 "
        "ORDER BY expires_at LIMIT ?",
        (subnet_id, rows_max),
    )
    open_rows = tuple(
        BlockRow(block=from_key(number), owner=owner, lease_expires_at=expires_at or 0.0)
        for number, owner, expires_at in rows
    )
    (newest,) = connection.execute(
        "SELECT max(number) FROM block WHERE subnet_id = ?", (subnet_id,)
    ).fetchone()
    return BlockTable(open_rows=open_rows, newest=None if newest is None else from_key(newest))


def _write_leases(
    connection: sqlite3.Connection, world: World, subnet_id: str, blocks: tuple[Address, ...]
) -> None:
    connection.executemany(
        "INSERT INTO block (subnet_id, number, owner, expires_at, is_full) VALUES (?, ?, ?, ?, 0) "
        "ON CONFLICT (subnet_id, number) DO UPDATE "
        "SET owner = excluded.owner, expires_at = excluded.expires_at",
        [(subnet_id, to_key(b), world.ledger.owner, world.now + LEASE_S) for b in blocks],
    )


def _views(
    connection: sqlite3.Connection,
    subnet_id: str,
    geometry: Geometry,
    blocks: tuple[Address, ...],
) -> list[BlockView]:
    """What the table shows in the blocks; a full one is marked, so that nobody looks again."""
    addresses: list[Address] = []
    for block in blocks:
        span = geometry.block_range(block)
        rows = connection.execute(
            "SELECT address FROM allocation WHERE subnet_id = ? AND address BETWEEN ? AND ?",
            (subnet_id, to_key(span.first), to_key(span.last)),
        )
        addresses += [from_key(key) for (key,) in rows]
    views = geometry.views(blocks, addresses)
    connection.executemany(
        "UPDATE block SET is_full = 1, owner = NULL, expires_at = NULL "
        "WHERE subnet_id = ? AND number = ?",
        [(subnet_id, to_key(view.block)) for view in views if view.is_full],
    )
    return views


def _exists(world: World, subnet_id: str) -> bool:
    return world.subnets.get(subnet_id) is not None
