"""Whose turn it is: each interface is worked on by one verb, or errand, at a time."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from netwright.agent.cni.failing import AGAIN
from netwright.agent.cni.records import Key
from netwright.cni.protocol import CniError, Code


class Turns:
    def __init__(self) -> None:
        self._busy: dict[Key, _Turn] = {}

    def is_busy(self, key: Key) -> bool:
        """Whether somebody works on it, or waits to."""
        return key in self._busy

    @asynccontextmanager
    async def alone(self, key: Key, *, until: float | None = None) -> AsyncIterator[None]:
        """Raises CniError when the turn does not come by then: nobody waits for it any more."""
        turn = self._busy.setdefault(key, _Turn())
        turn.waiting += 1
        turn.tell()
        try:
            await turn.come(key, until)
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            turn.waiting -= 1
            turn.tell()
            if not turn.waiting:
                del self._busy[key]

    async def unless_wanted(self, key: Key, work: Coroutine[Any, Any, object]) -> bool:
        """In one's turn: whether the work was done; else it was cancelled, as another waits.

        Raises what the work does.
        """
        working = asyncio.create_task(work, name="work of a turn")
        waited_for = asyncio.create_task(self._busy[key].wanted.wait(), name="a turn is waited for")
        both = working, waited_for
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.cancel()
            await asyncio.wait(both)
        if working.cancelled():
            return False
        working.result()
        return True


class _Turn:
    """Who works on one interface, and how many do or wait for it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0
        self.wanted = asyncio.Event()

    def tell(self) -> None:
        """Let who works know whether others wait."""
        if self.waiting > 1:
            self.wanted.set()
        else:
            self.wanted.clear()

    async def come(self, key: Key, until: float | None) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self.lock.acquire()
        except TimeoutError:
            raise CniError(
                Code.TRY_AGAIN,
                f"{key[1]} of container {key[0]} is still worked on for an earlier request",
                next=AGAIN,
            ) from None
