"""A PostgreSQL that falls silent: what callers wait for."""

import asyncio
import time
from collections.abc import Awaitable

import pytest
import sqlalchemy as sa
from tests.doubles.postgres import Postgres

from netwright.db import postgres
from netwright.db.postgres import PostgresDatabase
from netwright.db.transaction import Transaction
from netwright.model.errors import Unavailable

STATEMENT_S = 1.0  # what a client waits for is one second more


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


async def test_nobody_waits_for_longer_than_one_statement_may_take(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "STATEMENT_S", STATEMENT_S)
    monkeypatch.setattr(postgres, "CONNECT_S", STATEMENT_S)
    database = PostgresDatabase(postgres_server.new_database())
    before = await asyncio.gather(*all_uses(database))
    with postgres_server.silent():
        waited_s = await asyncio.gather(*map(refused_after_s, all_uses(database)))
    assert max(waited_s) < STATEMENT_S + 1.0 + STATEMENT_S / 2, waited_s
    assert await asyncio.gather(*all_uses(database)) == before
    await database.close()
