"""Brings the event log to this process's hub, in its order, whoever wrote it.

    own commit, with what it read ──▶ note ──▶ next in order: published from memory ─┐ a gap?
    NOTIFY of another, or every POLL_S ───────▶ read from the log ◀──────────────────┘

A wake-up may be lost (its sender dies after the commit, the listening connection breaks), an event
cannot: what counts is the log. One notification a round goes out, after the commit; it says how far
the log goes. A batch reads what others have written before it writes (`batch`), so while one is in
flight, what a notification tells of is waited for a moment, and seldom read twice.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from netwright.db.postgres import PostgresDatabase
from netwright.model.errors import Unavailable
from netwright.server.store.event_rows import EventRow
from netwright.server.store.events import events_after

log = structlog.get_logger(__name__)

CHANNEL = "netwright_events"
POLL_S = 1.0
_READ_MAX = 2_000
_KNOWN_MAX = 10_000
_BATCH_S = 0.02  # as long as a batch takes, mostly

Publish = Callable[[Sequence[EventRow]], None]


class Feed:
    """Publishes all events after `last_seq`, each once, while `run` runs."""

    def __init__(
        self,
        database: PostgresDatabase,
        last_seq: int,
        publish: Publish,
        cut_off: Callable[[], None],
        is_committing: Callable[[], bool],
    ) -> None:
        self._database = database
        self._publish = publish
        self._cut_off = cut_off
        self._is_committing = is_committing
        self._last_seq = last_seq
        self._known: dict[int, EventRow] = {}
        self._wake = asyncio.Event()
        self._heard_seq = last_seq  # how far the log goes, as others have said
        self._must_look = True  # they may have said so unheard
        self._notify_due = False

    def note(self, events: Sequence[EventRow], others: Sequence[EventRow]) -> None:
        """Events that this process has committed, and others read for that: nobody reads them."""
        told = [*others, *events]
        if not self._known and self._is_next(told):  # mostly; else a read of the log is under way
            self._go_to(told)
        else:
            for event in told:
                if event.seq > self._last_seq and len(self._known) < _KNOWN_MAX:
                    self._known[event.seq] = event
            self._publish_known()  # now: the read may take long
        self._notify_due = self._notify_due or bool(events)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; a database that is away is waited for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="event listener")
            group.create_task(self._keep_up(), name="event feed")

    async def _listen(self) -> None:
        while True:
            try:
                async with self._database.listening(CHANNEL, self._hear) as ended:
                    self._look()  # what came before it listened
                    await ended.wait()
                log.warning("the event listener lost PostgreSQL")
            except Unavailable as error:
                log.warning("events come late", why=error.message)
            await asyncio.sleep(POLL_S)

    def _hear(self, seq: str) -> None:
        self._heard_seq = max(self._heard_seq, int(seq))
        self._wake.set()

    def _look(self) -> None:
        self._must_look = True
        self._wake.set()

    async def _keep_up(self) -> None:
        while True:
            try:
                await self.catch_up()
            except Unavailable as error:
                log.warning("events wait for the database", why=error.message)
                await asyncio.sleep(POLL_S)
            except Exception:  # a defect of ours; watchers must not be left without events
                log.exception("events wait")
                await asyncio.sleep(POLL_S)
            if not await self._woken(POLL_S):
                self._must_look = True

    async def _woken(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def catch_up(self) -> None:
        """Publish all that the log has; wake the other processes if some of it is ours."""
        self._wake.clear()
        self._publish_known()
        if self._heard_seq > self._last_seq and self._is_committing():
            await self._woken(_BATCH_S)
            self._wake.clear()
            self._publish_known()
        while self._must_look or self._known or self._heard_seq > self._last_seq:
            if not await self._read_on():
                break
        if self._notify_due:
            self._notify_due = False
            await self._database.notify(CHANNEL, str(self._last_seq))

    async def _read_on(self) -> bool:
        """Read and publish what the log has next; False: it has nothing more."""
        limit = _READ_MAX
        if self._known and not self._must_look:  # up to what is known
            limit = min(limit, min(self._known) - self._last_seq - 1)
        heard_seq = self._heard_seq
        after = self._last_seq
        events = await self._database.look(lambda tx: events_after(tx, after, limit))
        if len(events) < limit:
            self._must_look = False
        if not events:  # what was heard of is in a log that has begun anew
            self._heard_seq = min(self._heard_seq, heard_seq, after)
            return False
        new = [event for event in events if event.seq > self._last_seq]  # others came meanwhile
        if new and new[0].seq != self._last_seq + 1:  # forgotten: a snapshot has it all
            log.warning("watchers are cut off", missed=new[0].seq - self._last_seq - 1)
            self._cut_off()
            self._known = {seq: each for seq, each in self._known.items() if seq > new[0].seq}
        if new:
            self._go_to(new)
        self._publish_known()
        return True

    def _is_next(self, events: Sequence[EventRow]) -> bool:
        """Whether they follow what was published, with none between."""
        first = self._last_seq + 1
        return bool(events) and (events[0].seq, events[-1].seq) == (first, first + len(events) - 1)

    def _publish_known(self) -> None:
        events: list[EventRow] = []
        while (event := self._known.pop(self._last_seq + 1 + len(events), None)) is not None:
            events.append(event)
        if events:
            self._go_to(events)

    def _go_to(self, events: Sequence[EventRow]) -> None:
        if self._known:
            for event in events:
                self._known.pop(event.seq, None)
        self._last_seq = events[-1].seq
        self._publish(events)
