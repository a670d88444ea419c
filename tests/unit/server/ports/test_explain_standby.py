"""A port that is prepared on another host, explained."""

from typing import Any

from tests.unit.server.ports.test_explain import T, _binding, _explain, _host

from netwright.model.resources import Prepared
from netwright.model.states import BindingState, PortState

UP, REFUSED = BindingState.UP, BindingState.REFUSED


def standby(state: BindingState, **given: Any) -> Any:
    return _binding(state, host="h2", active=False, prepared=Prepared(), **given)


def test_a_sound_standby_is_nothing_to_wait_for() -> None:
    explanation = _explain(PortState.ACTIVE, _binding(UP), standby(UP), hosts=(_host(),))
    assert explanation.waits == ()


def test_one_that_could_not_serve_it_is_told_before_it_is_activated() -> None:
    refused = standby(REFUSED, cause="no such bridge")
    explanation = _explain(PortState.ACTIVE, _binding(UP), refused, hosts=(_host(),))
    (wait,) = explanation.waits
    assert wait.what == (
        "It is prepared on h2, which could not serve it if it were activated there: no such bridge"
    )
    assert wait.since == T


def test_a_port_without_a_host_says_where_it_is_prepared_and_where_wired_ahead() -> None:
    ahead = _binding(UP, active=False)
    explanation = _explain(PortState.ALLOCATED, ahead, standby(UP))
    assert explanation.waits[0].what == (
        "It has no host; its device was seen on h1 and is wired there ahead;"
        " prepared, not activated, on h2"
    )
