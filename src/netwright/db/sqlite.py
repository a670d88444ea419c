"""SQLite as a durable store: one writer, a few reader threads, WAL, synchronous=FULL.

    write ──▶ brief, and the disk is quick? ─yes─▶ in the event loop's thread ─┐
                    └─no─▶ the writer thread, one after another ───────────────┴─▶ WAL long? ─▶
              checkpoint, in the writer thread

Readers see the last commit and never wait for the writer. To hand a lone write to a thread and back
takes longer than the write (`docs/adr/0009`): a brief one is done where it stands, as long as
writes take less than `QUICK_S`.
"""

import asyncio
import re
import sqlite3
import threading
import time
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog
from sqlalchemy import ClauseElement, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from netwright.db import statements
from netwright.db.lock import FileLock
from netwright.db.transaction import KeyTaken, Row, Transaction, Work
from netwright.db.worker import Worker
from netwright.model.errors import Unavailable

T = TypeVar("T")

_log = structlog.get_logger(__name__)

_dialect = sqlite.dialect(paramstyle="numeric_dollar")
_ANY = re.compile(r"= ANY ?\(\$(\d+)\)")
_PAIRS = re.compile(r"PAIRS\(\$(\d+)\)")
_LOCK = re.compile(r" FOR (UPDATE SKIP LOCKED|SHARE)")
_PLACE = re.compile(r"\$(\d+)")
BUSY_TIMEOUT_MS = 5_000
READERS = 2
WRITERS_CACHE_KB = 65_536
READERS_CACHE_KB = 8_192
"""Whatever another connection commits, a reader forgets all that it holds: more of it helps none
but a reader of what nobody writes to, whose pages the kernel has too."""

QUICK_S = 0.005
"""Writes that take longer are not for the event loop's thread, which others wait for."""

_LATELY = 8  # writes: one that is slow for once sends the next few to the thread

CHECKPOINT_ROWS = 500
"""After so many rows the write-ahead log is copied into the file: a row is one to three pages in
it, and SQLite's own measure, which stops the writer amid a commit, is 1000 pages."""

WAL_PAGES_MAX = 16_000
"""Where it does so all the same: rows may be large."""

_SYNCHRONOUS_FULL = 2


class SqliteTransaction:
    """`db.transaction.Transaction` on a connection that is in a transaction already.

    Its methods never wait for anything but the statement, so that `run_now` can run what uses it.
    Most tables of a batch have no rows to be written, and a statement without costs as much as one.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    async def rows(self, sql: str, *parameters: Any) -> Sequence[Row]:
        return self._execute(sql, parameters).fetchall()

    async def row(self, sql: str, *parameters: Any) -> Row:
        row: Row = self._execute(sql, parameters).fetchone()
        return row

    async def run(self, sql: str, *parameters: Any) -> None:
        self._execute(sql, parameters)

    async def select(self, statement: ClauseElement) -> Sequence[Row]:
        sql, bound = composed(statement)
        return self.connection.execute(sql, bound).fetchall()

    async def find(
        self, table: Table, columns: Sequence[str], keys: Sequence[Row], by: Sequence[str] = ()
    ) -> Sequence[Row]:
        sql = statements.sqlite_find(table, tuple(columns), tuple(by) or statements.key_of(table))
        found = (self.connection.execute(sql, key).fetchone() for key in keys)
        return [row for row in found if row is not None]

    async def last_bytes(
        self, table: Table, within: Row, ranges: Sequence[tuple[bytes, bytes]]
    ) -> Sequence[bytes]:
        sql = statements.sqlite_last_bytes(table)
        found = (self.connection.execute(sql, (*within, *ends)) for ends in ranges)
        return [b"".join(key[-1:] for (key,) in keys) for keys in found]

    async def insert(self, table: Table, rows: Sequence[Row]) -> None:
        if rows:
            self._execute_many(statements.sqlite_insert(table), rows)

    async def upsert(self, table: Table, rows: Sequence[Row]) -> None:
        if rows:
            self._execute_many(statements.sqlite_upsert(table), rows)

    async def update(self, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
        if rows:
            self._execute_many(statements.sqlite_update(table, tuple(columns)), rows)

    async def delete(self, table: Table, keys: Sequence[Row], by: Sequence[str] = ()) -> None:
        if keys:
            columns = tuple(by) or statements.key_of(table)
            self._execute_many(statements.sqlite_delete(table, columns), keys)

    async def take_turn(self) -> bool:
        """It is ours since the transaction began: SQLite has one writer."""
        return False

    def _execute(self, sql: str, parameters: Sequence[Any]) -> sqlite3.Cursor:
        return self.connection.execute(translate(sql), _bound(parameters))

    def _execute_many(self, sql: str, rows: Sequence[Row]) -> None:
        try:
            self.connection.executemany(sql, rows)
        except sqlite3.IntegrityError as error:
            raise KeyTaken(str(error)) from error


@cache
def translate(sql: str) -> str:
    """The statement as SQLite reads it: see `db.transaction` for what it may hold."""
    return _translated(sql)


def composed(statement: ClauseElement) -> tuple[str, Sequence[Any]]:
    """A statement that was composed, and its parameters, as SQLite reads them."""
    compiled = statement.compile(dialect=_dialect, compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, SQLCompiler)
    bound = [compiled.params[name] for name in compiled.positiontup or ()]
    return _translated(str(compiled)), _bound(bound)  # not `translate`: clients compose any number


def _translated(sql: str) -> str:
    sql = _ANY.sub(r"IN (SELECT value FROM json_each($\1))", sql)
    sql = _PAIRS.sub(r"(SELECT value ->> 0 AS a, value ->> 1 AS b FROM json_each($\1))", sql)
    return _PLACE.sub(r"?\1", _LOCK.sub("", sql))


def run_now(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing: in a thread that has no event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise AssertionError("work in a SQLite transaction waited for something else")


class _Locked(Exception):
    """Another program writes to the file."""


class SqliteDatabase:
    """One database file: `db.transaction.Database`.

    `Unavailable` is raised when the file cannot be used: locked for longer than `BUSY_TIMEOUT_MS`,
    disk full, no permission. A `lock` that comes with the file is released after the last
    connection has closed.
    """

    def __init__(self, path: Path, lock: FileLock | None = None) -> None:
        self._path = path
        self._lock = lock
        self._writer = Worker("sqlite-writer")
        self._written: sqlite3.Connection | None = None
        self._rows_in_place = 0
        self._busy_timeout_ms = BUSY_TIMEOUT_MS
        self._takes_s = 2 * QUICK_S  # lately; unknown yet
        self._checkpoint: asyncio.Future[None] | None = None
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._connections_lock = threading.Lock()

    async def write(self, work: Work[T], *, brief: bool = False) -> T:
        try:
            if brief and self._writer.is_idle and self._takes_s < QUICK_S:
                with suppress(_Locked):  # by another program: wait for it in the thread
                    return self._transact(work, busy_timeout_ms=0)
            return await self._writer.run(partial(self._transact, work))
        finally:
            self._keep_wal_short()

    async def read(self, work: Work[T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def select(self, statement: ClauseElement) -> Sequence[Row]:
        return await self.read(lambda tx: tx.select(statement))

    async def aside(self, within: Transaction, work: Work[T]) -> T:
        return await work(within)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.close_now)

    def write_now(self, work: Work[T]) -> T:
        """As `write`, in the calling thread: for start-up and tests."""
        result = self._transact(work)
        if self._wal_is_long():
            self._shorten_wal()
        return result

    def close_now(self) -> None:
        """As `close`, in the calling thread."""
        self._writer.close()
        self._readers.shutdown(wait=True)
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        if self._lock is not None:
            self._lock.release()

    def _transact(self, work: Work[T], busy_timeout_ms: int | None = None) -> T:
        """Never in two threads at once: here when the writer thread is idle, or there."""
        started = time.monotonic()
        try:
            with unavailable_when_broken(self._path):
                connection = self._writers_connection()
                waits_ms = BUSY_TIMEOUT_MS if busy_timeout_ms is None else busy_timeout_ms
                self._begin(connection, waits_ms)
                try:
                    result = _run(work, connection)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                return result
        finally:
            self._takes_s += (time.monotonic() - started - self._takes_s) / _LATELY

    def _begin(self, connection: sqlite3.Connection, busy_timeout_ms: int) -> None:
        """Raises _Locked when another program writes and there is no time to wait for it."""
        if busy_timeout_ms != self._busy_timeout_ms:
            connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
            self._busy_timeout_ms = busy_timeout_ms
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not busy_timeout_ms and error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise _Locked from error
            raise

    def _keep_wal_short(self) -> None:
        """Copy what is in the log to its place, in the writer thread, when nobody waits for it."""
        if self._checkpoint is None and self._wal_is_long():
            self._checkpoint = self._writer.start(self._shorten_wal)
            self._checkpoint.add_done_callback(self._checkpoint_ended)

    def _checkpoint_ended(self, checkpoint: asyncio.Future[None]) -> None:
        self._checkpoint = None
        if not checkpoint.cancelled() and (error := checkpoint.exception()) is not None:
            _log.warning("the database's log cannot be shortened; it grows", why=str(error))

    def _shorten_wal(self) -> None:
        connection = self._writers_connection()
        self._rows_in_place = connection.total_changes
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _wal_is_long(self) -> bool:
        if self._written is None:
            return False
        return self._written.total_changes - self._rows_in_place >= CHECKPOINT_ROWS

    def _read(self, work: Work[T]) -> T:
        with unavailable_when_broken(self._path):
            connection = self._readers_connection()
            connection.execute("BEGIN")
            try:
                return _run(work, connection)
            finally:
                connection.execute("ROLLBACK")

    def _writers_connection(self) -> sqlite3.Connection:
        if self._written is None:
            self._written = self._open()
            self._written.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES_MAX}")
        return self._written

    def _readers_connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._open(READERS_CACHE_KB)
        return connection

    def _open(self, cache_kb: int = WRITERS_CACHE_KB) -> sqlite3.Connection:
        connection = connect(self._path, cache_kb)
        with self._connections_lock:
            self._connections.append(connection)
        return connection


def _run(work: Work[T], connection: sqlite3.Connection) -> T:
    async def run() -> T:
        return await work(SqliteTransaction(connection))

    return run_now(run())


def _bound(parameters: Iterable[Any]) -> list[Any]:
    return [_json(each) if isinstance(each, list | set) else each for each in parameters]


def _json(keys: Iterable[Any]) -> str:
    return msgspec.json.encode(list(keys)).decode()


class unavailable_when_broken:  # noqa: N801 - reads as a phrase in `with`
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


def connect(path: Path, cache_kb: int = WRITERS_CACHE_KB) -> sqlite3.Connection:
    """A connection that keeps what it acknowledges; begin and commit are the caller's."""
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
    connection.execute(f"PRAGMA cache_size = -{cache_kb}")
    return connection
