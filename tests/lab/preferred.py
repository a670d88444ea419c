"""A lab's processes before all others of the machine: for what is measured in milliseconds.

What a guest's move takes is one process after another that waits for a core. Others on the machine
are no part of it. Linux shares cores out by sessions first (autogroup, sched(7)), of which most
processes of a lab have one each, and by niceness within one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from netwright.lab.state import Lab, namespace_prefix

_FIRST, _AS_OTHERS = -15, 0
_NAMED = Path("/run/netns")


@contextmanager
def preferred(lab: Lab) -> Iterator[None]:
    """Those that run now, and this test itself; afterwards as others again."""
    _set(_processes(lab), _FIRST)
    try:
        yield
    finally:
        _set(_processes(lab), _AS_OTHERS)


def _processes(lab: Lab) -> list[int]:
    prefix = namespace_prefix(lab.name)
    ours = {one.stat().st_ino for one in _NAMED.iterdir() if one.name.startswith(prefix)}
    found = [os.getpid()]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if (process / "ns/net").stat().st_ino in ours:
                found.append(int(process.name))
    return found


def _set(processes: list[int], nice: int) -> None:
    for pid in processes:
        with suppress(OSError):  # it has ended, or its kernel has no autogroups
            Path(f"/proc/{pid}/autogroup").write_text(str(nice))
