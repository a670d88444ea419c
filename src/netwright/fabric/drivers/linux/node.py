"""A switch's namespaces: of a process of this machine, entered by /proc/PID, or this machine's own.

An interface lives in a network namespace, and a namespace lives as long as a socket in it is open:
sockets are therefore opened for one task and closed with it. Everything here blocks, and moves the
thread that calls it: it belongs in a thread of the driver's own.
"""

import ctypes
import errno
import os
import socket
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from netwright.linux import links
from netwright.linux.netlink import Netlink

T = TypeVar("T")

_CLONE_FS, _CLONE_NEWNS, _CLONE_NEWNET = 0x200, 0x20000, 0x40000000
_MS_BIND, _MNT_DETACH = 4096, 2
_START_TIME_FIELD = 19  # of /proc/PID/stat after the name, see proc(5)
_NAMES = Path("/run/netns")
_NFT = "/usr/sbin/nft"
_NFT_S = 5.0

_libc = ctypes.CDLL(None, use_errno=True)


class Node(ABC):
    """What a driver reaches a switch by.

    `frr` holds the daemons' vty sockets. `hold` names the host ports that the switch left down when
    it started, until it is complete. `where` says in a message where it was looked for.
    """

    def __init__(self, *, frr: Path, hold: Path, where: str) -> None:
        self.frr = frr
        self.hold = hold
        self.where = where

    @abstractmethod
    def boot_id(self) -> str:
        """Another one each time that the switch starts. Raises OSError or ValueError."""

    @abstractmethod
    def _own(self) -> Path:
        """The switch's own network namespace."""

    @abstractmethod
    def _folder(self) -> Path:
        """Where zebra finds the namespaces that are VRFs, as seen from here."""

    @abstractmethod
    def _enter_mounts(self) -> None:
        """Moves the calling thread to where zebra sees what it mounts; there is no way back."""

    def namespaces(self) -> list[str]:
        """Those that zebra sees as VRFs, whoever made them."""
        return sorted(each.name for each in self._folder().iterdir())

    def open_namespace(self, name: str) -> int:
        """A descriptor; "" is the switch's own. Raises FileNotFoundError."""
        path = self._own() if not name else self._folder() / name
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def open_netlink(self, name: str, protocol: int = socket.NETLINK_ROUTE) -> Netlink:
        """Moves the calling thread there."""
        self.enter(name)
        return Netlink(protocol)

    def enter(self, name: str) -> None:
        descriptor = self.open_namespace(name)
        try:
            _check(_libc.setns(descriptor, _CLONE_NEWNET), f"entering namespace {name or 'own'}")
        finally:
            os.close(descriptor)

    def nft(self, name: str, *arguments: str, said: str = "") -> str:
        """What nft says in JSON in a namespace. Moves the calling thread. Raises OSError."""
        self.enter(name)
        try:
            done = subprocess.run(
                [_NFT, "-j", *arguments],
                input=said,
                capture_output=True,
                text=True,
                timeout=_NFT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OSError(errno.ETIMEDOUT, f"nft does not end within {_NFT_S:.0f} s") from error
        if done.returncode != 0:
            raise OSError(errno.EINVAL, f"nft: {done.stderr.strip()[:500]}")
        return done.stdout

    def add_namespace(self, name: str, settings: Mapping[str, str], alias: str) -> None:
        """Named in the switch's own mount namespace once it is as it shall be.

        `settings` are files below /proc/sys/net; those that the kernel does not have are left out.
        `alias` is the loopback's, which is up.
        """
        path = str(_NAMES / name)

        def work() -> None:
            self._enter_mounts()
            _check(_libc.unshare(_CLONE_NEWNET), f"a namespace {name}")
            for setting, value in settings.items():
                with suppress(FileNotFoundError):
                    Path("/proc/sys/net", setting).write_text(value)
            with Netlink() as netlink:
                netlink.tell([links.set_link(1, "loopback", up=True, alias=alias)])
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
            source = b"/proc/thread-self/ns/net"
            done = _libc.mount(source, path.encode(), b"none", _MS_BIND, None)
            if done != 0:
                number = ctypes.get_errno()
                Path(path).unlink()
                raise OSError(number, f"naming namespace {name}: {os.strerror(number)}")

        _in_thread(work)

    def remove_namespace(self, name: str) -> None:
        """Its name goes; it goes itself with whoever uses it last."""

        def work() -> None:
            self._enter_mounts()
            path = _NAMES / name
            _libc.umount2(os.fsencode(path), _MNT_DETACH)
            path.unlink()

        _in_thread(work)


class ProcessNode(Node):
    """`directory` has a file `pid`: who it names is the switch, as long as it lives."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            frr=directory / "frr", hold=directory / "hold", where=f"at local:{directory}"
        )
        self.directory = directory

    def pid(self) -> int:
        """Raises OSError or ValueError when there is no switch, or none of its own namespaces."""
        pid = int((self.directory / "pid").read_text())
        for kind in ("net", "mnt"):
            theirs, ours = Path(f"/proc/{pid}/ns/{kind}"), Path(f"/proc/thread-self/ns/{kind}")
            if kind == "mnt" and theirs.stat().st_ino == ours.stat().st_ino:
                msg = f"process {pid} has no mount namespace of its own"
                raise OSError(errno.EINVAL, msg)
        return pid

    def boot_id(self) -> str:
        pid = self.pid()
        return f"{pid}-{_started(pid)}"

    def _own(self) -> Path:
        return Path(f"/proc/{self.pid()}/ns/net")

    def _folder(self) -> Path:
        return Path(f"/proc/{self.pid()}/root/run/netns")

    def _enter_mounts(self) -> None:
        descriptor = os.open(f"/proc/{self.pid()}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.unshare(_CLONE_FS), "a root directory of the thread's own")
            _check(_libc.setns(descriptor, _CLONE_NEWNS), "entering the switch's mount namespace")
        finally:
            os.close(descriptor)


class ThisMachine(Node):
    """The machine, or container, that this process runs on. `state` is a directory of ours."""

    def __init__(self, state: Path, frr: Path = Path("/run/frr")) -> None:
        super().__init__(frr=frr, hold=state / "hold", where="on its own machine")

    def boot_id(self) -> str:
        """The kernel's, and when the first process began: a container starts anew by itself."""
        kernel = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{kernel}-{_started(1)}"

    def namespaces(self) -> list[str]:
        """None where nobody has made any yet."""
        return super().namespaces() if _NAMES.exists() else []

    def _own(self) -> Path:
        return Path("/proc/self/ns/net")  # the first thread's, which never moves

    def _folder(self) -> Path:
        return _NAMES

    def _enter_mounts(self) -> None:
        """It is there. The directory is made as ip(8) would; zebra finds it at its own start."""
        _NAMES.mkdir(mode=0o755, exist_ok=True)


def _started(pid: int) -> str:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[_START_TIME_FIELD]


def _in_thread(work: Callable[[], None]) -> None:
    """In a thread that ends afterwards, since there is no way back from a mount namespace."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (raised again in the caller's thread)
            errors.append(error)

    thread = threading.Thread(target=guarded, name="in-switch")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
