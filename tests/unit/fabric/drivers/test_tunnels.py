"""What a vxlan learns by the frames that come."""

import pytest
from msgspec.structs import replace
from tests.doubles.frr_switch import empty_plan, told
from tests.doubles.switch_configs import LOOPBACK, border

from netwright.fabric.changes import difference
from netwright.fabric.config import SwitchConfig
from netwright.fabric.drivers.frr import names, planning, reading
from netwright.fabric.drivers.frr.operations import SetTunnelPort
from netwright.fabric.drivers.frr.planning import Plan
from netwright.linux.links import Link

PORTS = ("core1", "swp1", "swp2")
VNI, WITH_GATEWAY, TRANSIT = 5003, 5001, 9001


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


def test_a_network_is_learned_as_a_port_and_behind_which_end(plan: Plan) -> None:
    _, link = tunnel(plan, VNI)
    assert (link.learns, link.learns_ends, link.suppresses) == (True, True, True)


@pytest.mark.parametrize("vni", [WITH_GATEWAY, TRANSIT])
def test_a_mac_that_all_leaves_speak_with_and_those_of_routers_are_not(
    plan: Plan, vni: int
) -> None:
    _, link = tunnel(plan, vni)
    assert (link.learns, link.learns_ends, link.suppresses) == (False, False, True)


@pytest.mark.parametrize("lacking", ["learns", "learns_ends", "suppresses"])
def test_one_that_lacks_any_of_it_is_drift_and_made_whole_by_one_operation(
    plan: Plan, lacking: str
) -> None:
    """As one that an older controller made."""
    space, link = tunnel(plan, VNI)
    found = plan.observed.spaces[space]
    links = {**found.links, link.index: replace(link, **{lacking: False})}
    spaces = {**plan.observed.spaces, space: replace(found, links=links)}
    older = Plan(replace(plan.observed, spaces=spaces), frozenset(), LOOPBACK)
    assert read(older) != border()
    assert bring(older) == [str(SetTunnelPort(space, link.name, learning=True))]
    assert read(older) == border()


def test_a_network_that_gets_a_gateway_learns_no_longer(plan: Plan) -> None:
    wanted = border()
    segments = dict(wanted.segments)
    routed = replace(segments[WITH_GATEWAY], vni=VNI, vlan=None, rd=segments[VNI].rd,
                     network_id=segments[VNI].network_id,
                     route_targets=segments[VNI].route_targets)  # fmt: skip
    change = difference(wanted, replace(wanted, segments={**segments, VNI: routed}))
    for each in change:
        planning.operations(plan, each)
    _, link = tunnel(plan, VNI)
    assert (link.learns, link.learns_ends) == (False, False)
