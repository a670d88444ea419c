"""Agents that decide as the real ones do, on hosts whose wire is a dictionary.

The pure parts are the agent's own: what to wire, what to report, whom to ask. The machinery around
them is simple enough to see: a mirror fed from the event log, an outbox that keeps its order. The
wire is the truth, which the server does not know: by port id, what a plugged device answers for.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import chain

import msgspec
from tests.doubles.store import ADMIN, EPOCH, Store

from netwright.agent import devices
from netwright.agent.desired import Desired, desired
from netwright.agent.groups import KnownGroups
from netwright.agent.reports import Acknowledged, Statement, acknowledge, due, full_set, statements
from netwright.agent.wiring import Endpoint, Outcome, Wired, WiringStatus
from netwright.model.resources import Network, Port
from netwright.model.wire import DeviceAnswers, DevicesSeen, Kind, Report, ReportBatch
from netwright.server.commands import ApplyReports, Command, SeeDevices

PHYSICAL = ("physnet1",)
_KINDS = frozenset({Kind.NETWORK, Kind.PORT})


@dataclass
class Message:
    """A request on its way, and what the agent makes of its answer."""

    command: Command
    sent: tuple[Report, ...] = ()
    stated: dict[str, Statement] = field(default_factory=dict)
    asked: tuple[str, ...] = ()


@dataclass
class AgentDouble:
    host: str
    life: int = 0
    seen: int = -1
    ports: dict[str, Port] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    plugged: set[str] = field(default_factory=set)
    wire: dict[str, Endpoint] = field(default_factory=dict)
    acknowledged: Acknowledged = field(default_factory=dict)
    answers: devices.Answers = field(default_factory=dict)
    outbox: list[Message] = field(default_factory=list)

    @property
    def epoch(self) -> str:
        return f"life{self.life}"

    def start(self) -> None:
        """A new life: what the earlier one had heard and had yet to say is lost, the wire stays."""
        self.life += 1
        self.seen, self.ports, self.networks = -1, {}, {}
        self.acknowledged, self.answers, self.outbox = {}, {}, []

    def die(self) -> None:
        """Its power is cut: nothing of it answers any more."""
        self.start()
        self.plugged, self.wire = set(), {}

    def unplug(self, port_id: str) -> None:
        self.plugged.discard(port_id)
        self.wire.pop(port_id, None)

    def work(self, store: Store, *, sweeps: bool, refuses: bool, speaks: bool) -> None:
        """Hear what has happened, wire what is wanted, say what is true.

        What is not wanted any more may stand yet (it does not come to sweeping), and what the data
        plane `refuses` stays as it was.
        """
        self._hear(store)
        wanted = desired(self.host, PHYSICAL, self.ports, self.networks, self._groups())
        wired = self._apply(wanted, sweeps=sweeps, refuses=refuses)
        if speaks:
            stated = dict(statements(self.host, self.ports, wanted, wired))
            self._report(stated, is_settled=not (wired.standing or wanted.waiting))
            self._ask(wired, wanted.later, store.now)

    def _groups(self) -> KnownGroups:
        """Its watch of groups is in sync; what they allow is not this double's matter."""
        named = (port.security_groups or () for port in self.ports.values())
        return KnownGroups(synced=frozenset(chain.from_iterable(named)))

    def answered(self, message: Message, outcome: object, now: float) -> None:
        if isinstance(outcome, DeviceAnswers):
            asked, found = message.asked, outcome.ports
            self.answers = devices.answered(self.answers, asked, found, now=now)
        elif not isinstance(outcome, Exception):
            self.acknowledged = acknowledge(self.acknowledged, message.stated, message.sent)

    def _hear(self, store: Store) -> None:
        seq, events, snapshot = store.picture(self.seen, _KINDS, self.host)
        if snapshot is not None:
            self.ports, self.networks = {}, {}
            for kind, id_, body in snapshot:
                self._put(kind, id_, body.encode())
        for event in events or ():
            assert event.kind is not None
            concerned = event.hosts is None or self.host in event.hosts
            if self.host in event.left_hosts or (concerned and event.body is None):
                self._put(event.kind, event.id, None)
            elif concerned:
                self._put(event.kind, event.id, event.body)
        self.seen = seq

    def _put(self, kind: Kind, id_: str, body: bytes | None) -> None:
        match kind, body:
            case Kind.PORT, None:
                self.ports.pop(id_, None)
            case Kind.PORT, bytes():
                self.ports[id_] = msgspec.json.decode(body, type=Port)
            case Kind.NETWORK, bytes():
                self.networks[id_] = msgspec.json.decode(body, type=Network)

    def _apply(self, wanted: Desired, *, sweeps: bool, refuses: bool) -> Wired:
        here = {key: one for key, one in wanted.endpoints.items() if key in self.plugged}
        status = WiringStatus.REFUSED if refuses else WiringStatus.UP
        for port_id in [key for key in self.wire if key not in here]:
            if sweeps and not wanted.waiting:
                del self.wire[port_id]
        if not refuses:
            self.wire |= here
        return Wired(
            outcomes={port_id: Outcome(status=status, cause="") for port_id in here},
            standing=frozenset(self.wire).difference(here),
        )

    def _report(self, stated: dict[str, Statement], *, is_settled: bool) -> None:
        self._send(due(stated, self.acknowledged), stated)
        if is_settled and (whole := full_set(self.host, self.ports, stated)) is not None:
            self._send(whole, stated, full_set_at=f"{EPOCH}-{self.seen}")

    def _send(
        self,
        sent: Collection[Report],
        stated: dict[str, Statement],
        full_set_at: str | None = None,
    ) -> None:
        if not sent and full_set_at is None:
            return
        made = ReportBatch(
            host=self.host, epoch=self.epoch, reports=tuple(sent), full_set_at=full_set_at
        )
        command = ApplyReports(caller=ADMIN, batch=made)
        self.outbox.append(Message(command, tuple(sent), stated))

    def _ask(self, wired: Wired, waiting: Collection[str], now: float) -> None:
        self.answers = devices.pruned(self.answers, self.plugged, self.ports)
        untold = devices.untold(
            self.host, self.plugged, self.ports, wired, self.answers, waiting=waiting
        )
        long_ago = dict.fromkeys(untold, now - devices.TELL_AFTER_S)
        asked = devices.to_ask(self.plugged, self.ports, self.answers, now=now, since=long_ago)
        if asked:
            seen = DevicesSeen(epoch=self.epoch, port_ids=asked)
            command = SeeDevices(caller=ADMIN, host=self.host, devices=seen)
            self.outbox.append(Message(command, asked=asked))


def answering(agents: Collection[AgentDouble]) -> Iterator[tuple[str, str, str]]:
    """(host, port, address or MAC) of all that is answered for on the wire.

    Through what is administratively down no packet passes, so nothing is.
    """
    for agent in agents:
        for port_id, endpoint in agent.wire.items():
            if not endpoint.admin_state_up:
                continue
            for name in (*endpoint.addresses, endpoint.mac_address):
                yield agent.host, port_id, name
