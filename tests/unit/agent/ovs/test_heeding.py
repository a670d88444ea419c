"""Which changes of rows are planned for, and where a device goes whose port is not known yet."""

import msgspec
from tests.unit.agent.ovs.plan_scene import RED, desired, endpoint, started
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.ovs.actual import CONTAINER_MARK
from netwright.agent.ovs.changes import DEAD_VLAN, MARK, SEGMENT_MARK
from netwright.agent.ovs.coming import beside
from netwright.agent.ovs.heeding import is_idle
from netwright.agent.ovs.plan import make_plan
from netwright.agent.ovs.plugs import DEAD_PLACE, Place
from netwright.agent.ovs.replica import RowChange
from netwright.agent.ovs.rows import BridgeRow, InterfaceRow, OpenVSwitchRow, PortRow, Row

AWAITED = frozenset({"p1"})


def interface(port_id: str = "p1", **fields: object) -> InterfaceRow:
    row = InterfaceRow(
        uuid=f"i-{port_id}", name=f"nwc-{port_id}", type="", ofport=None, options={},
        external_ids={"iface-id": port_id, CONTAINER_MARK: "c@eth0"}, mac_in_use=None, mtu=None,
        mtu_request=None, admin_state=None, link_state=None, bfd={}, bfd_status={}, error=None,
    )  # fmt: skip
    return msgspec.structs.replace(row, **fields)


def port(port_id: str = "p1") -> PortRow:
    return PortRow(
        uuid=f"r-{port_id}", name=f"nwc-{port_id}", interfaces=(f"i-{port_id}",), tag=1, trunks=(),
        vlan_mode=None, bond_mode=None, lacp=None, bond_active_slave=None, external_ids={},
    )  # fmt: skip


def bridge(*ports: str, **fields: object) -> BridgeRow:
    (row,) = (row for row in started().actual().rows.bridges.values() if row.name == "br-int")
    return msgspec.structs.replace(row, ports=ports, **fields)


def change(table: str, old: Row | None, new: Row | None) -> RowChange:
    row = new or old
    assert row is not None
    return RowChange(table, row.uuid, old, new)


def plugged(port_id: str) -> tuple[RowChange, ...]:
    return (
        change("Interface", None, interface(port_id)),
        change("Port", None, port(port_id)),
        change("Bridge", bridge("r-0"), bridge("r-0", f"r-{port_id}")),
    )


def test_a_device_of_an_awaited_port_comes_is_opened_and_goes_unheeded() -> None:
    assert is_idle(plugged("p1"), AWAITED)
    assert is_idle([change("Interface", interface(), interface(ofport=7))], AWAITED)
    gone = [
        change("Interface", interface(ofport=7), None),
        change("Port", port(), None),
        change("Bridge", bridge("r-0", "r-p1"), bridge("r-0")),
    ]
    assert is_idle(gone, AWAITED)


def test_all_others_are_heeded() -> None:
    assert not is_idle(plugged("p2"), AWAITED)
    assert not is_idle((*plugged("p1"), *plugged("p2")), AWAITED)
    assert not is_idle([change("Interface", interface(), interface(ofport=7))], frozenset())
    assert not is_idle([change("Port", None, port())], AWAITED), "whose it is, is not told"
    other = change("Bridge", bridge("r-0"), bridge("r-0", "r-p1", fail_mode="standalone"))
    assert not is_idle((*plugged("p1")[:2], other), AWAITED)
    assert not is_idle([change("Bridge", bridge("r-0", "r-p1"), bridge("r-p1"))], AWAITED)


def test_a_containers_link_is_no_matter_of_its_wiring() -> None:
    before = interface("p2", ofport=7, link_state="down")
    up = msgspec.structs.replace(before, link_state="up", admin_state="up", mac_in_use="m")
    assert is_idle([change("Interface", before, up)], frozenset())
    opened = msgspec.structs.replace(up, ofport=8)
    assert not is_idle([change("Interface", before, opened)], frozenset())
    uplink = msgspec.structs.replace(before, external_ids={})
    down = msgspec.structs.replace(uplink, link_state="up")
    assert not is_idle([change("Interface", uplink, down)], frozenset())


def test_what_ovs_vswitchd_has_carried_out_is_not_planned_for() -> None:
    row = OpenVSwitchRow("o", bridges=(), cur_cfg=1, next_cfg=1, ovs_version=None)
    assert is_idle([RowChange("Open_vSwitch", "o", None, row)], frozenset())


def wired() -> SimSwitch:
    switch = started()
    switch.plug("br-int", "tap0", "p0", tag=DEAD_VLAN)
    switch.converge(desired(endpoint("p0")))
    return switch


def test_the_place_beside_a_port_is_its_vlan_and_segment() -> None:
    switch = wired()
    devices = switch.actual().rows.devices("br-int")
    tag = switch.port("tap0").tag
    assert tag is not None
    assert beside(devices, "p0") == Place(tag, {MARK: "port", SEGMENT_MARK: str(RED)})
    assert beside(devices, "p1") == DEAD_PLACE
    switch.converge(desired(endpoint("p0", admin_up=False)))
    assert beside(switch.actual().rows.devices("br-int"), "p0") == DEAD_PLACE


def test_an_awaited_device_stays_and_needs_flows_alone_when_its_port_is_told() -> None:
    switch = wired()
    place = beside(switch.actual().rows.devices("br-int"), "p0")
    switch.plug("br-int", "nwc1", "p1", tag=place.tag)
    row = switch.port("nwc1")
    switch.ports[row.uuid] = msgspec.structs.replace(row, external_ids=dict(place.marks))
    awaiting = msgspec.structs.replace(desired(endpoint("p0")), awaited=AWAITED)
    assert make_plan(awaiting, switch.actual()).empty
    told = make_plan(desired(endpoint("p0"), endpoint("p1")), switch.actual())
    assert told.rows == ()
    assert told.open
    nobodys = make_plan(desired(endpoint("p0")), switch.actual())
    assert [row.columns["tag"] for row in nobodys.rows] == [DEAD_VLAN]  # type: ignore[union-attr]
