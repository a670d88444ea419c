"""When bindings on the fabric that the server refused are tried again.

Soon after what may have taken the cause away (another inventory, an attachment that has ended), and
now and then in any case. A few at a time, one after the other, so that those whose cause stays do
not keep the others waiting.
"""

from collections.abc import Awaitable, Callable, Iterable

from netwright.model.wire import Kind
from netwright.server.store.event_rows import EventRow

ReadRefused = Callable[[str], Awaitable[tuple[str, ...]]]
"""Ids of such ports that follow the one given, in order; none when there are no more."""


class RefusedPorts:
    """One process's place among the refused ports."""

    def __init__(self, read: ReadRefused) -> None:
        self._read = read
        self._is_due = False
        self._last = ""

    def note(self, events: Iterable[EventRow]) -> None:
        """Whether any of the events may have taken a cause away."""
        if not self._is_due:
            self._is_due = any(
                event.kind is Kind.TOPOLOGY or (event.kind is Kind.ATTACHMENT and not event.body)
                for event in events
            )

    async def next(self, *, is_time: bool) -> tuple[str, ...]:
        """The next ones to be tried, if any are to be now."""
        if not (self._is_due or is_time or self._last):
            return ()
        self._is_due = False
        found = await self._read(self._last)
        self._last = found[-1] if found else ""
        return found
