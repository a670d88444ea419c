"""Fences of single ports: a container's port left a host that is silent, and goes up elsewhere.

    asked ─every leaf drops it─▶ verified ─the agent: withdrawn─▶ lifting ─no leaf has it─▶ gone
       └────────────the agent: withdrawn────────────────────────────▲

Its leaves drop what the host may still say as the port, so that its binding there ends as by a
fence of the whole host. The fence is the host's, not the port's: it stays whatever becomes of the
port, until the host's agent has said that it wires nothing of it. Pure.
"""

from collections.abc import Callable

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
from netwright.model.states import BindingState, Event, PortState
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


def ask(world: World, port_id: str, name: str) -> None:
    """Have the leaves of a silent host drop a port that is withdrawn there; again is the same.

    Where they drop it already, for an earlier binding, that is proof at once.
    """
    port, host = world.ports.get(port_id), world.hosts.get(name)
    binding = port.binding_on(name) if port is not None else None
    network = world.networks.get(port.network_id) if port is not None else None
    if port is None or host is None or binding is None or network is None:
        return
    is_silent = host.state is HostState.UNKNOWN and world.fabric.has_controller
    if not is_silent or not may_be_fenced(port, binding, network):
        return
    before = host.fence_of(port_id)
    if before is not None and before.state is FenceState.VERIFIED:
        _end_binding(world, host, before)
        return
    if before is not None and before.state is FenceState.ASKED:
        return
    asked = PortFence(
        port_id=port_id,
        generation=binding.generation,
        macs=tuple(dict.fromkeys(each.mac_address for each in spoken_as(port, binding))),
        addresses=next(iter(spoken_as(port, binding))).addresses,
        asked_at=world.now,
        since=world.now,
    )
    _put(world, host, asked)
    cause = f"host {name} is silent: its leaves are asked to drop what it says as this port"
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


def reported(world: World, report: FenceReport) -> ReportResult:
    """The controller's word; about an earlier fence of the port it changes nothing."""
    subject = f"{report.port_id}@{report.host}"
    host = world.hosts.get(report.host)
    fence = host.fence_of(report.port_id) if host is not None else None
    if host is None or fence is None:
        return ReportResult(id=subject, result=ReportOutcome.UNKNOWN)
    told = _TOLD.get((fence.state, report.status))
    if report.generation != fence.generation or told is None:
        return ReportResult(id=subject, result=ReportOutcome.STALE)
    told(world, host, fence, report)
    return ReportResult(id=subject, result=ReportOutcome.APPLIED)


def withdrawn_by_agent(world: World, name: str, report: Report) -> None:
    """The host's agent wires nothing of the port (any more): its leaves need not drop it."""
    host = world.hosts.get(name)
    fence = host.fence_of(report.port_id or "") if host is not None else None
    is_gone = report.status is ReportStatus.WITHDRAWN
    if host is None or fence is None or not is_gone or report.generation < fence.generation:
        return
    _put(world, host, _lifting(fence, world.now))


def lifted(host: Host, now: float) -> Host:
    """The host, which is clean by an operator's word."""
    return replace(host, port_fences=tuple(_lifting(each, now) for each in host.port_fences))


def _lifting(fence: PortFence, now: float) -> PortFence:
    if not fence.is_wanted:
        return fence
    return replace(fence, state=FenceState.LIFTING, since=now, cause="")


def _verified(world: World, host: Host, fence: PortFence, _report: FenceReport) -> None:
    after = replace(fence, state=FenceState.VERIFIED, since=world.now, cause="")
    _put(world, host, after)
    _end_binding(world, host, after)


def _not_verified(world: World, host: Host, fence: PortFence, report: FenceReport) -> None:
    was_verified = fence.state is FenceState.VERIFIED
    since = world.now if was_verified else fence.since
    after = replace(fence, state=FenceState.ASKED, since=since, cause=report.cause)
    _put(world, host, after)


def _off(world: World, host: Host, fence: PortFence, _report: FenceReport) -> None:
    rest = tuple(each for each in host.port_fences if each.port_id != fence.port_id)
    world.hosts.put(host.name, replace(host, port_fences=rest))


_TOLD: dict[
    tuple[FenceState, ReportStatus], Callable[[World, Host, PortFence, FenceReport], None]
] = {
    (FenceState.ASKED, ReportStatus.UP): _verified,
    (FenceState.ASKED, ReportStatus.DOWN): _not_verified,
    (FenceState.VERIFIED, ReportStatus.UP): _verified,
    (FenceState.VERIFIED, ReportStatus.DOWN): _not_verified,
    (FenceState.LIFTING, ReportStatus.WITHDRAWN): _off,
}


def _end_binding(world: World, host: Host, fence: PortFence) -> None:
    """The binding on the host is over, if it was on its way out; one that is wanted again stays."""
    port = world.ports.get(fence.port_id)
    binding = port.binding_on(host.name) if port is not None else None
    if port is None or binding is None or binding.state is not BindingState.WITHDRAWING:
        return
    cause = f"the leaves of host {host.name}, which is silent, drop what it says as this port"
    gone = withdrawn(world, port, binding, Event.HOST_FENCED, actor=ACTOR, cause=cause)
    release_if_unbound(world, gone)


def _put(world: World, host: Host, fence: PortFence) -> None:
    """The host with this fence in place of the port's earlier one, in its place if there is one."""
    fences = tuple(fence if each.port_id == fence.port_id else each for each in host.port_fences)
    if host.fence_of(fence.port_id) is None:
        fences = (*fences, fence)
    if fences != host.port_fences:
        world.hosts.put(host.name, replace(host, port_fences=fences))
