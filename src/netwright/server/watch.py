"""The hub: tells watchers of every commit, in order, from memory: all, a host's, or some groups'.

The fabric controller is told of those operations alone that it is to do.

    subscribe ─▶ picture (snapshot, or what followed the cursor) ─▶ live lines ─▶ cut off | closed

A watcher subscribes before its picture is read, and skips what the picture held already, so that
nothing is missed and nothing comes twice. Its lines wait in a bounded queue; one that does not keep
up is cut off and resumes after its last cursor.
"""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from itertools import chain, product
from typing import TypeVar

import msgspec

from netwright.model.operations import FABRIC
from netwright.model.wire import Kind, LineType, WatchLine
from netwright.server.security.members import group_in
from netwright.server.store.cursors import cursor_of, seq_of
from netwright.server.store.event_rows import EventRow
from netwright.server.store.events import Picture

HEARTBEAT_S = 5.0
QUEUE_LINES_MAX = 10_000
_CHUNK_LINES = 200

OF_GROUPS = frozenset({Kind.SECURITY_GROUP, Kind.GROUP_MEMBER})
"""The kinds that a watch of security groups brings: groups with their rules, their members."""

K = TypeVar("K")

ReadPicture = Callable[[int, frozenset[Kind], str | None], Awaitable[Picture]]

_encode = msgspec.json.Encoder().encode


class _Collection(msgspec.Struct):
    """As much of an operation as says whose it is to do."""

    collection: str


_collection = msgspec.json.Decoder(_Collection).decode


class _Lines:
    """An event's line, encoded once for all who get it."""

    __slots__ = ("_delete", "_is_fabrics", "_put", "cursor", "event")

    def __init__(self, event: EventRow, cursor: str) -> None:
        self.event = event
        self.cursor = cursor
        self._put: bytes | None = None
        self._delete: bytes | None = None
        self._is_fabrics: bool | None = None

    @property
    def is_fabrics(self) -> bool:
        """Whether it may concern the fabric controller."""
        if self._is_fabrics is None:
            self._is_fabrics = _is_fabrics(self.event.kind, self.event.body)
        return self._is_fabrics

    def for_groups(self, groups: frozenset[str]) -> bytes | None:
        """The line for a watcher of these groups; None when the event concerns none of them."""
        if _group_of(self.event) not in groups:
            return None
        return self._gone() if self.event.body is None else self._present()

    def for_host(self, host: str | None) -> bytes | None:
        """The line for a watcher with this filter; None when the event does not concern it."""
        event = self.event
        if host is not None and host in event.left_hosts:
            return self._gone()
        if host is None or event.hosts is None or host in event.hosts:
            return self._gone() if event.body is None else self._present()
        return None

    def _present(self) -> bytes:
        if self._put is None:
            assert self.event.body is not None
            self._put = _line(LineType.PUT, self.cursor, self.event, msgspec.Raw(self.event.body))
        return self._put

    def _gone(self) -> bytes:
        if self._delete is None:
            self._delete = _line(LineType.DELETE, self.cursor, self.event, msgspec.UNSET)
        return self._delete


def _is_fabrics(kind: Kind | None, body: bytes | None) -> bool:
    """Of an operation that is forgotten nothing is told but its id."""
    if kind is not Kind.OPERATION or body is None:
        return True
    return _collection(body).collection == FABRIC


def _group_of(event: EventRow) -> str | None:
    """The security group that the event is about, or about a member of."""
    match event.kind:
        case Kind.SECURITY_GROUP:
            return event.id
        case Kind.GROUP_MEMBER:
            return group_in(event.id)
        case _:
            return None


class Watcher:
    """One subscriber: what it wants, and the lines that wait for it."""

    def __init__(
        self,
        kinds: frozenset[Kind],
        host: str | None,
        groups: frozenset[str] | None,
        observe_cut_off: Callable[[], None],
        *,
        is_fabrics: bool = False,
    ) -> None:
        self._observe_cut_off = observe_cut_off
        self.kinds = kinds
        self.host = host
        self.groups = groups
        self.is_fabrics = is_fabrics
        self.queue: deque[tuple[int, bytes]] = deque()
        self.wake = asyncio.Event()
        self.is_cut_off = False

    def offer(self, lines: _Lines) -> None:
        if self.is_cut_off or lines.event.kind not in self.kinds:
            return
        line = self.line(lines)
        if line is None:
            return
        if len(self.queue) >= QUEUE_LINES_MAX:
            self.is_cut_off = True
            self.queue.clear()
            self._observe_cut_off()
        else:
            self.queue.append((lines.event.seq, line))
        self.wake.set()

    def line(self, lines: _Lines) -> bytes | None:
        """What it is told of an event; None: nothing."""
        if self.groups is not None:
            return lines.for_groups(self.groups)
        if self.is_fabrics and not lines.is_fabrics:
            return None
        return lines.for_host(self.host)


class Hub:
    """All watchers of this process. `last_seq` is the place of the last event published."""

    def __init__(self, epoch: str, last_seq: int) -> None:
        self.epoch = epoch
        self.last_seq = last_seq
        self._by_host: dict[str, set[Watcher]] = {}
        self._by_group: dict[tuple[Kind | None, str], set[Watcher]] = {}
        self._watchers: set[Watcher] = set()
        self._everywhere: set[Watcher] = set()
        self._closing = False
        self.observe_cut_off: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._watchers)

    def publish(
        self,
        events: Sequence[EventRow],
        shown: Callable[[EventRow], EventRow] = lambda event: event,
    ) -> None:
        """Tell of these, as they are `shown` to who watches."""
        for event in events if self._watchers else events[-1:]:
            if concerned := self._concerned(event):
                lines = _Lines(shown(event), cursor_of(event.seq, self.epoch))
                for watcher in concerned:
                    watcher.offer(lines)
            self.last_seq = event.seq

    def cut_off(self) -> None:
        """End every watch now: what comes next does not follow what was sent."""
        for watcher in self._watchers:
            watcher.is_cut_off = True
            watcher.queue.clear()
            watcher.wake.set()

    def close(self) -> None:
        """End every watch; what is queued is still sent."""
        self._closing = True
        for watcher in self._watchers:
            watcher.wake.set()

    async def watch(
        self,
        read: ReadPicture,
        after: str | None,
        kinds: frozenset[Kind],
        host: str | None,
        groups: frozenset[str] | None = None,
        *,
        is_fabrics: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """The watcher's lines, in chunks; ends when it is cut off or the hub closes."""
        watcher = Watcher(kinds, host, groups, self.observe_cut_off, is_fabrics=is_fabrics)
        self._add(watcher)
        try:
            seen = -1 if after is None else seq_of(after, self.epoch)
            picture = await read(seen, kinds, host)
            for chunk in _picture_chunks(picture, self.epoch, watcher):
                yield chunk
            async for chunk in self._live(watcher, picture.seq):
                yield chunk
        finally:
            self._discard(watcher)

    async def _live(self, watcher: Watcher, seq: int) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        beat_at = loop.time()  # the first at once, so that a quiet stream starts with a cursor
        while True:
            if watcher.is_cut_off:  # its queue was dropped: `seq` must not move past what it held
                yield _cut_off(cursor_of(seq, self.epoch))
                return
            chunk = bytearray()
            while watcher.queue and len(chunk) < 1 << 16:
                event_seq, line = watcher.queue.popleft()
                if event_seq > seq:
                    seq = event_seq
                    chunk += line
            if not watcher.queue:
                watcher.wake.clear()
                # Nothing waits: all that was published up to here was sent or does not concern it.
                seq = max(seq, self.last_seq)
            if loop.time() >= beat_at:
                beat_at = loop.time() + HEARTBEAT_S
                chunk += _plain(LineType.HEARTBEAT, cursor_of(seq, self.epoch))
            if chunk:
                yield bytes(chunk)
                continue
            if self._closing:
                return
            await _woken(watcher.wake, beat_at - loop.time())

    def _concerned(self, event: EventRow) -> list[Watcher]:
        group_id = _group_of(event)
        if group_id is not None:
            return [*self._everywhere, *self._by_group.get((event.kind, group_id), ())]
        if event.hosts is None:
            return [*self._everywhere, *chain.from_iterable(self._by_host.values())]
        found = list(self._everywhere)
        for host in event.hosts | event.left_hosts:
            found += self._by_host.get(host, ())
        return found

    def _add(self, watcher: Watcher) -> None:
        self._watchers.add(watcher)
        if watcher.groups is not None:
            for key in _keys_of_groups(watcher):
                self._by_group.setdefault(key, set()).add(watcher)
        elif watcher.host is not None:
            self._by_host.setdefault(watcher.host, set()).add(watcher)
        else:
            self._everywhere.add(watcher)

    def _discard(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)
        self._everywhere.discard(watcher)
        if watcher.host is not None:
            _take_out(self._by_host, watcher.host, watcher)
        for key in _keys_of_groups(watcher):
            _take_out(self._by_group, key, watcher)


def _keys_of_groups(watcher: Watcher) -> Iterator[tuple[Kind, str]]:
    """Who watches groups' rules is not bothered with their members, and likewise."""
    return product(watcher.kinds & OF_GROUPS, watcher.groups or ())


def _take_out(of: dict[K, set[Watcher]], key: K, watcher: Watcher) -> None:
    group = of.get(key, set())
    group.discard(watcher)
    if not group:
        of.pop(key, None)


async def _woken(wake: asyncio.Event, timeout_s: float) -> None:
    # Not wait_for: in Python 3.11 it can swallow a cancellation that comes with the event.
    try:
        async with asyncio.timeout(max(timeout_s, 0.0)):
            await wake.wait()
    except TimeoutError:
        return


def _picture_chunks(picture: Picture, epoch: str, watcher: Watcher) -> Iterable[bytes]:
    chunk = bytearray()
    for count, line in enumerate(_picture_lines(picture, epoch, watcher), start=1):
        chunk += line
        if count % _CHUNK_LINES == 0:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


def _picture_lines(picture: Picture, epoch: str, watcher: Watcher) -> Iterable[bytes]:
    if picture.events is not None:
        for event in picture.events:
            if event.kind in watcher.kinds:
                line = watcher.line(_Lines(event, cursor_of(event.seq, epoch)))
                if line is not None:
                    yield line
        return
    for kind, resource_id, text in picture.snapshot or ():
        body = text.encode()
        if watcher.is_fabrics and not _is_fabrics(kind, body):
            continue
        value = msgspec.Raw(body)
        line_ = WatchLine(type=LineType.PUT, kind=kind, id=resource_id, object=value)
        yield _encode(line_) + b"\n"
    yield _plain(LineType.SNAPSHOT_END, cursor_of(picture.seq, epoch))


def _line(
    kind: LineType, cursor: str, event: EventRow, body: msgspec.Raw | msgspec.UnsetType
) -> bytes:
    line = WatchLine(type=kind, cursor=cursor, kind=event.kind, id=event.id, object=body)
    return _encode(line) + b"\n"


def _plain(kind: LineType, cursor: str) -> bytes:
    return _encode(WatchLine(type=kind, cursor=cursor)) + b"\n"


def _cut_off(cursor: str) -> bytes:
    why = {
        "type": "WatcherTooSlow",
        "fault": "caller",
        "message": f"more than {QUEUE_LINES_MAX} lines waited for this watcher",
        "next": "watch again after the last cursor received",
    }
    body = msgspec.Raw(_encode({"error": why}))
    return _encode(WatchLine(type=LineType.ERROR, cursor=cursor, object=body)) + b"\n"
