"""One process at a time: a lock on a file, which ends with its holder however that ends."""

import fcntl
import os
from pathlib import Path
from typing import Self

from netwright.model.errors import Category, NetwrightError


class LockHeld(NetwrightError):
    """Another process holds the lock."""

    category = Category.CONFLICT

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is locked by {holder}", next="end that process first")
        self.holder = holder


class FileLock:
    """An exclusive flock(2) on a file of its own, from `take` until `release`.

    The file stays, with its last holder's process id in it: removing it would let two processes
    lock two files of one name.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self:
        """Lock the file without waiting. Raises LockHeld and OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise LockHeld(path, f"process {holder or 'unknown'}") from None
        except OSError:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
