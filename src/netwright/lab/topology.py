"""A lab's layout as the inventory that its owner gives to the server. Pure."""

from collections.abc import Iterator

from netwright.lab.layout import MANAGEMENT_INTERFACE, Cable, FabricSwitch
from netwright.lab.layout import End as LabEnd
from netwright.lab.nodes import reached
from netwright.lab.nodes.switch import BRIDGE
from netwright.lab.spec import Fabric
from netwright.lab.state import Lab
from netwright.model.topology import (
    End,
    FabricSettings,
    Gateway,
    Link,
    Switch,
    SwitchKind,
    Topology,
    VlanInterval,
    VniInterval,
)


def topology_of(lab: Lab) -> Topology:
    """Switches that machines hang on are ToRs, the others aggregation; routers are cores.

    In a lab with a fabric somebody configures its switches and the cores; management is no part.
    """
    layout = lab.layout
    machines = {node.name for node in layout.nodes if node.kind in ("host", "baremetal")}
    access = {cable.upper.node for cable in layout.cables if cable.lower.node in machines}
    kinds = {
        name: SwitchKind.TOR if name in access else SwitchKind.AGGREGATION
        for name in lab.nodes("switch")
    }
    return Topology(
        switches=(
            *(_fabric_switch(lab, one) for one in layout.fabric),
            *(Switch(name=name, kind=kind) for name, kind in kinds.items()),
            *(_core(lab, node) for node in lab.nodes("router")),
        ),
        links=tuple(
            _link(cable) for cable in layout.cables if cable.lower.interface != MANAGEMENT_INTERFACE
        ),
        gateways=(*_gateways(lab), *_trunks(lab)),
        fabric=_settings(lab.spec.fabric) if lab.spec.fabric else FabricSettings(),
    )


def _gateways(lab: Lab) -> Iterator[Gateway]:
    for gateway in lab.layout.gateways:
        yield Gateway(
            switch=gateway.router,
            interface=gateway.interface,
            physical_network=lab.spec.physical_network,
            vlan=gateway.vlan,
        )


def _trunks(lab: Lab) -> Iterator[Gateway]:
    """By which borders, and cores that somebody configures, come into any VLAN that has no more."""
    trunks = [
        (switch.speaker.node, port)
        for switch in lab.layout.fabric
        if switch.speaker.kind == "border"
        for port in switch.edge_ports
    ]
    if lab.layout.fabric:
        trunks += [(router, BRIDGE) for router in lab.nodes("router")]
    for node, interface in trunks:
        network = lab.spec.physical_network
        yield Gateway(switch=node, interface=interface, physical_network=network)


def _fabric_switch(lab: Lab, switch: FabricSwitch) -> Switch:
    speaker = switch.speaker
    return Switch(
        name=speaker.node,
        kind=SwitchKind(speaker.kind),
        driver="frr",
        address=reached.address(lab, speaker.node),
        asn=speaker.asn,
        loopback=speaker.loopback,
        zone=speaker.zone,
    )


def _core(lab: Lab, node: str) -> Switch:
    if not lab.layout.fabric:
        return Switch(name=node, kind=SwitchKind.CORE)
    address = reached.address(lab, node)
    return Switch(name=node, kind=SwitchKind.CORE, driver="core", address=address)


def _settings(fabric: Fabric) -> FabricSettings:
    vlans, vnis = fabric.vlans, fabric.l3vnis
    return FabricSettings(
        asn=fabric.asn,
        vlans=(VlanInterval(first=vlans[0], last=vlans[1]),),
        l3vnis=(VniInterval(first=vnis[0], last=vnis[1]),),
    )


def _link(cable: Cable) -> Link:
    is_peer = cable.lower.interface.startswith("peer")
    return Link(lower=_end(cable.lower), upper=_end(cable.upper), peer=is_peer)


def _end(end: LabEnd) -> End:
    return End(node=end.node, interface=end.interface)
