"""The plan on a simulated switch, case by case (from any state to any: `test_plan_any_state`)."""

import msgspec
from tests.unit.agent.ovs.plan_scene import (
    BLUE,
    BOND,
    OTHER,
    RED,
    desired,
    endpoint,
    started,
)
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.ovs.changes import (
    DEAD_VLAN,
    Problem,
)
from netwright.agent.ovs.flows import Flow, Normal, match_on
from netwright.agent.ovs.plan import make_plan
from netwright.agent.ovs.wiring import (
    Bond,
    HostWiring,
    NetworkSegment,
    PhysicalBridge,
)


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
