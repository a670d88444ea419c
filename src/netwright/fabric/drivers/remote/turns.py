"""Who may write to this switch now: the connection that was opened last, a change at a time.

A file holds that connection's name, and is locked (flock) for the length of a turn: one change, or
one reading. A connection that opens writes its name without the lock, and then waits for it. So a
program that has not noticed yet that its connection is dead has no further turn once the next
connection is there, and that one begins after the change which was under way.
"""

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netwright.model.errors import DeviceError

TURN_S_MAX = 15.0
"""A change is a few operations, each bounded by some seconds."""

_POLL_S = 0.004


class Turns:
    """One connection's. Made when it opens: from then on, all older ones have had their turns.

    Blocks; `stop` may be called from another thread. Raises OSError when `directory` cannot be
    used, DeviceError when an older connection's change does not end.
    """

    def __init__(self, switch: str, directory: Path) -> None:
        self._switch = switch
        self._name = secrets.token_hex(8).encode()
        self._stopped = threading.Event()
        self._over = ""
        directory.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(directory / "turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.pwrite(self._descriptor, self._name, 0)
        with self._locked():
            pass

    @property
    def over(self) -> str:
        """Why no turn is given any more; "": they are."""
        return self._over

    def stop(self, why: str) -> None:
        """No further turn; one that has begun is ended by whoever has it."""
        self._over = self._over or why
        self._stopped.set()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Raises DeviceError when there are no more turns for this connection."""
        with self._locked():
            if os.pread(self._descriptor, len(self._name), 0) != self._name:
                self.stop("another connection to it was opened since")
            if self._over:
                raise self._refusal()
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        give_up = time.monotonic() + TURN_S_MAX
        while not self._try():
            if self._over:
                raise self._refusal()
            if time.monotonic() > give_up:
                raise DeviceError(
                    f"switch {self._switch}: a change of an earlier connection has not ended for "
                    f"{TURN_S_MAX:g} s. Look for processes `netwright switch serve` there."
                )
            self._stopped.wait(_POLL_S)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _refusal(self) -> DeviceError:
        return DeviceError(
            f"switch {self._switch}: {self._over}; what was under way stopped before its next "
            "change. What stands now is read back."
        )
