"""What /proc says that processes have used."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """What the process has used so far, in user and kernel mode."""
    user, kernel = _stat(pid)[11:13]
    return (int(user) + int(kernel)) / TICKS_PER_SECOND


def cpu_seconds_of_family(pid: int) -> float:
    """The process and its children, also those that have ended (proc(5), cutime)."""
    of_parent = sum(map(int, _stat(pid)[11:15])) / TICKS_PER_SECOND
    return of_parent + sum(cpu_seconds(child) for child in children(pid))


def children(pid: int) -> list[int]:
    """The process's living children."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(each) for task in tasks for each in (task / "children").read_text().split()]


def resident_megabytes(pid: int) -> float:
    return _megabytes(pid, "VmRSS")


def most_resident_megabytes(pids: Iterable[int]) -> float:
    """The most that any of the processes has ever had."""
    return max(_megabytes(pid, "VmHWM") for pid in pids)


def page_faults_of_children(pid: int) -> int:
    """Minor faults of all children that ended: any child at all adds to it (proc(5), cminflt)."""
    return int(_stat(pid)[8])


def _megabytes(pid: int, field: str) -> float:
    kibibytes = next(value for name, value in _status(pid) if name == f"{field}:")
    return int(kibibytes) * 1024 / 1e6


def _status(pid: int) -> Iterator[tuple[str, str]]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, value, *_ = [*line.split(), ""]
        yield name, value


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
