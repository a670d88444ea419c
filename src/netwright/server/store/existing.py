"""The database that a person's command is about: it must be there already.

Commands read it beside a running server; those that must be alone take its lock or its turn.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from netwright.db.postgres import PostgresDatabase, without_password
from netwright.db.sqlite import SqliteDatabase
from netwright.db.transaction import Database
from netwright.model.errors import NotFound
from netwright.server.store.opening import SQLITE
from netwright.server.store.versions import POSTGRES_HAS, SQLITE_HAS


class DatabaseNotFound(NotFound):
    """There is no such file, or it holds nothing of Netwright's."""


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL; None for PostgreSQL."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def place_of(url: str) -> str:
    """The database as people are told of it."""
    return str(sqlite_path(url) or without_password(url))


def has_of(url: str) -> str:
    """How to ask it for a table: see `versions.version_of`."""
    return POSTGRES_HAS if sqlite_path(url) is None else SQLITE_HAS


def require_file(path: Path) -> None:
    """Raises DatabaseNotFound: opening it would make an empty one."""
    if not path.is_file():
        raise DatabaseNotFound(
            f"there is no database {path}",
            next="name the server's by --database, or by --config the file that names it",
        )


def nothing_there(url: str) -> DatabaseNotFound:
    return DatabaseNotFound(
        f"the database {place_of(url)} is empty",
        next="name another by --database; a server makes its own at its first start",
    )


@asynccontextmanager
async def existing(url: str) -> AsyncIterator[Database]:
    """The database, for reading. Raises DatabaseNotFound for a file that is not there."""
    path = sqlite_path(url)
    database: Database
    if path is None:
        database = PostgresDatabase(url)
    else:
        require_file(path)
        database = SqliteDatabase(path)
    try:
        yield database
    finally:
        await database.close()
