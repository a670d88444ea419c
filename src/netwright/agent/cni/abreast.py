"""Two things at once, which succeed or fail as one; and one thing, which is not broken off."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Gate(Generic[T]):
    """What one thread waits for that the event loop comes to know, or gives up."""

    def __init__(self) -> None:
        self.word: T | None = None
        """What it was opened with; None when it was given up first."""
        self._is_decided = False
        self._decided = threading.Lock()
        self._decided.acquire()

    def open(self, word: T) -> None:
        if not self._is_decided:
            self.word = word
            self.give_up()

    def give_up(self) -> None:
        if not self._is_decided:
            self._is_decided = True
            self._decided.release()

    def wait(self) -> T | None:
        """In the thread: the word."""
        self._decided.acquire()
        return self.word


async def both(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """What they return, when both have ended. `one` is awaited here, and so goes on at once.

    Raises the error of the one that fails first, as it is, after the other was cancelled and has
    ended too: whoever undoes what they did comes after them. `one` must let a cancel pass.
    """
    failed_first: Exception | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            second = tasks.create_task(other)
            try:
                first = await one
            except Exception as error:
                failed_first = None if second.done() else error
                raise
    except BaseExceptionGroup as group:
        raise (failed_first or group.exceptions[0]) from None
    return first, second.result()


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
