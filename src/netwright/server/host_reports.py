"""Decisions about what hosts' agents report of their ports: wired, not, refused, withdrawn."""

from collections.abc import Callable

import structlog

from netwright.model.resources import Binding, Port, Remnant, VifType
from netwright.model.states import BindingState, Event, Plane
from netwright.model.wire import (
    CAUSE_UNPLUGGED,
    Report,
    ReportOutcome,
    ReportResult,
    ReportResults,
    ReportStatus,
)
from netwright.server.commands import ApplyReports
from netwright.server.hosts import heard_from, ports_on
from netwright.server.overlay.attachments import is_fabric
from netwright.server.overlay.port_fences import withdrawn_by_agent
from netwright.server.ports.bindings import withdraw_ahead, withdrawn
from netwright.server.ports.lifecycle import (
    TransitionRefused,
    happen,
    names_of,
    step,
    was_told,
    with_binding,
)
from netwright.server.ports.release import release_if_unbound
from netwright.server.world import World

log = structlog.get_logger(__name__)


def apply_reports(
    world: World, command: ApplyReports, seen_up_to: Callable[[str], int] | None = None
) -> ReportResults:
    """What the host's agent found, applied to those bindings alone.

    `seen_up_to` turns the cursor of a full set into a place in the event log.
    """
    batch = command.batch
    heard_from(world, batch.host, batch.epoch)
    withdrawn_by_agent(world, batch.host, batch.reports)
    results = [_apply(world, batch.host, report) for report in batch.reports]
    if batch.full_set_at is not None and seen_up_to is not None:
        _absence(world, batch.host, batch.reports, seen_up_to(batch.full_set_at))
    return ReportResults(results=tuple(results))


_EVENT = {
    ReportStatus.UP: Event.PLANE_UP,
    ReportStatus.DOWN: Event.PLANE_DOWN,
    ReportStatus.REFUSED: Event.PLANE_REFUSED,
}


def _apply(world: World, host: str, report: Report) -> ReportResult:
    subject = report.port_id or report.network_id or ""
    if report.port_id is None or report.plane is not Plane.UNDERLAY:
        return ReportResult(id=subject, result=ReportOutcome.UNKNOWN)
    port = world.ports.get(report.port_id)
    binding = port.binding_on(host) if port else None
    gone = report.status is ReportStatus.WITHDRAWN
    if port is None or binding is None:
        # A withdrawal is always accepted, however old: there is nothing left to withdraw.
        outcome = ReportOutcome.APPLIED if gone else ReportOutcome.UNKNOWN
        return ReportResult(id=subject, result=outcome)
    if gone and report.generation < binding.generation:
        return ReportResult(id=subject, result=ReportOutcome.APPLIED)
    if report.generation != binding.generation or _is_refused_on_fabric(world, port, binding):
        return ReportResult(id=subject, result=ReportOutcome.STALE)
    try:
        _take(world, port, binding, report)
    except TransitionRefused as refusal:
        log.info("report refused", host=host, port=port.id, why=str(refusal))
        return ReportResult(id=subject, result=ReportOutcome.STALE)
    return ReportResult(id=subject, result=ReportOutcome.APPLIED)


def _is_refused_on_fabric(world: World, port: Port, binding: Binding) -> bool:
    """Whether the server found no way to carry it there: no agent's word makes one."""
    network = world.networks.get(port.network_id)
    is_ours = binding.vif_type is VifType.BINDING_FAILED and binding.state is BindingState.REFUSED
    return is_ours and network is not None and is_fabric(network)


def _take(world: World, port: Port, binding: Binding, report: Report) -> None:
    actor = f"agent {binding.host}"
    if report.status is ReportStatus.WITHDRAWN:
        release_if_unbound(world, withdrawn(world, port, binding, Event.WITHDRAWN, actor=actor))
        return
    event = _EVENT[report.status]
    if event is Event.PLANE_DOWN and report.cause == CAUSE_UNPLUGGED:
        event = Event.UNPLUGGED
    is_ahead = (
        not binding.active
        and binding.prepared is None
        and binding.state is not BindingState.WITHDRAWING
    )
    if event is Event.UNPLUGGED and is_ahead:
        withdraw_ahead(world, port, binding, actor=actor)
        return
    after = step(binding, event, now=world.now, cause=report.cause)
    if after != binding:
        cause = _cleaned(binding.remnant) if after.remnant is None else ""
        happen(
            world,
            with_binding(port, after),
            event,
            actor=actor,
            binding=after,
            cause=cause,
            plane=Plane.UNDERLAY,
        )


def _cleaned(remnant: Remnant | None) -> str:
    """What a host has shown by wiring a new generation, in words for the port's history."""
    if remnant is None:
        return ""
    return f"the host no longer answers for {names_of(remnant)}"


def _absence(world: World, host: str, reports: tuple[Report, ...], seen: int) -> None:
    """What a full set does not hold is not on the host, if the agent had heard of it by then.

    Of what was decided in this batch it has not. Bare metal is not its to wire or withdraw.
    """
    named = {report.port_id for report in reports}
    for port, binding in ports_on(world, host):
        is_news = world.ports.loaded(port.id) is not port
        if port.id in named or is_news or world.port_seqs[port.id] > seen:
            continue
        stands = binding.state in {BindingState.WITHDRAWING, BindingState.UP, BindingState.DOWN}
        if stands and was_told(binding):
            gone = withdrawn(world, port, binding, Event.WITHDRAWN, actor=f"agent {host}")
            release_if_unbound(world, gone)
