"""The simulated switch is strict: what the property tests rely on."""

import pytest
from msgspec.structs import replace
from tests.doubles.switches import SimulatedSwitch, without

from netwright.fabric.changes import Change, Element, Verb, difference
from netwright.fabric.config import (
    EMPTY,
    Interface,
    Route,
    RouteTargets,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)
from netwright.fabric.drivers.base import Driver
from netwright.model.errors import DeviceError

NONE = RouteTargets(imports=(), exports=())
VRF = Vrf(name="vpc-a", router_id="r", l3vni=9, rd="10.0.0.1:9", route_targets=NONE)
SEGMENT = Segment(vni=1, network_id="n", vlan=10, vrf="vpc-a", rd="10.0.0.1:1", route_targets=NONE)
INTERFACE = Interface(name="swp1", tagged={10: 1})
ROUTE = Route(destination="0.0.0.0/0", nexthop="192.0.2.1", vrf="vpc-a")
GATEWAY = VlanGateway(
    interface="up0",
    physical_network="physnet1",
    vlan=100,
    network_id="p",
    addresses=("192.0.2.9/24",),
    vrf="vpc-a",
)
WHOLE = SwitchConfig(
    vrfs={VRF.name: VRF},
    segments={1: SEGMENT},
    interfaces={"swp1": INTERFACE},
    gateways={GATEWAY.key: GATEWAY},
    routes=frozenset({ROUTE}),
)
OTHER = replace(SEGMENT, vni=2, network_id="m", vlan=11, vrf=None, rd="10.0.0.1:2")


def add(element: Element) -> Change:
    return Change(verb=Verb.ADD, after=element)


def remove(element: Element) -> Change:
    return Change(verb=Verb.REMOVE, before=element)


def become(before: Element, after: Element) -> Change:
    return Change(verb=Verb.REPLACE, before=before, after=after)


@pytest.mark.parametrize(
    ("there", "change", "why"),
    [
        (EMPTY, add(SEGMENT), "no VRF vpc-a"),
        (EMPTY, add(INTERFACE), "VNI 1 is not VLAN 10 here"),
        (EMPTY, add(Interface(name="swp1", untagged=1)), "no VNI 1 here"),
        (EMPTY, add(ROUTE), "no VRF vpc-a"),
        (EMPTY, add(GATEWAY), "no VRF vpc-a"),
        (EMPTY, remove(SEGMENT), "before it was None"),
        (WHOLE, add(SEGMENT), "before it was"),
        (WHOLE, remove(replace(SEGMENT, mtu=9000)), "before it was"),
        (WHOLE, remove(SEGMENT), "interfaces carry it"),
        (WHOLE, remove(VRF), "is in it"),
        (WHOLE, become(SEGMENT, replace(SEGMENT, vlan=11)), "interfaces are in its VLAN"),
        (WHOLE, become(SEGMENT, replace(SEGMENT, network_id="m")), "another network's"),
        (WHOLE, become(VRF, replace(VRF, router_id="s")), "another VPC's"),
        (WHOLE, add(replace(OTHER, vlan=10)), "VLAN 10 is that of VNI 1"),
        (WHOLE, add(replace(OTHER, rd=SEGMENT.rd)), "RD 10.0.0.1:1 is that of VNI 1"),
        (WHOLE, add(replace(OTHER, vni=9)), "the VNI is a VRF's"),
        (WHOLE, become(VRF, replace(VRF, l3vni=1)), "VNI 1 is in use"),
        (WHOLE, Change(verb=Verb.ADD, before=SEGMENT, after=SEGMENT), "that is no add"),
        (WHOLE, add(replace(OTHER, vni=77)), "somebody else has that VNI"),
        (WHOLE, add(replace(OTHER, vlan=77)), "VLAN 77 is that of VNI 77"),
        (WHOLE, add(replace(VRF, name="theirs", l3vni=None)), "somebody else has a VRF"),
    ],
)
def test_it_refuses_what_is_out_of_order(there: SwitchConfig, change: Change, why: str) -> None:
    foreign = SwitchConfig(
        segments={77: replace(OTHER, vni=77, vlan=77, rd="10.0.0.1:77")},
        vrfs={"theirs": replace(VRF, name="theirs")},
    )
    switch = SimulatedSwitch("leaf1", foreign)
    switch.become(there)
    with pytest.raises(DeviceError, match=f"Switch leaf1 refused .*{why}"):
        switch.carry_out(change)
    assert switch.config == there


async def test_as_a_driver_it_fails_where_it_is_told_to() -> None:
    switch = SimulatedSwitch("leaf1")
    driver: Driver = switch
    changes = difference(EMPTY, WHOLE)
    switch.failures = [None, "refuse"]
    with pytest.raises(DeviceError, match="says no"):
        await switch.apply(changes)
    assert (await driver.read()).config == SwitchConfig(vrfs={VRF.name: VRF})
    switch.failures = ["hang"]
    with pytest.raises(DeviceError, match="did not answer"):
        await switch.apply(changes[1:])
    assert switch.config.segments == {1: SEGMENT}
    await switch.apply(changes[2:])
    assert (await driver.read()).config == WHOLE
    assert (await driver.learned([1, 5]))[1].rd == "10.0.0.1:1"
    boot_id = (await driver.read()).boot_id
    switch.reboot()
    assert (await driver.read()).config == EMPTY
    assert (await driver.read()).boot_id != boot_id
    switch.is_reachable = False
    with pytest.raises(DeviceError, match="does not answer"):
        await driver.read()


async def test_its_watch_tells_of_what_others_do() -> None:
    switch = SimulatedSwitch("leaf1")
    stirred = switch.watch()
    switch.become(WHOLE)
    await anext(stirred)


def test_what_hangs_on_an_element_goes_with_it() -> None:
    left = without(WHOLE, VRF)
    assert left.segments[1].vrf is None
    assert left == SwitchConfig(segments=left.segments, interfaces=WHOLE.interfaces)
    assert without(without(WHOLE, ROUTE), SEGMENT).segments == {}
    assert without(without(WHOLE, GATEWAY), INTERFACE).interfaces == {}
