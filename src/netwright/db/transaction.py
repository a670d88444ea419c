"""What a store needs of its database, whichever it is.

SQL is written as PostgreSQL reads it, with `$1`, `$2`, … for parameters; the SQLite side translates
the few forms that it lacks (`sqlite.translate`). Two are ours, for sets of keys:

- `= ANY($1)`: one of a list of strings;
- `PAIRS($1)`: a relation with the columns `a` and `b`, from a list of pairs of strings.

Rows that a batch writes go by whole tables (`insert`, `upsert`, `update`, `delete`), since the two
databases want many rows at once in different ways.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import ClauseElement, Table

T = TypeVar("T")

Row: TypeAlias = tuple[Any, ...]


class KeyTaken(Exception):
    """A row with this unique key is in the table already; the transaction is lost."""


class Transaction(Protocol):
    """A transaction that is open; what it raises ends it. Not for use by several tasks at once."""

    async def rows(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """All rows of a statement."""

    async def row(self, sql: str, *parameters: Any) -> Row:
        """The row of a statement that has just one."""

    async def run(self, sql: str, *parameters: Any) -> None:
        """Run a statement whose rows, if any, do not matter."""

    async def select(self, statement: ClauseElement) -> Sequence[Row]:
        """All rows of a statement that was composed; sets of keys in it are `any_` of a list."""

    async def find(
        self, table: Table, columns: Sequence[str], keys: Sequence[Row], by: Sequence[str] = ()
    ) -> Sequence[Row]:
        """These columns of the rows with these primary keys; those that are not there are not.

        Or with these values of the columns named by `by`, which are a key of the table too.
        """

    async def last_bytes(
        self, table: Table, within: Row, ranges: Sequence[tuple[bytes, bytes]]
    ) -> Sequence[bytes]:
        """For each range, the last bytes of the keys in it, in any order.

        Of the rows whose primary key is `within`, then bytes in the range, both ends inside.
        """

    async def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Rows with all the table's columns, in order. Raises KeyTaken."""

    async def upsert(self, table: Table, rows: Sequence[Row]) -> None:
        """As `insert`; a row whose primary key is there takes the other's place."""

    async def update(self, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Rows of the primary key's values, then the columns'. Raises KeyTaken."""

    async def delete(self, table: Table, keys: Sequence[Row], by: Sequence[str] = ()) -> None:
        """The rows with these values of the primary key, or of the columns named by `by`."""

    async def take_turn(self) -> bool:
        """Wait until no other process writes; none will before this transaction has ended.

        Whether another may have written since the transaction began.
        """


Work: TypeAlias = Callable[[Transaction], Awaitable[T]]


class Database(Protocol):
    """A store's database. All methods raise `Unavailable` when it cannot be used."""

    async def write(self, work: Work[T], *, brief: bool = False) -> T:
        """Run `work` in a transaction that is durable when this returns.

        `brief`: it is a few rows' work, which a database may do without handing it on.
        """

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one snapshot of committed state."""

    async def select(self, statement: ClauseElement) -> Sequence[Row]:
        """As `read` with `Transaction.select` alone: a statement is a snapshot of its own."""

    async def aside(self, within: Transaction, work: Work[T]) -> T:
        """Run `work` on one snapshot, and commit it at once, before the transaction `within`.

        A database with one writer cannot: there it is done within, and undone with it.
        """

    async def close(self) -> None:
        """Wait for what runs, then let go of the database."""
