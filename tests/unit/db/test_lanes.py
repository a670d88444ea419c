"""Two queues for one worker: who is taken next, and how much at once."""

import random

import pytest

from netwright.db.lanes import PATIENT_SHARE, Lanes, Waiting


def waiting(name: str, weight: int = 1, since: float = 0.0) -> Waiting[str]:
    return Waiting(name, weight, since)


def lanes(first: int, patient: int, *, weight: int = 1) -> Lanes[str]:
    made: Lanes[str] = Lanes()
    for n in range(patient):
        made.put(waiting(f"p{n}", weight), is_patient=True)
    for n in range(first):
        made.put(waiting(f"f{n}", weight), is_patient=False)
    return made


def names(taken: list[Waiting[str]]) -> list[str]:
    return [one.item for one in taken]


def test_a_lane_alone_has_the_worker_for_itself() -> None:
    assert names(lanes(3, 0).take(10)) == ["f0", "f1", "f2"]
    assert names(lanes(0, 3).take(10)) == ["p0", "p1", "p2"]


def test_while_both_wait_the_patient_have_their_share() -> None:
    both = lanes(1000, 1000)
    taken = names(both.take(400))
    assert sum(name.startswith("p") for name in taken) == 400 * PATIENT_SHARE
    assert taken[0] == "f0"
    assert [name for name in taken if name.startswith("p")] == [f"p{n}" for n in range(40)]


def test_one_who_is_heavier_than_its_share_comes_too_and_pays_for_it_after() -> None:
    both: Lanes[str] = Lanes()
    both.put(waiting("heavy", 400), is_patient=True)
    both.put(waiting("light"), is_patient=True)
    for n in range(5000):
        both.put(waiting(f"f{n}"), is_patient=False)
    order: list[str] = []
    while both:
        order += names(both.take(500))
    assert order.index("heavy") == 1
    assert order.index("light") == 1 + 400 * (1 - PATIENT_SHARE) / PATIENT_SHARE


def test_who_was_alone_owes_nothing_for_it() -> None:
    both: Lanes[str] = Lanes()
    both.put(waiting("heavy", 1000), is_patient=True)
    both.put(waiting("p"), is_patient=True)
    assert names(both.take(500)) == ["heavy"]
    for n in range(100):
        both.put(waiting(f"f{n}"), is_patient=False)
    assert names(both.take(500))[:3] == ["f0", "p", "f1"]


def test_no_more_is_taken_than_the_most_but_one_who_is_heavier_alone() -> None:
    made = lanes(3, 0, weight=7)
    assert len(made.take(14)) == 2
    assert (len(made.take(3)), made.weight, bool(made)) == (1, 0, False)


def test_those_who_came_before_then_are_taken_of_both_lanes() -> None:
    made: Lanes[str] = Lanes()
    for at in (1.0, 2.0, 3.0):
        made.put(waiting(f"f{at}", 2, at), is_patient=False)
        made.put(waiting(f"p{at}", 3, at), is_patient=True)
    assert names(made.take_older(3.0)) == ["f1.0", "f2.0", "p1.0", "p2.0"]
    assert made.weight == 5


@pytest.mark.parametrize("seed", range(20))
def test_everybody_is_taken_once_in_the_order_of_its_lane(seed: int) -> None:
    chosen = random.Random(seed)
    made: Lanes[str] = Lanes()
    put: list[str] = []
    taken: list[str] = []
    while len(put) < 300 or made:
        if len(put) < 300 and chosen.random() < 0.7:
            name = f"{chosen.choice('fp')}{len(put)}"
            put.append(name)
            made.put(waiting(name, chosen.randrange(1, 9)), is_patient=name.startswith("p"))
        else:
            taken += names(made.take(chosen.randrange(1, 30)))
    assert made.weight == 0
    for lane in "fp":
        assert [n for n in taken if n.startswith(lane)] == [n for n in put if n.startswith(lane)]
