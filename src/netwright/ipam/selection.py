"""Which blocks a process leases next, and which it looks into when none can be leased.

Pure functions over block rows; the store reads the rows and writes the leases. A lease spreads
processes over a subnet so that they seldom choose one address; that no address has two holders is
the unique key's work alone. So every doubt here may be resolved in favour of leasing.
"""

from collections.abc import Collection, Iterable
from itertools import islice

from netwright.ipam.addresses import Address
from netwright.ipam.blocks import Geometry
from netwright.model.resources import Value

LEASE_S = 60.0

# Occupancy is read from the allocations, so a lease costs up to a block's worth of rows.
_LEASES_MAX = 64
_SURVEY_MAX = 64


class BlockRow(Value, frozen=True, kw_only=True):
    """A block's row. Rows are made when a block is first leased, in ascending order.

    `is_full`: no address of the block's part of the pools was free, nor has been released since.
    """

    block: Address
    owner: str | None = None
    lease_expires_at: float = 0.0
    is_full: bool = False


class BlockTable(Value, frozen=True, kw_only=True):
    """What the store knows of a subnet's blocks.

    `open_rows`: the rows that are not full; all of them for a survey, for leasing any number of
    leasable ones. `newest`: the highest block that has a row, full or not; None without any.
    """

    open_rows: tuple[BlockRow, ...] = ()
    newest: Address | None = None


class Survey(Value, frozen=True, kw_only=True):
    """Blocks to look into, leased or not; `complete` when every other block is full."""

    blocks: tuple[Address, ...]
    complete: bool


def choose_leases(
    geometry: Geometry,
    table: BlockTable,
    *,
    owner: str,
    held: Collection[Address],
    missing: int,
    now: float,
    lease_s: float = LEASE_S,
    round_: int = 0,
    block_yield: int = 0,
    ahead: int = 0,
) -> tuple[Address, ...]:
    """The blocks that `owner` shall lease to get `missing` more addresses, and some `ahead`.

    First those that it has on paper only (lapsed, spent or in doubt), then those least recently
    leased, so that a released address is not soon handed out again, then new ones. `held`,
    `missing`, `block_yield` and `ahead` are the ledger's (`Shortfall`). Each further `round_` for
    one batch doubles the number, because in a nearly full subnet a block yields an address or two.
    """
    of_block = block_yield or geometry.block_size
    wanted = min(_LEASES_MAX, -(-(missing + ahead) // of_block) << round_)
    leasable = [
        row
        for row in table.open_rows
        if row.block not in held and _is_leasable(row, owner=owner, now=now, lease_s=lease_s)
    ]
    leasable.sort(key=lambda row: (row.owner != owner, row.lease_expires_at, row.block))
    chosen = [row.block for row in leasable[:wanted]]
    chosen += islice(geometry.blocks_after(table.newest), wanted - len(chosen))
    return tuple(chosen)


def choose_survey(
    geometry: Geometry, table: BlockTable, *, surveyed: Collection[Address] = ()
) -> Survey:
    """The blocks to look into when none can be leased: any that may have a free address.

    Our own leased blocks are among them: another process may have released an address in them since
    we looked. `surveyed` are those looked into already for this batch.
    """
    rows = [row.block for row in table.open_rows if row.block not in surveyed]
    new = (block for block in geometry.blocks_after(table.newest) if block not in surveyed)
    more = _take(rows, new, _SURVEY_MAX + 1)
    return Survey(blocks=tuple(more[:_SURVEY_MAX]), complete=len(more) <= _SURVEY_MAX)


def _take(rows: list[Address], new: Iterable[Address], count: int) -> list[Address]:
    return rows[:count] + list(islice(new, max(0, count - len(rows))))


def _is_leasable(row: BlockRow, *, owner: str, now: float, lease_s: float) -> bool:
    # A lease that ends later than any given now could comes from a clock that jumped. Waiting for
    # it might take for ever; taking it costs at most a conflict on the unique key.
    return (
        row.owner is None
        or row.owner == owner
        or row.lease_expires_at <= now
        or row.lease_expires_at > now + 2 * lease_s
    )
