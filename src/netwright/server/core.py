"""The server without its edge: committer, store, hub, and what time brings about.

    commit ──▶ committer ──▶ decider ──▶ (PostgreSQL: feed) ──▶ hub ──▶ watchers
    clock  ──▶ upkeep (`upkeep`): silent hosts, deadlines, rested addresses
           ──▶ ports that left silent hosts: asked for at their leaves (`left_behind`)
    notices that a commit left, where Nova is told ──▶ sender ──▶ Nova

`Core` is what the APIs stand on (`service.Service`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import structlog

from netwright.db.committer import Committer
from netwright.db.postgres import PostgresDatabase
from netwright.db.transaction import Transaction
from netwright.ipam.ledger import Ledger
from netwright.model.errors import Unavailable
from netwright.model.operations import Operation
from netwright.model.quotas import NO_LIMITS
from netwright.model.resources import Host
from netwright.model.segments import SEGMENT_RULES, SegmentRules
from netwright.model.wire import Kind, LeaseState
from netwright.server.commands import (
    ApplyReports,
    Caller,
    Command,
    HeartbeatHost,
    SeeDevices,
    Step,
    Tick,
)
from netwright.server.deciding import Decider, ObserveCommit
from netwright.server.feed import Feed
from netwright.server.hearing import Hearing
from netwright.server.history import HISTORY_KEPT, HistoryKept
from netwright.server.left_behind import LeftBehind
from netwright.server.liveness import Liveness
from netwright.server.nova.sender import LEASE_MARGIN_S, Endpoint, ObserveTold, Sender
from netwright.server.overlay.retrying import RefusedPorts
from netwright.server.performing import Performer
from netwright.server.silent_ports import HOSTS_A_MINUTE_MAX
from netwright.server.store import fabric_reading, leases
from netwright.server.store.event_rows import EventRow
from netwright.server.store.events import Picture, picture
from netwright.server.store.leasing import return_leases
from netwright.server.store.opening import Opened, open_store
from netwright.server.store.outbox import Claim, StoreOutbox
from netwright.server.store.reading import StoreReader
from netwright.server.store.upkeep import (
    heard,
    note_heard,
    pending_operations,
    ports_left_behind,
    refused_ports,
)
from netwright.server.surveying import Surveyor
from netwright.server.upkeep import ITSELF, Upkeep
from netwright.server.watch import Hub
from netwright.server.weighing import is_patient, weight

log = structlog.get_logger(__name__)

_NAMED_MAX = 20
_SHARE_EVERY_S = 3.0
_SHARED_S = 10.0  # what was heard within: more than a round, in case one fails

Clock = Callable[[], float]


class ToldNova(NamedTuple):
    """How Nova is told: where, how long a request may take, who is told of what became of it."""

    endpoint: Endpoint
    timeout_s: float
    observe: ObserveTold = lambda _outcome, _count: None


class Core:
    """One server process. Open it with `Core.open`, then `start`."""

    def __init__(
        self,
        opened: Opened,
        clock: Clock = time.time,
        observe_commit: ObserveCommit = lambda _commands, _duration_s: None,
        *,
        segment_rules: SegmentRules = SEGMENT_RULES,
        history: HistoryKept = HISTORY_KEPT,
        nova: ToldNova | None = None,
        quota_defaults: Mapping[str, int] = NO_LIMITS,
        fenced_hosts_a_minute_max: int = HOSTS_A_MINUTE_MAX,
    ) -> None:
        self._database = opened.database
        self._clock = clock
        self._ledger = Ledger(f"server-{uuid4()}")
        self._hub = Hub(opened.epoch, opened.last_seq)
        self._feed = self._feed_of(opened)
        self._liveness = Liveness(opened.hosts, time.monotonic())
        self._hearing = Hearing(self._liveness, clock, opened.heard)
        self.reader = StoreReader(opened.database, self._hearing.host)
        self._sender = self._sender_of(opened, nova) if nova else None
        self._decider = Decider(
            opened.database,
            opened.epoch,
            self._ledger,
            clock,
            self._feed.note if self._feed else self._publish_own,
            observe_commit=observe_commit,
            segment_rules=segment_rules,
            history=history,
            noticed=self._sender.wake if self._sender else None,
            quota_defaults=quota_defaults,
        )
        self._committer: Committer[Command, Any] = Committer(
            self._decider.commit, weight, is_patient
        )
        self._performer = Performer(
            self._committer.submit,
            lambda until, limit: opened.database.read(
                lambda tx: pending_operations(tx, until, limit)
            ),
            self.reader.operation,
        )
        self._left_behind = LeftBehind(
            lost=lambda: self._liveness.lost(time.monotonic()),
            known=self._liveness.known,
            read=lambda hosts: opened.database.read(lambda tx: ports_left_behind(tx, hosts)),
            ask=lambda left: self._committer.submit(Tick(caller=ITSELF, silent_ports=left)),
            clock=clock,
            hosts_a_minute_max=fenced_hosts_a_minute_max,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._refused = RefusedPorts(
            lambda after: opened.database.read(lambda tx: refused_ports(tx, after))
        )
        self._upkeep = Upkeep(
            database=opened.database,
            liveness=self._liveness,
            hearing=self._hearing,
            performer=self._performer,
            refused=self._refused,
            submit=self._committer.submit,
            clock=clock,
        )
        self._surveyor = Surveyor(
            lambda: opened.database.read(fabric_reading.room), self._decider.learn_room
        )
        self._closing = False
        self._host_deleted: Callable[[], None] = lambda: None

    @classmethod
    async def open(
        cls,
        url: str,
        clock: Clock = time.time,
        observe_commit: ObserveCommit = lambda _commands, _duration_s: None,
        segment_rules: SegmentRules = SEGMENT_RULES,
        history: HistoryKept = HISTORY_KEPT,
        *,
        nova: ToldNova | None = None,
        quota_defaults: Mapping[str, int] = NO_LIMITS,
        fenced_hosts_a_minute_max: int = HOSTS_A_MINUTE_MAX,
    ) -> "Core":
        """Open the database, or make it. Raises what `open_store` does."""
        opened = await open_store(url, uuid4().hex[:12])
        return cls(
            opened,
            clock,
            observe_commit,
            segment_rules=segment_rules,
            history=history,
            nova=nova,
            quota_defaults=quota_defaults,
            fenced_hosts_a_minute_max=fenced_hosts_a_minute_max,
        )

    def _feed_of(self, opened: Opened) -> Feed | None:
        """Other processes share PostgreSQL; a SQLite file is this process's own."""
        if not isinstance(opened.database, PostgresDatabase):
            return None
        return Feed(
            opened.database,
            opened.last_seq,
            self._publish,
            self._hub.cut_off,
            lambda: self._committer.is_committing,
        )

    def _sender_of(self, opened: Opened, nova: ToldNova) -> Sender:
        is_shared = isinstance(opened.database, PostgresDatabase)
        ttl_s = nova.timeout_s + LEASE_MARGIN_S
        claim = Claim(holder=self._ledger.owner, ttl_s=ttl_s) if is_shared else None
        outbox = StoreOutbox(opened.database, claim)
        return Sender(outbox, nova.endpoint, self._clock, nova.observe)

    async def start(self) -> None:
        self._committer.start()
        self._tasks = [
            asyncio.create_task(self._upkeep.run(), name="upkeep"),
            asyncio.create_task(self._upkeep.listen(), name="listening"),
            asyncio.create_task(self._left_behind.run(), name="ports of silent hosts"),
            asyncio.create_task(self._surveyor.run(), name="room of leaves"),
        ]
        if self._feed is not None:
            self._tasks.append(asyncio.create_task(self._feed.run(), name="feed"))
            self._tasks.append(asyncio.create_task(self._share_hearing(), name="hearing"))
        if self._sender is not None:
            self._tasks.append(asyncio.create_task(self._sender.run(), name="notices to Nova"))

    async def commit(self, command: Command) -> Any:
        """The command's result once it is durable (see `commands`); raises what it fails with."""
        if isinstance(command, HeartbeatHost):
            host = self._liveness.heard(command.host, command.heartbeat, time.monotonic())
            if host is not None:
                return host
        if isinstance(command, ApplyReports):
            self._liveness.spoke(command.batch.host, command.batch.epoch, time.monotonic())
        if isinstance(command, SeeDevices):
            self._liveness.spoke(command.host, command.devices.epoch, time.monotonic())
        result = await self._committer.submit(command)
        return self._hearing.host(result) if isinstance(result, Host) else result

    async def defer(self, caller: Caller, operation: Operation, steps: Sequence[Step]) -> Operation:
        return await self._performer.accept(caller, operation, steps)

    async def operation(self, operation_id: str, wait_s: float) -> Operation | None:
        return await self._performer.ended(operation_id, wait_s)

    async def take_lease(self, name: str, holder: str, ttl_s: float) -> int:
        """Take or renew a lease (`store.leases`). Raises LeaseHeld, Unavailable."""
        if self._closing:
            raise Unavailable(
                "the server is stopping and gives no more leases",
                next="send the request again in a few seconds",
            )
        work = partial(leases.take, name=name, holder=holder, ttl_s=ttl_s, now=self._clock())
        return await self._database.write(work, brief=True)

    async def lease(self, name: str) -> LeaseState | None:
        """Who holds a lease, or held it last; None: nobody ever did."""
        return await self._database.read(partial(leases.state, name=name, now=self._clock()))

    async def watch(
        self,
        *,
        after: str | None,
        kinds: frozenset[Kind],
        host: str | None,
        groups: frozenset[str] | None = None,
        is_fabrics: bool = False,
    ) -> AsyncIterator[bytes]:
        read = partial(self._picture, groups=groups)
        stream = self._hub.watch(read, after, kinds, host, groups, is_fabrics=is_fabrics)
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                yield chunk

    def watchers(self) -> int:
        """How many watches are open at this process."""
        return len(self._hub)

    def observe_cut_offs(self, observe: Callable[[], None]) -> None:
        """Call `observe` for each watcher that is cut off from now on."""
        self._hub.observe_cut_off = observe

    def observe_deleted_hosts(self, observe: Callable[[], None]) -> None:
        """Call `observe` when a host was deleted, here or by another process, from now on."""
        self._host_deleted = observe

    def state(self) -> dict[str, Any]:
        now = time.monotonic()
        unheard = self._liveness.unheard(now)
        nova = {"nova": self._sender.state()} if self._sender else {}
        return {
            "watchers": self.watchers(),
            "last_event": self._hub.last_seq,
            "commands_queued": self._committer.queued_items,
            "operations_begun": len(self._performer),
            "hosts": len(self._liveness.hosts()),
            "hosts_not_heard": unheard[:_NAMED_MAX],
            "hosts_not_heard_count": len(unheard),
            **nova,
        }

    async def ready(self) -> None:
        """Raises Unavailable when the database does not answer or nothing commits."""
        if not self._tasks or any(task.done() for task in self._tasks):
            raise Unavailable("the server is not running", next="look at its log")
        await self._database.read(lambda tx: tx.row("SELECT 1"))

    def end_watches(self) -> None:
        """End all watches, so that their connections can close; the rest goes on."""
        self._hub.close()

    async def close(self) -> None:
        """Commit what is queued, give leases back, close the database."""
        self._closing = True
        self._hub.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._performer.close()
        await self._committer.close()
        mine = self._hearing.of(self._liveness.hosts())

        async def leave(tx: Transaction) -> None:
            await return_leases(tx, self._ledger)
            await note_heard(tx, mine)

        if self._sender is not None:
            await self._sender.close()
        try:
            await self._database.write(leave)
        except Unavailable as error:
            log.warning("leases were not given back; they end by themselves", why=error.message)
        finally:
            await self._database.close()

    def _publish_own(self, events: Sequence[EventRow], _others: Sequence[EventRow]) -> None:
        """On SQLite there are no others."""
        self._publish(events)

    def _publish(self, events: Sequence[EventRow]) -> None:
        """Events in the order of the log, each once."""
        self._decider.follow(events)
        self._learn_hosts(events)
        self._performer.note(events)
        self._refused.note(events)
        self._surveyor.note(events)
        self._hub.publish(events, self._hearing.event)

    async def _picture(
        self,
        after: int,
        kinds: frozenset[Kind],
        host: str | None,
        groups: frozenset[str] | None = None,
    ) -> Picture:
        found = await self._database.read(lambda tx: picture(tx, after, kinds, host, groups))
        return self._hearing.picture(found)

    def _learn_hosts(self, events: Sequence[EventRow]) -> None:
        for event in [event for event in events if event.kind is Kind.HOST]:
            if event.body is None:
                self._liveness.forget(event.id)
                self._host_deleted()
            else:
                host = msgspec.json.decode(event.body, type=Host)
                self._liveness.learn(host, time.monotonic())

    async def _share_hearing(self) -> None:
        """An agent's heartbeats reach one process; its silence is for all to judge."""
        while True:
            try:
                mine = self._hearing.of(self._liveness.heard_since(time.monotonic() - _SHARED_S))
                await self._database.write(partial(note_heard, heard=mine))
                stored = await self._database.read(heard)
                self._hearing.learn(stored)
            except Unavailable as error:
                log.warning("heartbeats are not shared", why=error.message)
            except Exception:  # another process's rows in the way, or a defect: the next may pass
                log.exception("heartbeats are not shared")
            await asyncio.sleep(_SHARE_EVERY_S)
