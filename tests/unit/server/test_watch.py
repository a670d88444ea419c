"""The hub and watchers that do not keep up."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial

import msgspec

from netwright.model.wire import Kind, LineType, WatchLine
from netwright.server.store.cursors import cursor_of
from netwright.server.store.event_rows import EventRow
from netwright.server.store.events import Picture
from netwright.server.watch import QUEUE_LINES_MAX, Hub

EPOCH = "e"
EVERYTHING = frozenset(Kind)


class Log:
    """An event log in memory and its hub."""

    def __init__(self) -> None:
        self.events: list[EventRow] = []
        self.hub = Hub(EPOCH, 0)

    def publish(self, count: int, hosts: frozenset[str] | None = None) -> None:
        start = len(self.events) + 1
        made = [
            EventRow(seq, Kind.PORT, f"p{seq}", hosts, frozenset(), b"{}")
            for seq in range(start, start + count)
        ]
        self.events += made
        self.hub.publish(made)

    async def picture(self, after: int, kinds: frozenset[Kind], host: str | None) -> Picture:
        after = max(after, 0)
        return Picture(len(self.events), self.events[after:], None)

    def watch(self, after: str | None, host: str | None = None) -> AsyncIterator[bytes]:
        return self.hub.watch(self.picture, after, EVERYTHING, host)


def lines(chunks: Sequence[bytes]) -> list[WatchLine]:
    decode = msgspec.json.Decoder(WatchLine).decode
    return [decode(line) for chunk in chunks for line in chunk.splitlines()]


async def until_heartbeat(stream: AsyncIterator[bytes]) -> list[WatchLine]:
    """What a new watcher is told of the past: a heartbeat follows it."""
    read: list[WatchLine] = []
    while not read or read[-1].type is not LineType.HEARTBEAT:
        read += lines([await anext(stream)])
    return read


def seqs(read: Sequence[WatchLine]) -> list[int]:
    return [int(str(line.id).removeprefix("p")) for line in read if line.type is LineType.PUT]


def last_cursor(read: Sequence[WatchLine]) -> str:
    return str([line.cursor for line in read if line.cursor][-1])


async def test_a_watcher_that_does_not_read_is_cut_off_and_resumes_without_a_gap() -> None:
    log = Log()
    async with aclosing(log.watch(f"{EPOCH}-0")) as stream:  # type: ignore[type-var]
        before = lines([await anext(stream)])  # a heartbeat with the first cursor
        log.publish(5)
        before += lines([await anext(stream)])
        assert seqs(before) == [1, 2, 3, 4, 5]
        log.publish(QUEUE_LINES_MAX + 1)
        log.publish(10)
        before += lines([chunk async for chunk in stream])
    assert before[-1].type is LineType.ERROR
    assert b"WatcherTooSlow" in msgspec.json.encode(before[-1].object)
    async with aclosing(log.watch(last_cursor(before))) as stream:  # type: ignore[type-var]
        after = await until_heartbeat(stream)
    assert seqs(before) + seqs(after) == [event.seq for event in log.events]
    assert len(log.hub) == 0


async def test_watchers_and_those_cut_off_are_counted() -> None:
    log, cut_off = Log(), []
    log.hub.observe_cut_off = lambda: cut_off.append(1)
    async with aclosing(log.watch(f"{EPOCH}-0")) as stream:  # type: ignore[type-var]
        await anext(stream)
        log.publish(QUEUE_LINES_MAX)
        assert (len(log.hub), cut_off) == (1, [])
        log.publish(2)
        assert (len(log.hub), cut_off) == (1, [1])  # it does not read, so it is not gone yet
    assert len(log.hub) == 0


async def test_lines_wait_in_bounded_memory_and_are_shared_by_those_who_wait() -> None:
    log = Log()
    streams = [log.watch(f"{EPOCH}-0") for _ in range(3)]
    for stream in streams:
        await anext(stream)
    log.publish(QUEUE_LINES_MAX)
    waiting = [watcher.queue for watcher in log.hub._everywhere]
    assert [len(queue) for queue in waiting] == [QUEUE_LINES_MAX] * 3
    assert len({id(line) for queue in waiting for _, line in queue}) == QUEUE_LINES_MAX
    log.publish(1)
    assert [len(queue) for queue in waiting] == [0] * 3
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]


async def test_a_slow_watcher_costs_the_others_nothing() -> None:
    log = Log()
    slow, quick = log.watch(f"{EPOCH}-0"), log.watch(f"{EPOCH}-0")
    await anext(slow)
    read = lines([await anext(quick)])
    for _ in range(3):
        log.publish(QUEUE_LINES_MAX // 2)
        while len(seqs(read)) < len(log.events):
            read += lines([await anext(quick)])
    assert seqs(read) == [event.seq for event in log.events]
    for stream in (slow, quick):
        await stream.aclose()  # type: ignore[attr-defined]


async def test_the_cursor_of_a_filtered_watcher_moves_past_what_does_not_concern_it() -> None:
    log = Log()
    async with aclosing(log.watch(f"{EPOCH}-0", "h1")) as stream:  # type: ignore[type-var]
        await anext(stream)
        log.publish(3, frozenset({"h2"}))
        log.hub.close()
        assert [chunk async for chunk in stream] == []
    async with aclosing(log.watch(f"{EPOCH}-0", "h1")) as stream:  # type: ignore[type-var]
        (heartbeat,) = lines([await anext(stream)])
    assert (heartbeat.type, heartbeat.cursor) == (LineType.HEARTBEAT, f"{EPOCH}-3")


async def test_a_kind_that_only_newer_servers_know_is_passed_over() -> None:
    """In what was before, and in what comes: the cursor moves on, and nothing is told of it."""
    log = Log()
    unknown = partial(EventRow, kind=None, id="n", hosts=None, left_hosts=frozenset(), body=b"{}")
    log.publish(1)
    log.events.append(unknown(seq=2))
    log.hub.publish(log.events[-1:])
    watch = log.hub.watch(log.picture, None, EVERYTHING, None)
    async with aclosing(watch) as stream:
        read = await until_heartbeat(stream)
        assert (seqs(read), last_cursor(read)) == ([1], cursor_of(2, EPOCH))
        log.events.append(unknown(seq=3))
        log.hub.publish(log.events[-1:])
        log.publish(1)
        (line,) = lines([await anext(stream)])
    assert (line.kind, line.id, line.cursor) == (Kind.PORT, "p4", cursor_of(4, EPOCH))
