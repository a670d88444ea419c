"""Which VLAN a network gets, and which wishes cannot be."""

from typing import Any

import pytest

from netwright.ipam.ledger import Ledger
from netwright.model.errors import InvalidInput, NoNetworkAvailable
from netwright.model.resources import NetworkType, Segment
from netwright.model.segments import SegmentRules, parse_vlan_range, segment_key
from netwright.server.segments import choose
from netwright.server.world import World

RANGES = tuple(map(parse_vlan_range, ("physnet3", "physnet1:100:101", "physnet2:7:7")))


def world(*taken: str, **rules: Any) -> World:
    rules = {"vlan_ranges": RANGES, **rules}
    made = World(1_000.0, Ledger("server"), SegmentRules(**rules))
    for key in taken:
        made.segments.load(key, "other")
    return made


def vlan(physical_network: str | None = None, vlan_id: int | None = None) -> Segment:
    return Segment(
        network_type=NetworkType.VLAN,
        physical_network=physical_network,
        segmentation_id=vlan_id,
    )


def flat(physical_network: str) -> Segment:
    return Segment(network_type=NetworkType.FLAT, physical_network=physical_network)


@pytest.mark.parametrize(
    ("wanted", "taken", "chosen"),
    [
        (None, [], "physnet1/100"),
        (None, ["physnet1/100"], "physnet1/101"),
        (None, ["physnet1/100", "physnet1/101"], "physnet2/7"),
        (vlan("physnet2"), [], "physnet2/7"),
        (vlan("physnet2", 5), [], "physnet2/5"),  # a maker's own VLAN need not be in the range
        (vlan("physnet3", 5), [], "physnet3/5"),
        (flat("physnet9"), [], "physnet9/0"),
    ],
)
def test_the_lowest_free_vlan_is_chosen(
    wanted: Segment | None, taken: list[str], chosen: str
) -> None:
    assert segment_key(choose(world(*taken), "n", wanted)) == chosen


def test_a_full_range_and_a_missing_one_say_so() -> None:
    with pytest.raises(NoNetworkAvailable, match="all VLANs of physical network physnet2"):
        choose(world("physnet2/7"), "n", vlan("physnet2"))
    with pytest.raises(NoNetworkAvailable, match="no vlan_ranges of physical network physnet3"):
        choose(world(), "n", vlan("physnet3"))
    with pytest.raises(NoNetworkAvailable, match="no vlan_ranges"):
        choose(world(vlan_ranges=()), "n", None)


def test_a_vlan_id_alone_means_nothing() -> None:
    with pytest.raises(InvalidInput, match="provider:physical_network"):
        choose(world(), "n", vlan(None, 100))


@pytest.mark.parametrize("vlan_id", [None, 5])
def test_a_mistyped_physical_network_is_told_early_where_the_names_are_known(
    vlan_id: int | None,
) -> None:
    with pytest.raises(InvalidInput) as raised:
        choose(world(), "n", vlan("physnt1", vlan_id))
    assert raised.value.message == (
        "Invalid input for provider:physical_network. Reason: physical network physnt1 is unknown;"
        " vlan_ranges names physnet1, physnet2, physnet3 (nearest: physnet1)."
    )
    assert choose(world(vlan_ranges=()), "n", vlan("physnt1", 5)) == vlan("physnt1", 5)


@pytest.mark.parametrize(
    "text", ["", "physnet1:", "physnet1:5", "physnet1:5:4", "physnet1:0:9", "p:1:4095", ":1:2"]
)
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="vlan_ranges"):
        parse_vlan_range(text)
