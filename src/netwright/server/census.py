"""How many hosts, ports, addresses and untold notices there are, by state: for `/metrics`.

Counting ports reads all their rows, so it is done at most every `COUNTED_EVERY_S`, whoever asks.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from netwright.model.errors import Unavailable
from netwright.model.resources import HostState, Value
from netwright.model.states import PortState

COUNTED_EVERY_S = 10.0
CONDITIONS_MAX = 50
"""The most kinds of conditions that are told apart: an agent could invent any number."""


class Census(Value, frozen=True, kw_only=True):
    """Counts by state; of conditions, the hosts that have each; of addresses, held and resting.

    Of notices that Nova has not acknowledged, how many, and when the oldest was written.
    """

    hosts: Mapping[str, int] = {}
    ports: Mapping[str, int] = {}
    host_conditions: Mapping[str, int] = {}
    addresses_held: int = 0
    addresses_resting: int = 0
    notices_pending: int = 0
    notices_oldest_at: float | None = None


class CensusKept:
    """The last census, taken anew when it is asked for and older than `COUNTED_EVERY_S`."""

    def __init__(self, take: Callable[[], Awaitable[Census]], clock: Callable[[], float]) -> None:
        self._take = take
        self._clock = clock
        self._kept: Census | None = None
        self._due_at = 0.0
        self._turn = asyncio.Lock()

    async def census(self) -> Census | None:
        """None when nothing could be counted: the database does not answer."""
        async with self._turn:
            if self._clock() >= self._due_at:
                try:
                    self._kept = await self._take()
                except Unavailable:
                    self._kept = None  # old counts would look like the truth
                self._due_at = self._clock() + COUNTED_EVERY_S
            return self._kept


def census(
    hosts: Mapping[str, int],
    ports: Mapping[str, int],
    conditions: Mapping[str, int],
    *,
    addresses_held: int,
    addresses_resting: int,
    notices_pending: int = 0,
    notices_oldest_at: float | None = None,
) -> Census:
    """The census of what was counted: states that nobody has count too, conditions are bounded."""
    most = Counter(conditions).most_common(CONDITIONS_MAX)
    return Census(
        hosts={state.value: hosts.get(state.value, 0) for state in HostState},
        ports={state.value: ports.get(state.value, 0) for state in PortState},
        host_conditions=dict(most),
        addresses_held=addresses_held,
        addresses_resting=addresses_resting,
        notices_pending=notices_pending,
        notices_oldest_at=notices_oldest_at,
    )
