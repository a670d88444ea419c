"""Fences of single ports: a container's port left a host that is silent, and goes up elsewhere.

    asked ─every leaf drops it─▶ verified ─the agent: withdrawn─▶ lifting ─no leaf has it─▶ gone
       └────────────the agent: withdrawn────────────────────────────▲

Its leaves drop what the host may still say as the port, so that its binding there ends as by a
fence of the whole host. The fence is the host's, not the port's: it stays whatever becomes of the
port, until the host's agent has said that it wires nothing of it. Pure.
"""

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from netwright.model.fabric import FenceReport
from netwright.model.resources import (
    Binding,
    FencedPort,
    FenceState,
    Host,
    HostState,
    Network,
    Port,
    PortFence,
)
from netwright.model.states import BindingState, Event, Plane, PortState
from netwright.model.wire import CONTAINER_OWNER, Report, ReportOutcome, ReportResult, ReportStatus
from netwright.server.overlay.attachments import is_fabric
from netwright.server.ports.bindings import withdrawn
from netwright.server.ports.lifecycle import happen
from netwright.server.ports.release import release_if_unbound
from netwright.server.world import World

ACTOR = "fabric"


def may_be_fenced(port: Port, binding: Binding, network: Network) -> bool:
    """Whether leaves may prove in the host's place that it no longer answers for the port.

    Only of a container's port that was bound anew elsewhere: its orchestrator's word that the old
    one is over. Of a port that was deleted the address can wait.
    """
    active = port.active_binding
    moved = active is not None and active.host != binding.host
    return (
        moved
        and port.device_owner == CONTAINER_OWNER
        and port.state is not PortState.RELEASING
        and binding.state is BindingState.WITHDRAWING
        and is_fabric(network)
    )


def ask(world: World, left: Iterable[tuple[str, str]]) -> None:
    """Have the leaves of silent hosts drop ports that are withdrawn there; again is the same.

    Of (port, host). Where they drop it already, for an earlier binding, that is proof at once.
    """
    at = _Fences(world)
    for port_id, name in left:
        port, host = world.ports.get(port_id), world.hosts.get(name)
        binding = port.binding_on(name) if port is not None else None
        network = world.networks.get(port.network_id) if port is not None else None
        if port is None or host is None or binding is None or network is None:
            continue
        is_silent = host.state is HostState.UNKNOWN and world.fabric.has_controller
        if is_silent and may_be_fenced(port, binding, network):
            _ask_of(world, at, port, binding)
    at.put()


def _ask_of(world: World, at: "_Fences", port: Port, binding: Binding) -> None:
    before = at.find(binding.host, port.id)
    if before is not None and before.state is FenceState.VERIFIED:
        _end_binding(world, binding.host, before)
        return
    if before is not None and before.state is FenceState.ASKED:
        return
    spoken = spoken_as(port, binding)
    at.set(
        binding.host,
        PortFence(
            port_id=port.id,
            generation=binding.generation,
            macs=tuple(each.mac_address for each in spoken),
            addresses=spoken[0].addresses,
            asked_at=world.now,
            since=world.now,
        ),
    )
    cause = f"host {binding.host} is silent: its leaves are asked to drop what it says as this port"
    happen(world, port, Event.HOST_UNKNOWN, actor="server", binding=binding, cause=cause)


def spoken_as(port: Port, binding: Binding) -> tuple[FencedPort, ...]:
    """All that a binding's host may speak as: what goes there and has changed since, and by leave.

    One for each MAC. Of a CIDR that a port may use, leaves drop its MAC alone: they look addresses
    up, one by one.
    """
    left, pairs = binding.remnant, port.allowed_address_pairs
    addresses = {each.ip_address for each in (*port.fixed_ips, *(left.addresses if left else ()))}
    addresses |= {each.ip_address for each in pairs if "/" not in each.ip_address}
    macs = dict.fromkeys((port.mac_address, *(left.macs if left else ())))
    macs |= dict.fromkeys(each.mac_address for each in pairs)
    return tuple(
        FencedPort(port_id=port.id, mac_address=mac, addresses=tuple(sorted(addresses)))
        for mac in macs
    )


def reported(world: World, reports: Iterable[FenceReport]) -> tuple[ReportResult, ...]:
    """What came of each of the controller's words; about an earlier fence they change nothing."""
    at = _Fences(world)
    results = tuple(
        ReportResult(id=f"{report.port_id}@{report.host}", result=_take(world, at, report))
        for report in reports
    )
    at.put()
    return results


def _take(world: World, at: "_Fences", report: FenceReport) -> ReportOutcome:
    fence = at.find(report.host, report.port_id)
    if fence is None:
        return ReportOutcome.UNKNOWN
    told = _TOLD.get((fence.state, report.status))
    if report.generation != fence.generation or told is None:
        return ReportOutcome.STALE
    after = told(fence, report, world.now)
    at.set(report.host, after, of=fence.port_id)
    if after is not None and after.state is FenceState.VERIFIED:
        _end_binding(world, report.host, after)
    return ReportOutcome.APPLIED


def withdrawn_by_agent(world: World, name: str, reports: Iterable[Report]) -> None:
    """The host's agent wires nothing of these (any more): its leaves need not drop them."""
    host = world.hosts.get(name)
    if host is None or not host.port_fences:
        return
    at = _Fences(world)
    for report in reports:
        fence = at.find(name, report.port_id or "")
        if fence is None or not _says_withdrawn(report):
            continue
        if report.generation >= fence.generation:
            at.set(name, _lifting(fence, world.now))
    at.put()


def _says_withdrawn(report: Report) -> bool:
    return report.plane is Plane.UNDERLAY and report.status is ReportStatus.WITHDRAWN


def lifted(host: Host, now: float) -> Host:
    """The host, which is clean by an operator's word."""
    return replace(host, port_fences=tuple(_lifting(each, now) for each in host.port_fences))


def _lifting(fence: PortFence, now: float) -> PortFence:
    if not fence.is_wanted:
        return fence
    return replace(fence, state=FenceState.LIFTING, since=now, cause="")


def _verified(fence: PortFence, _report: FenceReport, now: float) -> PortFence:
    return replace(fence, state=FenceState.VERIFIED, since=now, cause="")


def _not_verified(fence: PortFence, report: FenceReport, now: float) -> PortFence:
    was_verified = fence.state is FenceState.VERIFIED
    since = now if was_verified else fence.since
    return replace(fence, state=FenceState.ASKED, since=since, cause=report.cause)


def _off(_fence: PortFence, _report: FenceReport, _now: float) -> None:
    return None


_TOLD: Mapping[
    tuple[FenceState, ReportStatus], Callable[[PortFence, FenceReport, float], PortFence | None]
] = {
    (FenceState.ASKED, ReportStatus.UP): _verified,
    (FenceState.ASKED, ReportStatus.DOWN): _not_verified,
    (FenceState.VERIFIED, ReportStatus.UP): _verified,
    (FenceState.VERIFIED, ReportStatus.DOWN): _not_verified,
    (FenceState.LIFTING, ReportStatus.WITHDRAWN): _off,
}
"""What becomes of a fence, by its state and what is said of it; None: it is gone."""


def _end_binding(world: World, name: str, fence: PortFence) -> None:
    """The binding on the host is over, if it was on its way out; one that is wanted again stays."""
    port = world.ports.get(fence.port_id)
    binding = port.binding_on(name) if port is not None else None
    if port is None or binding is None or binding.state is not BindingState.WITHDRAWING:
        return
    cause = f"the leaves of host {name}, which is silent, drop what it says as this port"
    gone = withdrawn(world, port, binding, Event.HOST_FENCED, actor=ACTOR, cause=cause)
    release_if_unbound(world, gone)


class _Fences:
    """The fences at hosts while some of them change: a host has hundreds, and is put once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._at: dict[str, dict[str, PortFence]] = {}
        self._changed: set[str] = set()

    def find(self, host: str, port_id: str) -> PortFence | None:
        return self._of(host).get(port_id)

    def set(self, host: str, fence: PortFence | None, *, of: str = "") -> None:
        """In place of the port's earlier one; None: the fence `of` this port goes."""
        self._changed.add(host)
        if fence is None:
            self._of(host).pop(of, None)
        else:
            self._of(host)[fence.port_id] = fence

    def put(self) -> None:
        for name in sorted(self._changed):
            host = self._world.hosts.get(name)
            fences = tuple(self._of(name).values())
            if host is not None and fences != host.port_fences:
                self._world.hosts.put(name, replace(host, port_fences=fences))

    def _of(self, name: str) -> dict[str, PortFence]:
        if name not in self._at:
            host = self._world.hosts.get(name)
            fences = host.port_fences if host is not None else ()
            self._at[name] = {each.port_id: each for each in fences}
        return self._at[name]
