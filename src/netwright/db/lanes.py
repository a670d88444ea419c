"""Two queues for one worker: what somebody waits for, and what can be patient. Pure.

    put ─▶ first   ─┬─▶ take: in turn by weight, while both wait;
        ─▶ patient ─┘         all of the other while one is empty

While both wait the patient have a share of what is taken: a tenth. So they let others pass, and
come on whatever queues beside them.
"""

from collections import deque
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

PATIENT_SHARE = 0.1
"""Of the weight that is taken while others wait too."""


class Waiting(NamedTuple, Generic[T]):
    """`since` is when it came, by any clock that only grows."""

    item: T
    weight: int
    since: float


class Lanes(Generic[T]):
    """In each lane who came first is taken first. `weight` is that of all who wait."""

    def __init__(self) -> None:
        self.weight = 0
        self._first: deque[Waiting[T]] = deque()
        self._patient: deque[Waiting[T]] = deque()
        self._owed = 0.0  # to the patient, since both wait; less than nothing: they were ahead

    def __bool__(self) -> bool:
        return bool(self._first or self._patient)

    def put(self, waiting: Waiting[T], *, is_patient: bool) -> None:
        (self._patient if is_patient else self._first).append(waiting)
        self.weight += waiting.weight

    def take(self, weight_max: int) -> list[Waiting[T]]:
        """Who comes next, of so much weight at most; or one who is heavier."""
        taken: list[Waiting[T]] = []
        left = weight_max
        while self:
            lane = self._next()
            if taken and lane[0].weight > left:
                break
            self._note(lane, lane[0].weight)
            left -= lane[0].weight
            taken.append(lane.popleft())
        self.weight -= weight_max - left
        return taken

    def take_older(self, than: float) -> list[Waiting[T]]:
        """All that came before then."""
        taken: list[Waiting[T]] = []
        for lane in (self._first, self._patient):
            while lane and lane[0].since < than:
                taken.append(lane.popleft())
        self.weight -= sum(one.weight for one in taken)
        return taken

    def _next(self) -> deque[Waiting[T]]:
        if self._first and self._patient:
            return self._patient if self._owed > 0 else self._first
        return self._first or self._patient

    def _note(self, lane: deque[Waiting[T]], weight: int) -> None:
        """Before it is taken. A lane that has the worker for itself owes nothing for it."""
        if not (self._first and self._patient):
            self._owed = 0.0
            return
        self._owed += PATIENT_SHARE * weight
        if lane is self._patient:
            self._owed -= weight
