"""Network namespaces, which a thread enters for the rest of its life (setns is per thread)."""

import _thread
import asyncio
import ctypes
import fcntl
import functools
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_NS_GET_NSTYPE = 0xB703
_OWN = Path("/proc/thread-self/ns/net")
_SO_NETNS_COOKIE, _COOKIE_BYTES = 71, 8
_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceGoneError(Exception):
    """There is no network namespace at that path (any more)."""


class NamespaceUnfitError(Exception):
    """What stands at that path is no container's network namespace."""


def opened(netns: str) -> BinaryIO:
    """Raises NamespaceGoneError."""

    def open_at_once(path: str, flags: int) -> int:
        return os.open(path, flags | os.O_NONBLOCK)  # whatever stands at that path

    try:
        return open(netns, "rb", buffering=0, opener=open_at_once)
    except OSError as error:
        raise NamespaceGoneError(f"{netns}: {error.strerror}") from error


def enter(namespace: BinaryIO) -> None:
    """Move the calling thread for the rest of its life."""
    if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        what = f"{namespace.name} cannot be entered: {os.strerror(number)}"
        raise OSError(number, what)


def require_containers(namespace: BinaryIO) -> None:
    """For a thread that is still in the host's. Raises NamespaceUnfitError."""
    try:
        kind = fcntl.ioctl(namespace, _NS_GET_NSTYPE)  # ioctl_ns(2)
    except OSError:
        kind = 0
    if kind != _CLONE_NEWNET:
        raise NamespaceUnfitError(f"{namespace.name} is no network namespace (any more)")
    if os.path.samestat(os.fstat(namespace.fileno()), _OWN.stat()):
        raise NamespaceUnfitError(f"{namespace.name} is the host's own network namespace")


def identity() -> str:
    """Which namespace the calling thread is in: the kernel gives its number to no other until boot.

    An inode's number, and a path, it gives anew.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as any_socket:
        cookie = any_socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, _COOKIE_BYTES)
    return f"{_boot()}/{int.from_bytes(cookie, sys.byteorder)}"


@functools.cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def begin_apart(work: Callable[[], T]) -> asyncio.Future[T]:
    """What `work` returns or raises, in a thread of its own: the kernel may keep it waiting."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            loop.call_soon_threadsafe(done.set_exception, error)
        else:
            loop.call_soon_threadsafe(done.set_result, result)

    _thread.start_new_thread(run, ())  # `Thread.start` waits until it runs, as would the loop
    return done


async def apart(work: Callable[[], T]) -> T:
    """As `begin_apart`, and waited for also when the caller is cancelled.

    Whoever undoes what it does must come after.
    """
    done = begin_apart(work)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        with suppress(Exception):
            await done
        raise
