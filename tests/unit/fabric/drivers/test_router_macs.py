"""Behind which tunnel end router MACs are, and which next hops of transit VNIs are put back."""

import errno
import os
from collections.abc import Iterable
from typing import cast

import pytest

from netwright.fabric.drivers.frr import names
from netwright.fabric.drivers.frr.router_macs import Healer, Repair, repair
from netwright.fabric.drivers.frr.session import Session
from netwright.fabric.drivers.linux import marks
from netwright.linux import links, neighbours, tunnel_ends
from netwright.linux.codec import Request, attribute
from netwright.linux.links import Link
from netwright.linux.neighbours import Neighbour
from netwright.linux.netlink import RefusedError

LEAF, OTHER, STRANGER = "10.255.0.4", "10.255.0.5", "192.0.2.1"
LEAF_MAC, OTHER_MAC = "02:4e:0a:ff:00:04", "02:4e:0a:ff:00:05"
LED_TO = {LEAF_MAC, OTHER_MAC}
BRIDGE = 7
NOTHING = Repair(laid={}, surplus=())


def known_are(*addresses: str, is_ours: bool = False) -> dict[str, Neighbour]:
    return {each: Neighbour(each, "02:00:00:00:00:01", is_ours) for each in addresses}


def test_a_router_mac_follows_from_its_leafs_address() -> None:
    assert names.router_mac(LEAF) == LEAF_MAC
    assert names.leaf_of(LEAF_MAC) == LEAF
    assert names.leaf_of("02:00:5e:00:00:01") == ""


def test_next_hops_that_have_a_neighbour_are_left_alone() -> None:
    known = known_are(LEAF) | known_are(OTHER, is_ours=True)
    assert repair({LEAF, OTHER}, known, LED_TO) == NOTHING


def test_next_hops_without_one_get_the_router_mac_of_their_leaf() -> None:
    found = repair({LEAF, OTHER}, known_are(OTHER), LED_TO)
    assert found == Repair(laid={LEAF: LEAF_MAC}, surplus=())


def test_next_hops_of_ipv6_routes_are_leaves_too() -> None:
    """As the kernel has `::ffff:10.255.0.4`."""
    found = repair({"::ffff:aff:4"}, {}, LED_TO)
    assert found == Repair(laid={"::ffff:aff:4": LEAF_MAC}, surplus=())


def test_nothing_is_laid_for_who_is_no_leaf_of_the_plan() -> None:
    assert repair({"2001:db8::1"}, {}, LED_TO) == NOTHING
    for who, led_to in ((STRANGER, LED_TO), (LEAF, {OTHER_MAC})):
        assert repair({who}, {}, led_to) == Repair(laid={}, surplus=(), missing=(who,))
        assert repair({who}, known_are(who), led_to) == NOTHING


def test_what_was_laid_goes_with_the_last_route_and_what_zebra_laid_stays() -> None:
    known = known_are(LEAF, is_ours=True) | known_are(OTHER)
    assert repair((), known, LED_TO) == Repair(laid={}, surplus=(LEAF,))


class Leaf:
    """A switch with one VRF, as far as the healer asks it: its session, its sockets, its zebra."""

    def __init__(self) -> None:
        self.routes = [LEAF]
        self.known: dict[str, bytes] = {}
        self.led_to = {LEAF_MAC: LEAF}
        self.routes_read = 0
        self.refusals: dict[int, int] = {}
        """By the kind of request: with which errno."""

    def vty(self, _: str) -> "Leaf":
        return self

    def ask(self, _: str) -> str:
        return '{"vrfs": [{"vrf": "vpc-a", "vni": 9001, "state": "Up"}]}'

    def link(self, _: str, name: str) -> Link:
        return Link(index=BRIDGE, name=name, alias=marks.write(l3vni=9001))

    def netlink(self, _: str) -> "Leaf":
        return self

    def dump(self, request: Request) -> list[bytes]:
        if request.kind == links.GET_ROUTE:
            self.routes_read += 1
            return [route(hop) for hop in self.routes]
        if request == tunnel_ends.dump_entries(BRIDGE):
            return [tunnel_ends.add_entry(BRIDGE, *each).body for each in self.led_to.items()]
        return list(self.known.values())

    def tell(self, requests: Iterable[Request]) -> None:
        for each in requests:
            if code := self.refusals.get(each.kind):
                raise RefusedError(code, f"{each.what}: {os.strerror(code)}")
            (address,) = (hop for hop in (LEAF, OTHER) if each.what.endswith(hop))
            if each.kind == neighbours.NEW_NEIGHBOUR:
                self.known[address] = each.body
            else:
                del self.known[address]


def route(next_hop: str) -> bytes:
    """Of IPv4, by the bridge of the transit VNI."""
    return links.change_route("10.1.0.7/32", next_hop, add=True).body + attribute(4, BRIDGE)


def test_routes_are_read_only_when_neighbours_have_changed_since_nothing_was_missing() -> None:
    leaf, healer = Leaf(), Healer()
    session = cast("Session", leaf)
    assert healer.look(session) == ["vpc-a"]
    assert healer.look(session) == []  # it is whole now
    assert leaf.routes_read == 2
    assert healer.look(session) == []
    assert leaf.routes_read == 2

    leaf.known.clear()  # zebra learned it, and forgot it, between two looks
    assert healer.look(session) == ["vpc-a"]
    assert set(leaf.known) == {LEAF}

    leaf.routes.clear()
    leaf.known[OTHER] = zebras(OTHER)
    assert healer.look(session) == []
    assert set(leaf.known) == {OTHER}


def test_a_leaf_that_no_plan_leads_to_yet_is_looked_for_until_one_does() -> None:
    """Its neighbour goes before its router MAC is laid, and nothing else changes."""
    leaf, healer = Leaf(), Healer()
    session = cast("Session", leaf)
    leaf.led_to.clear()
    assert [healer.look(session) for _ in range(2)] == [[], []]
    assert not leaf.known
    leaf.led_to[LEAF_MAC] = LEAF
    assert healer.look(session) == ["vpc-a"]
    assert set(leaf.known) == {LEAF}


def test_what_has_gone_before_it_is_taken_away_has_gone() -> None:
    leaf, healer = Leaf(), Healer()
    leaf.known[OTHER] = neighbours.add(BRIDGE, OTHER, OTHER_MAC).body
    leaf.refusals[neighbours.DELETE_NEIGHBOUR] = errno.ENOENT
    assert healer.look(cast("Session", leaf)) == ["vpc-a"]
    assert LEAF in leaf.known


class TwoVrfs:
    """A session of two switches' doubles as VRFs of one."""

    def __init__(self, **vrfs: Leaf) -> None:
        self._vrfs = vrfs

    def vty(self, _: str) -> "TwoVrfs":
        return self

    def ask(self, _: str) -> str:
        rows = (f'{{"vrf": "{name}", "vni": 9001, "state": "Up"}}' for name in self._vrfs)
        return f'{{"vrfs": [{", ".join(rows)}]}}'

    def link(self, vrf: str, name: str) -> Link:
        return self._vrfs[vrf].link(vrf, name)

    def netlink(self, vrf: str) -> Leaf:
        return self._vrfs[vrf]


def test_what_the_kernel_refuses_in_one_vrf_is_told_after_the_others_are_mended() -> None:
    one, other = Leaf(), Leaf()
    one.refusals[neighbours.NEW_NEIGHBOUR] = errno.ENOBUFS
    session, healer = cast("Session", TwoVrfs(one=one, other=other)), Healer()
    for _ in range(2):
        with pytest.raises(RefusedError, match=f"neighbour {LEAF}"):
            healer.look(session)
        assert set(other.known) == {LEAF}
    one.refusals.clear()
    assert healer.look(session) == ["one"]


def zebras(address: str) -> bytes:
    """A neighbour that somebody else laid."""
    ours = neighbours.add(BRIDGE, address, OTHER_MAC).body
    return ours[:-4] + b"\x0b" + ours[-3:]
