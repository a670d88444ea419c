"""The server without its edge: committer, store, hub, and what time brings about.

    commit ──▶ committer ──▶ batch.run in the writer thread ──▶ hub ──▶ watchers
    clock  ──▶ upkeep: silent hosts, deadlines, leases, rested addresses

`Core` is what the APIs stand on (`service.Service`).
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import structlog

from netwright.db.committer import Committer
from netwright.db.sqlite import SqliteDatabase
from netwright.ipam.ledger import Ledger
from netwright.model.errors import Unavailable
from netwright.model.resources import Host
from netwright.model.segments import VlanRange
from netwright.model.wire import Kind
from netwright.server import batch
from netwright.server.commands import (
    ApplyReports,
    Caller,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeletePorts,
    HeartbeatHost,
    SeeDevices,
    Tick,
    UpdatePorts,
)
from netwright.server.hearing import Hearing
from netwright.server.history import HISTORY_KEPT, HistoryKept
from netwright.server.liveness import Liveness
from netwright.server.store.events import Picture, last_seq, picture
from netwright.server.store.leasing import return_leases
from netwright.server.store.opening import open_database
from netwright.server.store.reading import SqliteReader
from netwright.server.store.upkeep import note_heard, overdue_ports
from netwright.server.store.writing import EventRow
from netwright.server.watch import Hub

log = structlog.get_logger(__name__)

UPKEEP_PERIOD_S = 1.0
_CHORES_EVERY_S = 10.0
_CONFLICT_ROUNDS_MAX = 8
_NAMED_MAX = 20
_ITSELF = Caller(project_id="", is_admin=True)

Clock = Callable[[], float]
ObserveCommit = Callable[[int, float], None]
"""Told of each commit: how many commands it held, how many seconds it took."""


class Core:
    """One server process. Open it with `Core.open`, then `start`."""

    def __init__(
        self,
        database: SqliteDatabase,
        epoch: str,
        clock: Clock,
        observe_commit: ObserveCommit = lambda _commands, _duration_s: None,
        *,
        vlan_ranges: Sequence[VlanRange] = (),
        history: HistoryKept = HISTORY_KEPT,
    ) -> None:
        self._database = database
        self._epoch = epoch
        self._clock = clock
        self._observe_commit = observe_commit
        self._vlan_ranges = vlan_ranges
        self._history = history
        self._ledger = Ledger(f"server-{uuid4()}")
        self._committer: Committer[Command, Any] = Committer(self._commit_batch, weight)
        self._hub = Hub(epoch, database.write_now(last_seq))
        self._liveness = Liveness(database.write_now(_hosts), time.monotonic())
        self._hearing = Hearing(self._liveness, clock)
        self.reader = SqliteReader(database, self._hearing.host)
        self._upkeep: asyncio.Task[None] | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        clock: Clock = time.time,
        observe_commit: ObserveCommit = lambda _commands, _duration_s: None,
        vlan_ranges: Sequence[VlanRange] = (),
        history: HistoryKept = HISTORY_KEPT,
    ) -> "Core":
        """Open the database file, or make it. Raises what `open_database` does."""
        database, epoch = open_database(path, uuid4().hex[:12])
        return cls(database, epoch, clock, observe_commit, vlan_ranges=vlan_ranges, history=history)

    async def start(self) -> None:
        self._committer.start()
        self._upkeep = asyncio.create_task(self._run_upkeep(), name="upkeep")

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
        return await self._committer.submit(command)

    async def watch(
        self, *, after: str | None, kinds: frozenset[Kind], host: str | None
    ) -> AsyncIterator[bytes]:
        async for chunk in self._hub.watch(self._picture, after, kinds, host):
            yield chunk

    def watchers(self) -> int:
        """How many watches are open at this process."""
        return len(self._hub)

    def observe_cut_offs(self, observe: Callable[[], None]) -> None:
        """Call `observe` for each watcher that is cut off from now on."""
        self._hub.observe_cut_off = observe

    def state(self) -> dict[str, Any]:
        now = time.monotonic()
        unheard = self._liveness.unheard(now)
        return {
            "watchers": self.watchers(),
            "last_event": self._hub.last_seq,
            "commands_queued": self._committer.queued_items,
            "hosts": len(self._liveness.hosts()),
            "hosts_not_heard": unheard[:_NAMED_MAX],
            "hosts_not_heard_count": len(unheard),
        }

    async def ready(self) -> None:
        """Raises Unavailable when the database does not answer or nothing commits."""
        if self._upkeep is None or self._upkeep.done():
            raise Unavailable("the server is not running", next="look at its log")
        await self._database.read(lambda connection: connection.execute("SELECT 1").fetchone())

    def end_watches(self) -> None:
        """End all watches, so that their connections can close; the rest goes on."""
        self._hub.close()

    async def close(self) -> None:
        """Commit what is queued, give leases back, close the database."""
        self._hub.close()
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        await self._committer.close()
        heard = self._hearing.of(self._liveness.hosts())

        def leave(connection: sqlite3.Connection) -> None:
            return_leases(connection, self._ledger)
            note_heard(connection, heard)

        try:
            await self._database.write(leave)
        except Unavailable as error:
            log.warning("leases were not given back; they end by themselves", why=error.message)
        finally:
            self._database.close()

    async def _commit_batch(self, commands: Sequence[Command]) -> Sequence[Any]:
        started = time.perf_counter()
        try:
            outcomes, events = await self._write(commands)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a defect of ours in one command, maybe: which?
            return await self._commit_apart(commands, error)
        self._ledger.commit()
        self._observe_commit(len(commands), time.perf_counter() - started)
        self._learn_hosts(events)
        self._hub.publish(map(self._hearing.event, events))
        return outcomes

    async def _write(self, commands: Sequence[Command]) -> tuple[list[Any], list[EventRow]]:
        """Decide the batch and commit it; whatever this raises, nothing of it is stored."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> tuple[list[Any], list[EventRow]]:
            return batch.run(
                connection,
                commands,
                ledger=self._ledger,
                now=now,
                epoch=self._epoch,
                vlan_ranges=self._vlan_ranges,
                history=self._history,
            )

        for round_ in range(1, _CONFLICT_ROUNDS_MAX + 1):
            try:
                return await self._database.write(work)
            except batch.KeysTaken as taken:
                self._ledger.abort(taken.subnets)
                if round_ == _CONFLICT_ROUNDS_MAX:
                    raise
            except BaseException:
                self._ledger.forget()
                raise
        raise AssertionError("the last round returns or raises")

    async def _commit_apart(self, commands: Sequence[Command], error: Exception) -> Sequence[Any]:
        """The outcomes of a batch that cannot be written: cut in two, until one fails alone."""
        if len(commands) == 1:
            if isinstance(error, batch.KeysTaken):
                error = Unavailable(
                    f"other servers were faster {_CONFLICT_ROUNDS_MAX} times in a row; nothing was "
                    "changed",
                    next="send the request again",
                )
            return [error]
        log.error("a batch cannot be written; it is cut", commands=len(commands), exc_info=error)
        outcomes: list[Any] = []
        half = len(commands) // 2
        for part in (commands[:half], commands[half:]):
            try:
                outcomes += await self._commit_batch(part)
            except Unavailable as why:  # what was written of the other part stands
                outcomes += [why] * len(part)
        return outcomes

    async def _picture(self, after: int, kinds: frozenset[Kind], host: str | None) -> Picture:
        found = await self._database.read(
            lambda connection: picture(connection, after, kinds, host)
        )
        return self._hearing.picture(found)

    def _learn_hosts(self, events: Sequence[EventRow]) -> None:
        for event in events:
            if event.kind is Kind.HOST and event.body is None:
                self._liveness.forget(event.id)
            elif event.kind is Kind.HOST and event.body is not None:
                host = msgspec.json.decode(event.body, type=Host)
                self._liveness.learn(host, time.monotonic())

    async def _run_upkeep(self) -> None:
        chores_at = 0.0
        while True:
            await asyncio.sleep(UPKEEP_PERIOD_S)
            try:
                chores_at = await self._keep_up(chores_at)
            except Unavailable as error:
                log.warning("upkeep waits for the database", why=error.message)
            except Exception:  # a defect of ours; upkeep must live on
                log.exception("upkeep failed")

    async def _keep_up(self, chores_at: float) -> float:
        silent = self._liveness.silent(time.monotonic())
        to_note = self._liveness.to_note(time.monotonic())
        now = self._clock()
        overdue = await self._database.read(lambda connection: overdue_ports(connection, now))
        if silent or overdue or time.monotonic() >= chores_at:
            for name in silent:
                log.warning("host fell silent", host=name, next="look at its agent there")
            await self._committer.submit(
                Tick(
                    caller=_ITSELF,
                    silent_hosts=silent,
                    overdue_ports=overdue,
                    heard=self._hearing.of({*silent, *to_note}),
                )
            )
            self._liveness.noted(to_note, time.monotonic())
            return time.monotonic() + _CHORES_EVERY_S
        return chores_at


def weight(command: Command) -> int:
    """How many items a command has: a batch holds a bounded number of them."""
    match command:
        case CreatePorts() | CreateNetworks() | CreateSubnets():
            return len(command.drafts)
        case UpdatePorts():
            return len(command.changes)
        case DeletePorts():
            return len(command.ids)
        case ApplyReports():
            return max(1, len(command.batch.reports))
        case _:
            return 1


def _hosts(connection: sqlite3.Connection) -> list[Host]:
    decode = msgspec.json.Decoder(Host).decode
    return [decode(body) for (body,) in connection.execute("SELECT body FROM host")]
