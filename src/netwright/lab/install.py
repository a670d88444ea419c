"""One node of a lab that has its cables: what its installer leaves running there."""

from collections.abc import Callable
from pathlib import Path

from netwright.lab import links
from netwright.lab.layout import MANAGEMENT_INTERFACE, HostLink, Kind, Node
from netwright.lab.links import Configuration
from netwright.lab.nodes import frr, host, lldp, observer, ovs, reached, router, switch
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab

_MANAGEMENT_BRIDGE = "oob"
"""The switch of a management network out of band, inside the management node."""


def install(lab: Lab, node: Node, template: Path, *, stand_in_agent: bool) -> None:
    """`template` is an empty database for Open vSwitch. Raises LabError saying what failed."""
    lab.node_directory(node.name).mkdir()
    if node.has_ovs:
        links.open_switch_ports(lab.namespace(node.name), lab.mark)
        _configure_leg(lab, node)
        ovs.start(lab, node.name, template)
    _INSTALLERS[node.kind](lab, node)
    if node.kind == "host" and stand_in_agent:
        host.wire_by_stand_in(lab, _host_link(lab, node))


def settle(lab: Lab, node: Node, *, stand_in_agent: bool) -> None:
    """Once all nodes are installed: until every bonded uplink hears its other side."""
    for bridge in lab.layout.bridges:
        if bridge.node == node.name and bridge.bond:
            switch.settle(lab, node.name, switch.BOND, bridge.bond)
    if node.kind == "host" and stand_in_agent:
        link = _host_link(lab, node)
        if len(link.nics) > 1:
            switch.settle(lab, node.name, host.BOND, link.nics)


def _install_switch(lab: Lab, node: Node) -> None:
    switch.bring_up(lab, next(one for one in lab.layout.bridges if one.node == node.name))


def _install_router(lab: Lab, node: Node) -> None:
    _install_switch(lab, node)
    router.bring_up(lab, node.name)
    if lab.layout.fabric:
        reached.start(lab, node.name)


def _install_fabric_switch(lab: Lab, node: Node) -> None:
    frr.boot(lab, frr.fabric_switch(lab, node.name))


def _install_management(lab: Lab, _node: Node) -> None:
    namespace, interface = lab.namespace(MANAGEMENT_NODE), "eth0"
    if lab.spec.management.is_out_of_band:
        interface = _MANAGEMENT_BRIDGE
        ends = [end.interface for end in lab.layout.ends_at(MANAGEMENT_NODE)]
        links.bridge(namespace, lab.mark, interface, ends)
    wanted = Configuration(interface, (lab.layout.server_ip,), checksum_offload=False)
    links.configure(namespace, lab.mark, [wanted])
    if lab.layout.fabric:
        observer.start(lab)


def _install_baremetal(lab: Lab, node: Node) -> None:
    wanted = Configuration("eth0", checksum_offload=False)
    links.configure(lab.namespace(node.name), lab.mark, [wanted])


def _install_host(lab: Lab, node: Node) -> None:
    link = _host_link(lab, node)
    ovs.vsctl(lab, node.name, switch.identity(lab.name, node.name))
    if link.on_fabric:
        lldp.start(lab, node.name, link.nics)
    host.write_agent_configuration(lab, link)


_INSTALLERS: dict[Kind, Callable[[Lab, Node], None]] = {
    "switch": _install_switch,
    "router": _install_router,
    "spine": _install_fabric_switch,
    "leaf": _install_fabric_switch,
    "border": _install_fabric_switch,
    "management": _install_management,
    "baremetal": _install_baremetal,
    "host": _install_host,
}


def _configure_leg(lab: Lab, node: Node) -> None:
    for leg in lab.layout.legs:
        if leg.node == node.name:
            wanted = Configuration(MANAGEMENT_INTERFACE, (leg.address,))
            links.configure(lab.namespace(node.name), lab.mark, [wanted])


def _host_link(lab: Lab, node: Node) -> HostLink:
    return next(link for link in lab.layout.hosts if link.host == node.name)
