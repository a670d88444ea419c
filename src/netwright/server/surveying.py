"""Counts now and then what leaves have left of what they can hold (ADR 30).

at start, after another inventory, and every COUNT_S ─▶ count ─▶ the next batches are decided by it
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import NoReturn

import structlog

from netwright.model.errors import Unavailable
from netwright.model.wire import Kind
from netwright.server.overlay.room import Room
from netwright.server.store.event_rows import EventRow

COUNT_S = 10.0
COST_MAX = 0.02
"""A count that takes long is made so seldom that it takes no more of the time than this."""

log = structlog.get_logger(__name__)


class Surveyor:
    """One process's. `read` counts, `learn` is told; `clock` counts seconds."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Room | None]],
        learn: Callable[[Room | None], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._learn = learn
        self._clock = clock
        self._due = asyncio.Event()

    def note(self, events: Iterable[EventRow]) -> None:
        """Events of the log: with another inventory it is counted at once."""
        if any(event.kind is Kind.TOPOLOGY for event in events):
            self._due.set()

    async def run(self) -> NoReturn:
        while True:
            self._due.clear()
            began = self._clock()
            try:
                self._learn(await self._read())
            except Unavailable as error:
                log.warning("leaves are not counted", why=error.message)
            except Exception:  # a defect of ours; who binds ports must go on
                log.exception("leaves are not counted")
            took_s = self._clock() - began
            with suppress(TimeoutError):
                async with asyncio.timeout(max(COUNT_S, took_s / COST_MAX)):
                    await self._due.wait()
