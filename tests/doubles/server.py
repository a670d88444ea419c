"""A double of the server's native API, in memory: watch, registration, reports, devices.

It keeps the contract that agents rely on (INTERFACES), with the model's own state tables, and none
of the server's code: no allocation, no deadlines, no durability.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import msgspec
from msgspec.structs import replace
from tests.doubles.watch import encoded, encoded_attachment, encoded_group, key_of

from netwright.agent.live import LIVE
from netwright.model.errors import Denied, HostNotFound, StaleEpoch, Unavailable
from netwright.model.resources import Attachment, Binding, Network, Port, Prepared, VifType
from netwright.model.security import GroupMember, SecurityGroup
from netwright.model.states import BINDING, BindingState, Event, PortState
from netwright.model.wire import (
    CAUSE_UNPLUGGED,
    DeviceAnswers,
    DevicesSeen,
    Heartbeat,
    HostRegistration,
    Kind,
    LineType,
    Report,
    ReportBatch,
    ReportOutcome,
    ReportResult,
    ReportResults,
    ReportStatus,
    WatchLine,
)

HEARTBEAT_S = 5.0
_EVENT = {
    ReportStatus.UP: Event.PLANE_UP,
    ReportStatus.DOWN: Event.PLANE_DOWN,
    ReportStatus.REFUSED: Event.PLANE_REFUSED,
    ReportStatus.WITHDRAWN: Event.WITHDRAWN,
}


class Change(msgspec.Struct, frozen=True):
    """An entry of the event log: a port before and after, or an attachment as it is now."""

    before: Port | None = None
    after: Port | None = None
    attachment: Attachment | None = None


class ServerDouble:
    def __init__(self, networks: Sequence[Network]) -> None:
        self.networks = {network.id: network for network in networks}
        self.ports: dict[str, Port] = {}
        self.epochs: dict[str, str] = {}
        self.heartbeats: list[tuple[str, Heartbeat]] = []
        self.batches: list[ReportBatch] = []
        self.live_since: dict[tuple[str, str], float] = {}
        self.attachments: dict[tuple[str, str], Attachment] = {}
        self._log: list[Change] = []
        self.groups: dict[tuple[Kind, str], SecurityGroup | GroupMember] = {}
        self.group_watches: list[tuple[str, ...]] = []
        self.member_watches: list[tuple[str, ...]] = []
        self.denied_groups: frozenset[str] = frozenset()
        self._group_log: list[tuple[SecurityGroup | GroupMember, bool]] = []
        self._oldest = 0  # a cursor before this place is too old
        self._moved = asyncio.Event()

    # What an orchestrator does

    def put(self, port: Port | None, port_id: str = "") -> None:
        """Store a port (None: forget it) and log the change."""
        port_id = port.id if port is not None else port_id
        before = self.ports.get(port_id)
        if port is None:
            del self.ports[port_id]
        else:
            port = replace(port, revision_number=port.revision_number + 1)
            self.ports[port_id] = port
        self._log.append(Change(before, port))
        self._note_liveness(port_id, port)
        self._move()

    def attach(self, attachment: Attachment) -> None:
        """Store an attachment, as the server decided it, or a fabric controller brought it."""
        self.attachments[attachment.network_id, attachment.host] = attachment
        self._log.append(Change(attachment=attachment))
        self._move()

    def put_group(self, *values: SecurityGroup | GroupMember) -> None:
        """Store security groups, or members of them."""
        for value in values:
            self.groups[key_of(value)] = value
            self._group_log.append((value, True))
        self._move()

    def drop_group(self, value: SecurityGroup | GroupMember) -> None:
        del self.groups[key_of(value)]
        self._group_log.append((value, False))
        self._move()

    def bind(self, port_id: str, host: str) -> None:
        """Make `host` the active binding; the one before is withdrawn. "" unbinds."""
        port = self.ports[port_id]
        for binding in port.bindings:
            if binding.host != host and (binding.state in LIVE or binding.prepared is not None):
                port = self._withdrawing(port, binding, Event.REBIND)
        if host and (port.active_binding is None):
            generation = port.generation + 1
            new = Binding(
                host=host,
                generation=generation,
                active=True,
                state=BindingState.PREPARING,
                since=self._now(),
                vif_type=VifType.OVS,
            )
            others = tuple(b for b in port.bindings if b.host != host)
            port = replace(port, bindings=(*others, new), generation=generation, ever_bound=True)
        self.put(port)

    def delete(self, port_id: str) -> None:
        port = replace(self.ports[port_id], state=PortState.RELEASING)
        for binding in port.bindings:
            port = self._withdrawing(port, binding, Event.DELETE)
        self._put_or_release(port)

    def prepare(self, port_id: str, host: str) -> None:
        """An inactive binding, which is to be silent."""
        port = self.ports[port_id]
        if port.binding_on(host) is None:
            self.put(self._with_standby(port, host))

    def activate(self, port_id: str, host: str) -> None:
        """A standby becomes the active binding; the one before withdraws, and becomes a standby."""
        port = self.ports[port_id]
        chosen = port.binding_on(host)
        if chosen is None or not chosen.is_standby:
            return
        for binding in port.bindings:
            if binding.active:
                aside = replace(binding, active=False, prepared=Prepared())
                port = self._stepped(port, aside, Event.REBIND)
            elif binding.prepared is None and binding.state in LIVE:  # wired ahead
                port = self._withdrawing(port, binding, Event.REBIND)
        generation = port.generation + 1
        active = replace(chosen, active=True, prepared=None, generation=generation)
        port = self._stepped(port, active, Event.ACTIVATE)
        self.put(replace(port, generation=generation, ever_bound=True))

    def delete_binding(self, port_id: str, host: str) -> None:
        port = self.ports[port_id]
        binding = port.binding_on(host)
        if binding is not None and (binding.active or binding.prepared is not None):
            self.put(self._withdrawing(port, binding, Event.UNBIND))

    def _withdrawing(self, port: Port, binding: Binding, event: Event) -> Port:
        """A standby goes at once: nothing answers there."""
        if binding.is_standby:
            others = tuple(b for b in port.bindings if b.host != binding.host)
            return replace(port, bindings=others)
        return self._stepped(port, replace(binding, active=False, prepared=None), event)

    def _with_standby(self, port: Port, host: str) -> Port:
        generation = port.generation + 1
        standby = Binding(
            host=host,
            generation=generation,
            active=False,
            state=BindingState.PREPARING,
            since=self._now(),
            vif_type=VifType.OVS,
            prepared=Prepared(),
        )
        others = tuple(b for b in port.bindings if b.host != host)
        return replace(port, bindings=(*others, standby), generation=generation)

    def _move(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def forget_log(self) -> None:
        """From now on, every watch that resumes gets a snapshot."""
        self._oldest = len(self._log) + 1

    # The native API

    async def register_host(self, name: str, registration: HostRegistration) -> None:
        self.epochs[name] = registration.epoch

    async def heartbeat(self, name: str, heartbeat: Heartbeat) -> None:
        self._check(name, heartbeat.epoch)
        self.heartbeats.append((name, heartbeat))

    async def devices_seen(self, name: str, devices: DevicesSeen) -> DeviceAnswers:
        self._check(name, devices.epoch)
        found = []
        for port_id in devices.port_ids:
            port = self.ports.get(port_id)
            if port is None or port.state is PortState.RELEASING:
                continue
            binding = port.binding_on(name)
            if binding is None and port.ever_bound:
                continue
            if binding is not None and binding.state is BindingState.PREPARING:
                port = self._stepped(port, replace(binding, device_seen_at=self._now()), None)
                self.put(port)
            elif not port.bindings and not port.ever_bound:
                self._offer(port, name)
            found.append(self.ports[port_id])
        return DeviceAnswers(ports=tuple(found))

    def _offer(self, port: Port, host: str) -> None:
        """Its device was seen before it was ever bound: it is wired ahead."""
        ahead = Binding(
            host=host,
            generation=port.generation + 1,
            active=False,
            state=BindingState.PREPARING,
            since=self._now(),
            device_seen_at=self._now(),
            vif_type=VifType.OVS,
        )
        self.put(replace(port, bindings=(ahead,), generation=ahead.generation))

    async def report(self, batch: ReportBatch) -> ReportResults:
        self._check(batch.host, batch.epoch)
        self.batches.append(batch)
        results = tuple(self._apply(batch.host, report) for report in batch.reports)
        if batch.full_set_at is not None:
            self._absence(batch)
        return ReportResults(results=results)

    async def watch(
        self,
        kinds: Sequence[Kind],
        host: str | None,
        after: str | None,
        groups: Sequence[str] = (),
    ) -> AsyncGenerator[Sequence[WatchLine], None]:
        if groups:
            (kind,) = kinds  # an agent asks for rules and for members by watches of their own
            async for lines in self._watch_groups(kind, frozenset(groups), after):
                yield lines
            return
        place = int(after) if after is not None else -1
        if place < self._oldest:
            place = len(self._log)
            yield self._snapshot(host, str(place))
        while True:
            moved = self._moved
            entries = [self._line(at, host) for at in range(place, len(self._log))]
            place = len(self._log)
            if told := [line for line in entries if line is not None]:
                yield told
                continue
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await moved.wait()
            except TimeoutError:
                yield [WatchLine(type=LineType.HEARTBEAT, cursor=str(place))]

    async def _watch_groups(
        self, kind: Kind, groups: frozenset[str], after: str | None
    ) -> AsyncGenerator[Sequence[WatchLine], None]:
        opened = self.member_watches if kind is Kind.GROUP_MEMBER else self.group_watches
        opened.append(tuple(sorted(groups)))
        if groups & self.denied_groups:
            raise Denied("not this host's to know")
        place = int(after) if after is not None else -1
        if place < 0:
            place = len(self._group_log)
            told = [one for one in self.groups.values() if _is_told(one, kind, groups)]
            end = WatchLine(type=LineType.SNAPSHOT_END, cursor=str(place))
            yield [*map(encoded_group, told), end]
        while True:
            moved = self._moved
            changed: list[WatchLine] = [
                _group_line(*self._group_log[at], str(at + 1))
                for at in range(place, len(self._group_log))
                if _is_told(self._group_log[at][0], kind, groups)
            ]
            place = len(self._group_log)
            if changed:
                yield changed
                continue
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await moved.wait()
            except TimeoutError:
                yield [WatchLine(type=LineType.HEARTBEAT, cursor=str(place))]
            if groups & self.denied_groups:
                raise Unavailable("the stream was cut")

    def _snapshot(self, host: str | None, cursor: str) -> list[WatchLine]:
        values: list[tuple[Kind, Network | Port]] = [
            (Kind.NETWORK, network) for network in self.networks.values()
        ]
        values += [(Kind.PORT, port) for port in self.ports.values() if _concerns(port, host)]
        lines = [encoded(kind, value) for kind, value in values]
        lines += [
            encoded_attachment(one) for one in self.attachments.values() if host in (None, one.host)
        ]
        return [*lines, WatchLine(type=LineType.SNAPSHOT_END, cursor=cursor)]

    def _line(self, place: int, host: str | None) -> WatchLine | None:
        change = self._log[place]
        cursor = str(place + 1)
        if (attachment := change.attachment) is not None:
            is_told = host in (None, attachment.host)
            return encoded_attachment(attachment, cursor) if is_told else None
        if change.after is not None and _concerns(change.after, host):
            return encoded(Kind.PORT, change.after, cursor)
        if change.before is not None and _concerns(change.before, host):
            port_id = change.before.id
            return WatchLine(type=LineType.DELETE, cursor=cursor, kind=Kind.PORT, id=port_id)
        return None

    def _apply(self, host: str, report: Report) -> ReportResult:
        port_id = report.port_id or ""
        outcome = ReportOutcome.APPLIED
        port = self.ports.get(port_id)
        binding = port.binding_on(host) if port is not None else None
        if port is None or binding is None:
            if report.status is not ReportStatus.WITHDRAWN:
                outcome = ReportOutcome.UNKNOWN
        elif report.generation != binding.generation:
            outcome = ReportOutcome.STALE
        else:
            event = _EVENT[report.status]
            if event is Event.PLANE_DOWN and report.cause == CAUSE_UNPLUGGED:
                event = Event.UNPLUGGED
                ahead = not binding.active and binding.prepared is None
                if ahead and binding.state in LIVE:
                    event = Event.UNBIND  # the device of a port that was wired ahead has gone
            after = self._stepped(port, replace(binding, cause=report.cause), event)
            if after.bindings != port.bindings:
                self._put_or_release(after)
        return ReportResult(id=port_id, result=outcome)

    def _absence(self, batch: ReportBatch) -> None:
        named = {report.port_id for report in batch.reports}
        seen = int(batch.full_set_at or 0)
        changed_since = {
            port.id
            for change in self._log[seen:]
            for port in (change.before, change.after)
            if port is not None
        }
        for port in list(self.ports.values()):
            binding = port.binding_on(batch.host)
            silent = port.id not in named and port.id not in changed_since
            stands = {BindingState.WITHDRAWING, BindingState.UP, BindingState.DOWN}
            if binding is not None and silent and binding.state in stands:
                self._put_or_release(self._stepped(port, binding, Event.WITHDRAWN))

    def _put_or_release(self, port: Port) -> None:
        if port.state is PortState.RELEASING and not port.bindings:
            self.put(None, port.id)
        else:
            self.put(port)

    def _stepped(self, port: Port, binding: Binding, event: Event | None) -> Port:
        state = binding.state if event is None else BINDING.get((binding.state, event))
        if state is None:
            return port
        seen = binding.device_seen_at
        if state is BindingState.UP:
            seen = seen or self._now()
        elif event in {Event.UNPLUGGED, Event.WITHDRAWN}:
            seen = None
        after = replace(binding, state=state, device_seen_at=seen)
        others = tuple(b for b in port.bindings if b.host != binding.host)
        gone = state is BindingState.WITHDRAWN
        if gone and binding.prepared is not None:
            return self._with_standby(port, binding.host)
        return replace(port, bindings=others if gone else (*others, after))

    def _note_liveness(self, port_id: str, port: Port | None) -> None:
        live = {b.host for b in port.bindings if b.state in LIVE} if port is not None else set()
        for key in [key for key in self.live_since if key[0] == port_id]:
            if key[1] not in live:
                del self.live_since[key]
        for host in live:
            self.live_since.setdefault((port_id, host), self._now())

    def _check(self, name: str, epoch: str) -> None:
        if name not in self.epochs:
            raise HostNotFound(f"Host {name} could not be found.")
        if self.epochs[name] != epoch:
            raise StaleEpoch(f"host {name} has registered anew since epoch {epoch}")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _concerns(port: Port, host: str | None) -> bool:
    return host is None or port.binding_on(host) is not None


def _is_told(value: SecurityGroup | GroupMember, kind: Kind, groups: frozenset[str]) -> bool:
    group = value.id if isinstance(value, SecurityGroup) else value.group_id
    return key_of(value)[0] is kind and group in groups


def _group_line(value: SecurityGroup | GroupMember, stands: bool, cursor: str) -> WatchLine:  # noqa: FBT001 - a log's entry
    if stands:
        return encoded_group(value, cursor)
    kind, id_ = key_of(value)
    return WatchLine(type=LineType.DELETE, cursor=cursor, kind=kind, id=id_)
