"""How a port stands in Neutron, by what Netwright says: the table, whole."""

import pytest

from netwright.model.states import API_STATUS, PortState
from netwright_neutron.states import SEEN_OF_STATUS, STEPS, Effect, Seen, Stand, stand_of, step


def test_netwrights_states_are_known() -> None:
    assert {seen.value for seen in Seen} == {state.value for state in PortState}
    assert set(SEEN_OF_STATUS) == set(API_STATUS.values())
    for status, seen in SEEN_OF_STATUS.items():
        assert API_STATUS[PortState(seen)] == status


def test_the_table_is_whole() -> None:
    """But for ports that go, which Neutron does not have any more."""
    told = [seen for seen in Seen if seen is not Seen.RELEASING]
    assert set(STEPS) == {(stand, seen) for stand in Stand for seen in told}
    assert step(Stand.ACTIVE, Seen.RELEASING) is None


@pytest.mark.parametrize("stand", list(Stand))
@pytest.mark.parametrize("seen", [seen for seen in Seen if seen is not Seen.RELEASING])
def test_active_is_what_netwright_says_and_nothing_else(stand: Stand, seen: Seen) -> None:
    taken = step(stand, seen)
    assert taken is not None
    assert (taken.to is Stand.ACTIVE) == (seen is Seen.ACTIVE)
    moved = {Effect.RELEASE: Stand.ACTIVE, Effect.LOWER: Stand.DOWN, Effect.NOTHING: stand}
    assert taken.to is moved[taken.effect]
    again = step(taken.to, seen)
    assert again is not None
    assert again.effect is Effect.NOTHING or taken.to is Stand.HELD


@pytest.mark.parametrize(
    ("status", "is_held", "stand"),
    [
        ("DOWN", True, Stand.HELD),
        ("ACTIVE", True, Stand.HELD),
        ("ACTIVE", False, Stand.ACTIVE),
        ("DOWN", False, Stand.DOWN),
        ("BUILD", False, Stand.DOWN),
    ],
)
def test_how_a_port_stands(status: str, is_held: bool, stand: Stand) -> None:  # noqa: FBT001
    assert stand_of(status, is_held=is_held) is stand
