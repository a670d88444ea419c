"""Brings the event log to this process's hub, in its order, whoever wrote it.

    own commit ──▶ note ──┐
    NOTIFY of another ────┼─▶ next in order: published from memory, or read from the log
    every POLL_S ─────────┘

A wake-up may be lost (its sender dies after the commit, the listening connection breaks), an event
cannot: what counts is the log. One notification a round goes out, after the commit.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from netwright.db.postgres import PostgresDatabase
from netwright.model.errors import Unavailable
from netwright.server.store.events import events_after
from netwright.server.store.writing import EventRow

log = structlog.get_logger(__name__)

CHANNEL = "netwright_events"
POLL_S = 1.0
_READ_MAX = 2_000
_OWN_MAX = 10_000

Publish = Callable[[Sequence[EventRow]], None]


class Feed:
    """Publishes all events after `last_seq`, each once, while `run` runs."""

    def __init__(
        self,
        database: PostgresDatabase,
        last_seq: int,
        publish: Publish,
        cut_off: Callable[[], None],
    ) -> None:
        self._database = database
        self._publish = publish
        self._cut_off = cut_off
        self._last_seq = last_seq
        self._own: dict[int, EventRow] = {}
        self._wake = asyncio.Event()
        self._notify_due = False

    def note(self, events: Sequence[EventRow]) -> None:
        """Events that this process has committed: they need not be read."""
        if len(self._own) < _OWN_MAX:
            self._own.update((event.seq, event) for event in events)
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
                async with self._database.listening(CHANNEL, self._wake.set) as ended:
                    self._wake.set()  # what came before it listened
                    await ended.wait()
                log.warning("the event listener lost PostgreSQL")
            except Unavailable as error:
                log.warning("events come late", why=error.message)
            await asyncio.sleep(POLL_S)

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
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def catch_up(self) -> None:
        """Publish all that the log has; wake the other processes if some of it is ours."""
        self._wake.clear()
        self._publish_own()
        while events := await self._database.read(
            lambda tx: events_after(tx, self._last_seq, _READ_MAX)
        ):
            if events[0].seq != self._last_seq + 1:  # forgotten meanwhile: a snapshot has it all
                log.warning("watchers are cut off", missed=events[0].seq - self._last_seq - 1)
                self._cut_off()
            self._go_to(events)
            self._publish_own()
        if self._notify_due:
            self._notify_due = False
            await self._database.notify(CHANNEL)

    def _publish_own(self) -> None:
        events: list[EventRow] = []
        while (event := self._own.pop(self._last_seq + 1 + len(events), None)) is not None:
            events.append(event)
        if events:
            self._go_to(events)

    def _go_to(self, events: Sequence[EventRow]) -> None:
        for event in events:
            self._own.pop(event.seq, None)
        self._last_seq = events[-1].seq
        self._publish(events)
