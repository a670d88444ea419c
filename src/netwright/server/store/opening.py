"""Opens the server's database: makes it on the first start, refuses what it does not know.

A SQLite file has one server process: what another one commits, this one's watchers would never
hear of. The lock beside the file tells them apart.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from netwright.db.lock import FileLock, LockHeld
from netwright.db.postgres import PostgresDatabase, without_password
from netwright.db.sqlite import SqliteDatabase
from netwright.db.transaction import Database, Transaction
from netwright.model.errors import Category, NetwrightError, Unavailable
from netwright.model.resources import Host
from netwright.server.security.default_rules import at_first
from netwright.server.store import schema
from netwright.server.store.events import last_seq
from netwright.server.store.plain import row
from netwright.server.store.schema import postgres_ddl, sqlite_ddl
from netwright.server.store.segments import complete_segments
from netwright.server.store.upkeep import heard
from netwright.server.store.versions import (
    POSTGRES_HAS,
    READS_FROM_KEY,
    SQLITE_HAS,
    UNNUMBERED,
    reads_from,
    require_known,
    version_of,
)

SQLITE = "sqlite:///"

log = structlog.get_logger(__name__)


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
    if url.startswith(SQLITE):
        database, epoch = open_sqlite(Path(url.removeprefix(SQLITE)), new_epoch)
        return await database.read(partial(_beginning, database, epoch))
    return await _open_postgres(PostgresDatabase(url), new_epoch)


async def _open_postgres(database: PostgresDatabase, new_epoch: str) -> Opened:
    place = without_password(database.url)
    try:
        epoch = await database.write(partial(_prepare_postgres, place=place, new_epoch=new_epoch))
        return await database.read(partial(_beginning, database, epoch))
    except BaseException:
        await database.close()
        raise


async def _beginning(database: Database, epoch: str, tx: Transaction) -> Opened:
    decode = msgspec.json.Decoder(Host).decode
    hosts = [decode(body) for (body,) in await tx.rows("SELECT body FROM host")]
    return Opened(database, epoch, await last_seq(tx), hosts, await heard(tx))


def open_sqlite(path: Path, new_epoch: str) -> tuple[SqliteDatabase, str]:
    """The database file and its epoch. Raises as `open_store`."""
    database = SqliteDatabase(path, lock_of(path))
    try:
        if not path.exists():  # what projects have is nobody else's to read
            path.touch(mode=0o600)
        epoch = database.write_now(lambda tx: _prepare_sqlite(tx, str(path), new_epoch))
    except BaseException:
        database.close_now()
        raise
    return database, epoch


def lock_of(path: Path) -> FileLock:
    """The lock of a database file, which its server holds. Raises DatabaseInUse, Unavailable."""
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
    if await version_of(tx, SQLITE_HAS) is None:
        await _make(tx, sqlite_ddl(), new_epoch)
    return await _known(tx, SQLITE_HAS, place)


async def _prepare_postgres(tx: Transaction, place: str, new_epoch: str) -> str:
    await tx.take_turn()  # several servers may start at once
    if await version_of(tx, POSTGRES_HAS) is None:
        await _make(tx, postgres_ddl(), new_epoch)
    return await _known(tx, POSTGRES_HAS, place)


async def _make(tx: Transaction, ddl: Iterable[str], epoch: str) -> None:
    """As the migrations would, at once: a start need not load them (a test compares the two)."""
    for statement in ddl:
        await tx.run(statement)
    rules = [row(schema.default_security_group_rule, rule) for rule in at_first()]
    await tx.insert(schema.default_security_group_rule, rules)
    await tx.insert(schema.meta, [("epoch", epoch), (READS_FROM_KEY, schema.READS_FROM)])
    await tx.insert(schema.alembic_version, [(schema.SCHEMA_VERSION,)])


async def _known(tx: Transaction, has: str, place: str) -> str:
    """The epoch of a database whose tables are known, and whole. Raises SchemaMismatch."""
    version = await version_of(tx, has) or UNNUMBERED
    require_known(version, place, await reads_from(tx))
    if version > schema.SCHEMA_VERSION:
        known = schema.SCHEMA_VERSION
        log.warning("a newer schema allows this version", version=version, known=known)
    await complete_segments(tx)
    (epoch,) = await tx.row("SELECT value FROM meta WHERE key = 'epoch'")
    return str(epoch)
