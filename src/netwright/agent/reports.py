"""What the agent tells the server about its bindings. Pure.

A *statement* is what is true here of one binding now. It is due as a report when the server's view
(the mirrored binding) differs from it and the server has not acknowledged it against that very
view. So a lost reply is made good by sending again, and a server that leaves the binding as it is
hears a statement once.
"""

from collections.abc import Iterable, Iterator, Mapping

from netwright.agent.desired import Desired
from netwright.agent.wiring import Outcome, Wired, WiringStatus
from netwright.model.resources import Binding, Port, PortFence, Value
from netwright.model.states import BindingState, Plane
from netwright.model.wire import CAUSE_UNPLUGGED, Report, ReportStatus

REPORTS_MAX = 1000
"""The most reports in one batch."""


class Statement(Value, frozen=True, kw_only=True):
    """What is true of a binding, and how the server saw the binding then."""

    port_id: str
    status: ReportStatus
    cause: str = ""
    binding: Binding

    @property
    def report(self) -> Report:
        return Report(
            port_id=self.port_id,
            plane=Plane.UNDERLAY,
            generation=self.binding.generation,
            status=self.status,
            cause=self.cause,
        )


Acknowledged = Mapping[str, Statement]
"""By port id: the last statement that the server has answered, whatever its answer."""

_AGREES = {
    ReportStatus.UP: frozenset({BindingState.UP}),
    # Nothing is to be added to a refusal that the server holds while there is no device.
    ReportStatus.DOWN: frozenset({BindingState.DOWN, BindingState.REFUSED}),
    ReportStatus.REFUSED: frozenset({BindingState.REFUSED}),
    ReportStatus.WITHDRAWN: frozenset[BindingState](),
}


def statements(
    host: str, ports: Mapping[str, Port], desired: Desired, wired: Wired
) -> Mapping[str, Statement]:
    """All that is true here of the host's bindings, by port id.

    `wired` is what came of `desired`, which came of `ports`. A binding of which nothing can be said
    yet (its network is missing, its device was never seen, the driver waits) has no statement.
    """
    stated: dict[str, Statement] = {}
    for port in ports.values():
        binding = port.binding_on(host)
        if binding is None:
            continue
        truth = _truth(port, binding, desired, wired)
        if truth is not None:
            status, cause = truth
            stated[port.id] = Statement(
                port_id=port.id, status=status, cause=cause, binding=binding
            )
    return stated


def due(stated: Mapping[str, Statement], acknowledged: Acknowledged) -> tuple[Report, ...]:
    """The reports to send."""
    return tuple(
        statement.report
        for statement in stated.values()
        if _news(statement, acknowledged.get(statement.port_id))
    )


def full_set(
    host: str, ports: Mapping[str, Port], stated: Mapping[str, Statement]
) -> tuple[Report, ...] | None:
    """All that the host has, for a report whose silence about a binding withdraws it.

    None while something is uncertain: a binding that counts as up or down, or that is to be
    withdrawn, has no statement; or the set is larger than one batch. (Nothing is lost by waiting:
    every binding that the agent knows of is reported by itself.)
    """
    for port in ports.values():
        binding = port.binding_on(host)
        certain = binding is None or port.id in stated or binding.state in _NOTHING_STANDS
        if not certain:
            return None
    if len(stated) > REPORTS_MAX:
        return None
    return tuple(statement.report for statement in stated.values())


def acknowledge(
    acknowledged: Acknowledged, stated: Mapping[str, Statement], sent: Iterable[Report]
) -> Acknowledged:
    """What is acknowledged after the server answered `sent`.

    `stated` are the statements that the reports came from. Entries of ports that are gone go.
    """
    answered = {report.port_id for report in sent}
    kept = {port_id: one for port_id, one in acknowledged.items() if port_id in stated}
    return kept | {port_id: one for port_id, one in stated.items() if port_id in answered}


def silenced(fences: Iterable[PortFence], desired: Desired, wired: Wired) -> Mapping[str, Report]:
    """Of ports that leaves drop here, those of which nothing stands: the server may lift them.

    `desired` was made with these fences, so that none of them is wired by it.
    """
    return {
        fence.port_id: Report(
            port_id=fence.port_id,
            plane=Plane.UNDERLAY,
            generation=fence.generation,
            status=ReportStatus.WITHDRAWN,
        )
        for fence in fences
        if fence.is_wanted
        and fence.port_id not in wired.standing
        and fence.port_id not in desired.endpoints
        and fence.port_id not in wired.outcomes
    }


def batches(reports: tuple[Report, ...]) -> Iterator[tuple[Report, ...]]:
    for start in range(0, len(reports), REPORTS_MAX):
        yield reports[start : start + REPORTS_MAX]


# What the server has of such a binding is right without a word of ours.
_NOTHING_STANDS = frozenset({BindingState.PREPARING, BindingState.REFUSED, BindingState.FENCED})


def _truth(
    port: Port, binding: Binding, desired: Desired, wired: Wired
) -> tuple[ReportStatus, str] | None:
    if binding.state is BindingState.WITHDRAWING:
        return None if port.id in wired.standing else (ReportStatus.WITHDRAWN, "")
    if port.id in desired.endpoints:  # nearly all
        return _came_of(wired.outcomes.get(port.id), binding)
    if refusal := desired.refusals.get(port.id):
        return ReportStatus.REFUSED, refusal
    if why := desired.unplaced.get(port.id):
        was_wired = binding.state in {BindingState.UP, BindingState.DOWN}
        is_unwired = was_wired and port.id not in wired.standing
        return (ReportStatus.DOWN, why) if is_unwired else None
    if port.id in desired.by_hand:
        return (ReportStatus.UP, "") if binding.state is BindingState.UP else None
    return None  # fenced, on its way from another host, or its network has not come yet


def _came_of(outcome: Outcome | None, binding: Binding) -> tuple[ReportStatus, str] | None:
    if outcome is None:
        is_asked = _had_device(binding) or binding.remnant is not None
        return (ReportStatus.DOWN, CAUSE_UNPLUGGED) if is_asked else None
    status = outcome.status
    if status is WiringStatus.UP:
        return ReportStatus.UP, outcome.cause
    if status is WiringStatus.PENDING:
        return None
    if status is WiringStatus.REFUSED:
        return ReportStatus.REFUSED, outcome.cause
    return ReportStatus.DOWN, outcome.cause


def _had_device(binding: Binding) -> bool:
    """Whether the server thinks that the binding's device is here."""
    return binding.device_seen_at is not None or binding.state in {
        BindingState.UP,
        BindingState.DOWN,
    }


def _news(statement: Statement, acknowledged: Statement | None) -> bool:
    # A remnant stays held until a word of this very generation, whatever the server sees.
    is_awaited = statement.binding.remnant is not None
    if is_awaited or statement.binding.state not in _AGREES[statement.status]:
        return statement != acknowledged
    # The server agrees. A refusal's new cause is told once: it may word the cause otherwise.
    told = acknowledged is not None and (
        (acknowledged.status, acknowledged.cause, acknowledged.binding.generation)
        == (statement.status, statement.cause, statement.binding.generation)
    )
    new_cause = statement.cause != statement.binding.cause
    return statement.status is ReportStatus.REFUSED and new_cause and not told
