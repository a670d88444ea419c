"""An errand: work that is done whenever it is asked for, and again later when it failed.

    idle ──wake, or its delay passed──▶ working ──done──▶ idle (until woken, or for a delay)
                                           └──NetwrightError──▶ idle (for the back-off's delay)

Wakes that come while it works are one: it works once more, on the state as it is then. Nothing is
queued, so there is nothing to lose.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog

from netwright.client.backoff import Backoff
from netwright.model.errors import NetwrightError, StaleEpoch

log = structlog.get_logger(__name__)


class Errand:
    """Runs `work`, which returns after how many seconds to work again unasked, or None.

    A NetwrightError of `work` is logged (once, while it stays the same) and tried again by
    `backoff`; StaleEpoch ends the errand, for the agent's life is over (law 3). `is_told` says
    whether an error is told of elsewhere, for all errands at once.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[float | None]],
        *,
        backoff: Backoff,
        jitter: Callable[[], float],
        is_told: Callable[[NetwrightError], bool] = lambda _error: False,
        ends_by: type[NetwrightError] = StaleEpoch,
    ) -> None:
        self.name = name
        self.trouble: NetwrightError | None = None
        """Why the last try failed; None when it did not."""
        self._work = work
        self._backoff = backoff
        self._jitter = jitter
        self._is_told = is_told
        self._ends_by = ends_by
        self._woken = asyncio.Event()
        self._failures = 0

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> NoReturn:
        delay_s: float | None = None
        while True:
            await self._wait(delay_s)
            self._woken.clear()
            try:
                delay_s = await self._work()
            except NetwrightError as error:
                if isinstance(error, self._ends_by):
                    raise
                delay_s = self._failed(error)
            else:
                self._succeeded()

    async def _wait(self, delay_s: float | None) -> None:
        if self._woken.is_set():
            return
        try:
            async with asyncio.timeout(delay_s):
                await self._woken.wait()
        except TimeoutError:
            return

    def _failed(self, error: NetwrightError) -> float:
        self._failures += 1
        delay_s = self._backoff.delay_s(self._failures, self._jitter())
        is_news = self.trouble is None or self.trouble.message != error.message
        if not self._is_told(error) and is_news:
            log.warning("failed", errand=self.name, why=error.message, next=error.next)
        self.trouble = error
        return delay_s

    def _succeeded(self) -> None:
        if self.trouble is not None:
            log.info("works again", errand=self.name, failures=self._failures)
        self.trouble = None
        self._failures = 0
