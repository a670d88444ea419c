"""Bridges: of switches and routers, and the stand-in's on hosts. Arguments are built by pure code.

A bridge without a controller is a learning switch (fail_mode=standalone), which is what a switch
of the classic tree is.
"""

from concurrent.futures import ThreadPoolExecutor

from netwright.lab import processes
from netwright.lab.errors import LabError
from netwright.lab.layout import Bridge, Port
from netwright.lab.nodes import ovs
from netwright.lab.state import Lab

BRIDGE = "br0"
BOND = "uplinks"
BFD_INTERVAL_MS = 100
"""Bidirectional forwarding detection: three lost messages, 0.3 s, and a link counts as dead."""
REVALIDATION_MS = 100
"""How soon a data path flow's packets count as seen, and teach where their sender is.

The default, 500, is later than BFD: after a failure a switch would learn the new place of a machine
from its announcement, and then the old one again from packets that came before.
"""

_CLOSED_VLAN = 4095  # reserved by IEEE 802.1Q: no frame bears it


def bring_up(lab: Lab, bridge: Bridge) -> None:
    """One OVSDB transaction for the whole switch."""
    ovs.vsctl(
        lab, bridge.node, [*identity(lab.name, bridge.node), *bridge_arguments(lab.name, bridge)]
    )


def settle(lab: Lab, node: str, bond: str, interfaces: tuple[str, ...]) -> None:
    """Until every member of a bond hears the other side. Raises LabError after 30 s.

    The first member then carries the traffic, and from then on a member that carries it keeps it
    as long as it lives: were traffic to return to a preferred member while the other lives too,
    frames under way on the old path would teach the switches above the old place of their senders,
    and what is sent there is lost until the sender speaks again.
    """
    arguments: list[str] = []
    for interface in interfaces:
        arguments += ["wait-until", "Interface", interface, "bfd_status:state=up", "--"]
    ovs.vsctl(lab, node, [*arguments, "remove", "Port", bond, "other_config", "bond-primary"])


def forget_places(lab: Lab) -> None:
    """Every switch that runs forgets where it learned machines to be, and floods until it knows.

    Switches do that when a link goes down or comes up (802.1D, topology change). These do not
    without a spanning tree; they would even learn the old place again, from packets of a data path
    flow that count late. So flows are purged first, which makes all packets count.
    """

    def forget(node: str) -> None:
        ovs.appctl(lab, node, "revalidator/purge")
        ovs.appctl(lab, node, "fdb/flush", BRIDGE)

    running = [b.node for b in lab.layout.bridges if _is_running(lab, b.node)]
    with ThreadPoolExecutor(max(len(running), 1)) as pool:  # a fabric alone has none
        for future in [pool.submit(forget, node) for node in running]:
            future.result()


def active_member(lab: Lab, node: str, bond: str) -> str:
    """The interface of a bond that carries its traffic now. Raises LabError when none does."""
    active = ovs.vsctl(lab, node, ["--bare", "get", "Port", bond, "bond_active_slave"])
    mac = active.strip().strip('"[]')
    find = ["--bare", "--columns=name", "find", "Interface", f'mac_in_use="{mac}"']
    name = ovs.vsctl(lab, node, find).strip() if mac else ""
    if not name:
        msg = f"lab {lab.name}: no member of {bond} on {node} carries traffic"
        raise LabError(msg)
    return name


def set_access_vlan(lab: Lab, node: str, interface: str, vlan: int | None) -> None:
    """Puts an access port into a VLAN; None closes it."""
    mode: Port = Port(interface, "closed" if vlan is None else "access", vlan)
    clear = ["clear", "Port", interface, "tag", "trunks", "vlan_mode"]
    ovs.vsctl(lab, node, [*clear, "--", "set", "Port", interface, *_vlan_columns(mode)])


def identity(lab_name: str, node: str) -> list[str]:
    """Marks and tunes the whole OVS."""
    ids = (f"system-id={node}", f"hostname={node}", f"netwright-lab={lab_name}")
    columns = [f"external_ids:{pair}" for pair in ids]
    return ["set", "Open_vSwitch", ".", *columns, f"other_config:max-revalidator={REVALIDATION_MS}"]


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
    """One member carries traffic, the first at the start (see `settle`).

    BFD tells who lives; without it, the carrier.
    """
    arguments = ["--", "add-bond", bridge, bond, *interfaces, "bond_mode=active-backup"]
    arguments += [f"other_config:bond-primary={interfaces[0]}", _mark(lab_name)]
    for interface in interfaces:
        arguments += bfd_arguments(interface)
    return arguments


def bfd_arguments(interface: str) -> list[str]:
    columns = (f"bfd:min_{way}={BFD_INTERVAL_MS}" for way in ("rx", "tx"))
    return ["--", "set", "Interface", interface, "bfd:enable=true", *columns]


def _is_running(lab: Lab, node: str) -> bool:
    daemon = processes.find(lab, node, ovs.SWITCH_DAEMON)
    return processes.is_alive(daemon) and not processes.is_stopped(daemon)


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
