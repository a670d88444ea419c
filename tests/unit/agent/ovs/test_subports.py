"""Subports: a pair of patch ports each, by which a device's tagged frames are as another's."""

from typing import Any

import pytest
from tests.unit.agent.ovs.plan_scene import BLUE, PORTS, desired, endpoint, started
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.ovs.changes import DEAD_VLAN
from netwright.agent.ovs.flows import Output, PopVlan, PushVlan, SetVlan
from netwright.agent.ovs.plan import make_plan
from netwright.agent.ovs.subports import names, subport_cookie
from netwright.agent.ovs.wiring import Endpoint, Inside

PARENT = endpoint("p0")
SUB = endpoint("p1", BLUE, inside=Inside("p0", 7))
INNER, OUTER = names("p1")


@pytest.fixture
def switch() -> SimSwitch:
    switch = started()
    switch.plug("br-int", "tap0", "p0")
    return switch


def converged(switch: SimSwitch, *endpoints: Endpoint, **how: Any) -> dict[str, str]:
    plan = switch.converge(desired(*endpoints, **how), rounds_max=4)
    return {state.port_id: state.status for state in plan.endpoints}


def between(switch: SimSwitch) -> set[Any]:
    cookie = subport_cookie("p1")
    return {
        (dict(flow.match)["in_port"], dict(flow.match)["vlan_vid"], flow.actions)
        for flow in switch.ours("br-int")
        if flow.cookie == cookie
    }


def test_a_tag_leads_to_the_pair_and_back(switch: SimSwitch) -> None:
    assert converged(switch, PARENT, SUB) == {"p0": "up", "p1": "up"}
    tap, outer = switch.ofport("tap0"), switch.ofport(OUTER)
    assert between(switch) == {
        (tap, 0x1007, (PopVlan(), Output(outer))),
        (outer, 0, (PushVlan(), SetVlan(7), Output(tap))),
    }
    assert switch.interface(INNER).external_ids["iface-id"] == "p1"
    assert switch.port(OUTER).tag == DEAD_VLAN, "no network is at this end"
    assert switch.port(INNER).tag not in {None, DEAD_VLAN, switch.port("tap0").tag}
    inside: dict[str, int | str] = {
        "in_port": switch.ofport(INNER),
        "vlan_vid": 0,
        "eth_src": SUB.mac,
    }
    arp: dict[str, int | str] = {
        "eth_type": 0x0806,
        "arp_op": 1,
        "arp_sha": SUB.mac,
        "arp_spa": SUB.addresses[0],
    }
    assert switch.forwards("br-int", {**inside, **arp, "eth_dst": "ff:ff:ff:ff:ff:ff"})


def test_without_the_parents_device_there_is_none(switch: SimSwitch) -> None:
    converged(switch, PARENT, SUB)
    switch.unplug("tap0")
    assert converged(switch, PARENT, SUB) == {"p0": "absent", "p1": "absent"}
    assert not {INNER, OUTER} & {port.name for port in switch.ports.values()}
    assert between(switch) == set()


def test_a_parent_that_is_down_silences_its_subports(switch: SimSwitch) -> None:
    converged(switch, PARENT, SUB)
    converged(switch, endpoint("p0", admin_up=False), SUB)
    assert between(switch) == set()
    converged(switch, PARENT, SUB)
    assert len(between(switch)) == 2


def test_what_nobody_has_told_us_of_stays(switch: SimSwitch) -> None:
    converged(switch, PARENT, SUB)
    before = between(switch)
    assert make_plan(desired(in_sync=False), switch.actual()).empty
    assert make_plan(desired(PARENT, SUB, in_sync=False), switch.actual()).empty
    assert between(switch) == before
    converged(switch, PARENT)
    assert not {INNER, OUTER} & {port.name for port in switch.ports.values()}
    assert between(switch) == set()


@pytest.mark.parametrize("name", [INNER, OUTER])
def test_half_a_pair_is_made_whole(switch: SimSwitch, name: str) -> None:
    converged(switch, PARENT, SUB)
    switch.unplug(name)
    assert converged(switch, PARENT, SUB) == {"p0": "up", "p1": "up"}
    assert len(between(switch)) == 2


def test_after_a_restart_of_ovs_it_is_put_back(switch: SimSwitch) -> None:
    converged(switch, PARENT, SUB)
    switch.restart_vswitchd()
    assert converged(switch, PARENT, SUB) == {"p0": "up", "p1": "up"}
    assert len(between(switch)) == 2


def test_another_tag_moves_no_port(switch: SimSwitch) -> None:
    converged(switch, PARENT, SUB)
    retagged = endpoint("p1", BLUE, inside=Inside("p0", 8))
    plan = make_plan(desired(PARENT, retagged), switch.actual())
    assert not plan.rows
    assert {state.status for state in plan.endpoints if state.port_id == "p1"} == {"wiring"}
    converged(switch, PARENT, retagged)
    assert {vid for _, vid, _ in between(switch)} == {0x1008, 0}


def test_many_subports_of_one_device(switch: SimSwitch) -> None:
    subs = [endpoint(id_, BLUE, inside=Inside("p0", n + 20)) for n, id_ in enumerate(PORTS[1:])]
    states = converged(switch, PARENT, *subs)
    assert set(states.values()) == {"up"}
    assert len({names(one.port_id) for one in subs}) == len(subs)
