"""Reports bring the server to the truth, whatever is lost, and then fall silent."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.doubles.values import binding, network, port

from netwright.agent.desired import desired
from netwright.agent.reports import Acknowledged, acknowledge, due, statements
from netwright.agent.wiring import Outcome, Wired, WiringStatus
from netwright.model.resources import Binding, Port
from netwright.model.states import BINDING, BindingState, Event
from netwright.model.wire import CAUSE_UNPLUGGED, Report, ReportStatus

NETWORKS = {network().id: network()}
_EVENT = {
    ReportStatus.UP: Event.PLANE_UP,
    ReportStatus.REFUSED: Event.PLANE_REFUSED,
    ReportStatus.WITHDRAWN: Event.WITHDRAWN,
}

bindings = st.builds(
    binding,
    state=st.sampled_from([state for state in BindingState if state != BindingState.WITHDRAWN]),
    generation=st.integers(1, 3),
    device_seen_at=st.none() | st.just(1.0),
    cause=st.sampled_from(["", "why"]),
)
outcomes = st.none() | st.builds(
    Outcome, status=st.sampled_from(WiringStatus), cause=st.sampled_from(["", "why", "why not"])
)


def applied(report: Report, one: Binding) -> Binding | None:
    """What a server makes of a binding by a report, with the model's table."""
    if report.generation != one.generation:
        return one
    event = _EVENT.get(report.status, Event.PLANE_DOWN)
    if event is Event.PLANE_DOWN and report.cause == CAUSE_UNPLUGGED:
        event = Event.UNPLUGGED
    state = BINDING.get((one.state, event))
    if state is None:
        return one
    if state is BindingState.WITHDRAWN:
        return None
    seen = None if event is Event.UNPLUGGED else one.device_seen_at
    cause = "" if state is BindingState.UP else report.cause
    return replace(one, state=state, cause=cause, device_seen_at=seen)


@given(bindings, outcomes, st.lists(st.sampled_from(["lost", "reply lost", "through"]), max_size=8))
def test_they_converge_and_fall_silent(
    one: Binding, outcome: Outcome | None, network_faults: list[str]
) -> None:
    served: Port = port("p", one)
    acknowledged: Acknowledged = {}
    wired = Wired(outcomes={"p": outcome} if outcome is not None else {})
    for fault in [*network_faults, "through", "through", "through"]:
        ports = {"p": served} if served.bindings else {}
        stated = statements("h1", ports, desired("h1", ["physnet1"], ports, NETWORKS), wired)
        reports = due(stated, acknowledged)
        if fault != "lost":
            for report in reports:
                after = applied(report, served.bindings[0])
                served = port("p", *([after] if after is not None else []))
        if fault == "through":
            acknowledged = acknowledge(acknowledged, stated, reports)
    assert not reports, "silent at last"
    assert_true(served, outcome)


def assert_true(served: Port, outcome: Outcome | None) -> None:
    """The server's view fits what is the case on the host."""
    if not served.bindings:
        return
    state = served.bindings[0].state
    assert state is not BindingState.WITHDRAWING
    if state is BindingState.FENCED or (outcome and outcome.status is WiringStatus.PENDING):
        return
    if outcome is None or outcome.status is WiringStatus.CUT_OFF:
        assert state is not BindingState.UP
    else:
        up = outcome.status is WiringStatus.UP
        assert state is (BindingState.UP if up else BindingState.REFUSED)
