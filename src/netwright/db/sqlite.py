"""SQLite as a durable store: one writer thread, a few reader threads, WAL, synchronous=FULL.

Readers see the last commit and never wait for the writer. Everything runs off the event loop.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from netwright.db.lock import FileLock
from netwright.model.errors import Unavailable

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000
READERS = 2
_SYNCHRONOUS_FULL = 2


class SqliteDatabase:
    """One database file. `write` and `read` run a function in a transaction.

    Raises `Unavailable` when the file cannot be used: locked for longer than `BUSY_TIMEOUT_MS`,
    disk full, no permission. `sqlite3.IntegrityError` is the caller's to understand. A `lock` that
    comes with the file is released after the last connection has closed.
    """

    def __init__(self, path: Path, lock: FileLock | None = None) -> None:
        self._path = path
        self._lock = lock
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._connections_lock = threading.Lock()

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction that is durable when this returns."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self.write_now, work)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on one snapshot of committed state."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def write_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `write`, in the calling thread: for start-up and tests."""
        with _unavailable_when_broken(self._path):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

    def close(self) -> None:
        for pool in (self._writer, self._readers):
            pool.shutdown(wait=True)
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        if self._lock is not None:
            self._lock.release()

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _unavailable_when_broken(self._path):
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("ROLLBACK")

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = _connect(self._path)
            self._local.connection = connection
            with self._connections_lock:
                self._connections.append(connection)
        return connection


class _unavailable_when_broken:  # noqa: N801 - reads as a phrase in `with`
    """Turns SQLite's operational errors into `Unavailable`; our own SQL mistakes pass."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.OperationalError) and "syntax" not in str(error):
            raise Unavailable(
                f"the database {self._path} cannot be used: {error}",
                next="nothing was changed; free disk space, end what holds the file, and try again",
            ) from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    if journal != "wal" or synchronous != _SYNCHRONOUS_FULL:
        raise Unavailable(
            f"the database {path} does not keep what it acknowledges: "
            f"journal_mode={journal}, synchronous={synchronous}",
            next="put it on a local file system that can do WAL and shared memory",
        )
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -65536")
    return connection
