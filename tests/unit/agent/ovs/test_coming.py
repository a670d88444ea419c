"""A device that is to be plugged: it gets at once what the plan would give it, or the dead VLAN."""

import copy

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.agent.ovs.plan_scene import (
    PORTS,
    RED,
    WEB,
    desired,
    endpoint,
    events,
    happen,
    plugged,
    started,
    wants,
)
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.ovs import plan
from netwright.agent.ovs.actual import CONTAINER_MARK, Actual, Rows
from netwright.agent.ovs.base_plan import base_changes
from netwright.agent.ovs.changes import DEAD_VLAN, MARK, SEGMENT_MARK, Plan
from netwright.agent.ovs.coming import Ahead, ahead, with_device
from netwright.agent.ovs.plan import Planner, make_plan
from netwright.agent.ovs.planning import BaseChanges
from netwright.agent.ovs.wiring import Desired, Endpoint, HostWiring
from netwright.agent.wiring import NewDevice

NAME = "nwc1"


def device(port_id: str) -> NewDevice:
    return NewDevice(name=NAME, port_id=port_id, mac_address="m", mtu=1500, owner="c@eth0")


def asked(switch: SimSwitch, want: Desired, port_id: str) -> Ahead | None:
    actual = with_device(switch.actual(), "br-int", device(port_id))
    return ahead(make_plan(want, actual), device(port_id))


def plug(switch: SimSwitch, port_id: str, tag: int) -> None:
    """As ovs-vswitchd has it before it has opened the device."""
    switch.plug("br-int", NAME, port_id, tag=tag)
    interface = switch.interface(NAME)
    switch.interfaces[interface.uuid] = msgspec.structs.replace(interface, ofport=None)


def test_the_segments_vlan_and_our_marks_are_known_beforehand() -> None:
    switch = started()
    switch.plug("br-int", "tap0", "p0", tag=DEAD_VLAN)
    want = desired(endpoint("p0"), endpoint("p1"))
    switch.converge(want)
    found = asked(switch, want, "p1")
    assert found is not None
    assert found.close == {}
    assert found.place.tag == switch.port("tap0").tag
    assert found.place.marks == {MARK: "port", SEGMENT_MARK: str(RED)}


def test_a_filtered_ports_guard_is_shut_before() -> None:
    switch = started()
    want = desired(endpoint("p1", filter=WEB))
    switch.converge(want)
    found = asked(switch, want, "p1")
    assert found is not None
    assert found.close["br-int"]


def test_what_is_not_desired_or_down_goes_into_the_dead_vlan() -> None:
    switch = started()
    want = desired(endpoint("p1", admin_up=False))
    switch.converge(want)
    assert asked(switch, want, "p2") is None
    assert asked(switch, want, "p1") is None


def test_while_more_is_to_be_done_it_goes_into_the_dead_vlan() -> None:
    assert asked(SimSwitch(), desired(endpoint("p1")), "p1") is None  # there is no bridge
    switch = started()
    want = desired(endpoint("p0"), endpoint("p1"))
    switch.converge(want)
    switch.plug("br-int", "tap0", "p0", tag=DEAD_VLAN)  # and is not wired yet
    assert asked(switch, want, "p1") is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(first=wants, happened=events, second=wants, port_id=st.sampled_from(PORTS))
def test_it_stands_as_on_the_usual_way_before_anything_is_opened(
    first: list[Endpoint],
    happened: list[tuple[str, int, int | None]],
    second: list[Endpoint],
    port_id: str,
) -> None:
    switch = started()
    switch.converge(desired(*first))
    for event in happened:
        happen(switch, event)
    want = desired(*second)
    switch.converge(want)
    if port_id in plugged(switch):
        return
    found = asked(switch, want, port_id)
    if found is None:
        return
    usual = twin(switch)
    plug(usual, port_id, DEAD_VLAN)
    on_the_way: list[tuple[object, object]] = []
    usual.apply(
        make_plan(want, usual.actual()),
        between=lambda: on_the_way.append(
            (twin(usual).flows, standing(usual)),
        ),
    )
    switch.apply(Plan(close=found.close, rows=(), open={}, endpoints=(), problems=()))
    plug(switch, port_id, found.place.tag)
    port = switch.port(NAME)
    switch.ports[port.uuid] = msgspec.structs.replace(port, external_ids=found.place.marks)
    assert on_the_way == [(switch.flows, standing(switch))]
    interface = switch.interface(NAME)
    switch.interfaces[interface.uuid] = msgspec.structs.replace(interface, ofport=900)
    states = {state.port_id: state.status for state in switch.converge(want).endpoints}
    assert states[port_id] in {"up", "down"}


def twin(switch: SimSwitch) -> SimSwitch:
    other = copy.copy(switch)
    other.bridges, other.ports = dict(switch.bridges), dict(switch.ports)
    other.interfaces = dict(switch.interfaces)
    other.flows = {bridge: dict(table) for bridge, table in switch.flows.items()}
    return other


def standing(switch: SimSwitch) -> object:
    port = switch.port(NAME)
    return port.tag, port.external_ids, port.trunks, port.vlan_mode


def test_the_base_wiring_is_not_planned_anew_for_containers_devices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planned: list[Rows] = []

    def count(wiring: HostWiring, rows: Rows) -> BaseChanges:
        planned.append(rows)
        return base_changes(wiring, rows)

    switch, planner = started(), Planner()
    switch.plug("br-int", "tap0", "p0", tag=DEAD_VLAN)
    want = desired(endpoint("p0"), endpoint("p1"))
    switch.converge(want)
    monkeypatch.setattr(plan, "base_changes", count)
    rows = switch.rows()
    planner.plan(want, Actual(rows, switch.actual().flows))
    assert len(planned) == 1

    coming = with_device(Actual(rows, switch.actual().flows), "br-int", device("p1"))
    found = ahead(planner.plan(want, coming), device("p1"))
    assert found is not None
    plug(switch, "p1", found.place.tag)
    interface = switch.interface(NAME)
    ids = {**interface.external_ids, CONTAINER_MARK: "c@eth0"}
    switch.interfaces[interface.uuid] = msgspec.structs.replace(interface, external_ids=ids)
    for is_there in (True, False):
        if not is_there:
            switch.unplug(NAME)
        now = switch.rows()
        rows = rows.then(now.bridges, now.ports, now.interfaces)
        planner.plan(want, Actual(rows, switch.actual().flows))
    assert len(planned) == 1

    switch.plug("br-int", "tap1", "p2", tag=DEAD_VLAN)  # a VM's
    now = switch.rows()
    planner.plan(want, Actual(rows.then(now.bridges, now.ports, now.interfaces)))
    assert len(planned) == 2
