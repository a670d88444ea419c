"""How full a network is, to spread ports over several. A hint, like leases: keys decide."""

import heapq
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from netwright.ipam.resting import Fullness, describe


class Fill(NamedTuple):
    """Addresses of a network's pools: how many there are, how many are held, how many rest.

    Of IPv4 where it has any, else of IPv6. `next_return_at` in Unix seconds, of those that rest.
    """

    capacity: int
    held: int
    resting: int = 0
    next_return_at: float | None = None

    @property
    def is_full(self) -> bool:
        return self.held + self.resting >= self.capacity

    @property
    def ratio(self) -> float:
        """0 is empty, 1 is full; a network without addresses is full."""
        return (self.held + self.resting) / self.capacity if self.capacity else 1.0

    def words(self, now: float) -> str:
        if not self.capacity:
            return "it has no addresses to give"
        fullness = Fullness(
            capacity=self.capacity, resting=self.resting, next_return_at=self.next_return_at
        )
        return describe(fullness, now)


NOTHING = Fill(0, 0)


class Spread:
    """Draws from the least filled of some networks, one by one, counting its own draws in."""

    def __init__(self, fills: Mapping[str, Fill], among: Iterable[str]) -> None:
        self._heap = [(fills.get(each, NOTHING).ratio, each) for each in among]
        heapq.heapify(self._heap)

    def draw(self, fills: dict[str, Fill]) -> str | None:
        """The least filled by now, with one address more in `fills`; None when all are full."""
        while self._heap:
            ratio, least = self._heap[0]
            fill = fills.get(least, NOTHING)
            if fill.is_full:
                heapq.heappop(self._heap)
            elif ratio != fill.ratio:  # drawn from since, for another selector
                heapq.heapreplace(self._heap, (fill.ratio, least))
            else:
                fills[least] = after = fill._replace(held=fill.held + 1)
                heapq.heapreplace(self._heap, (after.ratio, least))
                return least
        return None
