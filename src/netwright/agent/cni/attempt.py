"""One ADD while it is under way: for whom it is, what it waits for, how long its stages took."""

import time
from collections.abc import Callable

from netwright.agent.cni.ahead import Draft
from netwright.agent.cni.asked import Asked


class Attempt:
    """`subject` is the pod in words, `labels_of` whose annotation chose the network, once known.

    `draft` is what is made before the server has answered, if anything.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.took = Took()
        self.subject = ""
        self.labels_of = ""
        self.draft: Draft | None = None
        self._waits_for = ""
        self._trouble: Callable[[], str] = lambda: ""

    @property
    def words(self) -> str:
        """What an error is about."""
        of = f", {self.subject}" if self.subject.startswith("pod") else ""
        return f"{self.asked.ifname} of container {self.asked.container_id}{of}"

    def wait_for(self, what: str, trouble: Callable[[], str] = lambda: "") -> None:
        """What is not so yet; `trouble` knows why, when it is asked."""
        self._waits_for, self._trouble = what, trouble

    def waits_for(self) -> str:
        why = self._trouble()
        return f"{self._waits_for}: {why}" if why else self._waits_for


class Attempts:
    """Numbers that grow, also from one life of the agent to the next, as far as its clock does.

    `clock` is in microseconds, which a double holds exactly. All come after `last`: a host's clock
    may be late when it has started.
    """

    def __init__(self, clock: Callable[[], int], *, last: int = 0) -> None:
        self._clock = clock
        self._last = last

    def next(self) -> int:
        self._last = max(self._clock(), self._last + 1)
        return self._last


class Took:
    """Milliseconds of an ADD's stages, for its line in the log."""

    def __init__(self) -> None:
        self._stages: list[tuple[str, float]] = []
        self._since = time.perf_counter()

    def note(self, stage: str) -> None:
        now = time.perf_counter()
        self._stages.append((stage, (now - self._since) * 1e3))
        self._since = now

    def words(self) -> str:
        return " ".join(f"{stage}:{ms:.1f}" for stage, ms in self._stages)
