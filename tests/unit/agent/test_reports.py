"""What is told to the server, when, and when not again."""

import pytest
from tests.doubles.values import binding, network, port

from netwright.agent.desired import desired
from netwright.agent.reports import Acknowledged, Statement, acknowledge, due, full_set, statements
from netwright.agent.wiring import Outcome, Wired, WiringStatus
from netwright.model.resources import FixedIp, Port, Remnant, VnicType
from netwright.model.states import BindingState
from netwright.model.wire import CAUSE_UNPLUGGED, Report, ReportStatus

UP = Outcome(status=WiringStatus.UP)
CUT_OFF = Outcome(status=WiringStatus.CUT_OFF, cause="no verified path by eth0, eth1")
PENDING = Outcome(status=WiringStatus.PENDING, cause="being opened")
REFUSED = Outcome(status=WiringStatus.REFUSED, cause="no such queue")


def state(one: Port, outcome: Outcome | None, *standing: str) -> dict[str, Statement]:
    ports = {one.id: one}
    wanted = desired("h1", ["physnet1"], ports, {network().id: network()})
    outcomes = {one.id: outcome} if outcome is not None else {}
    wired = Wired(outcomes=outcomes, standing=frozenset(standing))
    return dict(statements("h1", ports, wanted, wired))


def told(one: Port, outcome: Outcome | None, acked: Acknowledged | None = None) -> list[str]:
    return [report.status for report in due(state(one, outcome), acked or {})]


@pytest.mark.parametrize(
    ("seen", "outcome", "expected"),
    [
        (BindingState.PREPARING, UP, ["up"]),
        (BindingState.DOWN, UP, ["up"]),
        (BindingState.REFUSED, UP, ["up"]),
        (BindingState.UP, UP, []),
        (BindingState.PREPARING, None, []),
        (BindingState.UP, None, ["down"]),
        (BindingState.DOWN, None, []),
        (BindingState.PREPARING, PENDING, []),
        (BindingState.UP, PENDING, []),
        (BindingState.PREPARING, REFUSED, ["refused"]),
        (BindingState.UP, REFUSED, ["refused"]),
        (BindingState.WITHDRAWING, None, ["withdrawn"]),
        (BindingState.FENCED, None, []),
    ],
)
def test_the_server_hears_where_it_is_wrong(
    seen: BindingState, outcome: Outcome | None, expected: list[str]
) -> None:
    assert told(port("p", binding(state=seen)), outcome) == expected


def test_a_device_that_vanished_is_reported_as_unplugged() -> None:
    (report,) = due(state(port("p", binding(state=BindingState.UP, generation=7)), None), {})
    assert (report.status, report.cause) == (ReportStatus.DOWN, CAUSE_UNPLUGGED)
    assert report.generation == 7


def test_a_device_that_came_and_went_before_it_was_up_is_reported() -> None:
    assert told(port("p", binding(device_seen_at=5.0)), None) == ["down"]


def test_wiring_that_still_stands_is_not_withdrawn() -> None:
    leaving = port("p", binding(state=BindingState.WITHDRAWING))
    assert state(leaving, None, "p") == {}


def test_what_is_acknowledged_is_not_sent_again_until_the_server_changes_its_mind() -> None:
    preparing = port("p", binding(state=BindingState.PREPARING))
    stated = state(preparing, UP)
    acked = acknowledge({}, stated, due(stated, {}))
    assert told(preparing, UP, acked) == []
    again = port("p", binding(state=BindingState.PREPARING, generation=2))
    assert told(again, UP, acked) == ["up"]


def test_what_is_not_acknowledged_is_sent_again() -> None:
    preparing = port("p", binding(state=BindingState.PREPARING))
    assert told(preparing, UP) == told(preparing, UP) == ["up"]


def test_a_new_cause_of_a_refusal_is_told_once() -> None:
    refused = port("p", binding(state=BindingState.REFUSED, cause="something else"))
    stated = state(refused, REFUSED)
    assert told(refused, REFUSED) == ["refused"]
    acked = acknowledge({}, stated, due(stated, {}))
    assert told(refused, REFUSED, acked) == []
    worded_otherwise = port("p", binding(state=BindingState.REFUSED, cause="h1: no such queue"))
    assert told(worded_otherwise, REFUSED, acked) == []


def test_acknowledgements_of_ports_that_left_are_forgotten() -> None:
    stated = state(port("p", binding()), UP)
    acked = acknowledge({}, stated, due(stated, {}))
    assert acknowledge(acked, {}, ()) == {}


def test_the_whole_set_names_all_that_stands() -> None:
    ports = {
        "up": port("up", binding(state=BindingState.UP)),
        "gone": port("gone", binding(state=BindingState.WITHDRAWING)),
        "new": port("new", binding()),
    }
    wanted = desired("h1", ["physnet1"], ports, {network().id: network()})
    stated = statements("h1", ports, wanted, Wired(outcomes={"up": UP}))
    whole = full_set("h1", ports, stated)
    assert whole is not None
    assert {(report.port_id, report.status.value) for report in whole} == {
        ("up", "up"),
        ("gone", "withdrawn"),
    }


def test_there_is_no_whole_set_while_something_is_uncertain() -> None:
    ports = {"p": port("p", binding(state=BindingState.UP))}
    wanted = desired("h1", ["physnet1"], ports, {network().id: network()})
    stated = statements("h1", ports, wanted, Wired(outcomes={"p": PENDING}))
    assert full_set("h1", ports, stated) is None


def test_bare_metal_is_in_the_whole_set_and_never_news() -> None:
    metal = port("p", binding(state=BindingState.UP), vnic_type=VnicType.BAREMETAL)
    stated = state(metal, None)
    assert due(stated, {}) == ()
    whole: tuple[Report, ...] | None = full_set("h1", {"p": metal}, stated)
    assert whole is not None
    assert [report.status for report in whole] == [ReportStatus.UP]


@pytest.mark.parametrize(
    ("seen", "outcome", "expected"),
    [
        (BindingState.UP, UP, ["up"]),
        (BindingState.UP, CUT_OFF, ["down"]),
        (BindingState.PREPARING, None, ["down"]),
        (BindingState.DOWN, None, ["down"]),
        (BindingState.UP, PENDING, []),
        (BindingState.FENCED, None, []),
    ],
)
def test_a_remnant_is_spoken_of_though_the_server_agrees_with_the_rest(
    seen: BindingState, outcome: Outcome | None, expected: list[str]
) -> None:
    """What the port has no more is held until a word of this generation."""
    gone = FixedIp(subnet_id="sub-1", ip_address="10.0.0.9")
    one = port("p", binding(state=seen, remnant=Remnant(addresses=(gone,), since=0.0)))
    assert told(one, outcome) == expected
    stated = state(one, outcome)
    acked = acknowledge({}, stated, due(stated, {}))
    assert told(one, outcome, acked) == []
