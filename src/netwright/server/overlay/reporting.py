"""What the fabric controller reports, applied: attachments, then the ports that stand on them.

Who reports shows the token of the lease that it holds (law 3). A report changes the attachment of
its own generation alone; a withdrawal is always accepted, however old.
"""

from collections.abc import Callable, Sequence

import structlog

from netwright.model.errors import Conflict
from netwright.model.fabric import LEASE, AttachmentReport, SwitchReport, SwitchState
from netwright.model.resources import Attachment, Port
from netwright.model.states import ATTACHMENT, AttachmentState, Event, Plane, PortState
from netwright.model.wire import ReportOutcome, ReportResult, ReportResults, ReportStatus
from netwright.server.fabric_commands import ApplyFabricReports
from netwright.server.floating import reports as floating
from netwright.server.overlay import port_fences
from netwright.server.overlay.attachments import end, step_attachment
from netwright.server.overlay.leaf_links import link_reported
from netwright.server.ports.lifecycle import TransitionRefused, happen, port_state
from netwright.server.world import World

log = structlog.get_logger(__name__)

OVERLAY_DEADLINE_S = 60.0
"""How long an attachment may be wanted, while a controller lives, before it counts as refused."""

ACTOR = "fabric"

_PENDING = frozenset({PortState.WIRING, PortState.MOVING})

_EVENT = {
    ReportStatus.UP: Event.PLANE_UP,
    ReportStatus.DOWN: Event.PLANE_DOWN,
    ReportStatus.REFUSED: Event.PLANE_REFUSED,
    ReportStatus.WITHDRAWN: Event.WITHDRAWN,
}


class StaleLease(Conflict):
    """Another controller holds the lease by now, or nobody ever held it under this token."""


def apply_fabric_reports(
    world: World, command: ApplyFabricReports, seq_of: Callable[[str], int]
) -> ReportResults:
    """An outcome for each attachment and fence, in order. Raises StaleLease.

    `seq_of` turns a cursor into a place in the event log, -1 when it is none of it.
    """
    reports = command.reports
    require_lease(world, reports.token)
    results = tuple(_apply(world, report) for report in reports.attachments)
    for switch in reports.switches:
        _switch(world, switch)
    for link in reports.links:
        link_reported(world, link)
    fenced = port_fences.reported(world, reports.fences)
    floating.reported(world, reports.floating)
    if reports.clear_at is not None:
        world.fabric.clear_up_to = max(world.fabric.clear_up_to, seq_of(reports.clear_at))
    return ReportResults(results=(*results, *fenced))


def require_lease(world: World, token: int) -> None:
    """Raises StaleLease unless the token is that of the lease's last holder."""
    lease = world.fabric.lease
    if lease is not None and lease.token == token:
        return
    holder = f"{lease.holder} holds it by now" if lease is not None else "nobody holds it"
    raise StaleLease(
        f"Token {token} is not that of lease {LEASE}: {holder}.",
        next=f"stop acting on the fabric, and take the lease anew: POST /v1/leases/{LEASE}",
    )


def pass_overlay_deadline(world: World, network_id: str, host: str) -> None:
    """The controller lives and has not brought the attachment up in time; its retries go on."""
    attachment = world.attachments.get((network_id, host))
    if attachment is None or attachment.state is not AttachmentState.WANTED:
        return
    if attachment.since + OVERLAY_DEADLINE_S > world.now:
        return
    inventory = world.fabric.inventory
    leaves = ", ".join(inventory.leaves_of(host)) if inventory is not None else ""
    cause = (
        f"deadline: {OVERLAY_DEADLINE_S:.0f} s after network {network_id} was wanted on host "
        f"{host}{f' (leaves {leaves})' if leaves else ''}, the fabric controller has not reported "
        "it up: netwright fabric status says how the switches stand"
    )
    after = step_attachment(attachment, Event.DEADLINE, now=world.now, cause=cause)
    _put(world, attachment, after, Event.DEADLINE, actor="server")


def _apply(world: World, report: AttachmentReport) -> ReportResult:
    subject = f"{report.network_id}@{report.host}"
    attachment = world.attachments.get((report.network_id, report.host))
    is_gone = report.status is ReportStatus.WITHDRAWN
    if attachment is None:
        outcome = ReportOutcome.APPLIED if is_gone else ReportOutcome.UNKNOWN
        return ReportResult(id=subject, result=outcome)
    if is_gone and report.generation < attachment.generation:
        return ReportResult(id=subject, result=ReportOutcome.APPLIED)
    event = _EVENT[report.status]
    is_possible = (attachment.state, event) in ATTACHMENT
    if report.generation != attachment.generation or not is_possible:
        return ReportResult(id=subject, result=ReportOutcome.STALE)
    after = step_attachment(attachment, event, now=world.now, cause=report.cause)
    if after.state is AttachmentState.WITHDRAWN:
        end(world, attachment)
    else:
        _put(world, attachment, after, event, actor=ACTOR)
    return ReportResult(id=subject, result=ReportOutcome.APPLIED)


def _put(world: World, before: Attachment, after: Attachment, event: Event, *, actor: str) -> None:
    """Put the attachment, and the ports that stand on it as they are with it."""
    if after == before:
        return
    world.attachments.put((after.network_id, after.host), after)
    for port in _ports_on(world, after):
        network = world.networks.get(port.network_id)
        if network is None:
            continue
        told = (port.state, port.cause)
        if before.state is after.state and port_state(port, network, after) == told:
            continue
        if before.state is after.state is AttachmentState.WANTED and port.state not in _PENDING:
            continue  # it was verified before a machine's other interface came to be wanted
        try:
            happen(
                world,
                port,
                event,
                actor=actor,
                binding=port.active_binding,
                cause=after.cause,
                plane=Plane.OVERLAY,
            )
        except TransitionRefused as refusal:
            log.warning("a port does not follow its attachment", port=port.id, why=str(refusal))


def _ports_on(world: World, attachment: Attachment) -> Sequence[Port]:
    """Those that are bound there, and need the overlay."""
    ports = (world.ports.get(id_) for id_ in world.fabric.ports_on.get(_key(attachment), ()))
    return [port for port in ports if port is not None and _stands_on(port, attachment)]


def _stands_on(port: Port, attachment: Attachment) -> bool:
    active = port.active_binding
    is_there = active is not None and active.host == attachment.host
    return is_there and port.state is not PortState.RELEASING


def _key(attachment: Attachment) -> tuple[str, str]:
    return attachment.network_id, attachment.host


def _switch(world: World, report: SwitchReport) -> None:
    """A switch that is not in the inventory is kept as well: it may come with the next one."""
    before = world.of(SwitchState).get(report.switch)
    was_drained = before is not None and before.drained
    after = SwitchState(
        name=report.switch,
        status=report.status,
        cause=report.cause,
        drift=report.drift,
        drained=was_drained if report.drained is None else report.drained,
        since=before.since if before and before.status is report.status else world.now,
    )
    if after != before:
        world.of(SwitchState).put(report.switch, after)


def changes(attachment: Attachment, report: AttachmentReport) -> bool:
    """Whether the report may change the ports on the attachment, so that they must be read."""
    if report.generation != attachment.generation:
        return False
    event = _EVENT[report.status]
    state = ATTACHMENT.get((attachment.state, event))
    if state is None or state is AttachmentState.WITHDRAWN:
        return False
    return state is not attachment.state or report.cause != attachment.cause
