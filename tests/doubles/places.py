"""Where `tests.doubles.store.Store` keeps its tables: on either database, without an event loop."""

import asyncio
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

import asyncpg

from netwright.db.postgres_transaction import PostgresTransaction
from netwright.db.sqlite import SqliteTransaction, run_now
from netwright.db.transaction import Transaction
from netwright.server.store import schema

T = TypeVar("T")


class Place(Protocol):
    """An empty database of the server's. `run` waits for what its transaction does."""

    @property
    def tx(self) -> Transaction: ...
    def run(self, work: Coroutine[Any, Any, T]) -> T: ...
    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def plan(self, sql: str) -> str: ...
    def listening(self) -> AbstractContextManager[list[str]]: ...
    def close(self) -> None: ...


class SqlitePlace:
    """In memory."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        for statement in schema.sqlite_ddl():
            self.connection.execute(statement)

    @property
    def tx(self) -> SqliteTransaction:
        return SqliteTransaction(self.connection)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return run_now(work)

    def begin(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self.connection.execute("COMMIT")

    def plan(self, sql: str) -> str:
        """How the database would find the rows."""
        return str(self.connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """The statements that are executed meanwhile."""
        said: list[str] = []
        self.connection.set_trace_callback(said.append)
        yield said
        self.connection.set_trace_callback(None)


class PostgresPlace:
    """A database of its own, which the next test finds `emptied`."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._connection = self._wait(asyncpg.connect(url))
        for statement in schema.postgres_ddl():
            self._wait(self._connection.execute(statement))

    @property
    def tx(self) -> PostgresTransaction:
        return PostgresTransaction(self._connection)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def begin(self) -> None:
        self._wait(self._connection.execute("BEGIN"))

    def commit(self) -> None:
        self._wait(self._connection.execute("COMMIT"))

    def plan(self, sql: str) -> str:
        """How the database would find the rows if there were many."""
        self._wait(self._connection.execute("SET enable_seqscan = off"))
        return str(self._wait(self._connection.fetch(f"EXPLAIN {sql}")))

    def close(self) -> None:
        """The place outlives the stores that used it."""

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """The statements that are executed meanwhile; not what is written by COPY."""
        said: list[str] = []

        def hear(query: Any) -> None:
            said.append(query.query)

        self._connection.add_query_logger(hear)
        yield said
        self._connection.remove_query_logger(hear)

    def emptied(self) -> "PostgresPlace":
        """Itself, without its rows: DELETE, of so few quicker than TRUNCATE, makes no files."""
        self._wait(self._connection.execute("ROLLBACK"))
        names = [table.name for table in schema.metadata.sorted_tables]
        self._wait(self._connection.execute("; ".join(f"DELETE FROM {name}" for name in names)))
        return self

    def end(self) -> None:
        self._wait(self._connection.close())
        self._loop.close()

    def _wait(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)
