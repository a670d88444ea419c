"""How full a network is, to spread ports over several. A hint, like leases: keys decide."""

import heapq
from collections.abc import Collection, Mapping
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

_VOID_MAX = 64


class Spread:
    """The networks that have addresses left, by how full they are; the least filled comes first.

    Kept from batch to batch. A heap has each under its ratio; filed anew, its older entry is void.
    One that is fuller than it was filed is filed anew when it comes to the front; one that is
    emptier must be, by who knows of it.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._ratios: dict[str, float] = {}

    def file(self, network_id: str, fill: Fill) -> None:
        """Take the network in, or what is new of it; a full one is let go."""
        if fill.is_full:
            self._ratios.pop(network_id, None)
            return
        if self._ratios.get(network_id) == fill.ratio:
            return
        self._ratios[network_id] = fill.ratio
        if len(self._heap) > 2 * len(self._ratios) + _VOID_MAX:
            self._heap = [(ratio, each) for each, ratio in self._ratios.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (fill.ratio, network_id))

    def drop(self, network_id: str) -> None:
        self._ratios.pop(network_id, None)

    def least(
        self, fills: Mapping[str, Fill], but: Collection[str] = ()
    ) -> tuple[float, str] | None:
        """The least filled by now, of those not in `but`, and its ratio; None when all are full."""
        passed = []
        while self._heap:
            ratio, network_id = self._heap[0]
            if self._ratios.get(network_id) != ratio:
                heapq.heappop(self._heap)
            elif (fill := fills.get(network_id, NOTHING)).ratio != ratio or fill.is_full:
                heapq.heappop(self._heap)
                self.file(network_id, fill)
            elif network_id in but:
                passed.append(heapq.heappop(self._heap))
            else:
                break
        found = self._heap[0] if self._heap else None
        for each in passed:
            heapq.heappush(self._heap, each)
        return found

    def front(self, count: int) -> list[str]:
        """About so many of the least filled, as they are filed."""
        taken = [heapq.heappop(self._heap) for _ in range(min(count, len(self._heap)))]
        valid = {each for each in taken if self._ratios.get(each[1]) == each[0]}
        for each in valid:
            heapq.heappush(self._heap, each)
        return [network_id for _, network_id in valid]
