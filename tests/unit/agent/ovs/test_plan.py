"""The plan on a simulated switch: from any state to any state, and never a stranger's thing."""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.members import NO_MEMBERSHIPS, Members, Memberships, key_version
from netwright.agent.ovs.address_sets import added
from netwright.agent.ovs.changes import (
    DEAD_VLAN,
    SEGMENT_MARK,
    AddressChange,
    EndpointState,
    Problem,
)
from netwright.agent.ovs.firewall import (
    DESTINATION,
    clause_place,
    conj_id,
    is_filtered,
    set_flows,
)
from netwright.agent.ovs.flows import COOKIE_MARK, Flow, Normal, match_on
from netwright.agent.ovs.guarding import guard_flows, shared_flows, shared_targets
from netwright.agent.ovs.pipeline import (
    endpoint_flows,
    inbound,
    integration_base,
    outbound,
    physical_base,
)
from netwright.agent.ovs.plan import make_plan
from netwright.agent.ovs.wiring import (
    AddressPair,
    Bond,
    Desired,
    Endpoint,
    HostWiring,
    NetworkSegment,
    Nic,
    Permit,
    PhysicalBridge,
    PortFilter,
)
from netwright.model.security import GroupMember

BOND = PhysicalBridge("br-bond", "physnet1", Bond(("nic0", "nic1")))
OTHER = PhysicalBridge("br-ex", "physnet2", Nic("nic2"))
WIRING = HostWiring((BOND, OTHER), datapath_type="netdev")
RED = NetworkSegment("physnet1", 101)
BLUE = NetworkSegment("physnet1", 102)
FLAT = NetworkSegment("physnet2")
PORTS = [f"p{number}" for number in range(6)]


def endpoint(port_id: str = "p0", segment: NetworkSegment = RED, **changes: object) -> Endpoint:
    number = int(port_id[1:])
    made = Endpoint(port_id, segment, f"fa:16:3e:00:00:0{number}", (f"10.0.0.{number + 1}",))
    return msgspec.structs.replace(made, **changes)


def desired(
    *endpoints: Endpoint,
    in_sync: bool = True,
    wiring: HostWiring = WIRING,
    memberships: Memberships = NO_MEMBERSHIPS,
) -> Desired:
    return Desired(wiring, endpoints, in_sync, memberships)


def members(**groups: tuple[str, ...]) -> Memberships:
    made = Members()
    made.change(
        {
            f"{address}@{group}": GroupMember(group_id=group, port_id=address, addresses=(address,))
            for group, addresses in groups.items()
            for address in addresses
        }
    )
    return made.memberships


VRRP = AddressPair("10.0.0.100", "00:00:5e:00:01:07")
WEB = PortFilter(
    (
        Permit(ingress=False, ip_version=4, stateful=True),
        Permit(
            ingress=True, ip_version=4, stateful=True, fields=(("ip_proto", 6), ("tcp_dst", 80))
        ),
        Permit(ingress=True, ip_version=4, stateful=False, fields=(("ip_proto", 1),)),
    )
)
FRIENDS = PortFilter(
    (
        Permit(ingress=False, ip_version=4, stateful=True, remote_group="red"),
        Permit(ingress=False, ip_version=6, stateful=True),
        Permit(ingress=True, ip_version=4, stateful=True, remote_group="red"),
        Permit(ingress=True, ip_version=4, stateful=True, remote_group="blue"),
        Permit(
            ingress=True,
            ip_version=4,
            stateful=False,
            fields=(("ip_proto", 17),),
            remote_group="blue",
        ),
        Permit(ingress=True, ip_version=6, stateful=True),
    )
)
OPEN = PortFilter(
    tuple(
        Permit(ingress=ingress, ip_version=version, stateful=True)
        for ingress in (False, True)
        for version in (4, 6)
    )
)
filters = st.sampled_from([None, PortFilter(), WEB, FRIENDS, OPEN])


endpoints = st.builds(
    endpoint,
    st.sampled_from(PORTS),
    st.sampled_from([RED, BLUE, FLAT, NetworkSegment("physnet2", 101), NetworkSegment("nowhere")]),
    port_security=st.booleans(),
    admin_up=st.booleans(),
    mtu=st.sampled_from([None, 1500, 9000]),
    addresses=st.sampled_from([("10.0.0.1",), ("10.0.0.2", "2001:db8::2"), ()]),
    allowed_pairs=st.sampled_from([(), (VRRP,)]),
    filter=filters,
)
memberships = st.sampled_from(
    [
        NO_MEMBERSHIPS,
        members(red=("10.0.0.1", "10.0.0.2", "2001:db8::2"), blue=("10.0.0.2", "10.8.0.0/16")),
        members(red=("10.0.0.2", "10.0.0.7"), green=("10.0.0.1",)),
        members(blue=("0.0.0.0/0",)),
    ]
)
wants = st.lists(endpoints, unique_by=lambda e: e.port_id, max_size=5)
wirings = st.sampled_from(
    [
        WIRING,
        HostWiring((BOND,), datapath_type="netdev"),
        HostWiring((msgspec.structs.replace(BOND, management_vlan=7), OTHER), mtu=9000),
    ]
)
# An event happens to a device by its number, or to the whole switch.
events = st.lists(
    st.tuples(
        st.sampled_from(
            ["plug", "unplug", "plug_twin", "retag", "restart", "lose_flow", "add_flow"]
        ),
        st.integers(0, 5),
        st.sampled_from([None, 0, 1, 2, DEAD_VLAN]),
    ),
    max_size=8,
)


def happen(switch: SimSwitch, event: tuple[str, int, int | None]) -> None:
    what, number, tag = event
    present = {port.name for port in switch.ports.values()}
    name = f"tap{number}"
    if what == "plug" and name not in present:
        switch.plug("br-int", name, f"p{number}", tag)
    elif what == "plug_twin" and f"twin{number}" not in present:
        switch.plug("br-int", f"twin{number}", f"p{number}", tag)
    elif what == "unplug" and name in present:
        switch.unplug(name)
    elif what == "retag" and name in present:
        port = switch.port(name)
        switch.ports[port.uuid] = msgspec.structs.replace(port, tag=tag)
    elif what == "restart":
        switch.restart_vswitchd()
    elif what == "lose_flow":
        for bridge in switch.flows:
            for flow in sorted(switch.ours(bridge), key=str)[number::6]:
                del switch.flows[bridge][flow.key]
    elif what == "add_flow":
        stale = Flow(0, 100, match_on(in_port=number), (Normal(),), COOKIE_MARK | number)
        switch.add_flow("br-int", stale)


def started() -> SimSwitch:
    """A switch on which somebody else has things of their own."""
    switch = SimSwitch()
    switch.converge(desired())
    switch.plug("br-int", "stranger", tag=3)
    switch.plug("br-bond", "storage", tag=44)
    return switch


def strangers(switch: SimSwitch) -> object:
    rows = [switch.port(name) for name in ("stranger", "storage")]
    numberless = [
        msgspec.structs.replace(switch.interface(name), ofport=None)
        for name in ("stranger", "storage")
    ]
    return rows, numberless


def plugged(switch: SimSwitch) -> dict[str, str]:
    """Port id → the device that counts, by the order of names."""
    devices: dict[str, str] = {}
    for interface in sorted(switch.interfaces.values(), key=lambda row: row.name):
        if (port_id := interface.external_ids.get("iface-id")) is not None:
            devices.setdefault(port_id, interface.name)
    return devices


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
        shared = shared_targets([e for e in want.endpoints if is_filtered(e)])
        expected["br-int"] |= endpoint_flows(wanted, ofport, port.tag)
        expected["br-int"] |= guard_flows(wanted, shared.of(wanted.port_id), ofport, port.tag)
        inner, outer = (switch.ofport(f"{end}-{physical.name}") for end in ("int", "phy"))
        expected["br-int"] |= inbound(wanted.segment, port.tag, inner)
        expected[physical.name] |= outbound(wanted.segment, port.tag, outer, physical)
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
    for (segment, target), ports in shared_targets(filtered).claims.items():
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


def test_base_wiring_from_nothing() -> None:
    switch = SimSwitch()
    plan = make_plan(desired(in_sync=False), switch.actual())
    assert plan.rows
    switch.converge(desired(in_sync=False))
    assert {bridge.fail_mode for bridge in switch.bridges.values()} == {"secure"}
    assert switch.port("bond0").bond_mode == "active-backup"
    assert switch.interface("nic0").bfd == {"enable": "true", "min_rx": "100", "min_tx": "100"}
    local = 0xFFFFFFFE
    assert switch.forwards("br-bond", {"in_port": local, "vlan_vid": 0})
    assert switch.forwards("br-bond", {"in_port": switch.ofport("nic0"), "vlan_vid": 0})
    assert not switch.forwards("br-bond", {"in_port": switch.ofport("nic0"), "vlan_vid": 0x1065})
    patch = switch.ofport("phy-br-bond")
    assert not switch.forwards("br-bond", {"in_port": patch, "vlan_vid": 0})


def installed(*members: str, port: str = "bond-of-installer") -> SimSwitch:
    """An installer's br-bond, standalone, switching by itself."""
    switch = SimSwitch()
    switch.converge(desired(wiring=HostWiring((PhysicalBridge("br-bond", "physnet1"),))))
    bridge = next(row for row in switch.bridges.values() if row.name == "br-bond")
    switch.bridges[bridge.uuid] = msgspec.structs.replace(bridge, external_ids={}, fail_mode=None)
    local = switch.port("br-bond")
    switch.ports[local.uuid] = msgspec.structs.replace(local, external_ids={})
    switch.plug("br-bond", port)
    interface = switch.interface(port)
    switch.interfaces[interface.uuid] = msgspec.structs.replace(interface, name=members[0])
    for member in members[1:]:
        switch.plug("br-bond", member)
        extra = switch.port(member).interfaces
        held = switch.port(port)
        switch.ports[held.uuid] = msgspec.structs.replace(
            held, interfaces=(*held.interfaces, *extra)
        )
        del switch.ports[switch.port(member).uuid]
    return switch


def test_an_installers_bond_is_used_as_it_stands() -> None:
    switch = installed("nic0", "nic1")
    before = switch.port("bond-of-installer")
    plan = switch.converge(desired(wiring=HostWiring((BOND,))))
    assert plan.problems == ()
    assert switch.port("bond-of-installer") == before
    assert "bond0" not in {port.name for port in switch.ports.values()}


def test_nics_that_somebody_else_holds_otherwise_are_a_problem_not_a_change() -> None:
    switch = installed("nic0")
    plan = switch.converge(desired(wiring=HostWiring((BOND,))))
    (problem,) = plan.problems
    assert problem.subject == "br-bond"
    assert "nic0 in port bond-of-installer of br-bond" in problem.cause


def test_our_bond_follows_its_configuration() -> None:
    switch = SimSwitch()
    switch.converge(desired())
    lacp = Bond(("nic0", "nic1"), mode="balance-tcp", lacp="active", bfd_interval_ms=None)
    changed = HostWiring((PhysicalBridge("br-bond", "physnet1", lacp), OTHER))
    uuid = switch.port("bond0").uuid
    switch.converge(desired(wiring=changed))
    assert (switch.port("bond0").uuid, switch.port("bond0").lacp) == (uuid, "active")
    assert switch.interface("nic0").bfd == {}
    wider = Bond(("nic0", "nic1", "nic3"))
    switch.converge(
        desired(wiring=HostWiring((PhysicalBridge("br-bond", "physnet1", wider), OTHER)))
    )
    assert len(switch.port("bond0").interfaces) == 3


def test_a_plugged_and_unknown_device_is_dead_at_once() -> None:
    switch = started()
    switch.plug("br-int", "tap0", "p0")
    switch.converge(desired(in_sync=False))
    assert switch.port("tap0").tag == DEAD_VLAN
    assert not switch.forwards("br-int", {"in_port": switch.ofport("tap0"), "vlan_vid": 0})


def test_local_vlans_survive_and_are_not_reused_within_a_plan() -> None:
    switch = started()
    switch.plug("br-int", "tap0", "p0")
    switch.plug("br-int", "tap1", "p1")
    switch.converge(desired(endpoint("p0", RED), endpoint("p1", BLUE)))
    tags = switch.port("tap0").tag, switch.port("tap1").tag
    assert tags == (1, 2)
    switch.restart_vswitchd()
    switch.converge(desired(endpoint("p0", RED), endpoint("p1", BLUE)))
    assert tags == (switch.port("tap0").tag, switch.port("tap1").tag)
    switch.converge(desired(endpoint("p0", NetworkSegment("physnet1", 103)), endpoint("p1", BLUE)))
    assert switch.port("tap0").tag == 4  # 1 still was red's, 3 is the stranger's


def test_a_strangers_flow_in_our_place_is_left_and_named() -> None:
    switch = started()
    switch.plug("br-int", "tap0", "p0")
    port = switch.ofport("tap0")
    mac = endpoint().mac
    squatter = Flow(0, 100, match_on(in_port=port, vlan_vid=0, eth_src=mac), (Normal(),), cookie=5)
    switch.add_flow("br-int", squatter)
    plan = switch.converge(desired(endpoint()))
    assert plan.endpoints[0].status == "refused"
    assert "cookie=0x5" in plan.endpoints[0].cause
    assert switch.foreign("br-int") == {squatter}


def test_twins_are_named() -> None:
    switch = started()
    switch.plug("br-int", "tap0", "p0")
    switch.plug("br-int", "twin0", "p0")
    plan = switch.converge(desired(endpoint()))
    cause = "carries the same iface-id p0 as tap0, which is wired"
    assert plan.problems == (Problem("twin0", cause),)
    assert switch.port("twin0").tag == DEAD_VLAN


def test_a_device_that_ovs_cannot_open_is_refused_with_its_cause() -> None:
    switch = started()
    switch.plug("br-int", "tap0", "p0")
    broken = msgspec.structs.replace(
        switch.interface("tap0"), ofport=-1, error="could not open network device tap0"
    )
    switch.interfaces[broken.uuid] = broken
    (state,) = switch.converge(desired(endpoint())).endpoints
    assert (state.status, state.cause) == (
        "refused",
        "OVS cannot open tap0: could not open network device tap0",
    )


def test_a_barred_endpoint_fails_alone() -> None:
    switch = started()
    switch.plug("br-int", "tap0", "p0")
    switch.plug("br-int", "tap1", "p1")
    want = desired(endpoint("p0"), endpoint("p1"))
    switch.apply(make_plan(want, switch.actual(), {"p0": "refused by a device"}))
    plan = make_plan(want, switch.actual(), {"p0": "refused by a device"})
    assert plan.empty
    assert [state.status for state in plan.endpoints] == ["refused", "up"]
    assert switch.port("tap0").tag == DEAD_VLAN


def test_an_unknown_mtu_is_waited_for_not_overwritten() -> None:
    switch = started()
    switch.plug("br-int", "tap0", "p0")
    switch.converge(desired(endpoint(mtu=1500)))
    forgotten = msgspec.structs.replace(switch.interface("tap0"), mtu=None)
    switch.interfaces[forgotten.uuid] = forgotten  # as ovsdb-server does when it restarts
    assert make_plan(desired(endpoint(mtu=1500)), switch.actual()).empty


def test_a_plan_reads_well() -> None:
    switch = started()
    assert str(make_plan(desired(), switch.actual())) == "nothing to do"
    switch.plug("br-int", "tap0", "p0")
    lines = str(make_plan(desired(endpoint()), switch.actual()))
    assert "br-int + cookie=0x4e57" in lines
    assert "SetColumns(table='Port'" in lines
