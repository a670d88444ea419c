"""Meters: made before flows lead through them, changed, gone with the last; their bytes."""

import pytest
from tests.unit.agent.ovs.plan_scene import desired, endpoint, started
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.ovs.errors import OvsProtocolError
from netwright.agent.ovs.flows import Flow, Metered, SetDscp, match_on
from netwright.agent.ovs.meter_codec import meter_mod, read_config
from netwright.agent.ovs.meters import MeterChange, changes, from_endpoint, to_endpoint
from netwright.agent.ovs.plan import make_plan
from netwright.agent.ovs.wiring import Endpoint, Qos, Rate

SLOW, FAST = Rate(1_000, 800), Rate(9_000, 7_200)


def plugged() -> SimSwitch:
    switch = started()
    switch.plug("br-int", "tap0", "p0")
    return switch


def limited(egress: Rate | None = None, ingress: Rate | None = None) -> Endpoint:
    return endpoint(qos=Qos(egress, ingress))


def test_each_way_has_a_meter_which_goes_with_its_limit() -> None:
    switch = plugged()
    switch.converge(desired(limited(SLOW, FAST)))
    ofport = switch.ofport("tap0")
    assert switch.meters == {from_endpoint(ofport): SLOW, to_endpoint(ofport): FAST}
    switch.converge(desired(limited(FAST)))
    assert switch.meters == {from_endpoint(ofport): FAST}
    switch.converge(desired(endpoint()))
    assert switch.meters == {}


def test_another_limit_changes_no_flow() -> None:
    switch = plugged()
    switch.converge(desired(limited(SLOW, SLOW)))
    plan = make_plan(desired(limited(FAST, SLOW)), switch.actual())
    number = from_endpoint(switch.ofport("tap0"))
    assert plan.meters == (MeterChange(number, FAST, owner="p0"),)
    assert {**plan.close, **plan.open} == {}
    assert plan.rows == ()
    assert str(plan) == f"+ meter {number} 9000 kbit/s, 7200 kbit"


def test_a_port_whose_meter_is_to_be_made_is_not_up() -> None:
    switch = plugged()
    plan = make_plan(desired(limited(SLOW)), switch.actual())
    assert plan.endpoints[0].status == "wiring"


def test_somebody_elses_change_is_taken_back() -> None:
    switch = plugged()
    switch.converge(desired(limited(SLOW)))
    number = from_endpoint(switch.ofport("tap0"))
    switch.meters[number] = None
    switch.meters[999] = FAST
    switch.converge(desired(limited(SLOW)))
    assert switch.meters == {number: SLOW, 999: FAST}, "a stranger's is left alone"


def test_what_nobody_has_told_us_of_keeps_its_meters() -> None:
    switch = plugged()
    switch.converge(desired(limited(SLOW, FAST)))
    before = dict(switch.meters)
    assert make_plan(desired(in_sync=False), switch.actual()).empty
    switch.converge(desired())
    assert before
    assert switch.meters == {}


def test_what_stands_of_a_port_without_device_keeps_its_meter_until_all_is_told() -> None:
    """A switch that loses a meter takes the flows away that lead through it."""
    switch = started()
    switch.plug("br-int", "tap0", "p0")
    switch.converge(desired(endpoint(port_security=False, qos=Qos(SLOW, FAST)), in_sync=False))
    number = to_endpoint(switch.ofport("tap0"))
    switch.unplug("tap0")
    switch.converge(desired(in_sync=False))
    assert switch.meters == {number: FAST}
    switch.converge(desired())
    assert switch.meters == {}


def test_a_meter_that_a_stranger_uses_stays() -> None:
    flow = Flow(0, 1, match_on(in_port=1), (Metered(6),), cookie=9)
    ours = Flow(0, 1, match_on(in_port=3), (Metered(6),), cookie=0x4E57 << 48)
    assert changes({}, {6: SLOW}, {9: frozenset({flow}), 1: frozenset({ours})}) == ()
    assert changes({}, {6: SLOW}, {1: frozenset({ours})}) == (MeterChange(6, None),)


def test_marks_are_of_ip_alone() -> None:
    switch = plugged()
    switch.converge(desired(endpoint(qos=Qos(dscp_mark=46))))
    marking = [flow for flow in switch.ours("br-int") if SetDscp(46) in flow.actions]
    types = {dict(flow.match)["eth_type"] for flow in marking}
    assert types == {0x0800, 0x86DD}
    assert all(dict(flow.match)["in_port"] == switch.ofport("tap0") for flow in marking)


def config(number: int, flags: int = 5, kind: int = 1) -> bytes:
    band = kind.to_bytes(2, "big") + b"\0\x10" + (1000).to_bytes(4, "big")
    band += (800).to_bytes(4, "big") + bytes(4)
    head = (8 + len(band)).to_bytes(2, "big") + flags.to_bytes(2, "big") + number.to_bytes(4, "big")
    return head + band


def test_meters_are_read_as_they_are_written() -> None:
    written = meter_mod(MeterChange(7, SLOW, is_new=True))
    assert written == bytes.fromhex("0000000500000007") + config(7)[8:]
    assert meter_mod(MeterChange(7, None)) == bytes.fromhex("0002000000000007")
    head = bytes.fromhex("000a000100000000")
    found, more = read_config(head + config(7) + config(8, flags=2) + config(9, kind=2))
    assert found == {7: SLOW, 8: None, 9: None}
    assert more
    assert read_config(head + config(7, flags=0xD))[0] == {7: SLOW}, "OVS says that it counts"


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_meters_that_are_cut_off_are_the_peers_fault(cut: int) -> None:
    body = bytes.fromhex("000a000000000000") + config(7)
    try:
        found, _ = read_config(body[:-cut])
    except OvsProtocolError:
        return
    assert found == {7: None}
