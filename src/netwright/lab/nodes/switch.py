"""Bridges: of switches and routers, and the stand-in's on hosts. Arguments are built by pure code.

A bridge without a controller is a learning switch (fail_mode=standalone), which is what a switch
of the classic tree is.
"""

from netwright.lab.layout import Bridge, Port
from netwright.lab.nodes import ovs
from netwright.lab.state import Lab

BRIDGE = "br0"
BOND = "uplinks"
BFD_INTERVAL_MS = 100
"""Bidirectional forwarding detection: three lost messages, 0.3 s, and a link counts as dead."""

_CLOSED_VLAN = 4095  # reserved by IEEE 802.1Q: no frame bears it


def bring_up(lab: Lab, bridge: Bridge) -> None:
    """One OVSDB transaction for the whole switch."""
    ovs.vsctl(
        lab, bridge.node, [*identity(lab.name, bridge.node), *bridge_arguments(lab.name, bridge)]
    )


def await_uplinks(lab: Lab, bridge: Bridge) -> None:
    """Until every uplink of a bond hears the other side. Raises LabError after 30 s."""
    arguments: list[str] = []
    for interface in bridge.bond:
        arguments += ["--", "wait-until", "Interface", interface, "bfd_status:state=up"]
    if arguments:
        ovs.vsctl(lab, bridge.node, arguments[1:])


def set_access_vlan(lab: Lab, node: str, interface: str, vlan: int | None) -> None:
    """Puts an access port into a VLAN; None closes it."""
    mode: Port = Port(interface, "closed" if vlan is None else "access", vlan)
    clear = ["clear", "Port", interface, "tag", "trunks", "vlan_mode"]
    ovs.vsctl(lab, node, [*clear, "--", "set", "Port", interface, *_vlan_columns(mode)])


def identity(lab_name: str, node: str) -> list[str]:
    """Marks the whole OVS."""
    ids = (f"system-id={node}", f"hostname={node}", f"netwright-lab={lab_name}")
    return ["set", "Open_vSwitch", ".", *(f"external_ids:{pair}" for pair in ids)]


def bridge_arguments(lab_name: str, bridge: Bridge) -> list[str]:
    """What ovs-vsctl is told, to follow other commands."""
    arguments = create_arguments(lab_name, BRIDGE)
    for port in bridge.ports:
        arguments += ["--", "add-port", BRIDGE, port.interface, *_vlan_columns(port)]
        arguments += ["--", "set", "Port", port.interface, _mark(lab_name)]
        if port.bfd:
            arguments += bfd_arguments(port.interface)
    if bridge.bond:
        arguments += bond_arguments(lab_name, BRIDGE, BOND, bridge.bond)
    return arguments


def create_arguments(lab_name: str, bridge: str) -> list[str]:
    return [
        *("--", "add-br", bridge),
        *("--", "set", "Bridge", bridge, "datapath_type=netdev", "fail_mode=standalone"),
        *("other_config:disable-in-band=true", _mark(lab_name)),
    ]


def bond_arguments(lab_name: str, bridge: str, bond: str, interfaces: tuple[str, ...]) -> list[str]:
    """One member carries traffic, the first whenever it lives; BFD tells."""
    arguments = ["--", "add-bond", bridge, bond, *interfaces, "bond_mode=active-backup"]
    arguments += [f"other_config:bond-primary={interfaces[0]}", _mark(lab_name)]
    for interface in interfaces:
        arguments += bfd_arguments(interface)
    return arguments


def bfd_arguments(interface: str) -> list[str]:
    columns = (f"bfd:min_{way}={BFD_INTERVAL_MS}" for way in ("rx", "tx"))
    return ["--", "set", "Interface", interface, "bfd:enable=true", *columns]


def _mark(lab_name: str) -> str:
    return f"external_ids:netwright-lab={lab_name}"


def _vlan_columns(port: Port) -> list[str]:
    match port.mode:
        case "access":
            return ["vlan_mode=access", f"tag={port.vlan}"]
        case "native":
            return ["vlan_mode=native-untagged", f"tag={port.vlan}"]
        case "closed":
            return ["vlan_mode=trunk", f"trunks={_CLOSED_VLAN}"]
        case "trunk":
            return []
