"""The migrations lead from any version to the schema that the server's code is for, and back."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from tests.doubles.filled import filled
from tests.doubles.postgres import Postgres
from tests.doubles.sql import catalog, execute

from netwright.model.errors import Unavailable
from netwright.server.core import Core
from netwright.server.store import migrating
from netwright.server.store.checking import check
from netwright.server.store.existing import DatabaseNotFound
from netwright.server.store.migrating import STEPS, Migrated, migrate
from netwright.server.store.opening import DatabaseInUse
from netwright.server.store.schema import SCHEMA_VERSION
from netwright.server.store.versions import SchemaMismatch

# What a next version might bring: a column with a value for what is there, and an index.
_NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{SCHEMA_VERSION}"


def upgrade() -> None:
    op.add_column("port", sa.Column("weight", sa.Integer(), nullable=True))
    op.execute("UPDATE port SET weight = length(id)")
    op.create_index("port_weight", "port", ["weight"])


def downgrade() -> None:
    op.drop_index("port_weight")
    op.drop_column("port", "weight")
"""
_FAILS = _NEXT.replace('op.create_index("port_weight"', 'op.create_index("port_mac"')


def _step(directory: Path, text: str) -> tuple[Path, ...]:
    directory.mkdir(exist_ok=True)
    (directory / "v9999_next.py").write_text(text)
    return STEPS, directory


def _empty(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch()


def test_the_newest_step_is_the_schemas_version_and_the_steps_are_one_line() -> None:
    config = Config()
    config.set_main_option("script_location", str(STEPS.parent))
    config.set_main_option("path_separator", "newline")
    steps = ScriptDirectory.from_config(config)
    assert steps.get_heads() == [SCHEMA_VERSION]
    names = [step.revision for step in steps.walk_revisions()]
    assert names == sorted(names, reverse=True)
    assert all(len(name) == 4 and name.isdigit() for name in names)


async def test_from_empty_they_make_what_a_servers_first_start_makes(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    _empty(database_url)
    assert await migrate(database_url, "made-by-steps") == Migrated(None, SCHEMA_VERSION)
    if database_url.startswith("sqlite"):
        other = f"sqlite:///{tmp_path}/other.db"
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        other = server.new_database()
    await (await Core.open(other)).close()
    assert await catalog(database_url) == await catalog(other)
    assert (await check(database_url)).epoch == "made-by-steps"
    assert await migrate(database_url, "again") == Migrated(SCHEMA_VERSION, SCHEMA_VERSION)
    assert (await check(database_url)).epoch == "made-by-steps"
    core = await Core.open(database_url)
    await core.close()


async def test_a_next_version_up_and_down_with_data(database_url: str, tmp_path: Path) -> None:
    async with filled(database_url) as core:
        before = await core.reader.port("a")
    schema_before = await catalog(database_url)
    found = await check(database_url)
    steps = _step(tmp_path / "steps", _NEXT)
    assert await migrate(database_url, "x", "9999", steps) == Migrated(SCHEMA_VERSION, "9999")
    assert await execute(database_url, "SELECT id, weight FROM port ORDER BY id") == [
        ("a", 1),
        ("bb", 2),
    ]
    with pytest.raises(SchemaMismatch, match="a newer schema, version 9999"):
        await Core.open(database_url)
    with pytest.raises(SchemaMismatch, match="a newer schema, version 9999"):
        await migrate(database_url, "x")
    assert await migrate(database_url, "x", SCHEMA_VERSION, steps) == Migrated(
        "9999", SCHEMA_VERSION
    )
    assert await catalog(database_url) == schema_before
    assert await check(database_url) == found
    core = await Core.open(database_url)
    assert await core.reader.port("a") == before
    await core.close()


async def test_a_step_that_fails_half_way_changes_nothing(
    database_url: str, tmp_path: Path
) -> None:
    async with filled(database_url):
        pass
    before = await catalog(database_url)
    steps = _step(tmp_path / "steps", _FAILS)
    with pytest.raises(
        Unavailable, match=r"was not brought to version 9999: .*already exists"
    ) as told:
        await migrate(database_url, "x", "9999", steps)
    assert "nothing was changed" in told.value.next
    assert await catalog(database_url) == before
    assert await execute(database_url, "SELECT version_num FROM alembic_version") == [
        (SCHEMA_VERSION,)
    ]


async def test_a_database_from_before_there_were_steps(database_url: str) -> None:
    async with filled(database_url):
        pass
    before = await catalog(database_url)
    epoch = (await check(database_url)).epoch
    await migrate(database_url, "x", "0001")
    await execute(database_url, "DROP TABLE alembic_version")
    await execute(database_url, "INSERT INTO meta (key, value) VALUES ('schema_version', '6')")
    with pytest.raises(SchemaMismatch, match="an older schema, version 0000") as told:
        await Core.open(database_url)
    assert "netwright db upgrade" in told.value.next
    await migrate(database_url, "x")
    assert await catalog(database_url) == before
    named = "SELECT key, value FROM meta WHERE key != 'reads_from'"
    assert await execute(database_url, named) == [("epoch", epoch)]

    await execute(database_url, "DROP TABLE alembic_version")
    await execute(database_url, "INSERT INTO meta (key, value) VALUES ('schema_version', '4')")
    with pytest.raises(SchemaMismatch, match=r"a trial version of netwright \(schema 4\)"):
        await migrate(database_url, "x")


async def test_a_file_that_is_not_there_or_has_its_server(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/netwright.db"
    with pytest.raises(DatabaseNotFound, match=r"there is no database .*/netwright.db"):
        await migrate(url, "x")
    core = await Core.open(url)
    with pytest.raises(DatabaseInUse, match="in use by another netwright server"):
        await migrate(url, "x")
    await core.close()


async def test_it_does_not_queue_behind_a_long_transaction(
    postgres_server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "LOCK_S", 1.0)
    url = postgres_server.new_database()
    async with filled(url):
        pass
    steps = _step(tmp_path / "steps", _NEXT)
    session = await asyncpg.connect(url)
    try:
        async with session.transaction():
            await session.execute("LOCK TABLE port IN ACCESS SHARE MODE")
            with pytest.raises(Unavailable, match="lock timeout"):
                async with asyncio.timeout(10):
                    await migrate(url, "x", "9999", steps)
    finally:
        await session.close()
    await migrate(url, "x", "9999", steps)


def test_two_kinds_of_sqlite_connections_wait_for_each_other(tmp_path: Path) -> None:
    """The steps' transaction is one from its first statement on: nobody writes between."""
    path = tmp_path / "netwright.db"
    path.touch()
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkey = pytest.MonkeyPatch()
        with monkey.context() as patch:
            patch.setattr("netwright.db.sqlite.BUSY_TIMEOUT_MS", 10)
            with pytest.raises(Unavailable, match="locked"):
                asyncio.run(migrate(f"sqlite:///{path}", "x"))
