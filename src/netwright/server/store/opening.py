"""Opens the server's database: makes it on the first start, refuses what it does not know.

A SQLite file has one server process: what another one commits, this one's watchers would never
hear of. The lock beside the file tells them apart.
"""

import sqlite3
from pathlib import Path

from netwright.db.lock import FileLock, LockHeld
from netwright.db.sqlite import SqliteDatabase
from netwright.model.errors import Category, NetwrightError, Unavailable
from netwright.server.store.schema import SCHEMA_VERSION, sqlite_ddl


class SchemaMismatch(NetwrightError):
    """The database was made by another version of Netwright."""


class DatabaseInUse(NetwrightError):
    """Another server process has the database."""

    category = Category.CONFLICT


def open_database(path: Path, new_epoch: str) -> tuple[SqliteDatabase, str]:
    """The database and its epoch: `new_epoch` if it is made now.

    Raises DatabaseInUse, SchemaMismatch, and Unavailable when the file cannot be used.
    """
    database = SqliteDatabase(path, _lock(path))
    try:
        epoch = database.write_now(lambda connection: _prepare(connection, path, new_epoch))
    except BaseException:
        database.close()
        raise
    return database, epoch


def _lock(path: Path) -> FileLock:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock.take(path.with_name(f"{path.name}-lock"))
    except LockHeld as error:
        raise DatabaseInUse(
            f"the database {path} is in use by another netwright server, {error.holder}",
            next="stop that one first, or give this one another --database",
        ) from error
    except OSError as error:
        raise Unavailable(
            f"the database {path} cannot be used: {error.strerror}",
            next="give the server a --database in a directory that it may write to",
        ) from error


def _prepare(connection: sqlite3.Connection, path: Path, new_epoch: str) -> str:
    sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'"
    (made,) = connection.execute(sql).fetchone()
    if not made:
        for statement in sqlite_ddl():
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO meta (key, value) VALUES (?, ?)",
            [("schema_version", SCHEMA_VERSION), ("epoch", new_epoch)],
        )
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    version = meta.get("schema_version")
    if version != SCHEMA_VERSION:
        raise SchemaMismatch(
            f"the database {path} has schema version {version}; this server knows {SCHEMA_VERSION}",
            next="start the version of netwright that made it, or give another --database",
        )
    return str(meta["epoch"])
