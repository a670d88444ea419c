"""The order of changes, case by case; the properties run through all of them at random."""

import msgspec
from msgspec.structs import replace

from netwright.fabric.changes import Change, difference, summary
from netwright.fabric.config import (
    EMPTY,
    AnycastGateway,
    Fenced,
    Interface,
    Route,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)
from netwright.fabric.naming import route_targets
from netwright.fabric.words import document, words

VRF = Vrf(name="vpc-a", router_id="r1", rd="", route_targets=route_targets(65000, 9))
DROP = Fenced(port_id="p1", mac_address="02:00:00:00:00:01", addresses=("10.0.0.9",))

GATEWAY = "gateway on up0 in VRF vpc-a"


def segment(vni: int, vlan: int | None = None, vrf: str | None = None) -> Segment:
    return Segment(
        vni=vni,
        network_id=f"net-{vni}",
        vlan=vlan,
        vrf=vrf,
        gateway=AnycastGateway(addresses=("10.0.0.1/24",), mac_address="02:00:00:00:00:02")
        if vrf
        else None,
        rd=f"10.0.0.1:{vni}",
        route_targets=route_targets(65000, vni),
    )


def config(*elements: Vrf | Segment | Interface | VlanGateway | Route) -> SwitchConfig:
    return SwitchConfig(
        vrfs={each.name: each for each in elements if isinstance(each, Vrf)},
        segments={each.vni: each for each in elements if isinstance(each, Segment)},
        interfaces={each.name: each for each in elements if isinstance(each, Interface)},
        gateways={each.key: each for each in elements if isinstance(each, VlanGateway)},
        routes=frozenset(each for each in elements if isinstance(each, Route)),
    )


def gateway(vlan: int = 100, vrf: str | None = None, address: str = "192.0.2.1/24") -> VlanGateway:
    return VlanGateway(
        interface="up0",
        physical_network="p",
        vlan=vlan,
        network_id="n",
        addresses=(address,),
        vrf=vrf,
    )


def said(changes: tuple[Change, ...]) -> list[str]:
    return [words(change).split(", RD")[0] for change in changes]


def test_what_comes_is_built_from_below_and_what_goes_is_taken_from_above() -> None:
    whole = config(
        VRF,
        segment(1, 10, "vpc-a"),
        Interface(name="swp1", tagged={10: 1}, fenced=(DROP,)),
        gateway(vrf="vpc-a"),
        Route(destination="0.0.0.0/0", nexthop="192.0.2.254", vrf="vpc-a"),
    )
    assert said(difference(EMPTY, whole)) == [
        "+ interface swp1: drops 02:00:00:00:00:01 10.0.0.9 of port p1",
        "+ VRF vpc-a: router r1, route target 65000:9",
        "+ segment 1: network net-1, VLAN 10, VRF vpc-a, gateway 10.0.0.1/24 (02:00:00:00:00:02)",
        f"+ {GATEWAY}: network n, physical network p, VLAN 100, addresses 192.0.2.1/24",
        "~ interface swp1: VLAN 10 → VNI 1 comes",
        "+ route 0.0.0.0/0 in VRF vpc-a: by 192.0.2.254",
    ]
    assert [line.split(":")[0] for line in said(difference(whole, EMPTY))] == [
        "- route 0.0.0.0/0 in VRF vpc-a",
        "~ interface swp1",
        "- gateway on up0 in VRF vpc-a",
        "- segment 1",
        "- VRF vpc-a",
        "- interface swp1",
    ]


def test_a_vlan_that_moves_to_another_network_is_free_in_between() -> None:
    before = config(segment(1, 10), segment(2, 11), Interface(name="swp1", tagged={10: 1, 11: 2}))
    after = config(segment(1, 11), segment(2, 10), Interface(name="swp1", tagged={11: 1, 10: 2}))
    assert said(difference(before, after)) == [
        "- interface swp1: VLAN 10 → VNI 1, VLAN 11 → VNI 2",
        "~ segment 1: VLAN 10 goes",
        "~ segment 2: VLAN 11 goes",
        "~ segment 1: VLAN 11 comes",
        "~ segment 2: VLAN 10 comes",
        "+ interface swp1: VLAN 10 → VNI 2, VLAN 11 → VNI 1",
    ]


def test_a_vrf_that_becomes_another_vpcs_is_emptied_first() -> None:
    route = Route(destination="0.0.0.0/0", nexthop="192.0.2.254", vrf="vpc-a")
    before = config(VRF, segment(1, 10, "vpc-a"), gateway(vrf="vpc-a"), route)
    after = config(
        replace(VRF, router_id="r2"), segment(1, 10, "vpc-a"), gateway(vrf="vpc-a"), route
    )
    assert [line.split(":")[0] for line in said(difference(before, after))] == [
        "- route 0.0.0.0/0 in VRF vpc-a",
        "- gateway on up0 in VRF vpc-a",
        "~ segment 1",
        "- VRF vpc-a",
        "+ VRF vpc-a",
        "~ segment 1",
        "+ gateway on up0 in VRF vpc-a",
        "+ route 0.0.0.0/0 in VRF vpc-a",
    ]


def test_an_interface_leaves_what_is_not_there_and_joins_it_again() -> None:
    """Somebody removed the segment by hand; the interface still points to where it was."""
    interface = Interface(name="swp1", tagged={10: 1})
    after = config(segment(1, 10), interface)
    for before in (config(interface), config(segment(1, 12), interface)):
        found = [line.split(":")[0] for line in said(difference(before, after))]
        assert found[0] == "- interface swp1"
        assert found[1][2:] == "segment 1"
        assert found[2] == "+ interface swp1"


def test_a_next_hop_changes_in_place() -> None:
    old = Route(destination="10.0.0.0/24", nexthop="192.0.2.1")
    new = Route(destination="10.0.0.0/24", nexthop="192.0.2.2")
    assert said(difference(config(old), config(new))) == [
        "~ route 10.0.0.0/24: by 192.0.2.1 → 192.0.2.2"
    ]


def test_a_gateways_address_changes_in_place_and_its_vlan_does_not() -> None:
    assert said(difference(config(gateway()), config(gateway(address="192.0.2.9/24")))) == [
        "~ gateway on up0: addresses 192.0.2.1/24 → 192.0.2.9/24"
    ]
    assert [each.verb for each in difference(config(gateway()), config(gateway(200)))] == [
        "remove",
        "add",
    ]


def test_a_wrong_route_target_is_the_only_change() -> None:
    wrong = replace(segment(1, 10), route_targets=route_targets(65000, 2))
    interface = Interface(name="swp1", tagged={10: 1})
    found = difference(config(wrong, interface), config(segment(1, 10), interface))
    assert said(found) == ["~ segment 1: route target 65000:2 → 65000:1"]
    assert found == summary(config(wrong, interface), config(segment(1, 10), interface))


def test_drops_in_another_order_are_no_difference() -> None:
    drops = (DROP, replace(DROP, port_id="p2"))
    one = config(Interface(name="swp1", fenced=drops))
    other = config(Interface(name="swp1", fenced=drops[::-1]))
    assert difference(one, other) == summary(one, other) == ()


def test_a_change_as_json() -> None:
    (change,) = difference(EMPTY, config(Interface(name="swp1", tagged={10: 1})))
    assert msgspec.json.decode(msgspec.json.encode(document(change))) == {
        "verb": "add",
        "element": "interface",
        "before": None,
        "after": {
            "name": "swp1",
            "tagged": {"10": 1},
            "untagged": None,
            "fenced": [],
            "is_down": False,
        },
    }
