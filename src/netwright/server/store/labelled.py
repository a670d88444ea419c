"""Finds the networks that match a selector, and how full they are."""

from collections import ChainMap, Counter
from collections.abc import Iterable

from msgspec.structs import replace
from sqlalchemy import and_, select

from netwright.db.transaction import Transaction
from netwright.ipam.addresses import AddressRange, from_text
from netwright.ipam.fill import NOTHING, Fill
from netwright.model.labels import parse_selector
from netwright.model.resources import Subnet
from netwright.server.commands import PortDraft
from netwright.server.needs import Needs, need_port
from netwright.server.ports.network_choice import LabelWish, wish_of
from netwright.server.store import schema
from netwright.server.store.filters import labels_match
from netwright.server.store.leasing import decode_subnet
from netwright.server.store.memory import Memory
from netwright.server.store.selections import Among, Selection, Selections, among
from netwright.server.world import World

_HINTS_MAX = 4
"""So many networks are tried by how full they were; then all that match are counted."""

_TRIES_MAX = 8
"""Those that are not full by then may yet be, of the other IP version."""


async def choose_networks(tx: Transaction, world: World, needs: Needs, memory: Memory) -> None:
    """Choose a network for each draft that names labels, and note what the draft needs there."""
    drafts, needs.labelled = needs.labelled, []
    remembered = memory.selections
    remembered.undo()
    remembered.trim()
    world.fills.maps[1:] = [remembered.fills]
    selections = {
        wish: await _selected(tx, remembered, wish) for wish in {wish_of(draft) for draft in drafts}
    }
    for wish, kept in selections.items():
        world.matches[wish] = ChainMap(*(each.matches for each in kept))
    asked = {id(each): each for kept in selections.values() for each in kept}
    await _count(tx, remembered, remembered.due(asked.values(), world.now), world.now)
    for draft in drafts:
        chosen = remembered.draw(selections[wish_of(draft)], world.fills)
        if chosen is not None:
            world.choices[draft.id] = (chosen,)
            need_port(needs, replace(draft, network_id=chosen))


async def choose_again(
    tx: Transaction, world: World, memory: Memory, draft: PortDraft
) -> str | None:
    """Another network for a draft that got no address in those chosen; None: there is no other.

    At last all that match are counted, once a batch: none is passed over for an old count.
    """
    wish, tried = wish_of(draft), world.choices.get(draft.id, ())
    selections = await _selected(tx, memory.selections, wish)
    await _count_anew(tx, world, memory.selections, tried[-1:])
    chosen = None
    if len(tried) < (_TRIES_MAX if wish in world.recounted else _HINTS_MAX):
        chosen = memory.selections.draw(selections, world.fills, but=tried)
    if chosen is None and wish not in world.recounted:
        await _count_anew(tx, world, memory.selections, world.matches[wish])
        world.recounted.add(wish)
        chosen = memory.selections.draw(selections, world.fills, but=tried)
    if chosen is None:
        world.unplaced.add(draft.id)
    else:
        world.choices[draft.id] = (*tried, chosen)
    return chosen


async def _selected(
    tx: Transaction, remembered: Selections, wish: LabelWish
) -> tuple[Selection, ...]:
    return tuple(
        [
            remembered.get(each) or remembered.keep(each, await _matching(tx, each))
            for each in among(wish)
        ]
    )


async def _matching(tx: Transaction, one: Among) -> list[tuple[str, str]]:
    """Ids and names of the networks."""
    network = schema.network
    usable = (
        network.c.shared
        if one.project_id is None
        else and_(network.c.project_id == one.project_id, ~network.c.shared)
    )
    matches = labels_match(parse_selector(one.selector))
    found = await tx.select(select(network.c.id, network.c.name).where(usable, matches))
    return [(id_, name) for id_, name in found]


async def _count_anew(
    tx: Transaction, world: World, remembered: Selections, network_ids: Iterable[str]
) -> None:
    """How full the networks are as of now, with what this batch has drawn itself."""
    counted = await _count(tx, remembered, network_ids, world.now)
    drawn = _drawn(world)
    for network_id, fill in counted.items():
        world.fills[network_id] = fill._replace(held=fill.held + drawn[network_id])


def _drawn(world: World) -> Counter[str]:
    """By network, how many of the counted addresses the batch's commands have taken so far."""
    drawn: Counter[str] = Counter()
    for (subnet_id, _), before, now in world.allocations.changed():
        drawn[subnet_id] += (now is not None) - (before is not None)
    networks = {each.network_id for each in world.subnets.values() if each.id in drawn}
    return Counter(
        {
            network_id: sum(
                drawn[each.id] for each in _counted_subnets(world.subnets_of(network_id))
            )
            for network_id in networks
        }
    )


async def _count(
    tx: Transaction, remembered: Selections, network_ids: Iterable[str], now: float
) -> dict[str, Fill]:
    """How full the networks are by what is committed, which is remembered."""
    wanted = sorted(network_ids)
    if not wanted:
        return {}
    sql = "SELECT network_id, body FROM subnet WHERE network_id = ANY($1)"
    subnets: dict[str, list[Subnet]] = {each: [] for each in wanted}
    for network_id, body in await tx.rows(sql, wanted):
        subnets[network_id].append(decode_subnet(body))
    counted = {each: _counted_subnets(of) for each, of in subnets.items()}
    rows = await _rows(tx, [subnet.id for of in counted.values() for subnet in of], now)
    fills = {network_id: _fill(of, rows) for network_id, of in counted.items()}
    for network_id, fill in fills.items():
        remembered.counted(network_id, fill, subnets[network_id], now)
    return fills


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
