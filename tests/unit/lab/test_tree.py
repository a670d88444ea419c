"""Cabling is a tree by construction, whatever standby link is in use."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.lab.tree import find_flaw

CLASSIC = {"core": ["agg1", "agg2"], "tor1": ["agg1", "agg2"], "tor2": ["agg2", "agg1"]}
PAIR = {"agg1": ["agg2"], "agg2": []}


def test_the_classic_tree_is_one() -> None:
    assert find_flaw(CLASSIC, PAIR) is None


@pytest.mark.parametrize(
    ("uplinks", "peers", "node", "why"),
    [
        (CLASSIC, {"agg1": [], "agg2": []}, "core", "no trunk joins"),
        (CLASSIC, {"agg1": ["agg2"], "agg2": ["agg1"]}, "agg2", "closes a loop"),
        ({**CLASSIC, "agg1": ["core"]}, PAIR, "agg1", "close a loop"),
        ({**CLASSIC, "tor3": []}, PAIR, "tor3", "no cable leads from it to agg1"),
    ],
)
def test_flaws_are_named(
    uplinks: dict[str, list[str]], peers: dict[str, list[str]], node: str, why: str
) -> None:
    flaw = find_flaw(uplinks, peers)
    assert flaw is not None
    assert flaw.node == node
    assert why in flaw.why


NODES = list("abcde")
NEIGHBOURS = st.dictionaries(
    st.sampled_from(NODES), st.lists(st.sampled_from(NODES), max_size=2), max_size=5
)


@given(uplinks=NEIGHBOURS, peers=NEIGHBOURS)
def test_no_choice_of_links_in_use_has_a_loop(
    uplinks: dict[str, list[str]], peers: dict[str, list[str]]
) -> None:
    every: dict[str, list[str]] = {node: [] for node in NODES}
    if find_flaw({**every, **uplinks}, {**every, **peers}) is not None:
        return
    trunks = [(node, other) for node, others in peers.items() for other in others]
    bonds = [[(node, other) for other in others] for node, others in uplinks.items() if others]
    for in_use in itertools.product(*bonds):
        edges = [*trunks, *in_use]
        assert len(edges) == len(NODES) - 1
        assert reachable("a", edges) == set(NODES)


def reachable(start: str, edges: list[tuple[str, str]]) -> set[str]:
    seen = {start}
    for _ in NODES:
        seen |= {b for a, b in edges if a in seen} | {a for a, b in edges if b in seen}
    return seen
