"""Finds the networks that match a selector, and how full they are."""

from collections.abc import Iterable

from msgspec.structs import replace
from sqlalchemy import or_, select

from netwright.db.transaction import Transaction
from netwright.ipam.addresses import AddressRange, from_text
from netwright.ipam.fill import NOTHING, Fill, Spread
from netwright.model.labels import parse_selector
from netwright.model.resources import Subnet
from netwright.server.needs import Needs, need_port
from netwright.server.ports.network_choice import LabelWish, wish_of
from netwright.server.store import schema
from netwright.server.store.filters import labels_match
from netwright.server.store.leasing import decode_subnet
from netwright.server.store.memory import CountedFill, Memory
from netwright.server.world import World

_COUNT_EVERY_S = 5.0
_COUNT_COST_S = 1e-6
"""What an address costs to be counted, about."""

_FILLS_MAX = 100_000

_COST_MAX = 0.005
"""A count may take this part of the time until the next: the fuller, the seldomer."""


async def choose_networks(tx: Transaction, world: World, needs: Needs, memory: Memory) -> None:
    """Choose a network for each draft that names labels, and note what the draft needs there."""
    drafts, needs.labelled = needs.labelled, []
    wishes = {wish_of(draft) for draft in drafts}
    for wish in wishes:
        world.matches[wish] = await _matching(tx, wish)
    await _fills(tx, world, memory, {each for wish in wishes for each in world.matches[wish]})
    spreads = {wish: Spread(world.fills, world.matches[wish]) for wish in wishes}
    for draft in drafts:
        chosen = spreads[wish_of(draft)].draw(world.fills)
        if chosen is not None:
            world.choices[draft.id] = chosen
            need_port(needs, replace(draft, network_id=chosen))


async def count_anew(tx: Transaction, world: World, memory: Memory, wish: LabelWish) -> None:
    """How full the networks are that match, as of now, with what this batch has drawn itself."""
    counted = await _count(tx, world.matches[wish], world.now)
    for network_id, fill in counted.items():
        memory.fills[network_id] = CountedFill(fill, world.now)
        world.fills[network_id] = fill._replace(held=fill.held + _drawn(world, network_id))
    world.recounted.add(wish)


def _drawn(world: World, network_id: str) -> int:
    """How many addresses the batch's commands have taken in the network so far."""
    subnets = {each.id for each in _counted_subnets(world.subnets_of(network_id))}
    return sum(
        (now is not None) - (before is not None)
        for (subnet_id, _), before, now in world.allocations.changed()
        if subnet_id in subnets
    )


async def _fills(tx: Transaction, world: World, memory: Memory, network_ids: set[str]) -> None:
    if len(memory.fills) > _FILLS_MAX:
        memory.fills.clear()
    stale = {each for each in network_ids if _is_stale(memory.fills.get(each), world.now)}
    for network_id, fill in (await _count(tx, stale, world.now)).items():
        memory.fills[network_id] = CountedFill(fill, world.now)
    for network_id in network_ids:
        world.fills[network_id] = memory.fills[network_id].fill


def _is_stale(known: CountedFill | None, now: float) -> bool:
    if known is None:
        return True
    cost_s = (known.fill.held + known.fill.resting) * _COUNT_COST_S
    return not 0.0 <= now - known.counted_at < max(_COUNT_EVERY_S, cost_s / _COST_MAX)


async def _matching(tx: Transaction, wish: LabelWish) -> dict[str, str]:
    """Names by id of the networks of the project, and shared ones, whose labels match."""
    network = schema.network
    usable = or_(network.c.project_id == wish.project_id, network.c.shared)
    matches = labels_match(parse_selector(wish.selector))
    found = await tx.select(select(network.c.id, network.c.name).where(usable, matches))
    return {id_: name for id_, name in found}  # noqa: C416 - rows are not tuples


async def _count(tx: Transaction, network_ids: Iterable[str], now: float) -> dict[str, Fill]:
    wanted = sorted(network_ids)
    if not wanted:
        return {}
    sql = "SELECT network_id, body FROM subnet WHERE network_id = ANY($1)"
    subnets: dict[str, list[Subnet]] = {each: [] for each in wanted}
    for network_id, body in await tx.rows(sql, wanted):
        subnets[network_id].append(decode_subnet(body))
    counted = {each: _counted_subnets(of) for each, of in subnets.items()}
    rows = await _rows(tx, [subnet.id for of in counted.values() for subnet in of], now)
    return {network_id: _fill(of, rows) for network_id, of in counted.items()}


async def _rows(
    tx: Transaction, subnet_ids: list[str], now: float
) -> dict[str, tuple[int, int, float | None]]:
    """By subnet: how many addresses are held, how many rest, when the next returns."""
    if not subnet_ids:
        return {}
    found = await tx.rows(
        "SELECT subnet_id, count(port_id), count(*) - count(port_id), min(rests_until) "
        "FROM allocation WHERE subnet_id = ANY($1) AND (rests_until IS NULL OR rests_until > $2) "
        "GROUP BY subnet_id",
        subnet_ids,
        now,
    )
    return {subnet_id: (held, resting, first) for subnet_id, held, resting, first in found}


def _fill(subnets: list[Subnet], rows: dict[str, tuple[int, int, float | None]]) -> Fill:
    capacity = sum(
        AddressRange(from_text(pool.start), from_text(pool.end)).size
        for subnet in subnets
        for pool in subnet.allocation_pools
    )
    counts = [rows[subnet.id] for subnet in subnets if subnet.id in rows]
    if not capacity:
        return NOTHING
    returns = [first for _, _, first in counts if first is not None]
    held, resting = sum(each[0] for each in counts), sum(each[1] for each in counts)
    return Fill(capacity, held, resting, min(returns, default=None))


def _counted_subnets(subnets: list[Subnet]) -> list[Subnet]:
    """Those whose addresses are scarce: of IPv4 where there are any, else of IPv6."""
    ipv4 = [subnet for subnet in subnets if subnet.ip_version == 4]  # noqa: PLR2004
    return ipv4 or subnets
