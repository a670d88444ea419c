"""What one life of the agent says to the server, and what the server has heard of it.

new ──register──▶ registered ──the server knows no such host──▶ new
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import Protocol, TypeVar

import structlog

from netwright.agent import reports
from netwright.agent.dhcp.served import WhereServed
from netwright.agent.placing import FabricUplink
from netwright.agent.reconcile import Pass
from netwright.client.watch import WatchSource
from netwright.model.errors import HostNotFound
from netwright.model.resources import Nic, Port, Value
from netwright.model.wire import (
    DeviceAnswers,
    DevicesSeen,
    Heartbeat,
    HostRegistration,
    Report,
    ReportBatch,
    ReportResults,
)

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Server(WatchSource, Protocol):
    """What the agent needs of the server: `client.api.Client`, or a test's double."""

    async def register_host(self, name: str, registration: HostRegistration) -> object: ...
    async def heartbeat(self, name: str, heartbeat: Heartbeat) -> None: ...
    async def devices_seen(self, name: str, devices: DevicesSeen) -> DeviceAnswers: ...
    async def report(self, batch: ReportBatch) -> ReportResults: ...


class Identity(Value, frozen=True, kw_only=True):
    """Who this agent is. `epoch` is new in each life; the server heeds the newest only (law 3)."""

    host: str
    epoch: str
    driver: str
    physical_networks: Mapping[str, str] = {}
    fabric: FabricUplink | None = None
    where_served: WhereServed = WhereServed()
    management_ip: str | None = None


class Health(Value, frozen=True, kw_only=True):
    """What a heartbeat may carry. `neighbours` None: not known yet, since the agent just began."""

    nics: tuple[Nic, ...] = ()
    conditions: Mapping[str, str] = {}
    neighbours: Mapping[str, str] | None = None


class Session:
    """Talks to the server for one life of the agent.

    All methods raise NetwrightError: StaleEpoch when a newer life has registered, Unavailable when
    the server did not answer. Calling again is always right.
    """

    def __init__(self, identity: Identity, server: Server) -> None:
        self.identity = identity
        self.registered = asyncio.Event()
        self.told: Health | None = None
        """The last health that the server has heard; None before the first heartbeat."""
        self._server = server
        self._acknowledged: reports.Acknowledged = {}
        self._full_set_due = True
        self._silenced: dict[str, Report] = {}

    async def beat(self, health: Health) -> None:
        """Register if need be; send a heartbeat, with the health if it is news."""
        identity = self.identity
        if not self.registered.is_set():
            registration = HostRegistration(
                epoch=identity.epoch,
                driver=identity.driver,
                physical_networks=identity.physical_networks,
                nics=health.nics,
                management_ip=identity.management_ip,
            )
            await self._server.register_host(identity.host, registration)
            log.info("registered", host=identity.host, epoch=identity.epoch)
            self.told, self._acknowledged, self._silenced = None, {}, {}
            self.whole_set_due()
            self.registered.set()
        news = health != self.told
        beat = Heartbeat(
            epoch=identity.epoch,
            nics=health.nics if news else None,
            conditions=health.conditions if news else None,
            neighbours=health.neighbours if news else None,
        )
        await self._known(self._server.heartbeat(identity.host, beat))
        self.told = health

    async def ask(self, port_ids: tuple[str, ...]) -> Iterable[Port]:
        """Tell of devices that were found, named by their ports' ids; those that exist."""
        question = DevicesSeen(epoch=self.identity.epoch, port_ids=port_ids)
        answers = await self._known(self._server.devices_seen(self.identity.host, question))
        return answers.ports

    async def report(self, found: Pass, *, is_certain: bool) -> None:
        """Send what the server has not acknowledged, then the whole set if it is due and certain.

        `is_certain` says that the mirror is readable as a whole: else silence proves nothing.
        """
        for batch in reports.batches(reports.due(found.stated, self._acknowledged)):
            await self._send(found, batch)
        await self._report_silenced(found)
        if not (self._full_set_due and is_certain and found.settled):
            return
        whole = reports.full_set(self.identity.host, found.ports, found.stated)
        if whole is None:
            return
        # Cleared first: a stream that opens during the wait makes it due again.
        self._full_set_due = False
        was_sent = False
        try:
            await self._send(found, whole, full_set_at=found.cursor)
            was_sent = True
        finally:
            self._full_set_due = self._full_set_due or not was_sent

    async def _report_silenced(self, found: Pass) -> None:
        """Say of ports that leaves drop here that they are not wired; the server keeps it."""
        told = {id_: one for id_, one in self._silenced.items() if id_ in found.silenced}
        self._silenced = told
        news = tuple(one for id_, one in found.silenced.items() if told.get(id_) != one)
        for batch in reports.batches(news):
            await self._send(found, batch)
            told.update((one.port_id, one) for one in batch if one.port_id is not None)

    def whole_set_due(self) -> None:
        """The server may have missed something: the next report is followed by the whole set."""
        self._full_set_due = True
        self._silenced = {}

    async def _send(
        self, found: Pass, batch: tuple[Report, ...], full_set_at: str | None = None
    ) -> None:
        message = ReportBatch(
            host=self.identity.host,
            epoch=self.identity.epoch,
            reports=batch,
            full_set_at=full_set_at,
        )
        await self._known(self._server.report(message))
        self._acknowledged = reports.acknowledge(self._acknowledged, found.stated, batch)

    async def _known(self, request: Awaitable[T]) -> T:
        try:
            return await request
        except HostNotFound:
            self.registered.clear()  # a server that was set up anew: the next beat registers
            raise
