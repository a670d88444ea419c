"""What a step of the schema may do, so that servers of the version before it run on meanwhile."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from tests.doubles.filled import create, filled, serving
from tests.doubles.postgres import Postgres
from tests.doubles.sql import catalog, execute

from netwright.server.core import Core
from netwright.server.store import schema
from netwright.server.store.checking import check
from netwright.server.store.migrating import STEPS, migrate
from netwright.server.store.schema import SCHEMA_VERSION
from netwright.server.store.versions import SchemaMismatch

RULED_FROM = "0012"
"""Before it there was no version that had to run on."""

_STEP = f"""
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{SCHEMA_VERSION}"
reads_from = "{SCHEMA_VERSION}"


def upgrade() -> None:
    ACTION


def downgrade() -> None:
    pass
"""
_ADDS = 'op.add_column("port", sa.Column("weight", sa.Integer(), nullable=True))'
_FAULTS = {
    'op.add_column("host", sa.Column("weight", sa.Integer(), nullable=False))': "host.weight",
    'op.create_index("port_mac_once", "port", ["mac_address"], unique=True)': "port_mac_once",
    f'op.drop_index("port_name"); {_ADDS}': "both",
}
Catalog = set[tuple[Any, ...]]


def steps() -> list[Script]:
    """From the first on."""
    config = Config()
    config.set_main_option("script_location", str(STEPS.parent))
    config.set_main_option("path_separator", "newline")
    return list(ScriptDirectory.from_config(config).walk_revisions())[::-1]


def written(directory: Path, action: str) -> tuple[Path, ...]:
    directory.mkdir(exist_ok=True)
    (directory / "v9999_next.py").write_text(_STEP.replace("ACTION", action))
    return STEPS, directory


async def found(url: str) -> Catalog:
    """The catalog; of a column not its place, which others before it change."""
    rows = await catalog(url)
    return {(*row[:2], *row[3:]) if len(row) == _COLUMN_FIELDS + 1 else row for row in rows}


_COLUMN_FIELDS = 6  # table, name, type, length, whether NULL is allowed, default


def faults(before: Catalog, after: Catalog) -> Iterable[str]:
    """Why servers of the version before could not go on."""
    new, gone = after - before, before - after
    tables = {row[0] for row in before}
    if new and gone:
        yield f"it does both, adds and drops: {new}, {gone}"
    for row in sorted(new, key=str):
        table, what, *_ = row
        if table not in tables:
            continue
        if len(row) == _COLUMN_FIELDS:
            if row[-2] == "NO" and row[-1] is None:
                yield f"who does not know of {table}.{what} can insert nothing"
        elif len(row) > len(("table", "index")) or what.startswith("CREATE UNIQUE"):
            yield f"who does not know of it may be refused by {what}"


async def test_a_step_only_adds_or_only_drops_and_says_who_may_go_on(
    postgres_server: Postgres,
) -> None:
    url = postgres_server.new_database()
    wrong = []
    before: Catalog = set()
    oldest = ""
    for step in steps():
        await migrate(url, "x", step.revision)
        after = await found(url)
        told = getattr(step.module, "reads_from", step.revision)
        if step.revision >= RULED_FROM:
            wrong += [f"{step.revision}: {why}" for why in faults(before, after)]
            if not oldest <= told < step.revision:
                wrong.append(f"{step.revision}: reads_from is {told}, and was {oldest}")
        before, oldest = after, told
    assert not wrong
    assert (step.revision, told) == (SCHEMA_VERSION, schema.READS_FROM)


@pytest.mark.parametrize(("action", "why"), _FAULTS.items())
async def test_what_would_stop_an_older_server_is_found(
    postgres_server: Postgres, tmp_path: Path, action: str, why: str
) -> None:
    url = postgres_server.new_database()
    await migrate(url, "x")
    before = await found(url)
    await migrate(url, "x", "9999", written(tmp_path, action))
    (said,) = faults(before, await found(url))
    assert why in said


async def test_what_was_before_the_rule_is_found(postgres_server: Postgres) -> None:
    url = postgres_server.new_database()
    await migrate(url, "x", "0009")
    before = await found(url)
    await migrate(url, "x", "0010")
    assert any("both" in why for why in faults(before, await found(url)))
    before = await found(url)
    await migrate(url, "x", "0011")
    assert not list(faults(before, await found(url)))


async def test_a_server_goes_on_and_comes_back_when_the_next_version_has_only_added(
    database_url: str, tmp_path: Path
) -> None:
    added = written(tmp_path / "steps", _ADDS)
    async with filled(database_url) as core:
        if not database_url.startswith("sqlite"):
            await migrate(database_url, "x", "9999", added)
            await create(core, "meanwhile")
    await migrate(database_url, "x", "9999", added)
    async with serving(database_url) as core:
        await create(core, "after")
    findings = await check(database_url)
    assert (findings.version, findings.wrong_count) == ("9999", 0)
    with pytest.raises(SchemaMismatch, match="a newer schema, version 9999"):
        await migrate(database_url, "x")
    meta = "SELECT value FROM meta WHERE key = 'reads_from'"
    assert await execute(database_url, meta) == [(SCHEMA_VERSION,)]
    await migrate(database_url, "x", SCHEMA_VERSION, added)
    assert await execute(database_url, meta) == [(schema.READS_FROM,)]


async def test_who_may_read_is_said_alike_by_a_first_start_and_by_the_steps(
    database_url: str,
) -> None:
    await (await Core.open(database_url)).close()
    meta = "SELECT key, value FROM meta ORDER BY key"
    first = await execute(database_url, meta)
    await migrate(database_url, "x")
    assert await execute(database_url, meta) == first
