"""What a process knows of one subnet's free addresses: bitmaps of leased and surveyed blocks.

Leased blocks are walked upwards by a moving cursor (next fit): an address that comes back is not
handed out again before the cursor has been everywhere else. Surveyed blocks, known for one batch,
are walked downwards from a place that differs by process, away from where their lessees walk up.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from netwright.ipam.addresses import Address
from netwright.ipam.blocks import BlockView, Geometry

_SOON_S = 10.0
_AHEAD_MAX = 4_096
_AHEAD_PART = 64  # of the subnet's capacity: others need addresses too


class _Block:
    """A block's free addresses as bits, and the place up (or down) to which it has been walked."""

    __slots__ = ("cursor", "first", "free", "mask", "queued", "trusted_until")

    def __init__(self, view: BlockView, mask: int, cursor: int, trusted_until: float) -> None:
        self.first = view.block
        self.free = view.free
        self.mask = mask
        self.cursor = cursor
        self.trusted_until = trusted_until
        self.queued = False

    def take_upwards(self) -> Address | None:
        """The lowest free address from the cursor on."""
        ahead = self.free >> self.cursor
        if not ahead:
            return None
        offset = self.cursor + (ahead & -ahead).bit_length() - 1
        self.free ^= 1 << offset
        self.cursor = offset + 1
        return self.first + offset

    def take_downwards(self) -> Address | None:
        """The highest free address below the cursor."""
        behind = self.free & (1 << self.cursor) - 1
        if not behind:
            return None
        offset = behind.bit_length() - 1
        self.free ^= 1 << offset
        self.cursor = offset
        return self.first + offset


class Holding:
    """One subnet in a ledger. Surveyed blocks are first tried below the address `start`."""

    def __init__(self, geometry: Geometry, start: Address) -> None:
        self.geometry = geometry
        self.last_used_at = 0.0
        self.block_yield = 0
        self.ahead = 0
        self._leased_until = 0.0
        self._leased: dict[Address, _Block] = {}
        self._queue: deque[_Block] = deque()  # leased blocks that may have a free address
        self._seen: set[Address] = set()  # leased or surveyed in this batch
        self._surveyed: dict[Address, _Block] = {}
        self._survey_queue: deque[_Block] = deque()
        self._survey_cursor = start

    def lease(self, views: Iterable[BlockView], trusted_until: float) -> None:
        """Add leased blocks, or see them anew; a full one is forgotten, its lease is no use."""
        views = list(views)
        self._learn_yield(views, trusted_until)
        for view in views:
            self._seen.add(view.block)
            self._forget(self._surveyed.get(view.block))
            block = self._leased.get(view.block)
            if view.is_full:
                self._forget(block)
                continue
            if block is None:
                block = _Block(view, self.geometry.mask(view.block), 0, trusted_until)
                self._leased[view.block] = block
            block.free = view.free
            block.trusted_until = trusted_until
            self._enqueue(block)

    def _learn_yield(self, views: Sequence[BlockView], trusted_until: float) -> None:
        """Who leases again soon leases more, twice as much each time, unless addresses are rare."""
        found = sum(view.free.bit_count() for view in views)
        self.block_yield = max(found // max(len(views), 1), 1)
        is_soon = trusted_until - self._leased_until < _SOON_S
        is_rare = self.block_yield < self.geometry.block_size // 2
        most = min(self.geometry.capacity // _AHEAD_PART, _AHEAD_MAX)
        if is_soon and not is_rare and most >= self.geometry.block_size:
            self.ahead = min(2 * max(self.ahead, found), most)
        else:
            self.ahead = 0
        self._leased_until = trusted_until

    def survey(self, views: Iterable[BlockView]) -> None:
        """Add blocks for this batch, seen just now.

        A leased one becomes a surveyed one: its last address counts even if its lease ends midway.
        """
        size = self.geometry.block_size
        for view in views:
            self._seen.add(view.block)
            self._forget(self._leased.get(view.block))
            mask = self.geometry.mask(view.block)
            self._surveyed[view.block] = _Block(view, mask, size, 0.0)
        cursor = self._survey_cursor
        # Downwards from the cursor, then from the top; the cursor's own block comes first.
        ordered = sorted(
            self._surveyed.values(), key=lambda block: (block.first < cursor, block.first)
        )
        self._survey_queue.clear()
        for block in reversed(ordered):
            block.cursor = size
            block.queued = False
            self._enqueue(block)
        nearest = ordered[-1] if ordered else None
        if nearest is not None and 0 < cursor - nearest.first < size:
            nearest.cursor = cursor - nearest.first

    def end_batch(self) -> None:
        self._seen.clear()
        self._surveyed.clear()
        self._survey_queue.clear()

    def next_address(self, now: float) -> Address | None:
        """Take a free address; from a leased block while any is trusted and has one."""
        queue = self._queue
        while queue:
            block = queue[0]
            if now >= block.trusted_until:
                self._forget(block)
            if not block.free:
                queue.popleft().queued = False
                continue
            address = block.take_upwards()
            if address is not None:
                self.last_used_at = now
                return address
            block.cursor = 0
            queue.rotate(-1)
        return self._next_surveyed()

    def _next_surveyed(self) -> Address | None:
        queue = self._survey_queue
        while queue:
            block = queue[0]
            if not block.free:
                queue.popleft().queued = False
                continue
            address = block.take_downwards()
            if address is not None:
                self._survey_cursor = address
                return address
            block.cursor = self.geometry.block_size
            queue.rotate(-1)
        return None

    def occupy(self, address: Address) -> bool:
        """Mark an address as taken; True when it counted as free."""
        block, bit = self._place(address)
        if block is None or not block.free & bit:
            return False
        block.free ^= bit
        return True

    def free(self, address: Address) -> None:
        """Mark an address as free, if its block is known and it lies in a pool."""
        block, bit = self._place(address)
        if block is not None and block.mask & bit:
            block.free |= bit
            self._enqueue(block)

    def doubt(self) -> None:
        """Hand nothing more out of any block before it is seen anew; the cursors stay."""
        for block in self._leased.values():
            block.free = 0

    def forget_lapsed(self, now: float) -> bool:
        """Forget blocks whose lease has ended; True when none is left."""
        for block in [each for each in self._leased.values() if now >= each.trusted_until]:
            self._forget(block)
        return not self._leased

    def free_count(self, now: float) -> int:
        leased = sum(block.free.bit_count() for block in self._trusted(now))
        return leased + sum(block.free.bit_count() for block in self._surveyed.values())

    def held(self, now: float) -> frozenset[Address]:
        """The leased blocks that still have addresses to give, and all seen in this batch."""
        return frozenset(self._seen).union(
            block.first for block in self._trusted(now) if block.free
        )

    def surveyed(self) -> frozenset[Address]:
        return frozenset(self._surveyed)

    def leased(self) -> frozenset[Address]:
        return frozenset(self._leased)

    def ending(self, now: float, within_s: float) -> tuple[Address, ...]:
        """The leases worth renewing that end within a time."""
        return tuple(
            block.first
            for block in self._trusted(now)
            if block.free and block.trusted_until - now <= within_s
        )

    def renew(self, blocks: Iterable[Address], trusted_until: float) -> None:
        for first in blocks:
            block = self._leased.get(first)
            if block is not None:
                block.trusted_until = trusted_until
                self._enqueue(block)

    def _trusted(self, now: float) -> Iterator[_Block]:
        return (block for block in self._leased.values() if now < block.trusted_until)

    def _place(self, address: Address) -> tuple[_Block | None, int]:
        first = self.geometry.block_of(address)
        block = self._surveyed.get(first) or self._leased.get(first)
        return block, 1 << (address - first)

    def _enqueue(self, block: _Block) -> None:
        if not block.queued and block.free:
            block.queued = True
            queue = self._survey_queue if block.first in self._surveyed else self._queue
            queue.append(block)

    def _forget(self, block: _Block | None) -> None:
        # Its queue drops it when it comes to the front, for it has nothing to give.
        if block is not None:
            block.free = 0
            self._leased.pop(block.first, None)
            self._surveyed.pop(block.first, None)
