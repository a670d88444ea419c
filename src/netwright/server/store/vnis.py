"""Finds VNIs that no network has, when those that a network tries first are in use."""

from netwright.db.transaction import Transaction
from netwright.model.segments import VniRange, vni_key
from netwright.server.segments import vni_stretches
from netwright.server.world import World

_PAGE = 1_000


async def load_free_vnis(tx: Transaction, world: World, start: int, wanted: int) -> None:
    """So many VNIs from `start` on, and around the ranges, that neither store nor batch uses.

    Reads, by the index, as many that are in use as lie between; all only when none is free.
    """
    found: list[int | None] = []
    for stretch in vni_stretches(start, world.segment_rules.vni_ranges):
        await _load_stretch(tx, world, stretch, found, wanted)
        if len(found) >= wanted:
            break
    else:
        found.append(None)
    world.free_vnis = found


async def _load_stretch(
    tx: Transaction, world: World, stretch: VniRange, found: list[int | None], wanted: int
) -> None:
    first = stretch.first
    while first <= stretch.last and len(found) < wanted:
        rows = await tx.rows(
            "SELECT segmentation_id FROM network WHERE network_type = 'vxlan' "
            "AND segmentation_id >= $1 AND segmentation_id <= $2 ORDER BY segmentation_id LIMIT $3",
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
