"""What a vxlan learns by the frames that come, and as whom a leaf's gateway speaks into it."""

import pytest
from msgspec.structs import replace
from tests.doubles.frr_switch import empty_plan, told
from tests.doubles.switch_configs import LOOPBACK, border

from netwright.fabric.changes import difference
from netwright.fabric.config import SwitchConfig, Vrf
from netwright.fabric.drivers.frr import names, planning, reading
from netwright.fabric.drivers.frr.operations import SetSender, SetTunnelPort
from netwright.fabric.drivers.frr.planning import Plan
from netwright.fabric.drivers.linux.filters import PRIORITY, Filter
from netwright.linux.links import Link

PORTS = ("core1", "swp1", "swp2")
VNI, WITH_GATEWAY, TRANSIT = 5003, 5001, 9001
OWN_MAC = "02:4e:0a:ff:00:03"
OTHER, OTHER_MAC = "10.255.0.4", "02:4e:0a:ff:00:04"
SENDER = f"netwright-own-sender/1 02:00:5e:00:00:01 {OWN_MAC}"


@pytest.fixture
def plan() -> Plan:
    plan = empty_plan(*PORTS)
    bring(plan)
    return plan


def read(plan: Plan) -> SwitchConfig:
    return reading.config(plan.observed, frozenset(), LOOPBACK)


def bring(plan: Plan) -> list[str]:
    done = [
        str(each)
        for change in difference(read(plan), border())
        for each in planning.operations(plan, change)
    ]
    told(plan)
    return done


def tunnel(plan: Plan, vni: int) -> tuple[str, Link]:
    found = ((space, plan.find(space, names.vxlan(vni))) for space in plan.observed.spaces)
    ((space, link),) = ((space, link) for space, link in found if link is not None)
    return space, link


def with_gateway(config: SwitchConfig, mac: str) -> SwitchConfig:
    """The network that has none gets one, and no VRF: its vxlan stays."""
    plain, routed = config.segments[VNI], config.segments[WITH_GATEWAY]
    assert routed.gateway is not None
    gateway = replace(routed.gateway, mac_address=mac)
    return replace(config, segments={**config.segments, VNI: replace(plain, gateway=gateway)})


def go(plan: Plan, before: SwitchConfig, after: SwitchConfig) -> list[str]:
    done = [
        str(each)
        for change in difference(before, after)
        for each in planning.operations(plan, change)
    ]
    told(plan)
    return done


@pytest.mark.parametrize("vni", [VNI, WITH_GATEWAY])
def test_a_network_is_learned_as_a_port_and_behind_which_end(plan: Plan, vni: int) -> None:
    _, link = tunnel(plan, vni)
    assert (link.learns, link.learns_ends, link.suppresses) == (True, True, True)


def test_macs_of_routers_are_not(plan: Plan) -> None:
    _, link = tunnel(plan, TRANSIT)
    assert (link.learns, link.learns_ends, link.suppresses) == (False, False, True)


@pytest.mark.parametrize(("vni", "sender"), [(VNI, ""), (WITH_GATEWAY, SENDER), (TRANSIT, "")])
def test_a_gateway_speaks_as_its_leaf(plan: Plan, vni: int, sender: str) -> None:
    space, link = tunnel(plan, vni)
    assert plan.observed.spaces[space].sender_filter(link.index) == sender


@pytest.mark.parametrize("vni", [VNI, WITH_GATEWAY])
@pytest.mark.parametrize("lacking", ["learns", "learns_ends", "suppresses"])
def test_one_that_lacks_any_of_it_is_drift_and_made_whole_by_one_operation(
    plan: Plan, lacking: str, vni: int
) -> None:
    """As one that an older controller made."""
    space, link = tunnel(plan, vni)
    found = plan.observed.spaces[space]
    links = {**found.links, link.index: replace(link, **{lacking: False})}
    spaces = {**plan.observed.spaces, space: replace(found, links=links)}
    older = Plan(replace(plan.observed, spaces=spaces), frozenset(), LOOPBACK)
    assert read(older) != border()
    assert bring(older) == [str(SetTunnelPort(space, link.name, learning=True))]
    assert read(older) == border()


@pytest.mark.parametrize(
    ("vni", "there", "wanted"),
    [
        (WITH_GATEWAY, "", SENDER),
        (WITH_GATEWAY, SENDER.replace(OWN_MAC, "02:4e:0a:ff:00:09"), SENDER),
        (VNI, SENDER, ""),
    ],
)
def test_a_gateway_that_speaks_otherwise_is_drift_and_mended_by_one_operation(
    plan: Plan, vni: int, there: str, wanted: str
) -> None:
    space, link = tunnel(plan, vni)
    found = plan.observed.spaces[space]
    senders = {link.index: Filter(PRIORITY, there, 7)} if there else {}
    spaces = {**plan.observed.spaces, space: replace(found, senders=senders)}
    changed = Plan(replace(plan.observed, spaces=spaces), frozenset(), LOOPBACK)
    assert read(changed) != border()
    assert bring(changed) == [str(SetSender(space, link.name, wanted))]
    assert read(changed) == border()


def test_gateways_that_come_change_and_go_are_spoken_for_accordingly(plan: Plan) -> None:
    """The program is there before the tunnel of a network learns, and goes with its gateway."""
    plain = border()
    _, link = tunnel(plan, VNI)
    one, other = (with_gateway(plain, f"02:00:5e:00:00:0{n}") for n in (2, 3))
    for before, after in ((plain, one), (one, other), (other, plain)):
        said = [line for line in go(plan, before, after) if " sends " in line]
        gateway = after.segments[VNI].gateway
        expected = "sends as it is told"
        if gateway is not None:
            expected = f"sends as {OWN_MAC} what is of {gateway.mac_address}"
        assert said == [f"switch: {link.name} {expected}"]
        assert read(plan) == after


def test_a_gateway_speaks_as_its_leaf_before_its_network_is_learned() -> None:
    done = bring(empty_plan(*PORTS))
    name = names.vxlan(WITH_GATEWAY)
    sends, learns, up = (
        next(place for place, line in enumerate(done) if f" {name} {what}" in line)
        for what in ("sends as", "learning on", "up")
    )
    assert sends < learns < up


def test_a_tunnel_that_is_made_anew_has_no_program_of_the_old_one(plan: Plan) -> None:
    space, link = tunnel(plan, WITH_GATEWAY)
    found = plan.observed.spaces[space]
    links = {**found.links, link.index: replace(link, vni=1)}
    spaces = {**plan.observed.spaces, space: replace(found, links=links)}
    changed = Plan(replace(plan.observed, spaces=spaces), frozenset(), LOOPBACK)
    assert any(" sends as " in line for line in bring(changed))
    assert read(changed) == border()


def lead(plan: Plan, known: dict[str, str], ends: frozenset[str]) -> Plan:
    """The switch with another state of what its transit VNI leads to."""
    space, link = tunnel(plan, TRANSIT)
    found = plan.observed.spaces[space]
    spaces = {**plan.observed.spaces, space: replace(found, leading={link.index: known})}
    return Plan(replace(plan.observed, spaces=spaces, ends=ends), frozenset(), LOOPBACK)


def test_a_transit_vni_leads_to_all_leaves_before_zebra_has_it() -> None:
    done = bring(empty_plan(*PORTS))
    name = names.vxlan(TRANSIT)
    end, leads, told_zebra = (
        next(place for place, line in enumerate(done) if what in line)
        for what in (f"tunnel end {OTHER}", f"{name} leads {OTHER_MAC} to {OTHER}", "vni 9001")
    )
    assert end < leads < told_zebra


@pytest.mark.parametrize(
    ("known", "ends", "operations"),
    [
        ({OWN_MAC: LOOPBACK}, {LOOPBACK, OTHER}, [f"leads {OTHER_MAC} to {OTHER}"]),
        (
            {OWN_MAC: LOOPBACK},
            {LOOPBACK},
            [f"tunnel end {OTHER}", f"leads {OTHER_MAC} to {OTHER}"],
        ),
        (
            {OWN_MAC: LOOPBACK, OTHER_MAC: LOOPBACK},
            {LOOPBACK, OTHER},
            [f"leads {OTHER_MAC} to {OTHER}"],
        ),
        (
            {OWN_MAC: LOOPBACK, OTHER_MAC: OTHER, "02:00:00:00:00:07": OTHER},
            {LOOPBACK, OTHER},
            ["leads 02:00:00:00:00:07 to nowhere"],
        ),
        (
            {OWN_MAC: LOOPBACK, OTHER_MAC: OTHER, "02:00:00:00:00:07": ""},
            {LOOPBACK, OTHER},
            ["leads 02:00:00:00:00:07 to nowhere"],
        ),
    ],
)
def test_a_router_mac_that_leads_elsewhere_is_drift_and_mended(
    plan: Plan, known: dict[str, str], ends: set[str], operations: list[str]
) -> None:
    changed = lead(plan, known, frozenset(ends))
    assert read(changed) != border()
    done = bring(changed)
    assert [
        line.rpartition(": ")[2].rpartition(f"{names.vxlan(TRANSIT)} ")[2] for line in done
    ] == (operations)
    assert read(changed) == border()


def test_a_tunnel_end_goes_with_the_last_transit_vni_that_leads_there(plan: Plan) -> None:
    """As when its leaf is decommissioned."""
    after = knowing(border(), LOOPBACK)
    go(plan, border(), after)
    assert read(plan) == after
    assert [str(each) for each in planning.sweep(plan)] == [f"remove tunnel end {OTHER}"]
    assert plan.observed.ends == {LOOPBACK}


def test_a_leaf_that_goes_out_of_the_plan_may_be_alive_so_zebra_has_its_router_mac(
    plan: Plan,
) -> None:
    before = border()
    done = go(plan, before, knowing(before, LOOPBACK))
    assert done == [f"vpc-b: {names.vxlan(TRANSIT)} leaves {OTHER_MAC} behind {OTHER} to zebra"]


def test_an_end_whose_place_another_leaf_takes_is_let_go_in_all_vrfs_before(plan: Plan) -> None:
    """A slip: a leaf's loopback ends as that of another, which the plan then leaves as it is."""
    twin, twin_mac = "11.255.0.4", "02:4e:0b:ff:00:04"
    second = replace(border().vrfs["vpc-a"], l3vni=9002, vteps=(LOOPBACK, OTHER), rd="1.1.1.1:1")
    before = replace(border(), vrfs={**border().vrfs, "vpc-a": second})
    go(plan, border(), before)
    told(plan)
    after = knowing(before, LOOPBACK, twin)
    (change, last) = difference(before, after)
    done = [str(each) for each in planning.operations(plan, change)]
    vrf = change.after
    assert isinstance(vrf, Vrf)
    other = ({"vpc-a", "vpc-b"} - {vrf.name}).pop()
    devices = {"vpc-a": names.vxlan(9002), "vpc-b": names.vxlan(TRANSIT)}
    assert done == [
        f"{vrf.name}: {devices[vrf.name]} leaves {OTHER_MAC} behind {OTHER} to zebra",
        f"{other}: {devices[other]} leaves {OTHER_MAC} behind {OTHER} to zebra",
        f"remove tunnel end {OTHER}",
        f"tunnel end {twin}",
        f"{vrf.name}: {devices[vrf.name]} leads {twin_mac} to {twin}",
    ]
    assert [str(each) for each in planning.operations(plan, last)] == [
        f"{other}: {devices[other]} leads {twin_mac} to {twin}"
    ]
    assert not planning.sweep(plan)
    assert read(plan) == after


def knowing(config: SwitchConfig, *vteps: str) -> SwitchConfig:
    """Of transit VNIs' leaves these are left."""
    vrfs = {
        name: replace(vrf, vteps=vteps if vrf.l3vni else ()) for name, vrf in config.vrfs.items()
    }
    return replace(config, vrfs=vrfs)
