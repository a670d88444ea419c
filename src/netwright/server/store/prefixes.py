"""Loads and writes the free parts of subnet pools, and what else decisions about pools need.

The pool's row is read before its gaps: a gap that is newer than the row shows by the pool's event.
"""

from collections.abc import Iterable
from itertools import groupby

import msgspec

from netwright.db.transaction import Row, Transaction
from netwright.ipam.addresses import AddressRange, cidr_range, from_key, to_key
from netwright.ipam.prefixes import host_bits, largest
from netwright.model.addressing import RESCOPED_SUBNETS_MAX, AddressScope, SubnetPool
from netwright.model.resources import Subnet
from netwright.server.needs import Needs, PrefixWish
from netwright.server.store import schema
from netwright.server.store.plain import load_of
from netwright.server.world import Gap, World

_pool = msgspec.json.Decoder(SubnetPool).decode

_HOLDS = ("pool_id", "first_address", "last_address")


async def load_pools(tx: Transaction, world: World, needs: Needs) -> None:
    """The default pools, and the scopes with all their pools, that decisions look at."""
    if needs.default_versions:
        _keep(world, await tx.rows("SELECT body FROM subnetpool WHERE is_default"))
        world.default_versions |= needs.default_versions
    changed = (world.of(SubnetPool).loaded(pool_id) for pool_id in needs.changed_pools)
    of_changed = {pool.address_scope_id for pool in changed if pool and pool.address_scope_id}
    scopes = needs.whole_scopes | of_changed
    if scopes:
        await load_of(tx, world, AddressScope, scopes)
        sql = "SELECT body FROM subnetpool WHERE address_scope_id = ANY($1)"
        _keep(world, await tx.rows(sql, list(scopes)))
        world.whole_scopes |= scopes


async def networks_of_pools(tx: Transaction, world: World, pool_ids: set[str]) -> set[str]:
    """The networks with a subnet of one of the pools; those of too large ones do not change."""
    pools = (world.of(SubnetPool).loaded(pool_id) for pool_id in pool_ids)
    pool_ids = {pool.id for pool in pools if pool and pool.subnets <= RESCOPED_SUBNETS_MAX}
    if not pool_ids:
        return set()
    sql = "SELECT DISTINCT network_id FROM subnet WHERE subnetpool_id = ANY($1)"
    return {network_id for (network_id,) in await tx.rows(sql, list(pool_ids))}


async def load_gaps(tx: Transaction, world: World, needs: Needs, gone: Iterable[Subnet]) -> None:
    """The gaps that may be cut, those beside what `gone` subnets give back, and uses."""
    given = [subnet for subnet in gone if subnet.subnetpool_id]
    if not (given or needs.prefix_wishes or needs.grown_pools):
        return
    await load_of(tx, world, SubnetPool, {str(subnet.subnetpool_id) for subnet in given})
    wishes = sorted(_by_pool(world, needs), key=lambda each: each[0].id)
    for _, of_pool in groupby(wishes, key=lambda each: each[0].id):
        await _load_fitting(tx, world, list(of_pool))
    await _load_beside(tx, world, given)
    for pool_id in needs.grown_pools:
        sql = f"SELECT {', '.join(_HOLDS)} FROM gap WHERE pool_id = $1"  # noqa: S608 - our names
        _keep_gaps(world, await tx.rows(sql, pool_id))
    await _load_uses(
        tx,
        world,
        {(pool.id, wish.project_id) for pool, wish in wishes}
        | {(str(subnet.subnetpool_id), subnet.project_id) for subnet in given},
    )


async def write_gaps(tx: Transaction, world: World) -> None:
    """What the batch has changed of them; a pool's go with it."""
    pools = world.of(SubnetPool)
    if not pools.is_touched:  # every change of a gap changes its pool
        return
    gone = [(pool_id,) for pool_id, _, pool in pools.changed() if pool is None]
    await tx.delete(schema.gap, gone, by=("pool_id",))
    await tx.delete(schema.pool_use, gone, by=("pool_id",))
    await tx.upsert(
        schema.pool_use,
        [
            (*key, str(now or 0))
            for key, _, now in world.pool_uses.changed()
            if pools.get(key[0]) is not None
        ],
    )
    deletes: list[Row] = []
    updates: list[Row] = []
    inserts: list[Row] = []
    for (pool_id, first), before, now in world.gaps.changed():
        if pools.get(pool_id) is None:
            continue
        key = (pool_id, to_key(first))
        if now is None:
            deletes.append(key)
        else:
            row = (*key, to_key(now.range.last), largest(now.range))
            (inserts if before is None else updates).append(row)
    await tx.delete(schema.gap, deletes)
    await tx.update(schema.gap, ("last_address", "host_bits"), updates)
    await tx.insert(schema.gap, inserts)


def _by_pool(world: World, needs: Needs) -> Iterable[tuple[SubnetPool, PrefixWish]]:
    """Each wish with the pool that it is about, or those that may be the default one by then."""
    pools = world.of(SubnetPool)
    for wish in needs.prefix_wishes:
        if wish.pool_id is not None:
            found = pools.loaded(wish.pool_id)
            if found is not None:
                yield found, wish
            continue
        for pool in pools.values():
            may_be = pool.is_default or pool.id in needs.changed_pools
            if may_be and pool.ip_version == wish.ip_version:
                yield pool, wish


async def _load_fitting(
    tx: Transaction, world: World, wishes: list[tuple[SubnetPool, PrefixWish]]
) -> None:
    """The first gaps large enough, one for each wish: none needs more than one, or spoils more."""
    pool = wishes[0][0]
    sizes: set[int] = set()
    for _, wish in wishes:
        if wish.cidr:
            sql = (
                f"SELECT {', '.join(_HOLDS)} FROM gap WHERE pool_id = $1 "  # noqa: S608 - our names
                "AND first_address <= $2 ORDER BY first_address DESC LIMIT 1"
            )
            first = to_key(cidr_range(wish.cidr).first)
            _keep_gaps(world, await tx.rows(sql, pool.id, first))
        else:
            prefixlen = pool.default_prefixlen if wish.prefixlen is None else wish.prefixlen
            sizes.add(host_bits(prefixlen, pool.ip_version))
    for bits in sizes:
        sql = (
            f"SELECT {', '.join(_HOLDS)} FROM gap WHERE pool_id = $1 "  # noqa: S608 - our names
            "AND host_bits >= $2 ORDER BY first_address LIMIT $3"
        )
        _keep_gaps(world, await tx.rows(sql, pool.id, bits, len(wishes)))


async def _load_beside(tx: Transaction, world: World, given: list[Subnet]) -> None:
    """The gaps that touch the subnets' prefixes."""
    ranges = [(str(subnet.subnetpool_id), cidr_range(subnet.cidr)) for subnet in given]
    before = [(pool_id, to_key(each.first - 1)) for pool_id, each in ranges if each.first]
    after = [
        (pool_id, to_key(each.last + 1)) for pool_id, each in ranges if each.last + 1 < 1 << 128
    ]
    by_last = ("pool_id", "last_address")
    _keep_gaps(world, await tx.find(schema.gap, _HOLDS, before, by=by_last))
    _keep_gaps(world, await tx.find(schema.gap, _HOLDS, after))


async def _load_uses(tx: Transaction, world: World, keys: set[tuple[str, str]]) -> None:
    columns = ("pool_id", "project_id", "addresses")
    for pool_id, project_id, addresses in await tx.find(schema.pool_use, columns, list(keys)):
        world.pool_uses.load((pool_id, project_id), int(addresses))


def _keep(world: World, rows: Iterable[Row]) -> None:
    pools = world.of(SubnetPool)
    for (body,) in rows:
        pool = _pool(body)
        if pools.loaded(pool.id) is None:
            pools.load(pool.id, pool)


def _keep_gaps(world: World, rows: Iterable[Row]) -> None:
    for pool_id, first, last in rows:
        gap = Gap(pool_id, AddressRange(from_key(first), from_key(last)))
        world.gaps.load((pool_id, gap.range.first), gap)
