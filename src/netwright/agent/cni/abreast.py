"""Two things at once, which succeed or fail as one; and one thing, which is not broken off."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Gate:
    """What a thread waits for that the event loop comes to know, or gives up."""

    def __init__(self) -> None:
        self.is_open = False
        self._decided = threading.Event()

    def open(self) -> None:
        self.is_open = True
        self._decided.set()

    def give_up(self) -> None:
        """It stays as it is; who waits is let go."""
        self._decided.set()

    def wait(self) -> bool:
        """In the thread: whether it was opened. Whoever cancels gives up, and so it ends."""
        self._decided.wait()
        return self.is_open


async def both(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """What they return, when both have ended.

    Raises the error of the one that fails first, as it is, after the other was cancelled and has
    ended too: whoever undoes what they did comes after them.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(one)
            second = tasks.create_task(other)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return first.result(), second.result()


async def wholly(work: Coroutine[Any, Any, T]) -> T:
    """What it returns. It is waited for also when the caller is cancelled, however often."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()
