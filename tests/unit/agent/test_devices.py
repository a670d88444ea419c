"""Whom the agent asks about, when, and what it makes of the answers."""

from tests.doubles.values import binding, port

from netwright.agent.devices import (
    ASK_AGAIN_S_MAX,
    ASKED_MAX,
    TELL_AFTER_S,
    Answers,
    WaitingSince,
    answered,
    misplaced,
    next_at,
    pruned,
    to_ask,
    untold,
)
from netwright.agent.wiring import Outcome, Wired, WiringStatus
from netwright.model.resources import Port
from netwright.model.states import BindingState

NOTHING = Wired()
NOBODY: WaitingSince = {}
PENDING = Wired(outcomes={"p": Outcome(status=WiringStatus.PENDING)})


def ask(
    *devices: str,
    ports: dict[str, Port] | None = None,
    answers: Answers | None = None,
    now: float = 0.0,
    since: WaitingSince = NOBODY,
) -> tuple[str, ...]:
    return to_ask(devices, ports or {}, answers or {}, now=now, since=since)


def waits(known: Port, *, wired: Wired = PENDING, answers: Answers | None = None) -> bool:
    ports = {"p": known}
    return "p" in untold("h1", ["p", "stranger"], ports, wired, answers or {})


def test_unknown_devices_are_asked_about_at_once_and_in_bounds() -> None:
    assert ask("b", "a") == ("a", "b")
    assert len(ask(*(f"p{n}" for n in range(ASKED_MAX + 1)))) == ASKED_MAX


def test_known_ones_are_not() -> None:
    assert ask("p", ports={"p": port("p", binding())}) == ()


def test_a_device_that_is_not_wired_soon_is_told_so_that_the_deadline_starts() -> None:
    known = port("p", binding())
    assert waits(known)
    since = {"p": 10.0}
    due = next_at({}, {"p": known}, since)
    assert due == 10.0 + TELL_AFTER_S
    assert ask("p", ports={"p": known}, since=since, now=due - 0.01) == ()
    assert ask("p", ports={"p": known}, since=since, now=due) == ("p",)


def test_one_that_is_wired_or_told_of_waits_no_more() -> None:
    known, seen = port("p", binding()), port("p", binding(device_seen_at=1.0))
    assert not waits(known, wired=NOTHING)
    assert not waits(seen)
    assert not waits(known, answers=answered({}, ["p"], [seen], now=1.0))
    assert next_at({}, {"p": known}, NOBODY) is None


def test_a_port_that_the_server_does_not_have_is_asked_for_again_less_and_less_often() -> None:
    answers: Answers = {}
    now, gaps = 0.0, []
    for _ in range(9):
        answers = answered(answers, ["p"], [], now=now)
        again = next_at(answers, {}, NOBODY)
        assert again is not None
        assert ask("p", answers=answers, now=again - 0.01) == ()
        assert ask("p", answers=answers, now=again) == ("p",)
        gaps.append(again - now)
        now = again
    assert gaps == [1, 2, 4, 8, 16, 32, *[ASK_AGAIN_S_MAX] * 3]


def test_a_port_that_the_server_has_wired_ahead_here_is_no_trouble() -> None:
    ahead = port("p", binding("h1", active=False), ever_bound=False)
    answers = answered({}, ["p"], [ahead], now=10.0)
    assert misplaced("h1", answers, {}) == {}


def test_the_others_stay_unwired_for_a_reason() -> None:
    answers = answered({}, ["here", "never"], [port("here", binding("h1"))], now=0.0)
    # What is bound here and not in the watch yet comes by it.
    assert misplaced("h1", answers, {}) == {
        "never": "no port of this id is bound to h1, or free to be"
    }


def test_an_answer_dies_with_its_device_or_when_the_watch_knows_better() -> None:
    answers = answered({}, ["p"], [port("p")], now=0.0)
    assert pruned(answers, ["p"], {}) == answers
    assert pruned(answers, [], {}) == {}
    bound = port("p", binding(state=BindingState.WITHDRAWING))
    assert pruned(answers, ["p"], {"p": bound}) == {}
