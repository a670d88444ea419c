"""A process's ledger of free addresses: what it may hand out from memory, batch by batch.

    shortfall ─▶ lease | survey ─▶ allocate, take, release ─▶ (the store writes) ─▶ commit
        ▲                             │  ▲ savepoint, rollback                       abort
        └────── NeedsBlocks ──────────┘                                              forget

A batch is what is decided between two of commit, abort and forget; there is one at a time.

- Until commit, what is allocated or taken is the batch's own and what is released is nobody's.
- A verdict of the batch (Exhausted, AddressTaken) supposes that the batch's earlier commands are
  carried out. It may be told to the caller only after commit; after abort all is decided anew.
- Bitmaps are hints. Another process may take an address in a block that this one leases (by name,
  or because nothing else was left), a clock may jump, a lease may lapse: the unique key finds it
  out, `abort(conflicts)` puts the subnet's blocks in doubt, and the next round sees it anew.
- Exhausted is raised only if every block of the subnet is full in the table or has been looked into
  for this batch.
"""

from collections.abc import Iterable, Mapping
from zlib import crc32

import msgspec

from netwright.ipam.addresses import Address
from netwright.ipam.blocks import BlockView, Geometry
from netwright.ipam.holding import Holding
from netwright.ipam.resting import AddressTaken, Exhausted, Fullness
from netwright.model.resources import Value

# A holder stops trusting its lease this long before others may take it, for clocks differ.
LEASE_MARGIN_S = 10.0


class NeedsBlocks(Exception):
    """The ledger knows of no free address, but not that there is none: lease or survey, go on.

    `wanted` is the demand to meet before the command is decided anew: more than it had, for the
    rollback gives that back; and twice as much, for the next subnet's blocks may yield one each.
    """

    def __init__(self, subnet_id: str, wanted: int) -> None:
        super().__init__(f"the ledger needs {wanted} addresses of subnet {subnet_id}")
        self.subnet_id = subnet_id
        self.wanted = wanted


class Shortfall(Value, frozen=True, kw_only=True):
    """A subnet for which the ledger knows of `missing` fewer addresses than wanted.

    `held` are blocks that need not be leased, for they have addresses left or were seen in this
    batch; `surveyed` are those that need not be surveyed. `block_yield` is how many addresses a
    block has had lately, 0 if that is not known; `ahead`, how many more to lease for later batches.
    """

    subnet_id: str
    missing: int
    block_yield: int = 0
    ahead: int = 0
    held: frozenset[Address] = frozenset()
    surveyed: frozenset[Address] = frozenset()


class _Took(msgspec.Struct, frozen=True, gc=False):
    """A line of the batch's journal: what was so before an address was taken."""

    subnet_id: str
    address: Address
    was_free: bool  # in a bitmap
    was_released: bool  # by this batch


class _Released(msgspec.Struct, frozen=True, gc=False):
    """A line of the batch's journal: an address was released."""

    subnet_id: str
    address: Address
    was_taken: bool  # by this batch


class Ledger:
    """The addresses that one process may hand out. `owner` is its name on leases.

    Times are Unix seconds; every `now` is the process's own clock. Not for use by several threads.
    """

    def __init__(self, owner: str, *, margin_s: float = LEASE_MARGIN_S) -> None:
        self.owner = owner
        self._margin_s = margin_s
        self._holdings: dict[str, Holding] = {}
        self._journal: list[_Took | _Released] = []
        self._taken: dict[str, set[Address]] = {}
        self._released: dict[str, set[Address]] = {}
        self._seen: set[str] = set()  # the subnets of which blocks were leased or surveyed
        self._exhausted: dict[str, Fullness] = {}  # the subnets whose survey is complete

    # Before deciding

    def shortfall(self, demand: Mapping[str, int], now: float) -> tuple[Shortfall, ...]:
        """The subnets of which more must be leased or surveyed, given how many are wanted of each.

        A subnet whose survey is complete is not among them: more cannot be had.
        """
        gaps = (
            self._gap(subnet_id, wanted, now)
            for subnet_id, wanted in demand.items()
            if subnet_id not in self._exhausted
        )
        return tuple(gap for gap in gaps if gap.missing > 0)

    def lease(
        self, subnet_id: str, geometry: Geometry, views: Iterable[BlockView], expires_at: float
    ) -> None:
        """Learn that this process has leased blocks, and what the table shows in them.

        They must have been read after the lease was written and after this process's last commit.
        """
        holding = self._holding(subnet_id, geometry)
        holding.lease(self._less_taken(subnet_id, geometry, views), expires_at - self._margin_s)

    def survey(
        self,
        subnet_id: str,
        geometry: Geometry,
        views: Iterable[BlockView],
        fullness: Fullness | None,
    ) -> None:
        """Learn what the table shows in blocks whoever has leased them, for this batch only.

        Read in one snapshot with the block rows that chose them, else a release beside it goes
        unseen. `fullness` if the survey is complete (no other block can have a free address).
        """
        holding = self._holding(subnet_id, geometry)
        holding.survey(self._less_taken(subnet_id, geometry, views))
        if fullness is not None:
            self._exhausted[subnet_id] = fullness

    # Deciding

    def allocate(self, subnet_id: str, now: float) -> Address:
        """Take any free address; raises NeedsBlocks or Exhausted."""
        holding = self._holdings.get(subnet_id)
        address = None if holding is None else holding.next_address(now)
        if address is None:
            fullness = self._exhausted.get(subnet_id)
            if fullness is None:
                raise NeedsBlocks(subnet_id, 2 * len(self._taken.get(subnet_id, ())) + 1)
            raise Exhausted(subnet_id, fullness, now)
        self._note_taken(subnet_id, address, was_free=True)
        return address

    def take(self, subnet_id: str, address: Address) -> None:
        """Take a given address, in a pool or not; raises AddressTaken if this batch has taken it.

        Whether the table has it already is the store's to know (`resting.claim`).
        """
        if address in self._taken.get(subnet_id, ()):
            raise AddressTaken(subnet_id, address)
        holding = self._holdings.get(subnet_id)
        was_free = holding is not None and holding.occupy(address)
        self._note_taken(subnet_id, address, was_free=was_free)

    def release(self, subnet_id: str, address: Address) -> None:
        """Note that the batch deletes an address's row. It can be allocated after commit."""
        taken = self._taken.get(subnet_id, set())
        was_taken = address in taken
        taken.discard(address)
        self._released.setdefault(subnet_id, set()).add(address)
        self._journal.append(_Released(subnet_id, address, was_taken))

    def savepoint(self) -> int:
        """A place in the batch to which a failed command can be rolled back."""
        return len(self._journal)

    def rollback(self, savepoint: int = 0) -> None:
        """Undo what the batch did since the savepoint; the addresses can be allocated again."""
        while len(self._journal) > savepoint:
            self._undo(self._journal.pop())

    # After writing

    def commit(self) -> None:
        """The batch is in the table."""
        for subnet_id, addresses in self._released.items():
            holding = self._holdings.get(subnet_id)
            if holding is not None:
                for address in addresses:
                    holding.free(address)
        self._end_batch()

    def abort(self, conflicts: Iterable[str] = ()) -> None:
        """Nothing of the batch is in the table. `conflicts` are the subnets where others have keys.

        Of those all blocks are in doubt: they hand out nothing before they are leased anew, and so
        read anew. One conflict thus costs one more round, not one for each stale block. So are the
        subnets of which blocks were seen for this batch, perhaps in the transaction that failed.
        """
        self.rollback()
        for subnet_id in self._holdings.keys() & self._seen.union(conflicts):
            self._holdings[subnet_id].doubt()
        self._end_batch()

    def forget(self) -> None:
        """It is not known whether the batch is in the table: doubt every subnet that it touched."""
        self.abort([line.subnet_id for line in self._journal])

    # Leases

    def renewals(
        self, now: float, *, within_s: float, idle_s: float
    ) -> dict[str, tuple[Address, ...]]:
        """The leases to renew: they end within a time, have free addresses, and are in use.

        Those of subnets not allocated from for `idle_s` are left to lapse, so others may have them.
        Lapsed ones are forgotten here.
        """
        for subnet_id in [each for each, it in self._holdings.items() if it.forget_lapsed(now)]:
            del self._holdings[subnet_id]
        ending = {
            subnet_id: holding.ending(now, within_s)
            for subnet_id, holding in self._holdings.items()
            if now - holding.last_used_at <= idle_s
        }
        return {subnet_id: blocks for subnet_id, blocks in ending.items() if blocks}

    def renew(self, subnet_id: str, blocks: Iterable[Address], expires_at: float) -> None:
        """Learn which leases were renewed; any that were not are left to lapse."""
        holding = self._holdings.get(subnet_id)
        if holding is not None:
            holding.renew(blocks, expires_at - self._margin_s)

    def leased(self) -> dict[str, frozenset[Address]]:
        """All leased blocks by subnet: a process that stops gives them back."""
        return {subnet_id: holding.leased() for subnet_id, holding in self._holdings.items()}

    def adapt(self, subnet_id: str, geometry: Geometry) -> None:
        """Forget a subnet's blocks if they were cut from other pools than it has now.

        To be told of every subnet in use before each batch: any process may have changed its pools.
        """
        holding = self._holdings.get(subnet_id)
        if holding is not None and holding.geometry != geometry:
            self.drop(subnet_id)

    def drop(self, subnet_id: str) -> None:
        """Forget a subnet: it was deleted, or this batch changes its pools."""
        self._holdings.pop(subnet_id, None)
        self._exhausted.pop(subnet_id, None)

    # Helpers

    def _gap(self, subnet_id: str, wanted: int, now: float) -> Shortfall:
        holding = self._holdings.get(subnet_id)
        if holding is None:
            return Shortfall(subnet_id=subnet_id, missing=wanted)
        return Shortfall(
            subnet_id=subnet_id,
            missing=wanted - holding.free_count(now),
            block_yield=holding.block_yield,
            ahead=holding.ahead,
            held=holding.held(now),
            surveyed=holding.surveyed(),
        )

    def _holding(self, subnet_id: str, geometry: Geometry) -> Holding:
        holding = self._holdings.get(subnet_id)
        if holding is None or holding.geometry != geometry:
            holding = Holding(geometry, _survey_start(self.owner, geometry))
            self._holdings[subnet_id] = holding
        self._seen.add(subnet_id)
        return holding

    def _less_taken(
        self, subnet_id: str, geometry: Geometry, views: Iterable[BlockView]
    ) -> list[BlockView]:
        """The views without what this batch has taken, which the table does not show yet."""
        taken: dict[Address, int] = {}
        for address in self._taken.get(subnet_id, ()):
            block = geometry.block_of(address)
            taken[block] = taken.get(block, 0) | 1 << (address - block)
        return [
            BlockView(view.block, view.free & ~taken.get(view.block, 0)) if taken else view
            for view in views
        ]

    def _note_taken(self, subnet_id: str, address: Address, *, was_free: bool) -> None:
        released = self._released.get(subnet_id)
        was_released = released is not None and address in released
        if released is not None and was_released:
            released.remove(address)
        self._taken.setdefault(subnet_id, set()).add(address)
        self._journal.append(_Took(subnet_id, address, was_free, was_released))

    def _undo(self, line: _Took | _Released) -> None:
        taken = self._taken.setdefault(line.subnet_id, set())
        released = self._released.setdefault(line.subnet_id, set())
        if isinstance(line, _Released):
            released.discard(line.address)
            if line.was_taken:
                taken.add(line.address)
            return
        taken.discard(line.address)
        if line.was_released:
            released.add(line.address)
        holding = self._holdings.get(line.subnet_id)
        if line.was_free and holding is not None:
            holding.free(line.address)

    def _end_batch(self) -> None:
        self._journal.clear()
        self._taken.clear()
        self._released.clear()
        for subnet_id in self._seen & self._holdings.keys():
            self._holdings[subnet_id].end_batch()
        self._seen.clear()
        self._exhausted.clear()


def _survey_start(owner: str, geometry: Geometry) -> Address:
    """Where a process begins to look downwards: elsewhere for each, so that they seldom meet."""
    if not geometry.pools:
        return 0
    first, last = geometry.pools[0].first, geometry.pools[-1].last
    return first + ((last - first + 1) * crc32(owner.encode()) >> 32) + 1
