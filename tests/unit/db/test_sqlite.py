"""Where a write is made: in the event loop's thread when it is brief and the disk is quick."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from netwright.db import sqlite
from netwright.db.sqlite import CHECKPOINT_ROWS, QUICK_S, SqliteDatabase
from netwright.db.transaction import Transaction
from netwright.model.errors import Unavailable


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    one = SqliteDatabase(tmp_path / "x.db")
    await one.write(lambda tx: tx.run("CREATE TABLE t (n INTEGER)"))
    yield one
    await one.close()


async def thread_of(database: SqliteDatabase, *, brief: bool) -> int:
    async def work(tx: Transaction) -> int:
        await tx.run("INSERT INTO t VALUES (1)")
        return threading.get_ident()

    return await database.write(work, brief=brief)


async def rows(database: SqliteDatabase) -> int:
    (count,) = await database.read(lambda tx: tx.row("SELECT count(*) FROM t"))
    assert isinstance(count, int)
    return count


async def test_what_is_acknowledged_is_kept(database: SqliteDatabase) -> None:
    """WAL and synchronous=FULL (2), for the connection that writes."""
    connection = database._writers_connection()
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    assert (journal, synchronous) == ("wal", 2)


async def test_a_brief_write_is_made_here_while_writes_are_quick(database: SqliteDatabase) -> None:
    here = threading.get_ident()
    database._takes_s = QUICK_S / 2
    assert await thread_of(database, brief=True) == here
    assert await thread_of(database, brief=False) != here
    database._takes_s = QUICK_S * 2
    assert await thread_of(database, brief=True) != here
    assert await rows(database) == 3


async def test_a_new_database_begins_with_the_thread_and_one_slow_write_returns_to_it(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = threading.get_ident()
    assert await thread_of(database, brief=True) != here
    monkeypatch.setattr(sqlite, "QUICK_S", 3600.0)
    assert await thread_of(database, brief=True) == here
    monkeypatch.setattr(sqlite, "QUICK_S", 0.0)  # any write is slow now
    assert await thread_of(database, brief=True) != here


async def test_a_brief_write_does_not_overtake_what_the_thread_does(
    database: SqliteDatabase,
) -> None:
    go, order = threading.Event(), []

    async def long(tx: Transaction) -> None:
        assert go.wait(10)
        await tx.run("INSERT INTO t VALUES (1)")
        order.append("long")

    async def short(tx: Transaction) -> None:
        await tx.run("INSERT INTO t VALUES (2)")
        order.append("short")

    database._takes_s = 0.0
    first = asyncio.create_task(database.write(long))
    await asyncio.sleep(0)
    second = asyncio.create_task(database.write(short, brief=True))
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(first, second)
    assert order == ["long", "short"]


async def test_a_write_that_fails_leaves_nothing_wherever_it_was_made(
    database: SqliteDatabase,
) -> None:
    async def fail(tx: Transaction) -> None:
        await tx.run("INSERT INTO t VALUES (1)")
        raise LookupError

    for takes_s in (0.0, 1.0):
        database._takes_s = takes_s
        with pytest.raises(LookupError):
            await database.write(fail, brief=True)
    assert await rows(database) == 0


async def fill(database: SqliteDatabase) -> None:
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) "
    await database.write(lambda tx: tx.run(f"{many}INSERT INTO t SELECT i FROM n", 10_000))


async def test_the_log_is_copied_into_the_file_in_the_writer_thread(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    path = tmp_path / "x.db"
    before = path.stat().st_size
    for _ in range(CHECKPOINT_ROWS - 1):
        await thread_of(database, brief=True)
    assert path.stat().st_size == before
    await fill(database)
    await database.write(lambda tx: tx.row("SELECT 1"))  # comes after the checkpoint
    assert path.stat().st_size > before + 10_000


async def test_a_log_that_cannot_be_shortened_stops_no_write(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(database, "_shorten_wal", broken)
    with capture_logs() as lines:
        await fill(database)
        await thread_of(database, brief=True)
        assert await rows(database) == 10_001
    assert {line["why"] for line in lines} == {"disk I/O error"}


async def test_a_locked_file_is_unavailable_wherever_the_write_is_made(
    database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 10)
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for takes_s in (0.0, 1.0):
        database._takes_s = takes_s
        with pytest.raises(Unavailable, match="locked"):
            await thread_of(database, brief=True)
    other.execute("ROLLBACK")
    other.close()
    await thread_of(database, brief=True)
    assert await rows(database) == 1


async def test_the_event_loop_does_not_wait_for_another_programs_lock(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    database._takes_s = 0.0
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(thread_of(database, brief=True))
    await asyncio.sleep(0)  # it comes back at once, and the lock is still held
    assert not writing.done()
    other.execute("ROLLBACK")
    other.close()
    assert await writing != threading.get_ident()
    assert await rows(database) == 1


async def test_large_rows_do_not_make_the_log_endless(
    database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WAL_PAGES_MAX", 100)
    small = SqliteDatabase(tmp_path / "y.db")
    await small.write(lambda tx: tx.run("CREATE TABLE t (n BLOB)"))
    for _ in range(20):
        await small.write(lambda tx: tx.run("INSERT INTO t VALUES (zeroblob(200000))"))
    assert (tmp_path / "y.db-wal").stat().st_size < 2_000_000
    await small.close()
