"""Which changes of rows need no planning. Pure.

A host that starts a container has ovs-vswitchd write its device's rows several times. What it says
of a device whose port is not known yet, and of the link of a container's device, is planned from
when something else is to be done: the plan has the rows as they are then.
"""

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from netwright.agent.ovs.actual import CONTAINER_MARK, IFACE_ID
from netwright.agent.ovs.replica import RowChange
from netwright.agent.ovs.rows import BridgeRow, InterfaceRow, PortRow


def is_idle(changes: Iterable[RowChange], awaited: Collection[str]) -> bool:
    """Whether nothing is to be done for these changes; `awaited` are ports nobody has told of."""
    changes = [change for change in changes if change.table != "Open_vSwitch"]
    interfaces = {
        change.uuid
        for change in changes
        if isinstance(row := change.new or change.old, InterfaceRow)
        and row.external_ids.get(IFACE_ID) in awaited
    }
    ports = {
        change.uuid
        for change in changes
        if isinstance(row := change.new or change.old, PortRow)
        and interfaces.issuperset(row.interfaces)
    }
    own = interfaces | ports
    return all(
        change.uuid in own or _is_of_ports(change, ports) or _is_of_link(change)
        for change in changes
    )


def _is_of_ports(change: RowChange, ports: Collection[str]) -> bool:
    """A bridge to which these were added, or from which they were taken."""
    old, new = change.old, change.new
    if not (isinstance(old, BridgeRow) and isinstance(new, BridgeRow)):
        return False
    moved = frozenset(old.ports) ^ frozenset(new.ports)
    return moved.issubset(ports) and replace(new, ports=old.ports) == old


def _is_of_link(change: RowChange) -> bool:
    """A container's end came up or went down, which is no matter of its port's wiring."""
    old, new = change.old, change.new
    if not (isinstance(old, InterfaceRow) and isinstance(new, InterfaceRow)):
        return False
    same = replace(
        new,
        mac_in_use=old.mac_in_use,
        admin_state=old.admin_state,
        link_state=old.link_state,
    )
    return CONTAINER_MARK in new.external_ids and same == old
