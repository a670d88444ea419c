"""What an address costs as a subnet fills.

Two questions. Does allocating from leased blocks stay flat to 99.5 % full, against an empty subnet
in the same run? And when a nearly full subnet must be read first, block by block, from SQLite: what
is that against reading the whole subnet for its lowest gap, as a server without blocks does?
"""

import random
import sqlite3
from collections.abc import Callable
from functools import partial
from time import perf_counter

from bench.result import Result, at_most
from netwright.ipam.addresses import Address, AddressRange, from_key, to_key
from netwright.ipam.blocks import BlockView, Geometry
from netwright.ipam.ledger import Ledger
from netwright.ipam.pools import default_pools

SEED = 7
SUBNET = "subnet"
BATCH = 500
ADDRESSES = 5_000
REPEATS = 5
FULL = (0.50, 0.99, 0.995)
FLAT_LIMIT = 3.0
SCAN_LIMIT = 0.1


def run() -> list[Result]:
    geometry = Geometry(default_pools("10.0.0.0/12", "10.0.0.1"), 8)
    empty_us = _best(partial(_allocate_us, geometry, 0.0))
    results = [Result("from leased blocks, empty", empty_us, "µs an address")]
    for full in FULL:
        cost_us = _best(partial(_allocate_us, geometry, full))
        results.append(at_most(f"  … {full:.1%} full / empty", cost_us / empty_us, FLAT_LIMIT))
    small = Geometry(default_pools("10.0.0.0/16", "10.0.0.1"), 8)
    table = _table(small, FULL[-1])
    blocks_us = _best(partial(_read_blocks_us, table, small))
    scan_us = _best(partial(_read_all_us, table, small))
    results += [
        Result(f"read first, {FULL[-1]:.1%} full", blocks_us, "µs an address"),
        Result("lowest gap by reading the subnet", scan_us, "µs an address"),
        at_most("  … blocks / lowest gap", blocks_us / scan_us, SCAN_LIMIT),
    ]
    return results


def _best(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(REPEATS))


def _allocate_us(geometry: Geometry, full: float) -> float:
    chance = random.Random(SEED)
    ledger = Ledger("bench")
    ledger.lease(SUBNET, geometry, _views(geometry, full, chance), 60.0)
    start = perf_counter()
    for _ in range(ADDRESSES // BATCH):
        for _ in range(BATCH):
            ledger.allocate(SUBNET, 0.0)
        ledger.commit()
    return (perf_counter() - start) / ADDRESSES * 1e6


def _views(geometry: Geometry, full: float, chance: random.Random) -> list[BlockView]:
    """As many blocks as hold the addresses that are measured."""
    views, found = [], 0
    for block in geometry.blocks_after(None):
        bits = sum(1 << bit for bit in range(geometry.block_size) if chance.random() >= full)
        views.append(BlockView(block, bits & geometry.mask(block)))
        found += views[-1].free.bit_count()
        if found >= ADDRESSES:
            return views
    raise AssertionError("the subnet is too small for the measurement")


def _table(geometry: Geometry, full: float) -> sqlite3.Connection:
    """The allocations of a subnet that is filled at random, as the server keeps them."""
    chance = random.Random(SEED)
    (pool,) = geometry.pools
    rows = [(to_key(each),) for each in range(pool.first, pool.last + 1) if chance.random() < full]
    table = sqlite3.connect(":memory:")
    table.execute("CREATE TABLE allocation (address BLOB PRIMARY KEY) WITHOUT ROWID")
    table.executemany("INSERT INTO allocation VALUES (?)", rows)
    return table


def _read_blocks_us(table: sqlite3.Connection, geometry: Geometry) -> float:
    """Lease blocks until there are a hundred addresses, and allocate them."""
    wanted = 100
    ledger = Ledger("bench")
    blocks = geometry.blocks_after(None)
    start = perf_counter()
    while ledger.shortfall({SUBNET: wanted}, 0.0):
        block = next(blocks)
        addresses = _read(table, geometry.block_range(block))
        ledger.lease(SUBNET, geometry, geometry.views([block], addresses), 60.0)
    for _ in range(wanted):
        ledger.allocate(SUBNET, 0.0)
    return (perf_counter() - start) / wanted * 1e6


def _read_all_us(table: sqlite3.Connection, geometry: Geometry) -> float:
    """The lowest gap of the subnet, once."""
    start = perf_counter()
    (pool,) = geometry.pools
    taken = set(_read(table, pool))
    assert next(each for each in range(pool.first, pool.last + 1) if each not in taken)
    return (perf_counter() - start) * 1e6


def _read(table: sqlite3.Connection, wanted: AddressRange) -> list[Address]:
    rows = table.execute(
        "SELECT address FROM allocation WHERE address BETWEEN ? AND ?",
        (to_key(wanted.first), to_key(wanted.last)),
    )
    return [from_key(key) for (key,) in rows]
