"""A PostgreSQL that falls silent: what callers wait for."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import ExitStack

import pytest
import sqlalchemy as sa
from tests.doubles.postgres import Postgres

from netwright.db import postgres
from netwright.db.postgres import PostgresDatabase
from netwright.db.transaction import Transaction
from netwright.model.errors import Unavailable

STATEMENT_S = 1.0
WAITED_S_MAX = STATEMENT_S + 1.5  # a client waits for one second more, and the machine may be busy


async def one(tx: Transaction) -> int:
    (found,) = await tx.row("SELECT 1")
    return int(found)


def all_uses(database: PostgresDatabase) -> list[Awaitable[object]]:
    return [
        database.write(one),
        database.read(one),
        database.look(one),
        database.select(sa.select(1)),
    ]


async def refused_after_s(use: Awaitable[object]) -> float:
    asked_at = time.monotonic()
    with pytest.raises(Unavailable, match="cannot be used: it gave no answer in time"):
        await use
    return time.monotonic() - asked_at


@pytest.fixture
async def database(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PostgresDatabase]:
    monkeypatch.setattr(postgres, "STATEMENT_S", STATEMENT_S)
    monkeypatch.setattr(postgres, "CONNECT_S", STATEMENT_S)
    made = PostgresDatabase(postgres_server.new_database())
    yield made
    await made.close()


async def test_nobody_waits_for_longer_than_one_statement_may_take(
    database: PostgresDatabase, postgres_server: Postgres
) -> None:
    before = await asyncio.gather(*all_uses(database))
    with postgres_server.silent():
        waited_s = await asyncio.gather(*map(refused_after_s, all_uses(database)))
    assert max(waited_s) < WAITED_S_MAX, waited_s
    assert await asyncio.gather(*all_uses(database)) == before


async def test_a_transaction_is_not_asked_to_roll_back_what_another_was_silent_to(
    database: PostgresDatabase, postgres_server: Postgres
) -> None:
    with ExitStack() as silence:

        async def falls_silent(tx: Transaction) -> int:
            silence.enter_context(postgres_server.silent())
            return await database.aside(tx, one)

        assert await refused_after_s(database.write(falls_silent)) < WAITED_S_MAX
    assert await database.write(one) == 1
