"""The base wiring from local configuration: bridges, patch pairs, uplinks. Pure.

What we made is brought to the configuration; what an installer made is used as it stands. Only
`fail_mode` is set on anybody's bridge: a bridge that switches by itself while its flows are gone
would carry local VLANs to the wire.
"""

from collections.abc import Iterator

from netwright.agent.ovs.actual import Rows
from netwright.agent.ovs.changes import (
    MARK,
    AddBridge,
    AddPort,
    NewInterface,
    Problem,
    RemovePort,
    RowChange,
    SetColumns,
    Value,
)
from netwright.agent.ovs.rows import BridgeRow, InterfaceRow, PortRow
from netwright.agent.ovs.wiring import Bond, HostWiring, Nic, PhysicalBridge, patch_names


def base_changes(
    wiring: HostWiring, present: Rows
) -> tuple[tuple[RowChange, ...], tuple[Problem, ...]]:
    """Return the row changes towards the base wiring, and what stands in its way."""
    changes: list[RowChange | Problem] = [
        *_bridge(wiring, present, wiring.integration_bridge, None),
        *_stale_patches(wiring, present),
        *_unmade(present, wiring.integration_bridge),
    ]
    for bridge in wiring.physical_bridges:
        changes += _bridge(wiring, present, bridge.name, bridge)
        changes += _patch_pair(wiring, present, bridge)
        changes += _uplink(wiring, present, bridge)
        changes += _unmade(present, bridge.name)
        changes += _unopened(present, bridge.name)
    rows = tuple(change for change in changes if not isinstance(change, Problem))
    problems = tuple(change for change in changes if isinstance(change, Problem))
    return rows, problems


def _bridge(
    wiring: HostWiring, present: Rows, name: str, physical: PhysicalBridge | None
) -> Iterator[RowChange]:
    row = present.bridge(name)
    management_vlan = physical.management_vlan if physical else None
    if row is None:
        yield AddBridge(name, wiring.datapath_type, management_vlan, wiring.mtu)
        return
    if row.fail_mode != "secure":
        yield SetColumns("Bridge", row.uuid, name, {"fail_mode": "secure"})
    if MARK not in row.external_ids:
        return
    if row.datapath_type != wiring.datapath_type and _is_unmade(present, row):
        # Nothing is forwarded by it, so nothing is lost by forwarding elsewhere.
        yield SetColumns("Bridge", row.uuid, name, {"datapath_type": wiring.datapath_type})
    port = present.port(name, name)
    if port is None:
        return
    if port.tag != management_vlan:
        yield SetColumns("Port", port.uuid, name, {"tag": management_vlan})
    for interface in present.interfaces_of(port):
        yield from _interface(interface, mtu_request=wiring.mtu)


def _patch_pair(
    wiring: HostWiring, present: Rows, bridge: PhysicalBridge
) -> Iterator[RowChange | Problem]:
    inner, outer = patch_names(bridge)
    for on, name, peer in ((wiring.integration_bridge, inner, outer), (bridge.name, outer, inner)):
        port = present.port(on, name)
        options = {"peer": peer}
        if port is None:
            yield AddPort(on, name, (NewInterface(name, "patch", options),))
            continue
        for interface in present.interfaces_of(port):
            if interface.type == "patch" and interface.options == options:
                continue
            if MARK in port.external_ids:
                yield from _interface(interface, type="patch", options=options)
            else:
                yield Problem(name, f"{on} has a port of this name that is no patch to {peer}")


def _stale_patches(wiring: HostWiring, present: Rows) -> Iterator[RowChange]:
    """Find our patch ports of physical bridges that the configuration no longer knows."""
    wanted = {name for bridge in wiring.physical_bridges for name in patch_names(bridge)}
    for bridge in present.bridges.values():
        for port in present.ports_of(bridge):
            if port.external_ids.get(MARK) == "patch" and port.name not in wanted:
                yield RemovePort(bridge.name, port.uuid, port.name)


def _uplink(
    wiring: HostWiring, present: Rows, bridge: PhysicalBridge
) -> Iterator[RowChange | Problem]:
    if bridge.uplink is None:
        return
    wanted = uplink_port(bridge.name, bridge.uplink, wiring.mtu)
    names = {interface.name for interface in wanted.interfaces}
    right = None
    others = []
    for holder, port, members in _holders(present, wanted.name, names):
        complete = holder == bridge.name and members == names
        if MARK not in port.external_ids:
            if not complete:
                held = f"{', '.join(sorted(members))} in port {port.name} of {holder}"
                cause = f"somebody else's wiring has {held}: configure that, or take it away"
                yield Problem(bridge.name, cause)
            return
        if complete and port.name == wanted.name:
            right = port
        else:
            others.append(RemovePort(holder, port.uuid, port.name))
    yield from others
    if right is None:
        yield wanted
    else:
        yield from _our_uplink(present, right, wanted)


def _is_unmade(present: Rows, bridge: BridgeRow) -> bool:
    """Whether ovs-vswitchd could not make a bridge: its local port was never opened.

    It writes no error into its database then, but only into its log.
    """
    port = present.port(bridge.name, bridge.name)
    return port is not None and any(
        interface.ofport is None and interface.error is None
        for interface in present.interfaces_of(port)
    )


def _unmade(present: Rows, name: str) -> Iterator[Problem]:
    row = present.bridge(name)
    if row is None or not _is_unmade(present, row):
        return
    datapath_type = row.datapath_type or "system"
    advice = (
        "load the kernel's openvswitch module, or set datapath_type = netdev in [agent]"
        if datapath_type == "system"
        else "look there"
    )
    yield Problem(
        name,
        f"ovs-vswitchd has not made the bridge with datapath_type {datapath_type}; its log"
        f" (ovs-vswitchd.log) says why: {advice}",
    )


def _unopened(present: Rows, bridge: str) -> Iterator[Problem]:
    for port in present.ports_of(present.bridge(bridge)):
        for interface in present.interfaces_of(port):
            if interface.error is not None:
                yield Problem(interface.name, f"OVS cannot use it on {bridge}: {interface.error}")


def _holders(
    present: Rows, name: str, members: set[str]
) -> Iterator[tuple[str, PortRow, set[str]]]:
    """(bridge, port, its interfaces' names) of what has this name or any of these members.

    Strangers' come first: where one of them holds a NIC, nothing of ours is changed.
    """
    uuids = {row.uuid for row in present.interfaces.values() if row.name in members}
    found = [
        (holder.name, port, {interface.name for interface in present.interfaces_of(port)})
        for holder in present.bridges.values()
        for port in present.ports_of(holder)
        if port.name == name or not uuids.isdisjoint(port.interfaces)
    ]
    yield from sorted(found, key=lambda item: (MARK in item[1].external_ids, item[1].name))


def uplink_port(bridge: str, uplink: Bond | Nic, mtu: int | None) -> AddPort:
    """Return the port that carries an uplink."""
    if isinstance(uplink, Nic):
        return AddPort(bridge, uplink.name, (NewInterface(uplink.name, mtu_request=mtu),))
    bfd = {}
    if uplink.bfd_interval_ms is not None:
        interval = str(uplink.bfd_interval_ms)
        bfd = {"enable": "true", "min_rx": interval, "min_tx": interval}
    members = tuple(NewInterface(name, bfd=bfd, mtu_request=mtu) for name in uplink.members)
    lacp = None if uplink.lacp == "off" else uplink.lacp
    return AddPort(bridge, uplink.name, members, bond_mode=uplink.mode, lacp=lacp)


def _our_uplink(present: Rows, port: PortRow, wanted: AddPort) -> Iterator[RowChange]:
    columns: dict[str, Value] = {}
    if port.bond_mode != wanted.bond_mode:
        columns["bond_mode"] = wanted.bond_mode
    if port.lacp != wanted.lacp:
        columns["lacp"] = wanted.lacp
    if columns:
        yield SetColumns("Port", port.uuid, port.name, columns)
    members = {interface.name: interface for interface in wanted.interfaces}
    for interface in present.interfaces_of(port):
        member = members[interface.name]
        yield from _interface(interface, bfd=member.bfd, mtu_request=member.mtu_request)


def _interface(interface: InterfaceRow, **columns: Value) -> Iterator[RowChange]:
    changed = {
        column: value for column, value in columns.items() if getattr(interface, column) != value
    }
    if changed:
        yield SetColumns("Interface", interface.uuid, interface.name, changed)
