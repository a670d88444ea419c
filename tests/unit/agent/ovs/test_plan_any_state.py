"""From any state of a simulated switch to any state, and never a stranger's thing."""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.agent.ovs.plan_scene import (
    desired,
    events,
    happen,
    memberships,
    plugged,
    started,
    wants,
    wirings,
)
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.members import Memberships, key_version
from netwright.agent.ovs.address_sets import added
from netwright.agent.ovs.changes import (
    DEAD_VLAN,
    SEGMENT_MARK,
    AddressChange,
    EndpointState,
)
from netwright.agent.ovs.firewall import (
    DESTINATION,
    clause_place,
    conj_id,
    is_filtered,
    set_flows,
)
from netwright.agent.ovs.flows import Flow, Normal, match_on
from netwright.agent.ovs.guarding import (
    guard_flows,
    is_guarded,
    shared_flows,
    shared_targets,
)
from netwright.agent.ovs.meters import meters_of
from netwright.agent.ovs.pipeline import (
    endpoint_flows,
    inbound,
    integration_base,
    outbound,
    physical_base,
)
from netwright.agent.ovs.plan import make_plan
from netwright.agent.ovs.wiring import (
    Desired,
    Endpoint,
    HostWiring,
    NetworkSegment,
)


def strangers(switch: SimSwitch) -> object:
    rows = [switch.port(name) for name in ("stranger", "storage")]
    numberless = [
        msgspec.structs.replace(switch.interface(name), ofport=None)
        for name in ("stranger", "storage")
    ]
    return rows, numberless


def expected_status(want: Desired, wanted: Endpoint, device: str | None) -> str:
    if device is None:
        return "absent"
    if not wanted.admin_up:
        return "down"
    known = {bridge.physical_network for bridge in want.wiring.physical_bridges}
    return "up" if wanted.segment.physical_network in known else "refused"


def check(switch: SimSwitch, want: Desired, states: tuple[EndpointState, ...]) -> None:
    """`switch` is what `want` says, by the devices that are plugged; no more, no less."""
    devices = plugged(switch)
    bridges = {bridge.physical_network: bridge for bridge in want.wiring.physical_bridges}
    expected = {"br-int": set(integration_base())}
    for bridge in bridges.values():
        expected[bridge.name] = set(physical_base(bridge, switch.ofport(f"phy-{bridge.name}")))
    vlans: dict[NetworkSegment, int] = {}
    wired = set()
    assert [state.port_id for state in states] == [wanted.port_id for wanted in want.endpoints]
    for wanted, state in zip(want.endpoints, states, strict=True):
        device = devices.get(wanted.port_id)
        assert state.status == expected_status(want, wanted, device), state
        if state.status != "up" or device is None:
            continue
        physical = bridges[wanted.segment.physical_network]
        port = switch.port(device)
        wired.add(device)
        assert port.tag is not None
        assert 1 <= port.tag < DEAD_VLAN
        assert vlans.setdefault(wanted.segment, port.tag) == port.tag
        assert wanted.mtu in (None, switch.interface(device).mtu_request or 1500)
        ofport = switch.ofport(device)
        shared = shared_targets([e for e in want.endpoints if is_guarded(e)])
        expected["br-int"] |= endpoint_flows(wanted, ofport, port.tag)
        expected["br-int"] |= guard_flows(wanted, shared.of(wanted.port_id), ofport, port.tag)
        inner, outer = (switch.ofport(f"{end}-{physical.name}") for end in ("int", "phy"))
        expected["br-int"] |= inbound(wanted.segment, port.tag, inner)
        expected[physical.name] |= outbound(wanted.segment, port.tag, outer, physical)
        assert dict(meters_of(wanted, ofport)).items() <= switch.meters.items()
    assert len(set(vlans.values())) == len(vlans)
    expected["br-int"] |= expected_together(switch, want, vlans)
    for name, flows in expected.items():
        assert switch.ours(name) == flows
    dead = {p.name for p in switch.ports.values() if p.external_ids.get(SEGMENT_MARK) == "dead"}
    assert not dead & wired
    assert all(switch.port(name).tag == DEAD_VLAN for name in dead)


def expected_together(
    switch: SimSwitch, want: Desired, vlans: dict[NetworkSegment, int]
) -> set[Flow]:
    """Flows of no port alone, made the long way: remote groups' addresses, shared targets."""
    filtered = [e for e in want.endpoints if is_filtered(e) and e.filter is not None]
    sets = frozenset(one for e in filtered if e.filter for one in e.filter.address_sets)
    flows = set(set_flows(sets))
    for key, groups in ((k, g) for bucket in want.memberships for k, g in bucket.items()):
        places: dict[tuple[int, int], set[int]] = {}
        for one in sets:
            if one.group in groups and one.ip_version == key_version(key):
                ids = places.setdefault(clause_place(one), set())
                ids.add(conj_id(one.group, stateful=one.stateful))
        clauses = tuple((*place, tuple(sorted(ids))) for place, ids in sorted(places.items()))
        flows |= {change.flow for change in added(AddressChange(key, (), clauses))}
    devices = plugged(switch)
    guarded = [e for e in want.endpoints if is_guarded(e)]
    for (segment, target), ports in shared_targets(guarded).claims.items():
        wired = [
            e.port_id
            for e in want.endpoints
            if e.port_id in ports and expected_status(want, e, devices.get(e.port_id)) == "up"
        ]
        if wired:
            ofports = [switch.ofport(devices[port_id]) for port_id in sorted(wired)]
            flows |= shared_flows(segment, target, ofports, vlans[segment])
    return flows


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(
    first=st.tuples(wants, memberships),
    before=events,
    then=events,
    second=st.tuples(wants, memberships),
    wiring=wirings,
)
def test_from_any_state_to_any_state(
    first: tuple[list[Endpoint], Memberships],
    before: list[tuple[str, int, int | None]],
    then: list[tuple[str, int, int | None]],
    second: tuple[list[Endpoint], Memberships],
    wiring: HostWiring,
) -> None:
    switch = started()
    for event in before:
        happen(switch, event)
    switch.converge(desired(*first[0], memberships=first[1]))
    for event in then:
        happen(switch, event)
    foreign = Flow(0, 7, match_on(in_port=switch.ofport("stranger")), (Normal(),), cookie=99)
    switch.add_flow("br-int", foreign)
    theirs = strangers(switch)
    want = desired(*second[0], wiring=wiring, memberships=second[1])
    plan = switch.converge(want)
    check(switch, want, plan.endpoints)
    assert strangers(switch) == theirs
    assert switch.foreign("br-int") == {foreign}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(wanted=wants, joined=memberships, happened=events, told=wants)
def test_a_restarted_agent_changes_nothing_that_it_is_not_told(
    wanted: list[Endpoint],
    joined: Memberships,
    happened: list[tuple[str, int, int | None]],
    told: list[Endpoint],
) -> None:
    switch = started()
    for event in happened:
        happen(switch, event)
    switch.converge(desired(*wanted, memberships=joined))
    assert make_plan(desired(in_sync=False), switch.actual()).empty
    again = desired(*wanted, in_sync=False, memberships=joined)
    assert make_plan(again, switch.actual()).empty
    before = {flow for flow in switch.ours("br-int") if flow.table == 0 and flow.priority == 100}
    switch.converge(desired(*told, in_sync=False, memberships=joined))
    ids = {e.port_id for e in told}
    kept = {switch.ofport(name) for port_id, name in plugged(switch).items() if port_id not in ids}
    after = {flow for flow in switch.ours("br-int") if flow.table == 0 and flow.priority == 100}
    assert {f for f in before if dict(f.match)["in_port"] in kept} <= after


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(first=wants, happened=events, second=wants)
def test_no_port_speaks_under_a_tag_that_its_flows_were_not_made_for(
    first: list[Endpoint], happened: list[tuple[str, int, int | None]], second: list[Endpoint]
) -> None:
    switch = started()
    for number in range(6):
        switch.plug("br-int", f"tap{number}", f"p{number}")
    switch.converge(desired(*first))
    for event in happened:
        happen(switch, event)
    tags = {port.name: port.tag for port in switch.ports.values()}

    def nobody_speaks_under_a_new_tag() -> None:
        speaking = {
            dict(flow.match).get("in_port")
            for flow in switch.ours("br-int")
            if flow.table == 0 and flow.priority == 100
        }
        for port in switch.ports.values():
            if port.external_ids.get("netwright") == "port" and port.tag != tags[port.name]:
                assert switch.ofport(port.name) not in speaking

    switch.apply(make_plan(desired(*second), switch.actual()), nobody_speaks_under_a_new_tag)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(first=wants, happened=events, second=wants)
def test_no_port_hears_in_a_network_before_its_guard_stands_there(
    first: list[Endpoint], happened: list[tuple[str, int, int | None]], second: list[Endpoint]
) -> None:
    switch = started()
    for number in range(6):
        switch.plug("br-int", f"tap{number}", f"p{number}", DEAD_VLAN)
    switch.converge(desired(*first))
    for event in happened:
        happen(switch, event)
    tags = {port.name: port.tag for port in switch.ports.values()}
    filtered = {e.port_id: e for e in second if is_filtered(e)}

    def all_guarded() -> None:
        guards = {flow.match for flow in switch.ours("br-int") if flow.table == DESTINATION}
        for port_id, device in plugged(switch).items():
            tag, wanted = switch.port(device).tag, filtered.get(port_id)
            if wanted is not None and tag not in (DEAD_VLAN, tags[device]):
                assert tag is not None
                assert match_on(reg6=tag, eth_dst=wanted.mac) in guards

    switch.apply(make_plan(desired(*second), switch.actual()), all_guarded)
