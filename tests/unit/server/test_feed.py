"""The feed publishes every event once and in order, and reads only what nobody has told it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from netwright.db.postgres import PostgresDatabase
from netwright.model.wire import Kind
from netwright.server import feed as feed_module
from netwright.server.feed import Feed
from netwright.server.store.event_rows import EventRow


def event(seq: int) -> EventRow:
    return EventRow(seq, Kind.PORT, f"p{seq}", frozenset(), frozenset(), b"{}")


def events(*seqs: int) -> list[EventRow]:
    return [event(seq) for seq in seqs]


class Log:
    """A database that is an event log alone, and who reads it and is woken."""

    def __init__(self) -> None:
        self.last_seq = 0
        self.read: list[list[int]] = []
        self.woken: list[str] = []
        self.hear: Callable[[str], None] = lambda _: None

    async def rows(self, _sql: str, after: int, limit: int) -> Sequence[tuple[Any, ...]]:
        seqs = list(range(after + 1, self.last_seq + 1))[:limit]
        self.read.append(seqs)
        return [(seq, "port", f"p{seq}", "", "", "{}") for seq in seqs]

    async def look(self, work: Callable[[Any], Any]) -> Any:
        return await work(self)

    async def notify(self, _channel: str, said: str) -> None:
        self.woken.append(said)

    @asynccontextmanager
    async def listening(
        self, _channel: str, hear: Callable[[str], None]
    ) -> AsyncIterator[asyncio.Event]:
        self.hear = hear
        yield asyncio.Event()


class Place:
    def __init__(self) -> None:
        self.log = Log()
        self.published: list[int] = []
        self.cut_offs = 0
        self.commits = False
        self.feed = Feed(
            cast("PostgresDatabase", self.log),
            0,
            lambda events: self.published.extend(event.seq for event in events),
            self._cut_off,
            lambda: self.commits,
        )

    def _cut_off(self) -> None:
        self.cut_offs += 1


@pytest.fixture
async def place() -> Place:
    """A feed that has looked into the log once, and found nothing."""
    place = Place()
    await place.feed.catch_up()
    place.log.read.clear()
    return place


async def test_what_this_process_commits_and_read_for_it_is_not_read_again(place: Place) -> None:
    place.log.last_seq = 5
    place.feed.note(events(4, 5), events(1, 2, 3))
    await place.feed.catch_up()
    assert place.published == [1, 2, 3, 4, 5]
    assert place.log.read == []
    assert place.log.woken == ["5"]


async def test_a_gap_is_read_and_no_more(place: Place) -> None:
    place.log.last_seq = 9
    place.feed.note(events(5, 6), events())
    await place.feed.catch_up()
    assert place.published == [1, 2, 3, 4, 5, 6]
    assert place.log.read == [[1, 2, 3, 4]]


async def test_what_others_have_said_is_read_once(place: Place) -> None:
    async with listening(place):
        place.log.last_seq = 3
        place.log.hear("3")
        await until(lambda: place.published == [1, 2, 3])
        place.log.hear("2")  # late
        place.log.hear("3")
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(place.log.read) == 1
        assert place.log.woken == []


async def test_a_commit_in_flight_brings_what_others_have_said(place: Place) -> None:
    async with listening(place):
        place.commits = True
        place.log.last_seq = 3
        place.log.hear("2")
        await asyncio.sleep(0)
        place.feed.note(events(3), events(1, 2))
        await until(lambda: place.published == [1, 2, 3])
        assert place.log.read == []


async def test_a_commit_that_takes_long_is_not_waited_for(place: Place) -> None:
    async with listening(place):
        place.commits = True
        place.log.last_seq = 2
        place.log.hear("2")
        await until(lambda: place.published == [1, 2])


async def test_what_nobody_has_said_is_found_by_polling(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "POLL_S", 0.01)
    async with listening(place):
        place.log.last_seq = 1
        await until(lambda: place.published == [1])


async def test_an_event_that_was_read_before_its_batch_tells_of_it_comes_once(
    place: Place,
) -> None:
    async with listening(place):
        place.log.last_seq = 2
        place.log.hear("2")
        await until(lambda: place.published == [1, 2])
        place.log.last_seq = 3
        place.feed.note(events(3), events(1, 2))
        await until(lambda: len(place.published) > 2)
    assert place.published == [1, 2, 3]


async def test_watchers_are_cut_off_from_what_is_forgotten(place: Place) -> None:
    place.log.last_seq = 9
    place.feed.note(events(7), events())

    async def begins_later(_sql: str, after: int, limit: int) -> Sequence[tuple[Any, ...]]:
        return [(seq, "port", f"p{seq}", "", "", "{}") for seq in (5, 6)]

    place.log.rows = begins_later  # type: ignore[method-assign]
    await place.feed.catch_up()
    assert place.cut_offs == 1
    assert place.published == [5, 6, 7]


@asynccontextmanager
async def listening(place: Place) -> AsyncIterator[None]:
    running = asyncio.create_task(place.feed.run())
    await until(lambda: bool(place.log.read))  # what came before it listened
    place.log.read.clear()
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(20_000):
        if is_so():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come to that")
