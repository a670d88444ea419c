"""What a plan makes of VPCs: their VRFs, gateways and ways out, and what cannot be of them."""

from collections.abc import Iterable

from msgspec.structs import replace
from tests.doubles.fabrics import (
    attachment,
    intent,
    interface,
    network,
    provider,
    refused,
    router,
    subnet,
    topology,
)

from netwright.fabric.config import Nat, Route
from netwright.fabric.intent import Intent
from netwright.fabric.plan import Planner, plan
from netwright.fabric.refusals import RefusalCode
from netwright.model.resources import HostRoute, Network
from netwright.model.routing import FloatingIp, Router, RouterGateway
from netwright.model.topology import Capacities, Gateway, Irb, SwitchKind

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


def test_a_vpc_with_a_transit_vni_knows_all_leaves_and_forgets_one_that_is_decommissioned() -> None:
    """Wherever its guests are, and the same tuple everywhere: a hundred leaves cost nothing."""
    wanted = outward(LEADING_OUT)
    planner = Planner(wanted)
    leaves = {SwitchKind.LEAF, SwitchKind.BORDER}
    vteps = tuple(sorted(each.loopback for each in wanted.topology.switches if each.kind in leaves))
    assert len(vteps) == 4
    found = {name: one.vrfs for name, one in planner.plan.switches.items() if one.vrfs}
    assert set(found) == {"leaf1", "leaf2", "border1", "border2"}
    assert all(vrf.vteps == vteps for vrfs in found.values() for vrf in vrfs.values())
    planner.update(outward(LEADING_OUT, borders=1))
    gone = next(each for each in wanted.topology.switches if each.name == "border2").loopback
    (vrf,) = planner.plan.switches["leaf1"].vrfs.values()
    assert vrf.vteps == tuple(vtep for vtep in vteps if vtep != gone)


def test_of_leaves_that_end_alike_the_others_know_for_good_the_one_that_is_of_the_plan() -> None:
    """The one that is left as it is gives way: both have one place there (`tunnel_ends`)."""
    wanted = outward(LEADING_OUT)
    loopbacks = {each.name: each.loopback for each in wanted.topology.switches}
    slip = f"11.{loopbacks['leaf2'].partition('.')[2]}"
    switches = tuple(
        replace(each, loopback=slip) if each.name == "border1" else each
        for each in wanted.topology.switches
    )
    planned = plan(replace(wanted, topology=replace(wanted.topology, switches=switches)))
    assert RefusalCode.UNUSABLE_SWITCH in refused(planned)
    assert "leaf2" not in planned.switches
    (vrf,) = planned.switches["leaf1"].vrfs.values()
    assert vrf.vteps == tuple(sorted([loopbacks["leaf1"], slip, loopbacks["border2"]]))


def test_a_vpc_without_a_transit_vni_needs_to_know_no_leaf() -> None:
    (vrf,) = plan(outward(router(1, interface(INSIDE, "10.1.0.1")))).switches["leaf1"].vrfs.values()
    assert (vrf.l3vni, vrf.vteps) == (None, ())


def gated(network: Network = OUT, *, snat: bool) -> Router:
    """With its gateway there in place of an interface."""
    outer = RouterGateway(
        network_id=network.id,
        port_id="g",
        enable_snat=snat,
        addresses=(replace(interface(OUTSIDE, "192.0.2.9"), network_id=network.id),),
    )
    return replace(router(1, interface(INSIDE, "10.1.0.1"), vni=9001), gateway=outer)


def test_a_gateway_that_translates_nothing_is_a_way_out() -> None:
    by_interface, by_gateway = plan(outward(LEADING_OUT)), plan(outward(gated(snat=False)))
    assert by_gateway.switches == by_interface.switches
    assert not by_gateway.refusals


def test_a_gateway_translates_sources_and_the_core_has_no_way_back() -> None:
    planned = plan(outward(gated(snat=True)))
    (gateway,) = planned.switches["border1"].gateways.values()
    assert gateway.nat == Nat(address="192.0.2.9", sources=True, inside=("10.1.0.0/24",))
    assert gateway.addresses == ("192.0.2.9/24",)
    assert not planned.switches["core1"].routes
    assert not planned.refusals


def test_floating_ips_are_addresses_of_the_gateway_and_stand_for_others() -> None:
    router = gated(snat=False)
    floating = FloatingIp(
        id="f", project_id="p", floating_network_id=OUT.id, floating_ip_address="192.0.2.77",
        floating_port_id="h", port_id="vm", fixed_ip_address="10.1.0.5", router_id=router.id,
    )  # fmt: skip
    free = replace(floating, id="g", port_id=None, fixed_ip_address=None, router_id=None)
    planner = Planner(outward(router))
    wanted = replace(outward(router), floating={"f": floating, "g": free})
    assert planner.update(wanted) == {"border1"}
    (gateway,) = planner.plan.switches["border1"].gateways.values()
    assert gateway.nat is not None
    assert (gateway.nat.sources, gateway.nat.floating) == (False, (("192.0.2.77", "10.1.0.5"),))
    assert gateway.addresses == ("192.0.2.77/32", "192.0.2.9/24")
    assert planner.plan.switches["core1"].routes == {
        Route(destination="10.1.0.0/24", nexthop="192.0.2.9")
    }


def test_a_gateway_in_a_fabric_network_leads_nowhere() -> None:
    outer = network(2)
    wanted = outward(gated(outer, snat=False))
    planned = plan(replace(wanted, networks={**wanted.networks, outer.id: outer}))
    assert refused(planned) == [RefusalCode.NO_WAY_OUT]


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
