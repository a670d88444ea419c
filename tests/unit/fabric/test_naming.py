"""Names and numbers that every controller comes to alike."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.doubles.fabrics import router

from netwright.fabric.naming import distinction, distinguisher, route_targets, vrf_names

_loopbacks = st.integers(0, (1 << 32) - 1).map(lambda number: str(IPv4Address(number)))
_vnis = st.integers(1, (1 << 24) - 1)


def test_a_small_vni_has_the_usual_form_and_a_large_one_moves_the_first_octet() -> None:
    assert distinguisher("10.0.0.11", 1001) == "10.0.0.11:1001"
    assert distinguisher("10.0.0.11", 70_000) == "11.0.0.11:4464"
    assert distinguisher("250.0.0.11", 0xFFFFFF) == "249.0.0.11:65535"


@given(st.tuples(_loopbacks, _vnis), st.tuples(_loopbacks, _vnis))
def test_no_two_share_a_distinguisher(one: tuple[str, int], two: tuple[str, int]) -> None:
    """Of leaves whose loopbacks differ in their last three octets, as the planner demands."""
    places = [(distinction(loopback), vni) for loopback, vni in (one, two)]
    if places[0] != places[1]:
        assert distinguisher(*one) != distinguisher(*two)


@given(_loopbacks, _vnis, _vnis)
def test_no_two_networks_of_a_leaf_share_one(loopback: str, one: int, two: int) -> None:
    assert (distinguisher(loopback, one) == distinguisher(loopback, two)) is (one == two)


def test_a_loopback_that_is_no_ipv4_address_is_an_error() -> None:
    for loopback in ("", "2001:db8::1", "leaf1"):
        with pytest.raises(ValueError, match=r"."):
            distinguisher(loopback, 1)


def test_a_route_target_has_the_whole_vni() -> None:
    assert route_targets(65_000, 0xFFFFFF).imports == ("65000:16777215",)


def test_vrfs_are_named_by_their_routers_and_the_younger_of_two_alike_gives_way() -> None:
    first, second = router(1), router(2)
    twin = replace(first, id=first.id[:-1] + "c", created_at=9.0)
    third = replace(first, id=first.id[:-1] + "d", created_at=10.0)
    assert vrf_names([first, second]) == {
        first.id: "vpc-00000001aaa",
        second.id: "vpc-00000002aaa",
    }
    names = vrf_names([third, twin, second, first])
    assert names[first.id] == "vpc-00000001aaa"
    assert names[second.id] == "vpc-00000002aaa"
    assert names[twin.id] == "vpc-00000001a-1"
    assert names[third.id] == "vpc-00000001a-2"
    assert all(len(name) <= 15 for name in names.values())
