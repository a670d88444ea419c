"""Behind which tunnel end router MACs are, and which next hops of transit VNIs are put back."""

from netwright.fabric.drivers.frr import names
from netwright.fabric.drivers.frr.router_macs import Repair, repair
from netwright.linux.neighbours import Neighbour

LEAF, OTHER, STRANGER = "10.255.0.4", "10.255.0.5", "192.0.2.1"
LEAF_MAC, OTHER_MAC = "02:4e:0a:ff:00:04", "02:4e:0a:ff:00:05"
LED_TO = {LEAF_MAC, OTHER_MAC}
NOTHING = Repair(laid={}, surplus=())


def neighbours(*addresses: str, is_ours: bool = False) -> dict[str, Neighbour]:
    return {each: Neighbour(each, "02:00:00:00:00:01", is_ours) for each in addresses}


def test_a_router_mac_follows_from_its_leafs_address() -> None:
    assert names.router_mac(LEAF) == LEAF_MAC


def test_next_hops_that_have_a_neighbour_are_left_alone() -> None:
    known = neighbours(LEAF) | neighbours(OTHER, is_ours=True)
    assert repair({LEAF, OTHER}, known, LED_TO) == NOTHING


def test_next_hops_without_one_get_the_router_mac_of_their_leaf() -> None:
    found = repair({LEAF, OTHER}, neighbours(OTHER), LED_TO)
    assert found == Repair(laid={LEAF: LEAF_MAC}, surplus=())


def test_next_hops_of_ipv6_routes_are_leaves_too() -> None:
    """As the kernel has `::ffff:10.255.0.4`."""
    found = repair({"::ffff:aff:4"}, {}, LED_TO)
    assert found == Repair(laid={"::ffff:aff:4": LEAF_MAC}, surplus=())


def test_nothing_is_laid_for_who_is_no_leaf_of_the_plan() -> None:
    assert repair({STRANGER, "2001:db8::1"}, {}, LED_TO) == NOTHING
    assert repair({LEAF}, {}, {OTHER_MAC}) == NOTHING


def test_what_was_laid_goes_with_the_last_route_and_what_zebra_laid_stays() -> None:
    known = neighbours(LEAF, is_ours=True) | neighbours(OTHER)
    assert repair((), known, LED_TO) == Repair(laid={}, surplus=(LEAF,))
