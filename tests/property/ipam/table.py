"""A double of the database's tables of addresses: atomic transactions, unique keys, no code."""

from dataclasses import dataclass, field
from typing import Any

from netwright.ipam import resting
from netwright.ipam.addresses import Address
from netwright.ipam.blocks import Geometry
from netwright.ipam.resting import Allocation
from netwright.ipam.selection import BlockRow, BlockTable

SUBNET = "subnet"
EPOCH = 1_000_000.0


class KeyTaken(Exception):
    def __init__(self, conflicts: list[Address]) -> None:
        super().__init__(conflicts)
        self.conflicts = conflicts


@dataclass
class Table:
    """One subnet's rows. `now` is the database's clock, which rests are measured by."""

    geometry: Geometry
    now: float = EPOCH
    rows: dict[Address, Allocation] = field(default_factory=dict)
    blocks: dict[Address, BlockRow] = field(default_factory=dict)

    def delete(self, address: Address) -> None:
        del self.rows[address]
        block = self.geometry.block_of(address)
        if block in self.blocks:
            self._set(block, is_full=False)

    def sweep(self) -> None:
        for row in list(self.rows.values()):
            if resting.has_rested(row, self.now):
                self.delete(row.address)

    def block_table(self) -> BlockTable:
        rows = tuple(row for _, row in sorted(self.blocks.items()) if not row.is_full)
        return BlockTable(open_rows=rows, newest=max(self.blocks, default=None))

    def lease(self, block: Address, owner: str, expires_at: float) -> None:
        self.blocks.setdefault(block, BlockRow(block=block))
        is_full = self.geometry.view(block, self.rows).is_full
        if is_full:
            self._set(block, owner=None, is_full=True)
        else:
            self._set(block, owner=owner, lease_expires_at=expires_at)

    def insert(self, rows: list[Allocation]) -> None:
        """All or none, by the unique key."""
        conflicts = [row.address for row in rows if row.address in self.rows]
        if conflicts:
            raise KeyTaken(conflicts)
        self.rows |= {row.address: row for row in rows}

    def reclaim(self, seen: Allocation, port_id: str, project_id: str) -> None:
        if self.rows.get(seen.address) != seen:
            raise KeyTaken([seen.address])
        self.rows[seen.address] = Allocation(
            subnet_id=SUBNET, address=seen.address, project_id=project_id, port_id=port_id
        )

    def fullness(self) -> resting.Fullness:
        rests = [
            row.rests_until
            for row in self.rows.values()
            if row.rests_until is not None and self._in_pools(row.address)
        ]
        return resting.fullness(self.geometry.capacity, rests)

    def free_count(self) -> int:
        """The addresses that nobody holds or rests: the model's truth."""
        gone = [
            address
            for address, row in self.rows.items()
            if self._in_pools(address) and not resting.has_rested(row, self.now)
        ]
        return self.geometry.capacity - len(gone)

    def has_free(self, apart_from: set[Address]) -> bool:
        pools = self.geometry.pools
        everything = (each for pool in pools for each in range(pool.first, pool.last + 1))
        return any(
            each not in apart_from
            and (each not in self.rows or resting.has_rested(self.rows[each], self.now))
            for each in everything
        )

    def _in_pools(self, address: Address) -> bool:
        return any(address in pool for pool in self.geometry.pools)

    def _set(self, block: Address, **changes: Any) -> None:
        old = self.blocks[block]
        fields = {name: getattr(old, name) for name in old.__struct_fields__}
        self.blocks[block] = BlockRow(**(fields | changes))
