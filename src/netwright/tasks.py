"""Where the tasks of this process wait: for a dump of its state."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

TASKS_NAMED_MAX = 40
_OURS = Path(__file__).parent


def waiting() -> list[str]:
    """`NAME at FILE:LINE` of every task but the current, in the order of their names; bounded.

    Those that have the same name and place, as idle connections have, are one line.
    """
    places = Counter(_place(task) for task in asyncio.all_tasks() if not task.done())
    found = [
        place if number == 1 else f"{place}, {number} of them"
        for place, number in sorted(places.items())
    ]
    more = len(found) - TASKS_NAMED_MAX
    return found[:TASKS_NAMED_MAX] + ([f"and {more} more"] if more > 0 else [])


def _place(task: asyncio.Task[Any]) -> str:
    """The innermost place in our own code; in others' when it is all theirs."""
    coroutine: Any = task.get_coro()
    place, is_ours = "its start", False
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        file = Path(frame.f_code.co_filename)
        if _OURS in file.parents or not is_ours:
            place, is_ours = f"{file.name}:{frame.f_lineno}", _OURS in file.parents
        coroutine = coroutine.cr_await
    return f"{task.get_name()} at {place}"
