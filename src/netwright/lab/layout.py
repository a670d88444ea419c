"""From a description to every node, cable, bridge port and address. Pure; leaves no choice open.

Names: a cable's lower end is `ethN` (host, bare metal, management), `upN` (uplink) or `peerN`
(trunk beside); its upper end is `NODE-IF` after the lower node, so that both ends can be told from
either side.
"""

import ipaddress
from typing import Literal

from msgspec import Struct

from netwright.lab.spec import MANAGEMENT_NODE, Spec

Kind = Literal["host", "switch", "router", "management", "baremetal"]

SERVER_OFFSET = 2
"""The management node's place in the management subnet."""
HOST_OFFSET = 10
"""host1 has the 11th address of the management subnet."""


class Node(Struct, frozen=True):
    name: str
    kind: Kind

    @property
    def has_ovs(self) -> bool:
        return self.kind in ("host", "switch", "router")


class End(Struct, frozen=True):
    """An interface of a node."""

    node: str
    interface: str


class Cable(Struct, frozen=True):
    """Two ends; `lower` is the side that hangs on the other."""

    lower: End
    upper: End


class Port(Struct, frozen=True):
    """A port of a switch's or router's bridge.

    `access`: untagged, in `vlan`. `native`: trunk whose untagged frames are `vlan`'s.
    `trunk`: all VLANs, tagged. `closed`: nothing passes (a machine that has no VLAN yet).
    """

    interface: str
    mode: Literal["access", "native", "trunk", "closed"]
    vlan: int | None = None
    bfd: bool = False


class Bridge(Struct, frozen=True):
    """The one bridge of a switch or router; `bond` are its uplinks, the preferred one first."""

    node: str
    ports: tuple[Port, ...]
    bond: tuple[str, ...]


class Gateway(Struct, frozen=True):
    """A router's interface into a VLAN: a veth whose other end is an access port of its bridge."""

    router: str
    vlan: int
    addresses: tuple[str, ...]

    @property
    def interface(self) -> str:
        return f"vlan{self.vlan}"

    @property
    def bridge_port(self) -> str:
        return f"vlan{self.vlan}-port"


class HostLink(Struct, frozen=True):
    """What whoever wires a host (the agent, or its stand-in) must know."""

    host: str
    nics: tuple[str, ...]
    management_ip: str


class Layout(Struct, frozen=True):
    nodes: tuple[Node, ...]
    cables: tuple[Cable, ...]
    bridges: tuple[Bridge, ...]
    gateways: tuple[Gateway, ...]
    hosts: tuple[HostLink, ...]
    server_ip: str
    """The management node's address, with prefix length."""

    def cables_between(self, one: str, other: str) -> list[Cable]:
        wanted = {one, other}
        return [c for c in self.cables if {c.lower.node, c.upper.node} == wanted]

    def cable_at(self, node: str, interface: str) -> Cable | None:
        end = End(node, interface)
        return next((c for c in self.cables if end in (c.lower, c.upper)), None)


def lay_out(spec: Spec) -> Layout:
    """The one layout of a description."""
    cables = _cables(spec)
    gateways = tuple(
        Gateway(router, network.vlan, network.gateways)
        for router in spec.routers
        for network in spec.networks.values()
        if network.gateways
    )
    return Layout(
        nodes=_nodes(spec),
        cables=cables,
        bridges=_bridges(spec, cables, gateways),
        gateways=gateways,
        hosts=tuple(
            HostLink(
                host=host,
                nics=tuple(f"eth{i}" for i in range(len(spec.hosts.uplinks))),
                management_ip=_management_ip(spec, HOST_OFFSET + number),
            )
            for number, host in enumerate(spec.host_names(), start=1)
        ),
        server_ip=_management_ip(spec, SERVER_OFFSET),
    )


def _nodes(spec: Spec) -> tuple[Node, ...]:
    return (
        *(Node(name, "switch") for name in spec.switches),
        *(Node(name, "router") for name in spec.routers),
        Node(MANAGEMENT_NODE, "management"),
        *(Node(name, "host") for name in spec.host_names()),
        *(Node(name, "baremetal") for name in spec.baremetal),
    )


def _cables(spec: Spec) -> tuple[Cable, ...]:
    found: list[Cable] = []

    def lay(lower: str, prefix: str, uppers: tuple[str, ...]) -> None:
        for index, upper in enumerate(uppers):
            interface = f"{prefix}{index}"
            found.append(Cable(End(lower, interface), End(upper, f"{lower}-{interface}")))

    for name, switch in spec.switches.items():
        lay(name, "up", switch.uplinks)
        lay(name, "peer", switch.peers)
    for name, router in spec.routers.items():
        lay(name, "up", router.uplinks)
    for name in spec.host_names():
        lay(name, "eth", spec.hosts.uplinks)
    for name, machine in spec.baremetal.items():
        lay(name, "eth", (machine.port,))
    lay(MANAGEMENT_NODE, "eth", (spec.management.server,))
    return tuple(found)


def _bridges(
    spec: Spec, cables: tuple[Cable, ...], gateways: tuple[Gateway, ...]
) -> tuple[Bridge, ...]:
    uplinks = {
        **{name: switch.uplinks for name, switch in spec.switches.items()},
        **{name: router.uplinks for name, router in spec.routers.items()},
    }
    ports: dict[str, list[Port]] = {name: [] for name in uplinks}
    for cable in cables:
        ports[cable.upper.node].append(_port_facing(cable, spec, uplinks))
        if cable.lower.node in uplinks and not _is_bonded(cable, uplinks):
            ports[cable.lower.node].append(Port(cable.lower.interface, "trunk"))
    for gateway in gateways:
        ports[gateway.router].append(Port(gateway.bridge_port, "access", gateway.vlan))
    return tuple(
        Bridge(
            node=name,
            ports=tuple(ports[name]),
            bond=tuple(
                cable.lower.interface
                for cable in cables
                if cable.lower.node == name and _is_bonded(cable, uplinks)
            ),
        )
        for name in uplinks
    )


def _port_facing(cable: Cable, spec: Spec, uplinks: dict[str, tuple[str, ...]]) -> Port:
    """The port at the upper end of a cable, after what hangs below."""
    interface, below = cable.upper.interface, cable.lower.node
    if below in uplinks:
        return Port(interface, "trunk", bfd=_is_bonded(cable, uplinks))
    if below == MANAGEMENT_NODE:
        return Port(interface, "access", spec.management.vlan)
    if below in spec.baremetal:
        vlan = spec.baremetal[below].vlan
        return Port(interface, "closed" if vlan is None else "access", vlan)
    return Port(interface, "native", spec.management.vlan, bfd=True)


def _is_bonded(cable: Cable, uplinks: dict[str, tuple[str, ...]]) -> bool:
    """One of several uplinks of a switch or router (OVS has no bond of one)."""
    return cable.lower.interface.startswith("up") and len(uplinks[cable.lower.node]) > 1


def _management_ip(spec: Spec, offset: int) -> str:
    subnet = ipaddress.ip_network(spec.management.subnet)
    return f"{subnet[offset]}/{subnet.prefixlen}"
