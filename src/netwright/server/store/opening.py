"""Opens the server's database: makes it on the first start, refuses what it does not know."""

import sqlite3
from pathlib import Path

from netwright.db.sqlite import SqliteDatabase
from netwright.model.errors import NetwrightError
from netwright.server.store.schema import SCHEMA_VERSION, sqlite_ddl


class SchemaMismatch(NetwrightError):
    """The database was made by another version of Netwright."""


def open_database(path: Path, new_epoch: str) -> tuple[SqliteDatabase, str]:
    """The database and its epoch: `new_epoch` if it is made now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database = SqliteDatabase(path)
    return database, database.write_now(lambda connection: _prepare(connection, path, new_epoch))


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
