"""Brings a database's schema from one version to another: alembic, in one transaction.

    SQLite       the server's lock is taken: none may run
    PostgreSQL   the turn is taken: servers wait with their writes, but need not stop

On PostgreSQL a step waits for a lock no longer than `LOCK_S`, and no statement runs longer than
`STATEMENT_S`: rather nothing is changed than that the servers' requests queue behind it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from netwright.db.postgres import CONNECT_S, unavailable_when_gone
from netwright.db.postgres_transaction import TURN_KEY
from netwright.db.sqlite import connect
from netwright.model.errors import Unavailable
from netwright.server.store import migrations
from netwright.server.store.existing import place_of, require_file, sqlite_path
from netwright.server.store.opening import lock_of
from netwright.server.store.schema import SCHEMA_VERSION
from netwright.server.store.versions import UNNUMBERED, SchemaMismatch, require_known

LOCK_S = 2.0
STATEMENT_S = 15.0
STEPS = Path(migrations.__file__).parent / "versions"
_FIRST = "0001"
_UNNUMBERED_FIRST = "6"
"""What `meta.schema_version` said of the first revision's tables, before revisions were counted."""


class Migrated(NamedTuple):
    """Versions before (None: it was empty) and after."""

    before: str | None
    after: str


async def migrate(
    url: str, new_epoch: str, to: str = SCHEMA_VERSION, steps: Sequence[Path] = (STEPS,)
) -> Migrated:
    """Bring the database to version `to`; one that was empty is named `new_epoch`.

    Raises SchemaMismatch for a version that the steps do not know, DatabaseInUse, DatabaseNotFound,
    and Unavailable; then nothing was changed.
    """
    work = partial(_migrate, place=place_of(url), new_epoch=new_epoch, to=to, steps=steps)
    path = sqlite_path(url)
    try:
        if path is None:
            return await _on_postgres(url, work)
        return _on_sqlite(path, work)
    except DBAPIError as error:
        raise Unavailable(
            f"the database {place_of(url)} was not brought to version {to}: {error.orig}",
            next="nothing was changed; when no long transaction holds its tables, try again",
        ) from error


def _on_sqlite(path: Path, work: Callable[[Connection], Migrated]) -> Migrated:
    require_file(path)
    lock = lock_of(path)
    try:
        engine = create_engine("sqlite://", creator=lambda: connect(path), poolclass=NullPool)
        # Of itself the driver would begin no transaction before a CREATE TABLE.
        event.listen(engine, "begin", lambda it: it.exec_driver_sql("BEGIN IMMEDIATE"))
        with engine.begin() as connection:
            return work(connection)
    finally:
        lock.release()


async def _on_postgres(url: str, work: Callable[[Connection], Migrated]) -> Migrated:
    async def session() -> asyncpg.Connection:
        with unavailable_when_gone(url):
            settings = {
                "application_name": "netwright db upgrade",
                "lock_timeout": f"{LOCK_S:.0f}s",
                "statement_timeout": f"{STATEMENT_S:.0f}s",
            }
            return await asyncpg.connect(url, timeout=CONNECT_S, server_settings=settings)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=session, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": TURN_KEY})
        return await connection.run_sync(work)


def _migrate(
    connection: Connection, place: str, new_epoch: str, to: str, steps: Sequence[Path]
) -> Migrated:
    config = Config()
    config.set_main_option("script_location", _escaped(STEPS.parent))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(_escaped, steps)))
    config.attributes["connection"] = connection
    before = _version(connection)
    if before == UNNUMBERED:
        before = _number(connection, config, place)
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if before is not None and before not in known:
        require_known(before, place)
    if before is not None and before > to:
        command.downgrade(config, to)
    else:
        command.upgrade(config, to)
    if before is None:
        named = text("INSERT INTO meta (key, value) VALUES ('epoch', :epoch)")
        connection.execute(named, {"epoch": new_epoch})
    return Migrated(before, to)


def _version(connection: Connection) -> str | None:
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
        if found is not None:
            return str(found)
    return UNNUMBERED if "meta" in tables else None


def _number(connection: Connection, config: Config, place: str) -> str:
    """The first revision's number, for a database that was made before they were counted."""
    known = connection.scalar(text("SELECT value FROM meta WHERE key = 'schema_version'"))
    if known != _UNNUMBERED_FIRST:
        raise SchemaMismatch(
            f"the database {place} was made by a trial version of netwright (schema {known}), "
            "from which no step leads on",
            next="start the version that made it, or give the server an empty --database",
        )
    command.stamp(config, _FIRST)
    connection.execute(text("DELETE FROM meta WHERE key = 'schema_version'"))
    return _FIRST


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")
