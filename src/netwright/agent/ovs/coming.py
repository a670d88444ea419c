"""A device that is about to be plugged: what the plan would do of it, before it is there. Pure.

A device that is plugged into the dead VLAN makes ovs-vswitchd go through its configuration twice,
once for the device and once for the tag that the plan gives it then. Both are one transaction when
the plan is asked beforehand. What it would close before it sets the tag is to be closed before the
device is plugged; so nothing happens in another order than usual.
"""

from collections.abc import Iterable

import msgspec

from netwright.agent.ovs.actual import CONTAINER_MARK, IFACE_ID, Actual, Device
from netwright.agent.ovs.changes import (
    DEAD,
    DEAD_VLAN,
    MARK,
    SEGMENT_MARK,
    FlowChanges,
    Plan,
    SetColumns,
)
from netwright.agent.ovs.guarding import guard_cookie
from netwright.agent.ovs.local_vlans import segment_of
from netwright.agent.ovs.plugs import DEAD_PLACE, Place
from netwright.agent.ovs.rows import InterfaceRow, PortRow
from netwright.agent.wiring import NewDevice

_COMING = "coming"
"""The uuid of its rows, which have none yet."""


class Ahead(msgspec.Struct, frozen=True):
    """What is to be closed, then where the device may be plugged."""

    close: FlowChanges
    place: Place


def with_device(actual: Actual, bridge: str, device: NewDevice) -> Actual:
    """As if it were plugged into the dead VLAN, and ovs-vswitchd had not opened it yet."""
    rows = actual.rows
    row = rows.bridge(bridge)
    if row is None:
        return actual
    interface = InterfaceRow(
        uuid=_COMING, name=device.name, type="", ofport=None, options={},
        external_ids={IFACE_ID: device.port_id, CONTAINER_MARK: device.owner},
        mac_in_use=None, mtu=None, mtu_request=None,
        admin_state=None, link_state=None, bfd={}, bfd_status={}, error=None,
    )  # fmt: skip
    port = PortRow(
        uuid=_COMING, name=device.name, interfaces=(_COMING,), tag=DEAD_VLAN, trunks=(),
        vlan_mode=None, bond_mode=None, lacp=None, bond_active_slave=None, external_ids={},
    )  # fmt: skip
    bridges = {
        **rows.bridges,
        row.uuid: msgspec.structs.replace(row, ports=(*row.ports, _COMING)),
    }
    ports = {**rows.ports, _COMING: port}
    found = rows.then(bridges, ports, {**rows.interfaces, _COMING: interface})
    return Actual(found, actual.flows, actual.addresses)


def beside(devices: Iterable[Device], port_id: str) -> Place:
    """Where the device of this port is; the dead VLAN when it is nowhere else."""
    for device in devices:
        if device.port_id == port_id:
            mark = device.port.external_ids.get(SEGMENT_MARK, DEAD)
            if device.port.tag is None or segment_of(mark) is None:
                break
            return Place(device.port.tag, {MARK: "port", SEGMENT_MARK: mark})
    return DEAD_PLACE


def ahead(plan: Plan, device: NewDevice) -> Ahead | None:
    """What a plan made `with_device` says; None when more is to be done before its tag is set."""
    if len(plan.rows) != 1:
        return None
    (row,) = plan.rows
    if not isinstance(row, SetColumns) or (row.table, row.uuid) != ("Port", _COMING):
        return None
    own = guard_cookie(device.port_id)
    if any(change.flow.cookie != own for changes in plan.close.values() for change in changes):
        return None
    tag = row.columns.get("tag")
    return Ahead(plan.close, Place(tag, row.marks)) if isinstance(tag, int) else None
