"""How often a process wakes the others on PostgreSQL: once a batch, never for what it refuses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import (
    WAIT_S,
    network,
    opened,
    outcome,
    port,
)

from netwright.model.errors import NetwrightError
from netwright.server import batch
from netwright.server.feed import CHANNEL


class Wakings:
    """What PostgreSQL hands to whoever listens: of which session, how far the log goes."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self._news = asyncio.Event()

    def hear(self, _connection: Any, _pid: int, _channel: str, seq: Any) -> None:
        self.heard.append(int(seq))
        self._news.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            self._news.clear()
            await self._news.wait()


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


@pytest.fixture
async def wakings(url: str) -> AsyncIterator[Wakings]:
    heard = Wakings()
    session = await asyncpg.connect(url)
    await session.add_listener(CHANNEL, heard.hear)
    yield heard
    await session.close()


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The last event's place of each batch that has any."""
    lasts: list[int] = []
    run = batch.run

    async def noting(*given: Any, **how: Any) -> batch.Decided:
        decided = await run(*given, **how)
        if decided.events:
            lasts.append(decided.events[-1].seq)
        return decided

    monkeypatch.setattr(batch, "run", noting)
    return lasts


async def test_each_commit_wakes_once(url: str, wakings: Wakings, batches: list[int]) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await wakings.until(lambda: wakings.heard[-1:] == batches[-1:])
        before = len(wakings.heard)
        for n in range(10):
            await (a, b)[n % 2].commit(port(f"p{n}"))
            refused = await outcome((b, a)[n % 2], network("net", 100))
            assert isinstance(refused, NetwrightError)
            await wakings.until(lambda: wakings.heard[-1:] == batches[-1:])
    assert wakings.heard[before:] == batches[-10:]


async def test_a_batch_of_many_wakes_no_more_than_once(
    url: str, wakings: Wakings, batches: list[int]
) -> None:
    async with opened(url, 2) as cores, asyncio.timeout(WAIT_S):
        await wakings.until(lambda: wakings.heard[-1:] == batches[-1:])
        before, batches_before = len(wakings.heard), len(batches)
        await asyncio.gather(*(cores[n % 2].commit(port(f"p{n}")) for n in range(300)))
        await wakings.until(lambda: max(wakings.heard) == max(batches))
    made = len(batches) - batches_before
    assert made < 150, "most were committed together"
    assert 1 <= len(wakings.heard) - before <= made
    assert set(wakings.heard) <= set(batches)
