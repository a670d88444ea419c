"""Two things at once, which succeed or fail as one; and one thing, which is not broken off."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def both(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, object]) -> T:
    """What `one` returns, when both have ended.

    Raises the error of the one that fails first, as it is, after the other was cancelled and has
    ended too: whoever undoes what they did comes after them.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(one)
            tasks.create_task(other)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return first.result()


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
