"""Opens the server's database: makes it on the first start, refuses what it does not know.

A SQLite file has one server process: what another one commits, this one's watchers would never
hear of. The lock beside the file tells them apart.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from netwright.db.lock import FileLock, LockHeld
from netwright.db.postgres import PostgresDatabase, without_password
from netwright.db.sqlite import SqliteDatabase
from netwright.db.transaction import Database, Transaction
from netwright.model.errors import Category, NetwrightError, Unavailable
from netwright.model.resources import Host
from netwright.server.store import schema
from netwright.server.store.events import last_seq
from netwright.server.store.schema import postgres_ddl, sqlite_ddl
from netwright.server.store.upkeep import heard

SQLITE = "sqlite:///"


class SchemaMismatch(NetwrightError):
    """The database was made by another version of Netwright."""


class DatabaseInUse(NetwrightError):
    """Another server process has the database."""

    category = Category.CONFLICT


class Opened(NamedTuple):
    """A database that is ready, and what a server begins with: `last_seq` of its events, hosts."""

    database: Database
    epoch: str
    last_seq: int
    hosts: list[Host]
    heard: dict[str, float]


async def open_store(url: str, new_epoch: str) -> Opened:
    """The database at `sqlite:///PATH` or `postgresql://…`; an empty one is made the server's.

    `new_epoch` names it then. Raises DatabaseInUse, SchemaMismatch, and Unavailable when it cannot
    be used.
    """
    database: Database
    if url.startswith(SQLITE):
        path = Path(url.removeprefix(SQLITE))
        database, epoch = open_sqlite(path, new_epoch)
    else:
        database = PostgresDatabase(url)
        epoch = await database.write(
            partial(_prepare_postgres, place=without_password(url), new_epoch=new_epoch)
        )
    return await database.read(partial(_beginning, database, epoch))


async def _beginning(database: Database, epoch: str, tx: Transaction) -> Opened:
    decode = msgspec.json.Decoder(Host).decode
    hosts = [decode(body) for (body,) in await tx.rows("SELECT body FROM host")]
    return Opened(database, epoch, await last_seq(tx), hosts, await heard(tx))


def open_sqlite(path: Path, new_epoch: str) -> tuple[SqliteDatabase, str]:
    """The database file and its epoch. Raises as `open_store`."""
    database = SqliteDatabase(path, _lock(path))
    try:
        epoch = database.write_now(lambda tx: _prepare_sqlite(tx, str(path), new_epoch))
    except BaseException:
        database.close_now()
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


async def _prepare_sqlite(tx: Transaction, place: str, new_epoch: str) -> str:
    (made,) = await tx.row("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'")
    if not made:
        await _make(tx, sqlite_ddl(), new_epoch)
    return await _epoch(tx, place)


async def _prepare_postgres(tx: Transaction, place: str, new_epoch: str) -> str:
    await tx.take_turn()  # several servers may start at once
    (made,) = await tx.row("SELECT to_regclass('meta') IS NOT NULL")
    if not made:
        await _make(tx, postgres_ddl(), new_epoch)
    return await _epoch(tx, place)


async def _make(tx: Transaction, ddl: Iterable[str], epoch: str) -> None:
    for statement in ddl:
        await tx.run(statement)
    await tx.insert(schema.meta, [("schema_version", schema.SCHEMA_VERSION), ("epoch", epoch)])


async def _epoch(tx: Transaction, place: str) -> str:
    """The database's epoch. Raises SchemaMismatch."""
    known: dict[str, str] = dict(await tx.rows("SELECT key, value FROM meta"))
    version = known.get("schema_version")
    if version != schema.SCHEMA_VERSION:
        raise SchemaMismatch(
            f"the database {place} has schema version {version}; "
            f"this server knows {schema.SCHEMA_VERSION}",
            next="start the version of netwright that made it, or give another --database",
        )
    return str(known["epoch"])
