"""Network namespaces: make them, work in them, find who is in them, remove them.

A function that must act in a namespace runs in a thread of its own that enters it (setns is per
thread) and ends there. What such a thread makes stays there: a socket belongs to the namespace it
was made in whoever uses it later, and a child process starts in its parent thread's namespace. So
no process of the lab is ever seen outside its node.
"""

import ctypes
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from netwright.lab.errors import LabError

T = TypeVar("T")

FOLDER = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_MNT_DETACH = 2
_MS_BIND = 4096
_KILL_TIMEOUT_S = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


def create(names: Iterable[str]) -> None:
    """All of them in one go. Raises LabError, after which some may exist."""
    commands = "".join(f"netns add {name}\n" for name in names)
    done = subprocess.run(
        ["ip", "-batch", "-"], input=commands, text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        msg = f"lab: namespaces could not be made: {done.stderr.strip()}; this needs root"
        raise LabError(msg)


def existing(prefix: str) -> list[str]:
    return sorted(p.name for p in FOLDER.glob(f"{prefix}*")) if FOLDER.is_dir() else []


def delete(names: Iterable[str]) -> None:
    """Unmounts and unlinks; whatever interfaces are inside go with them. Absent ones are no error.

    A file without a mount (from a lab killed while it made one) goes as well.
    """
    for name in names:
        path = FOLDER / name
        _libc.umount2(os.fsencode(path), _MNT_DETACH)
        path.unlink(missing_ok=True)


def rename(name: str, new: str) -> None:
    """Names a namespace anew; `new` must be free. Raises LabError."""
    target = FOLDER / new
    target.touch()
    if _libc.mount(os.fsencode(FOLDER / name), os.fsencode(target), None, _MS_BIND, None) != 0:
        number = ctypes.get_errno()
        target.unlink()
        msg = f"lab: namespace {name} cannot be renamed to {new}: {os.strerror(number)}"
        raise LabError(msg)
    delete([name])


def enter(name: str) -> None:
    """Moves the calling thread. Raises LabError when there is no such namespace."""
    try:
        descriptor = os.open(FOLDER / name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        msg = f"lab: there is no namespace {name}; is its lab up? (netwright lab status)"
        raise LabError(msg) from None
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            msg = f"lab: namespace {name} cannot be entered: {os.strerror(number)}; this needs root"
            raise LabError(msg)
    finally:
        os.close(descriptor)


def run_in(name: str, function: Callable[[], T]) -> T:
    """The function's result, computed inside the namespace; its exceptions come out as they are."""
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            enter(name)
            results.append(function())
        except BaseException as error:  # noqa: BLE001 (raised again in the caller's thread)
            errors.append(error)

    thread = threading.Thread(target=work, name=f"in-{name}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def processes_in(names: Iterable[str]) -> list[int]:
    """Pids of the processes whose network namespace is one of these, this process excepted."""
    inodes = set()
    for name in names:
        try:
            status = (FOLDER / name).stat()
        except FileNotFoundError:
            continue
        inodes.add((status.st_dev, status.st_ino))
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                status = (entry / "ns/net").stat()
            except OSError:  # it ended, or it is one that even root may not look at
                continue
            if (status.st_dev, status.st_ino) in inodes:
                found.append(int(entry.name))
    return found


def kill_processes_in(names: list[str]) -> None:
    """SIGKILL until nobody is left, at most 10 s. Raises LabError with the pids that stay.

    The pidfd is opened before the second look, so a pid that was used anew meanwhile is spared.
    """
    give_up = time.monotonic() + _KILL_TIMEOUT_S
    while pids := processes_in(names):
        if time.monotonic() > give_up:
            msg = f"lab: processes {pids} do not end on SIGKILL (uninterruptible sleep?); look at "
            raise LabError(msg + "their /proc/PID/stack, then run netwright lab down again")
        descriptors = [opened for pid in pids if (opened := _pidfd(pid)) is not None]
        alive = set(processes_in(names))
        for pid, descriptor in descriptors:
            if pid in alive:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        for pid, descriptor in descriptors:
            wait_for_end(pid, descriptor, timeout_s=_KILL_TIMEOUT_S)
            os.close(descriptor)


def wait_for_end(pid: int, descriptor: int, *, timeout_s: float) -> bool:
    """True once the process has ended; reaps it if it is a child of ours."""
    ended = bool(select.select([descriptor], [], [], timeout_s)[0])
    if ended:
        with suppress(ChildProcessError):  # somebody else's child: they reap it
            os.waitpid(pid, os.WNOHANG)
    return ended


def _pidfd(pid: int) -> tuple[int, int] | None:
    try:
        return pid, os.pidfd_open(pid)
    except ProcessLookupError:
        return None
