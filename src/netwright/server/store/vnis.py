"""Finds VNIs that no network has, when those that a network tries first are in use."""

from collections.abc import Sequence

from netwright.db.transaction import Transaction
from netwright.model.segments import VniRange, vni_key
from netwright.server.segments import vni_stretches
from netwright.server.world import World

_PAGE = 1_000


async def load_free_vnis(tx: Transaction, world: World, start: int, wanted: int) -> None:
    """So many VNIs from `start` on, and around the ranges, that neither store nor batch uses.

    Reads, by the index, as many that are in use as lie between; all only when none is free.
    """
    world.free_vnis = await _free(tx, world, start, wanted, world.segment_rules.vni_ranges)


async def load_free_transit_vnis(
    tx: Transaction, world: World, start: int, wanted: int, ranges: Sequence[VniRange]
) -> None:
    """As `load_free_vnis`, for routers, of the ranges that the inventory gives them."""
    world.fabric.free_vnis = await _free(tx, world, start, wanted, ranges)


async def _free(
    tx: Transaction, world: World, start: int, wanted: int, ranges: Sequence[VniRange]
) -> list[int | None]:
    found: list[int | None] = []
    for stretch in vni_stretches(start, ranges):
        await _load_stretch(tx, world, stretch, found, wanted)
        if len(found) >= wanted:
            return found
    return [*found, None]


async def _load_stretch(
    tx: Transaction, world: World, stretch: VniRange, found: list[int | None], wanted: int
) -> None:
    first = stretch.first
    while first <= stretch.last and len(found) < wanted:
        rows = await tx.rows(
            "SELECT vni FROM (SELECT segmentation_id AS vni FROM network "
            "WHERE network_type = 'vxlan' AND segmentation_id >= $1 AND segmentation_id <= $2 "
            "ORDER BY segmentation_id LIMIT $3) AS of_networks UNION ALL "
            "SELECT vni FROM (SELECT vni FROM held_vni WHERE vni >= $1 AND vni <= $2 "
            "ORDER BY vni LIMIT $3) AS held ORDER BY vni LIMIT $3",
            first,
            stretch.last,
            _PAGE,
        )
        used = {vni for (vni,) in rows}
        end = stretch.last if len(rows) < _PAGE else rows[-1][0]
        for vni in range(first, end + 1):
            if _is_free(world, vni, is_stored=vni in used):
                found.append(vni)
                if len(found) >= wanted:
                    return
        first = end + 1


def _is_free(world: World, vni: int, *, is_stored: bool) -> bool:
    """What the batch has given or freed is not in the store yet."""
    key = vni_key(vni)
    return world.segments.get(key) is None and (not is_stored or world.segments.is_known(key))
