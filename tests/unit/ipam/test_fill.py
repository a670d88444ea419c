"""The least filled network is found whatever was filed, dropped or drawn before."""

from hypothesis import given
from hypothesis import strategies as st

from netwright.ipam.fill import NOTHING, Fill, Spread

CAPACITY = 4
networks = st.sampled_from([f"n{number}" for number in range(6)])
actions = st.one_of(
    st.tuples(st.just("count"), networks, st.integers(0, CAPACITY)),
    st.tuples(st.just("fill"), networks, st.integers(0, CAPACITY)),
    st.tuples(st.just("drop"), networks, st.just(0)),
    st.tuples(st.just("front"), networks, st.integers(0, 6)),
)


@given(st.lists(actions, max_size=200), st.sets(networks, max_size=3))
def test_the_least_filled_is_found(done: list[tuple[str, str, int]], but: set[str]) -> None:
    spread = Spread()
    fills: dict[str, Fill] = {}
    filed: set[str] = set()
    for what, network_id, number in done:
        if what == "count":
            fills[network_id] = Fill(CAPACITY, number)
            spread.file(network_id, fills[network_id])
            filed.add(network_id)
        elif what == "fill":  # behind its back, never emptier
            before = fills.get(network_id, Fill(CAPACITY, 0))
            fills[network_id] = before._replace(held=max(before.held, number))
        elif what == "drop":
            spread.drop(network_id)
            filed.discard(network_id)
        else:
            assert set(spread.front(number)) <= filed
        for passed in (but, ()):
            free = {each for each in filed - set(passed) if not fills[each].is_full}
            expected = min(((fills[each].ratio, each) for each in free), default=None)
            assert spread.least(fills, tuple(passed)) == expected


def test_what_is_void_is_let_go() -> None:
    spread = Spread()
    for number in range(10_000):
        spread.file("n", Fill(10_000, number))
    assert len(spread._heap) < 100


def test_a_network_that_is_unknown_is_full() -> None:
    spread = Spread()
    spread.file("n", Fill(2, 1))
    assert spread.least({}) is None
    spread.file("n", NOTHING)
    assert spread.least({"n": Fill(2, 1)}) is None
