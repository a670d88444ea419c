"""What a choice by labels has to count, and whether others may wait for it."""

import pytest

from netwright.ipam.fill import Fill
from netwright.server.ports.network_choice import LabelWish
from netwright.server.store.selections import COUNT_EVERY_S, Labelled, Selections, among

WISH = LabelWish("p", "app=web")
NOW = 1_000.0
LATER = NOW + 1_000 * COUNT_EVERY_S


def remembered(fills: dict[str, Fill]) -> Selections:
    """Project p's networks of these fills match, and no shared one does."""
    selections = Selections()
    own, shared = among(WISH)
    selections.keep(own, [(network_id, network_id) for network_id in fills])
    selections.keep(shared, [])
    for network_id, fill in fills.items():
        selections.counted(network_id, fill, (), NOW)
    return selections


def due(selections: Selections, now: float) -> set[str]:
    kept = [each for one in among(WISH) if (each := selections.get(one)) is not None]
    return selections.due([kept], now)


def test_what_was_counted_lately_is_settled() -> None:
    selections = remembered({"a": Fill(65_000, 60_000), "b": Fill(65_000, 60_001)})
    assert selections.are_settled([WISH], NOW)
    assert selections.are_settled([], LATER), "there is nothing to choose"


def test_what_nobody_has_asked_for_yet_is_not() -> None:
    selections = remembered({"a": Fill(250, 1)})
    assert not selections.are_settled([WISH, LabelWish("q", "app=web")], NOW)


def test_a_network_that_was_never_counted_is_due() -> None:
    selections = remembered({"a": Fill(250, 1)})
    selections.follow_network("b", Labelled("p", labels={"app": "web"}))
    assert not selections.are_settled([WISH], NOW)
    assert due(selections, NOW) == {"b"}


@pytest.mark.parametrize(("held", "is_settled"), [(100, True), (60_000, False)])
def test_old_counts_may_be_made_anew_where_they_are_small(held: int, is_settled: bool) -> None:  # noqa: FBT001
    selections = remembered({"a": Fill(65_000, held), "b": Fill(65_000, held)})
    assert selections.are_settled([WISH], LATER) is is_settled
    assert due(selections, LATER) == {"a", "b"}


def test_the_only_network_is_not_counted_again() -> None:
    selections = remembered({"a": Fill(65_000, 60_000)})
    assert selections.are_settled([WISH], LATER)
    assert not due(selections, LATER)
    selections.follow_network("b", Labelled("p", labels={"app": "web"}))
    assert due(selections, LATER) == {"a", "b"}, "now there is a choice"


def test_where_all_are_full_all_will_be_counted() -> None:
    assert not remembered({"a": Fill(250, 250)}).are_settled([WISH], NOW)
