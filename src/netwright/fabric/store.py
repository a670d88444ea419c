"""The controller's own store: what it was told, up to which cursor, and what it did about it.

    told     kind, id → the value as JSON        one transaction with the cursor
    fact     cursor, form; single values
    settled  switch → what it was brought to, and in which of its lives
    step     the history, the oldest dropped

SQLite in WAL mode, synchronous FULL: what `save` has returned from is on disk. One process has it
(a lock beside it); `read_history` may be asked of another.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from netwright.client.mirror import Key
from netwright.db.lock import FileLock
from netwright.db.sqlite import connect, unavailable_when_broken
from netwright.db.worker import Worker
from netwright.fabric.config import SwitchConfig
from netwright.model.errors import NotFound
from netwright.model.kinds import VALUE_OF
from netwright.model.resources import Value
from netwright.model.wire import Kind

T = TypeVar("T")

STEPS_MAX = 200_000
"""Steps kept in all: a few minutes of the busiest fabric, weeks of a quiet one; 40 MB."""

STEPS_SHOWN_MAX = 1_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS told (
    kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled (
    switch TEXT PRIMARY KEY, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS step (
    number INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, at REAL NOT NULL,
    event TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS step_of_subject ON step (subject, number);
"""


class Step(Value, frozen=True, kw_only=True):
    """One entry of the history. `subject` is `NETWORK@HOST`, or a switch's name."""

    subject: str
    at: float
    event: str
    detail: str = ""


class Saved(Value, frozen=True, kw_only=True):
    """What was told. `cursor` None: a snapshot is needed, the rest may be planned from meanwhile.

    So it is for a new store, and for one that another release wrote, whose values may have lacked
    what this one's have.
    """

    cursor: str | None
    objects: Mapping[Kind, Mapping[str, Any]]


class Settled(Value, frozen=True, kw_only=True):
    """What a switch was brought to last, in which of its lives: what differs since is drift.

    `goal` is what it is being brought to, written before the first change: after a death amid the
    changes, what stands of them is not taken for somebody else's. `token` is that of the tenure
    whose word it is; with a higher one on the switch it is an old story. None: not known.
    """

    boot_id: str
    config: SwitchConfig
    goal: SwitchConfig | None = None
    token: int | None = None


class Runner(Protocol):
    """Where work is done: `db.worker.Worker`, a thread; in tests with virtual time, here."""

    async def run(self, work: Callable[[], T]) -> T: ...
    def close(self) -> None: ...


class Store:
    """`close` it at the end. All methods but `load` run in a thread of its own, in their order."""

    def __init__(self, path: Path, lock: FileLock, worker: Runner) -> None:
        self._path = path
        self._lock = lock
        self._worker = worker
        with unavailable_when_broken(path):
            self._connection = connect(path)
            self._connection.executescript(_SCHEMA)

    @classmethod
    def open(cls, directory: Path, worker: Runner | None = None) -> "Store":
        """Make it if need be. Raises LockHeld, Unavailable, OSError."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / "fabric.db"
        lock = FileLock.take(directory / "fabric.lock")
        try:
            return cls(path, lock, worker or Worker("store"))
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        self._worker.close()
        self._connection.close()
        self._lock.release()

    def load(self) -> Saved:
        """What is saved; what this release cannot read is left out, and asked for anew."""
        with unavailable_when_broken(self._path):
            facts = dict(self._connection.execute("SELECT name, value FROM fact").fetchall())
            rows = self._connection.execute("SELECT kind, id, body FROM told").fetchall()
        is_whole = facts.get("form") == _form()
        objects: dict[Kind, dict[str, Any]] = {}
        for kind, id_, body in rows:
            try:
                value = msgspec.json.decode(body, type=VALUE_OF[Kind(kind)])
            except ValueError:  # also a kind that is unknown here
                is_whole = False
            else:
                objects.setdefault(Kind(kind), {})[id_] = value
        return Saved(cursor=facts.get("cursor") if is_whole else None, objects=objects)

    def load_settled(self) -> Mapping[str, Settled]:
        with unavailable_when_broken(self._path):
            rows = self._connection.execute("SELECT switch, body FROM settled").fetchall()
        found = {}
        for switch, body in rows:
            try:
                found[switch] = msgspec.json.decode(body, type=Settled)
            except ValueError:
                continue  # another release's: what stands is read and planned anew
        return found

    async def save(
        self, cursor: str, changed: Mapping[Key, Value | None], steps: Sequence[Step] = ()
    ) -> None:
        """What became of resources (None: gone) up to the cursor, in one transaction."""
        gone = [key for key, value in changed.items() if value is None]
        held = [
            (kind, id_, msgspec.json.encode(value))
            for (kind, id_), value in changed.items()
            if value is not None
        ]
        facts = [("cursor", cursor), ("form", _form())]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM told WHERE kind = ? AND id = ?", gone)
            connection.executemany("INSERT OR REPLACE INTO told VALUES (?, ?, ?)", held)
            connection.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts)
            _write_steps(connection, steps)

        await self._transact(work)

    async def note(self, steps: Sequence[Step]) -> None:
        if steps:
            await self._transact(lambda connection: _write_steps(connection, steps))

    async def settle(self, switch: str, settled: Settled) -> None:
        row = (switch, msgspec.json.encode(settled))
        sql = "INSERT OR REPLACE INTO settled VALUES (?, ?)"
        await self._transact(lambda connection: connection.execute(sql, row))

    async def history(self, subject: str) -> Sequence[Step]:
        """The newest steps, the oldest of them first."""
        return await self._worker.run(lambda: _history(self._connection, subject))

    async def _transact(self, work: Callable[[sqlite3.Connection], object]) -> None:
        def transaction() -> None:
            with unavailable_when_broken(self._path):
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    work(self._connection)
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise

        await self._worker.run(transaction)


def read_history(directory: Path, subject: str) -> Sequence[Step]:
    """The history in a store that a controller may have open. Raises NotFound, Unavailable."""
    path = directory / "fabric.db"
    if not path.exists():
        raise NotFound(
            f"{directory} holds no fabric controller's store.",
            next="Ask on the machine where the controller runs; name its --state-directory.",
        )
    with (
        unavailable_when_broken(path),
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection,
    ):
        return _history(connection, subject)


def _history(connection: sqlite3.Connection, subject: str) -> Sequence[Step]:
    sql = "SELECT subject, at, event, detail FROM step WHERE subject = ? ORDER BY number DESC"
    rows = connection.execute(f"{sql} LIMIT {STEPS_SHOWN_MAX}", (subject,)).fetchall()
    return [
        Step(subject=subject, at=at, event=event, detail=detail)
        for subject, at, event, detail in reversed(rows)
    ]


def _write_steps(connection: sqlite3.Connection, steps: Iterable[Step]) -> None:
    rows = [(step.subject, step.at, step.event, step.detail) for step in steps]
    if not rows:
        return
    sql = "INSERT INTO step (subject, at, event, detail) VALUES (?, ?, ?, ?)"
    connection.executemany(sql, rows)
    (newest,) = connection.execute("SELECT max(number) FROM step").fetchone()
    connection.execute("DELETE FROM step WHERE number <= ?", (newest - STEPS_MAX,))


@cache
def _form() -> str:
    """Names the form of the values: another release's may have fields that were not saved."""
    _, components = msgspec.json.schema_components(VALUE_OF.values())
    return hashlib.sha256(msgspec.json.encode(components, order="sorted")).hexdigest()
