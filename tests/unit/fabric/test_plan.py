"""What a plan is made of, rule by rule; the golden plans show whole ones."""

from collections.abc import Iterable

from msgspec.structs import replace
from tests.doubles.fabrics import (
    attachment,
    intent,
    interface,
    link,
    network,
    provider,
    router,
    subnet,
    topology,
)

from netwright.fabric.config import EMPTY, Fenced, Route
from netwright.fabric.intent import Intent, changed, gathered
from netwright.fabric.plan import Plan, Planner, plan
from netwright.fabric.refusals import RefusalCode
from netwright.fabric.topology import FabricIndex
from netwright.model.resources import HostRoute
from netwright.model.routing import Router
from netwright.model.states import AttachmentState
from netwright.model.topology import Capacities, End, Gateway, Irb, Link
from netwright.model.wire import Kind

NET = network(1)
OUT = provider(1, 100)
INSIDE = subnet(NET, "10.1.0.0/24", "10.1.0.1")
OUTSIDE = subnet(OUT, "192.0.2.0/24", "192.0.2.1")
TRUNKS = (
    Gateway(switch="core1", interface="trunk", physical_network="physnet1"),
    Gateway(switch="border1", interface="up0", physical_network="physnet1"),
    Gateway(switch="border2", interface="up0", physical_network="physnet1"),
)
LEADING_OUT = router(1, interface(INSIDE, "10.1.0.1"), interface(OUTSIDE, "192.0.2.9"), vni=9001)


def outward(*routers: Router, drained: Iterable[str] = (), borders: int = 2) -> Intent:
    return intent(
        topology(2, 1, borders=borders, gateways=TRUNKS),
        networks=[NET, OUT],
        subnets=[INSIDE, OUTSIDE],
        routers=routers,
        attachments=[attachment(NET, "host1", 10)],
        drained=drained,
    )


def refused(planned: Plan) -> list[RefusalCode]:
    return [each.code for each in planned.refusals]


def test_an_attachment_that_withdraws_is_not_planned_and_any_other_is() -> None:
    for state in AttachmentState:
        planned = plan(
            intent(
                topology(),
                networks=[NET],
                attachments=[attachment(NET, "host1", 10, state=state)],
            )
        )
        is_live = state not in {AttachmentState.WITHDRAWING, AttachmentState.WITHDRAWN}
        assert (1001 in planned.switches["leaf1"].segments) is is_live, state
        assert planned.refusals == ()


def test_a_provider_networks_attachment_is_not_the_fabrics() -> None:
    planned = plan(intent(topology(), networks=[OUT], attachments=[attachment(OUT, "host1")]))
    assert planned.switches["leaf1"] == EMPTY
    assert planned.refusals == ()


def test_a_host_with_virtual_machines_and_an_interface_of_its_own_has_both() -> None:
    both = attachment(NET, "host1", 10, ("leaf1", "bm1"))
    leaf = plan(intent(topology(), networks=[NET], attachments=[both])).switches["leaf1"]
    assert leaf.interfaces["h1"].tagged == {10: 1001}
    assert leaf.interfaces["bm1"].untagged == 1001


def test_a_leaf_without_a_loopback_is_left_alone_and_its_hosts_are_told() -> None:
    fabric = topology()
    broken = replace(
        fabric,
        switches=tuple(
            replace(each, loopback="") if each.name == "leaf2" else each for each in fabric.switches
        ),
    )
    planned = plan(intent(broken, networks=[NET], attachments=[attachment(NET, "host1", 10)]))
    assert "leaf2" not in planned.switches
    assert planned.switches["leaf1"].interfaces["h1"].tagged == {10: 1001}
    assert refused(planned) == [RefusalCode.UNUSABLE_SWITCH] * 2
    assert {each.host for each in planned.refusals} == {None, "host1"}


def test_leaves_whose_loopbacks_end_alike_cannot_be_told_apart() -> None:
    fabric = topology()
    twins = tuple(
        replace(each, loopback="172.0.0.1") if each.name == "leaf2" else each
        for each in fabric.switches
    )
    planned = plan(intent(replace(fabric, switches=twins)))
    assert [(each.switch, each.code) for each in planned.refusals] == [
        ("leaf2", RefusalCode.UNUSABLE_SWITCH)
    ]


def test_two_hosts_on_one_interface_are_both_refused_there() -> None:
    fabric = topology(2, 2)
    shared = replace(fabric, links=(*fabric.links, link("host2", "leaf1", "h1")))
    planned = plan(
        intent(
            shared,
            networks=[NET],
            attachments=[attachment(NET, "host1", 10), attachment(NET, "host2", 10)],
        )
    )
    assert planned.switches["leaf1"] == EMPTY
    assert set(planned.switches["leaf2"].interfaces) == {"h1", "h2"}
    assert [(each.host, each.interface) for each in planned.refusals] == [
        ("host1", "h1"),
        ("host2", "h1"),
    ]
    assert "host1, host2" in planned.refusals[0].words


def test_a_peer_link_is_no_host() -> None:
    peers = Link(
        lower=End(node="leaf1", interface="p1"), upper=End(node="leaf2", interface="p1"), peer=True
    )
    fabric = topology()
    index = FabricIndex(replace(fabric, links=(*fabric.links, peers)))
    assert index.hosts.keys() == {"host1", "host2"}
    assert ("leaf2", "p1") in index.inner


def test_one_network_has_one_vlan_on_a_leaf() -> None:
    planned = plan(
        intent(
            topology(2, 2),
            networks=[NET],
            attachments=[attachment(NET, "host1", 10), attachment(NET, "host2", 11)],
        )
    )
    assert set(planned.switches["leaf1"].interfaces) == {"h1"}
    assert refused(planned) == [RefusalCode.VLAN_TAKEN] * 2
    assert "VLAN 10 there for another host, and VLAN 11" in planned.refusals[0].words


def test_a_vni_that_a_vpc_has_too_is_the_older_ones() -> None:
    young = router(9, interface(INSIDE, "10.1.0.1"), interface(OUTSIDE, "192.0.2.9"), vni=1001)
    planned = plan(outward(young))
    assert planned.switches["leaf1"].segments[1001].vlan == 10
    assert planned.switches["leaf1"].vrfs["vpc-00000009aaa"].l3vni is None
    assert refused(planned) == [RefusalCode.NO_VNI]
    assert "also that of network net-1" in planned.refusals[0].words


def test_the_way_out_is_on_one_border_and_the_other_has_the_vrf_ready() -> None:
    switches = plan(outward(LEADING_OUT)).switches
    assert list(switches["border1"].gateways) == ["up0.100@vpc-00000001aaa"]
    assert switches["border1"].routes == {
        Route(destination="0.0.0.0/0", nexthop="192.0.2.1", vrf="vpc-00000001aaa")
    }
    assert switches["border2"].vrfs.keys() == switches["border1"].vrfs.keys()
    assert not switches["border2"].gateways
    assert not switches["border2"].routes
    assert switches["core1"].routes == {Route(destination="10.1.0.0/24", nexthop="192.0.2.9")}
    moved = plan(outward(LEADING_OUT, drained=["border1"])).switches
    assert not moved["border1"].gateways
    assert list(moved["border2"].gateways) == ["up0.100@vpc-00000001aaa"]


def test_two_ways_out_are_two_gateways_and_one_default_route() -> None:
    second = provider(2, 200)
    beyond = subnet(second, "198.51.100.0/24", "198.51.100.1")
    both = router(1, *LEADING_OUT.interfaces, interface(beyond, "198.51.100.9"), vni=9001)
    wanted = outward(both)
    planned = plan(
        replace(
            wanted,
            networks={**wanted.networks, second.id: second},
            subnets={**wanted.subnets, beyond.id: beyond},
        )
    )
    border, core = planned.switches["border1"], planned.switches["core1"]
    assert {key: each.addresses for key, each in border.gateways.items()} == {
        "up0.100@vpc-00000001aaa": ("192.0.2.9/24",),
        "up0.200@vpc-00000001aaa": ("198.51.100.9/24",),
    }
    assert {(route.destination, route.nexthop) for route in border.routes} == {
        ("0.0.0.0/0", "192.0.2.1")
    }
    assert core.routes == {Route(destination="10.1.0.0/24", nexthop="192.0.2.9")}


def test_a_vpc_without_a_transit_vni_or_a_border_has_no_way_out_but_its_gateways() -> None:
    for wanted, code in (
        (outward(replace(LEADING_OUT, vni=None)), RefusalCode.NO_VNI),
        (outward(LEADING_OUT, borders=0), RefusalCode.NO_WAY_OUT),
    ):
        planned = plan(wanted)
        assert refused(planned) == [code]
        assert planned.switches["leaf1"].segments[1001].gateway is not None
        assert not planned.switches["core1"].routes


def test_an_address_that_is_the_providers_gateway_is_refused() -> None:
    usual = router(1, interface(INSIDE, "10.1.0.1"), interface(OUTSIDE, "192.0.2.1"), vni=9001)
    planned = plan(outward(usual))
    assert refused(planned) == [RefusalCode.NO_WAY_OUT]
    assert not planned.switches["border1"].gateways
    assert planned.switches["core1"].gateways["trunk.100"].addresses == ("192.0.2.1/24",)


def test_the_routers_own_default_route_is_the_default_route() -> None:
    own = replace(
        LEADING_OUT,
        routes=(
            HostRoute(destination="0.0.0.0/0", nexthop="192.0.2.77"),
            HostRoute(destination="172.16.0.0/12", nexthop="203.0.113.1"),
        ),
    )
    planned = plan(outward(own))
    assert {route.nexthop for route in planned.switches["border1"].routes} == {"192.0.2.77"}
    assert refused(planned) == [RefusalCode.NO_WAY_OUT]
    assert "203.0.113.1" in planned.refusals[0].words


def test_two_vpcs_with_one_prefix_cannot_both_be_reached_by_a_core() -> None:
    other = network(2)
    twin = router(
        2,
        interface(subnet(other, "10.1.0.128/25", None), "10.1.0.129"),
        interface(OUTSIDE, "192.0.2.10"),
        vni=9002,
    )
    wanted = outward(LEADING_OUT, twin)
    planned = plan(replace(wanted, networks={**wanted.networks, other.id: other}))
    assert planned.switches["core1"].routes == {
        Route(destination="10.1.0.0/24", nexthop="192.0.2.9")
    }
    assert [(each.code, each.router_id, each.switch) for each in planned.refusals] == [
        (RefusalCode.PREFIX_TAKEN, twin.id, "core1")
    ]


def test_subnets_that_overlap_in_a_vpc_a_network_of_two_and_a_gateway_without_mac() -> None:
    second, third = network(2), network(3)
    routers = [
        router(
            1,
            interface(INSIDE, "10.1.0.1"),
            interface(subnet(second, "10.1.0.0/16", None), "10.1.0.2"),
            interface(subnet(third, "10.3.0.0/24", None), "10.3.0.1", mac=""),
        ),
        router(2, interface(INSIDE, "10.1.0.2")),
    ]
    planned = plan(
        intent(
            topology(),
            networks=[NET, second, third],
            routers=routers,
            attachments=[attachment(NET, "host1", 10), attachment(second, "host1", 11)],
        )
    )
    leaf = planned.switches["leaf1"]
    assert leaf.segments[1001].vrf == "vpc-00000001aaa"
    assert leaf.segments[1002].vrf is None
    assert leaf.segments[1002].gateway is None
    assert leaf.segments[1003].vrf == "vpc-00000001aaa"
    assert leaf.segments[1003].gateway is None
    assert {(each.code, each.router_id, each.network_id) for each in planned.refusals} == {
        (RefusalCode.PREFIX_TAKEN, routers[0].id, "net-2"),
        (RefusalCode.NO_MAC, routers[0].id, "net-3"),
        (RefusalCode.NETWORK_TAKEN, routers[1].id, "net-1"),
    }


def test_a_router_that_is_down_routes_nothing_and_its_networks_stay() -> None:
    planned = plan(outward(replace(LEADING_OUT, admin_state_up=False)))
    assert planned.switches["leaf1"].segments[1001].vrf is None
    assert not planned.switches["border1"].vrfs
    assert planned.refusals == ()


def test_symmetric_routing_needs_a_transit_vni() -> None:
    wanted = intent(
        topology(irb=Irb.SYMMETRIC),
        networks=[NET],
        routers=[router(1, interface(INSIDE, "10.1.0.1"))],
        attachments=[attachment(NET, "host1", 10)],
    )
    planned = plan(wanted)
    assert refused(planned) == [RefusalCode.NO_VNI]
    assert planned.switches["leaf1"].segments[1001].vrf is None


def test_the_youngest_vpc_has_no_vrf_where_there_is_room_for_one() -> None:
    second = network(2)
    planned = plan(
        intent(
            topology(capacities=Capacities(vrfs=1)),
            networks=[NET, second],
            routers=[
                router(1, interface(INSIDE, "10.1.0.1")),
                router(2, interface(subnet(second, "10.2.0.0/24", None), "10.2.0.1")),
            ],
            attachments=[attachment(NET, "host1", 10), attachment(second, "host1", 11)],
        )
    )
    leaf = planned.switches["leaf1"]
    assert list(leaf.vrfs) == ["vpc-00000001aaa"]
    assert leaf.segments[1002].vrf is None
    assert leaf.segments[1002].gateway is None
    assert [(each.code, each.switch) for each in planned.refusals] == [
        (RefusalCode.CAPACITY, "leaf1"),
        (RefusalCode.CAPACITY, "leaf2"),
    ]


def test_a_fence_is_on_every_interface_of_the_host_and_of_bare_metal() -> None:
    drop = Fenced(port_id="p1", mac_address="02:00:00:00:00:01")
    made = intent(
        topology(),
        networks=[NET],
        attachments=[attachment(NET, "machine", None, ("leaf1", "bm1"))],
    )
    planned = plan(replace(made, fences=dict.fromkeys(("host1", "machine", "lost"), (drop,))))
    fenced = {
        (name, interface.name)
        for name, config in planned.switches.items()
        for interface in config.interfaces.values()
        if interface.fenced == (drop,)
    }
    assert fenced == {("leaf1", "h1"), ("leaf2", "h1"), ("leaf1", "bm1")}
    assert [(each.code, each.host) for each in planned.refusals] == [(RefusalCode.NO_LINK, "lost")]


def test_what_two_fenced_ports_have_alike_is_dropped_once() -> None:
    """Two VPCs may have the same addresses; a switch keeps one port for each sender."""
    first = Fenced(port_id="p1", mac_address="02:00:00:00:00:01", addresses=("10.0.0.5", "fd00::5"))
    other = Fenced(port_id="p2", mac_address="02:00:00:00:00:02", addresses=("10.0.0.5",))
    twin = Fenced(port_id="p3", mac_address="02:00:00:00:00:01", addresses=("10.0.0.5",))
    lone = Fenced(port_id="p4", mac_address="02:00:00:00:00:01", addresses=("10.0.0.9",))
    old = Fenced(port_id="p2", mac_address="02:00:00:00:00:01", addresses=("10.0.0.5",))
    fences = (other, lone, first, twin, old)
    planned = plan(replace(intent(topology()), fences={"host1": fences}))
    assert planned.switches["leaf1"].interfaces["h1"].fenced == (
        first,
        replace(other, addresses=()),
        replace(lone, mac_address=""),
    )


def test_a_drained_leafs_host_interfaces_are_down_whether_they_carry_anything_or_not() -> None:
    planned = plan(intent(topology(2, 2), drained=["leaf1"]))
    down = planned.switches["leaf1"].interfaces
    assert {name: each.is_down for name, each in down.items()} == {"h1": True, "h2": True}
    assert planned.switches["leaf2"] == EMPTY


def test_an_intent_is_gathered_of_a_mirror_and_changed_without_a_trace() -> None:
    objects: dict[Kind, dict[str, object]] = {
        Kind.NETWORK: {NET.id: NET},
        Kind.PORT: {"p": object()},
    }
    one = gathered(objects, topology(), drained=["leaf1"])
    other = changed(one, {(Kind.NETWORK, NET.id): None, (Kind.PORT, "p"): None})
    assert one.networks == {NET.id: NET}
    assert other.networks == {}
    assert other.subnets is one.subnets
    assert changed(one, {(Kind.PORT, "p"): None}) is one


def test_the_caller_may_say_which_attachments_differ() -> None:
    first = intent(topology(), networks=[NET])
    planner = Planner(first)
    one = attachment(NET, "host1", 10)
    second = changed(first, {(Kind.ATTACHMENT, "net-1@host1"): one})
    assert planner.update(second, ["net-1@host1"]) == {"leaf1", "leaf2"}
    assert planner.plan == plan(second)
    assert planner.update(second) == frozenset()
