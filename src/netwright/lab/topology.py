"""A lab's layout as the inventory that its owner gives to the server. Pure."""

from netwright.lab.layout import Cable, Layout
from netwright.lab.layout import End as LabEnd
from netwright.model.topology import End, Gateway, Link, Switch, SwitchKind, Topology


def topology_of(layout: Layout, physical_network: str) -> Topology:
    """Switches that machines hang on are ToRs, the others aggregation; routers are cores."""
    machines = {node.name for node in layout.nodes if node.kind in ("host", "baremetal")}
    access = {cable.upper.node for cable in layout.cables if cable.lower.node in machines}
    kinds = {node.name: SwitchKind.AGGREGATION for node in layout.nodes if node.kind == "switch"}
    kinds |= dict.fromkeys(access, SwitchKind.TOR)
    kinds |= {node.name: SwitchKind.CORE for node in layout.nodes if node.kind == "router"}
    return Topology(
        switches=tuple(Switch(name=name, kind=kind) for name, kind in kinds.items()),
        links=tuple(_link(cable) for cable in layout.cables),
        gateways=tuple(
            Gateway(
                switch=gateway.router,
                interface=gateway.interface,
                physical_network=physical_network,
                vlan=gateway.vlan,
            )
            for gateway in layout.gateways
        ),
    )


def _link(cable: Cable) -> Link:
    is_peer = cable.lower.interface.startswith("peer")
    return Link(lower=_end(cable.lower), upper=_end(cable.upper), peer=is_peer)


def _end(end: LabEnd) -> End:
    return End(node=end.node, interface=end.interface)
