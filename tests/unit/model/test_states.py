from netwright.model.states import (
    API_STATUS,
    ATTACHMENT,
    BINDING,
    MEANING,
    PORT,
    BindingState,
    Event,
    PortState,
)


def test_every_state_has_a_meaning_and_all_but_the_deleted_one_a_status() -> None:
    assert set(MEANING) == set(PortState)
    assert set(PortState) - set(API_STATUS) == {PortState.RELEASING}


def test_every_event_means_something_to_somebody() -> None:
    known = {event for _, event in BINDING} | {event for _, event in PORT}
    assert known | {event for _, event in ATTACHMENT} == set(Event)


def test_a_withdrawing_binding_ends_by_proof_or_is_revived() -> None:
    ends = {
        event: state
        for (before, event), state in BINDING.items()
        if before is BindingState.WITHDRAWING and state is not BindingState.WITHDRAWING
    }
    assert ends == {
        Event.WITHDRAWN: BindingState.WITHDRAWN,
        Event.HOST_FENCED: BindingState.WITHDRAWN,
        Event.BIND: BindingState.PREPARING,
        Event.ACTIVATE: BindingState.PREPARING,
    }


def test_silence_changes_nothing() -> None:
    for (state, event), after in BINDING.items():
        if event is Event.HOST_UNKNOWN:
            assert after is state


def test_a_deleted_port_never_comes_back() -> None:
    assert {
        state
        for (before, _), states in PORT.items()
        if before is PortState.RELEASING
        for state in states
    } == {PortState.RELEASING}
