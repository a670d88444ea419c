"""A server as a fabric controller sees it: watch, lease, reports; and switches with EVPN."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace
from tests.doubles.switches import SimulatedSwitch

from netwright.fabric.changes import Change
from netwright.fabric.config import Interface, RouteTargets, SwitchConfig
from netwright.fabric.drivers.base import Actual, Learned, OvertakenError
from netwright.model.errors import DeviceError, LeaseHeld, StaleEpoch, Unavailable
from netwright.model.fabric import (
    AttachmentReport,
    FabricReports,
    FenceReport,
    OperationAnswer,
    SwitchReport,
    SwitchState,
    SwitchStatus,
)
from netwright.model.operations import FABRIC, Action, Operation
from netwright.model.resources import Attachment, FenceState, Host, HostState, PortFence
from netwright.model.states import AttachmentState
from netwright.model.topology import Switch, Topology
from netwright.model.wire import (
    Kind,
    LeaseGrant,
    LeaseRequest,
    LineType,
    ReportStatus,
    WatchLine,
)

T = TypeVar("T")

_STATE = {
    ReportStatus.UP: AttachmentState.UP,
    ReportStatus.DOWN: AttachmentState.DRIFTED,
    ReportStatus.REFUSED: AttachmentState.REFUSED,
}


class Here:
    """Runs a store's work where it stands: virtual time knows no threads."""

    async def run(self, work: Callable[[], T]) -> T:
        return work()

    def close(self) -> None:
        pass


async def here(work: Callable[[], T]) -> T:
    return work()


class FabricServer:
    """`put` and `delete` change what it holds; it applies attachments' reports like the real one.

    `clock` is that of its lease. While `is_away`, nothing is answered and streams break off.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.reports: list[FabricReports] = []
        self.switches: list[SwitchReport] = []
        self.links: dict[str, bool] = {}
        self.clear_at: str | None = None
        self.is_away = False
        self.is_watch_away = False
        self.objects: dict[tuple[Kind, str], Any] = {}
        self.asked_after: list[str | None] = []
        self.answers: list[OperationAnswer] = []
        self._asked = 0
        self._clock = clock
        self._log: list[tuple[Kind, str, Any]] = []
        self._news = asyncio.Condition()
        self._holder = ""
        self._token = 0
        self._until = 0.0

    @property
    def cursor(self) -> str:
        return f"c{len(self._log)}"

    def attachment(self, subject: str) -> Attachment:
        found: Attachment = self.objects[Kind.ATTACHMENT, subject]
        return found

    def state(self, subject: str) -> AttachmentState | None:
        found = self.objects.get((Kind.ATTACHMENT, subject))
        return found.state if found is not None else None

    def status(self, switch: str) -> SwitchReport:
        """As last reported; unreachable before it ever was."""
        nothing = SwitchReport(switch=switch, status=SwitchStatus.UNREACHABLE, cause="not reported")
        return next((one for one in reversed(self.switches) if one.switch == switch), nothing)

    async def put(self, kind: Kind, id_: str, value: Any) -> None:
        self.objects[kind, id_] = value
        await self._tell(kind, id_, value)

    async def put_attachment(self, value: Attachment) -> None:
        await self.put(Kind.ATTACHMENT, f"{value.network_id}@{value.host}", value)

    async def delete(self, kind: Kind, id_: str) -> None:
        self.objects.pop((kind, id_), None)
        await self._tell(kind, id_, None)

    async def withdraw(self, subject: str) -> None:
        await self.put_attachment(
            replace(self.attachment(subject), state=AttachmentState.WITHDRAWING)
        )

    async def take_lease(self, _name: str, wish: LeaseRequest) -> LeaseGrant:
        self._reach()
        now = self._clock()
        if now < self._until and wish.holder != self._holder:
            raise LeaseHeld(f"It is held by {self._holder} for another {self._until - now:.1f} s.")
        if wish.holder != self._holder or now >= self._until:
            self._token += 1
        self._holder, self._until = wish.holder, now + wish.ttl_s
        return LeaseGrant(token=self._token)

    async def report_fabric(self, reports: FabricReports) -> None:
        self._reach()
        if reports.token != self._token:
            raise StaleEpoch("A newer controller holds the lease.")
        self.reports.append(reports)
        self.switches += reports.switches
        self.links |= {str(one.end): one.is_up for one in reports.links}
        self.clear_at = reports.clear_at or self.clear_at
        for report in reports.attachments:
            await self._apply(report)
        for fence in reports.fences:
            await self._apply_fence(fence)
        for one in reports.switches:
            before = self.objects.get((Kind.SWITCH, one.switch))
            was_drained = before is not None and before.drained
            state = SwitchState(
                name=one.switch,
                status=one.status,
                cause=one.cause,
                drift=one.drift,
                drained=was_drained if one.drained is None else one.drained,
                since=0.0,
            )
            if self.objects.get((Kind.SWITCH, one.switch)) != state:
                await self.put(Kind.SWITCH, one.switch, state)

    async def answer_operation(self, id_: str, answer: OperationAnswer) -> None:
        self._reach()
        if answer.token != self._token:
            raise StaleEpoch("A newer controller holds the lease.")
        self.answers.append(answer)
        operation = self.objects[Kind.OPERATION, id_]
        await self.put(
            Kind.OPERATION, id_, replace(operation, state=answer.state, result=answer.result)
        )

    async def ask(self, action: Action, **arguments: Any) -> OperationAnswer:
        """Ask the controller, and wait for its answer."""
        self._asked += 1
        operation = Operation(
            id=f"op-{self._asked}",
            project_id="p",
            collection=FABRIC,
            action=action,
            arguments=arguments,
        )
        await self.put(Kind.OPERATION, operation.id, operation)
        key = (Kind.OPERATION, operation.id)
        async with self._news:
            await self._news.wait_for(lambda: self.objects[key].state.is_final)
        return self.answers[-1]

    async def watch(
        self,
        kinds: Sequence[Kind],
        host: str | None,
        after: str | None,
        groups: Sequence[str] = (),
    ) -> AsyncGenerator[Sequence[WatchLine], None]:
        self._reach()
        if self.is_watch_away:
            raise Unavailable("The watch is away.")
        self.asked_after.append(after)
        seen = len(self._log) if after is None else int(after[1:])
        if after is None:
            for (kind, id_), value in self.objects.items():
                yield [_line(kind, id_, value, "")]
            yield [WatchLine(type=LineType.SNAPSHOT_END, cursor=f"c{seen}")]
        else:
            missed = [_line(*one, f"c{seen + at}") for at, one in enumerate(self._log[seen:], 1)]
            seen = len(self._log)
            beat = WatchLine(type=LineType.HEARTBEAT, cursor=f"c{seen}")
            yield [*(line for line in missed if line.kind in kinds), beat]
        while True:
            async with self._news:
                await self._news.wait_for(lambda: len(self._log) > seen or self.is_away)  # noqa: B023
            self._reach()
            new = self._log[seen:]
            lines = [_line(*one, f"c{seen + at + 1}") for at, one in enumerate(new)]
            seen += len(new)
            yield [line for line in lines if line.kind in kinds]

    async def go_away(self) -> None:
        async with self._news:
            self.is_away = True
            self._news.notify_all()

    def come_back(self) -> None:
        self.is_away = False

    async def _apply(self, report: AttachmentReport) -> None:
        subject = f"{report.network_id}@{report.host}"
        held = self.objects.get((Kind.ATTACHMENT, subject))
        if held is None or held.generation != report.generation:
            return
        if report.status is ReportStatus.WITHDRAWN:
            if held.state is AttachmentState.WITHDRAWING:
                await self.delete(Kind.ATTACHMENT, subject)
            return
        if held.state is not AttachmentState.WITHDRAWING:
            state = _STATE[report.status]
            if report.status is ReportStatus.DOWN and held.state is AttachmentState.WANTED:
                state = AttachmentState.WANTED
            await self.put_attachment(replace(held, state=state, cause=report.cause))

    async def _apply_fence(self, report: FenceReport) -> None:
        host = self.objects.get((Kind.HOST, report.host))
        fence = host.fence_of(report.port_id) if host is not None else None
        if fence is None or fence.generation != report.generation:
            return
        if report.status is ReportStatus.WITHDRAWN and not fence.is_wanted:
            await self.put_fences(report.host)
        elif report.status is not ReportStatus.WITHDRAWN and fence.is_wanted:
            state = FenceState.VERIFIED if report.status is ReportStatus.UP else FenceState.ASKED
            await self.put_fences(report.host, replace(fence, state=state, cause=report.cause))

    async def put_fences(self, host: str, *fences: PortFence) -> None:
        """The host with just these fences of ports."""
        value = Host(
            name=host,
            driver="ovs",
            state=HostState.UNKNOWN,
            port_fences=fences,
            state_since=1.0,
            heard_at=1.0,
        )
        await self.put(Kind.HOST, host, value)

    def fence(self, host: str) -> PortFence | None:
        """The only one there."""
        fences = self.objects[Kind.HOST, host].port_fences
        return fences[0] if fences else None

    async def _tell(self, kind: Kind, id_: str, value: Any) -> None:
        async with self._news:
            self._log.append((kind, id_, value))
            self._news.notify_all()

    def _reach(self) -> None:
        if self.is_away:
            raise Unavailable("The server is away.")


ALONE = "It hears nobody."


class EvpnSwitch(SimulatedSwitch):
    """A switch that remembers the highest token, and hears what its peers announce.

    `announces` overrides the route targets that it announces a VNI with, behind everybody's back.
    While it `is_isolated` it has no session with any other; while it `is_silent` its control plane
    says nothing, and takes nothing. `dark` are interfaces without a link.
    Changes take `apply_s`.
    """

    def __init__(self, fabric: "EvpnFabric", switch: Switch) -> None:
        super().__init__(switch.name)
        self.token = 0
        self.tokens: list[int] = []
        self.is_mute = False
        self.is_isolated = False
        self.is_silent = False
        self.dark: set[str] = set()
        self.apply_s = 0.0
        self.announces: dict[int, RouteTargets] = {}
        self.reads = 0
        self._fabric = fabric
        self._loopback = switch.loopback

    async def read(self) -> Actual:
        self.reads += 1
        actual = await super().read()
        links = dict.fromkeys(self._fabric.faces.get(self.name, ()), True) | dict(actual.links)
        links |= dict.fromkeys(self.dark, False)
        isolation = ALONE if self.is_isolated or self.is_silent else ""
        if self.is_silent:
            none = RouteTargets(imports=(), exports=())
            unknown = {
                vni: replace(one, rd="", route_targets=none)
                for vni, one in actual.config.segments.items()
            }
            actual = replace(actual, config=replace(actual.config, segments=unknown))
        return replace(
            actual,
            links=links,
            isolation=isolation,
            is_partial=self.is_silent,
            token=self.token,
        )

    async def apply(self, changes: Sequence[Change], *, token: int = 0) -> None:
        self._reach()
        if token < self.token:
            raise OvertakenError(f"Switch {self.name} has seen token {self.token}.")
        self.token = token
        if self.is_silent and not all(isinstance(one.element, Interface) for one in changes):
            raise DeviceError(f"Switch {self.name}: bgpd does not answer.")
        if self.apply_s:
            await asyncio.sleep(self.apply_s)
        for change in changes:
            self.carry_out(change)
            self.tokens.append(token)

    async def learned(self, vnis: Sequence[int]) -> Mapping[int, Learned]:
        if self.is_silent:
            raise DeviceError(f"Switch {self.name}: bgpd does not answer.")
        own = dict(await super().learned(vnis))
        for vni, learned in own.items():
            if vni in self.announces:
                exports = frozenset(self.announces[vni].exports)
                own[vni] = replace(learned, export_targets=exports)
            targets = frozenset() if self.is_isolated else learned.import_targets
            vteps = self._fabric.vteps(self, vni, targets)
            own[vni] = replace(own[vni], remote_vteps=vteps)
        return own

    def exports(self, vni: int) -> frozenset[str]:
        """What it announces of a VNI; nothing while it does not work."""
        segment = self.config.segments.get(vni)
        heard = self.is_reachable and not (self.is_mute or self.is_isolated or self.is_silent)
        if segment is None or not heard:
            return frozenset()
        return frozenset(self.announces.get(vni, segment.route_targets).exports)

    @property
    def loopback(self) -> str:
        return self._loopback

    def isolate(self, *, isolated: bool) -> None:
        self.is_isolated = isolated
        self._stirred.set()

    def silence(self, *, silent: bool) -> None:
        self.is_silent = silent
        self._stirred.set()

    def reboot(self) -> None:
        super().reboot()
        self.token = 0

    async def watch(self) -> AsyncIterator[None]:
        if self._fabric.tells:
            async for each in super().watch():
                yield each
        await asyncio.Event().wait()


class EvpnFabric:
    """The switches of a topology. `tells`: whether they tell of their changes by themselves."""

    def __init__(self, topology: Topology, *, tells: bool = True) -> None:
        self.tells = tells
        self.faces: dict[str, list[str]] = {}
        for link in topology.links:
            self.faces.setdefault(link.upper.node, []).append(link.upper.interface)
        self.switches = {one.name: EvpnSwitch(self, one) for one in topology.switches if one.driver}

    def driver(self, switch: Switch) -> EvpnSwitch:
        return self.switches[switch.name]

    def vteps(self, of: EvpnSwitch, vni: int, imports: frozenset[str]) -> frozenset[str]:
        return frozenset(
            one.loopback
            for one in self.switches.values()
            if one is not of and one.exports(vni) & imports
        )

    def configs(self) -> Mapping[str, SwitchConfig]:
        return {name: one.config for name, one in self.switches.items()}


def _line(kind: Kind, id_: str, value: Any, cursor: str) -> WatchLine:
    if value is None:
        return WatchLine(type=LineType.DELETE, kind=kind, id=id_, cursor=cursor)
    body = msgspec.Raw(msgspec.json.encode(value))
    return WatchLine(type=LineType.PUT, kind=kind, id=id_, cursor=cursor, object=body)
