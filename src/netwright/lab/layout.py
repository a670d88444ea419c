"""From a description to every node, cable, bridge port and address. Pure; leaves no choice open.

Names: a cable's lower end is `ethN` (host, bare metal, management), `upN` (uplink) or `peerN`
(trunk beside) or `mgmt0` (management out of band); its upper end is `NODE-IF` after the lower node,
so that both ends can be told from either side.
"""

import ipaddress
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from netwright.lab.spec import MANAGEMENT_NODE, Spec
from netwright.lab.spine_leaf import Speaker, leaves_of_host, speakers, spine_names

Kind = Literal["host", "switch", "router", "management", "baremetal", "spine", "leaf", "border"]
FABRIC_KINDS = ("spine", "leaf", "border")
MANAGEMENT_INTERFACE = "mgmt0"
"""Out of band."""

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

    @property
    def has_frr(self) -> bool:
        return self.kind in FABRIC_KINDS


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
    """What whoever wires a host (the agent, or its stand-in) must know.

    `management_ip` is "" where it lies not on the NICs but on `mgmt0`.
    """

    host: str
    nics: tuple[str, ...]
    management_ip: str
    on_fabric: bool = False


class Leg(Struct, frozen=True):
    """An interface `mgmt0` and its address, with prefix length."""

    node: str
    address: str


class FabricSwitch(Struct, frozen=True):
    """A speaker and its interfaces.

    `fabric_ports` lead to other speakers; `edge_ports` to hosts, bare metal and core routers. On
    those of them that are `bonded_ports`, a host's bond speaks BFD.
    """

    speaker: Speaker
    fabric_ports: tuple[str, ...]
    edge_ports: tuple[str, ...]
    bonded_ports: tuple[str, ...] = ()


class Layout(Struct, frozen=True):
    nodes: tuple[Node, ...]
    cables: tuple[Cable, ...]
    bridges: tuple[Bridge, ...]
    gateways: tuple[Gateway, ...]
    hosts: tuple[HostLink, ...]
    server_ip: str
    """The management node's address, with prefix length."""
    legs: tuple[Leg, ...] = ()
    fabric: tuple[FabricSwitch, ...] = ()

    def cables_between(self, one: str, other: str) -> list[Cable]:
        wanted = {one, other}
        return [c for c in self.cables if {c.lower.node, c.upper.node} == wanted]

    def ends_at(self, node: str) -> list[End]:
        return [end for c in self.cables for end in (c.lower, c.upper) if end.node == node]

    def cable_at(self, node: str, interface: str) -> Cable | None:
        end = End(node, interface)
        return next((c for c in self.cables if end in (c.lower, c.upper)), None)


def lay_out(spec: Spec) -> Layout:
    """The one layout of a description."""
    cables = _cables(spec)
    hosts = _hosts(spec)
    bonded = frozenset(link.host for link in hosts if link.on_fabric and len(link.nics) > 1)
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
        hosts=hosts,
        server_ip=_management_ip(spec, SERVER_OFFSET),
        legs=_legs(spec),
        fabric=tuple(_fabric_switch(one, cables, bonded) for one in speakers(spec)),
    )


def _nodes(spec: Spec) -> tuple[Node, ...]:
    return (
        *(Node(one.node, one.kind) for one in speakers(spec)),
        *(Node(name, "switch") for name in spec.switches),
        *(Node(name, "router") for name in spec.routers),
        Node(MANAGEMENT_NODE, "management"),
        *(Node(name, "host") for name in (*spec.host_names(), *spec.provider_hosts)),
        *(Node(name, "baremetal") for name in spec.baremetal),
    )


def _hosts(spec: Spec) -> tuple[HostLink, ...]:
    on_fabric = set() if spec.hosts.uplinks else set(spec.host_names())
    return tuple(
        HostLink(
            host=name,
            nics=tuple(f"eth{i}" for i in range(len(switches))),
            management_ip=""
            if spec.management.is_out_of_band
            else _management_ip(spec, HOST_OFFSET + number),
            on_fabric=name in on_fabric,
        )
        for number, (name, switches) in enumerate(_host_uplinks(spec).items(), start=1)
    )


def _legs(spec: Spec) -> tuple[Leg, ...]:
    if not spec.management.is_out_of_band:
        return ()
    nodes = (
        *spec.host_names(),
        *spec.provider_hosts,
        *(one.node for one in speakers(spec)),
    )
    return tuple(
        Leg(node, _management_ip(spec, HOST_OFFSET + number))
        for number, node in enumerate(nodes, start=1)
    )


def _fabric_switch(
    speaker: Speaker, cables: tuple[Cable, ...], bonded: frozenset[str]
) -> FabricSwitch:
    """A cable between two speakers has its lower end `upN` at a leaf, and its upper at a spine."""
    ends = [
        (end, cable.lower)
        for cable in cables
        for end in (cable.lower, cable.upper)
        if end.node == speaker.node and cable.lower.interface != MANAGEMENT_INTERFACE
    ]
    return FabricSwitch(
        speaker=speaker,
        fabric_ports=tuple(e.interface for e, lower in ends if lower.interface.startswith("up")),
        edge_ports=tuple(e.interface for e, lower in ends if not lower.interface.startswith("up")),
        bonded_ports=tuple(e.interface for e, lower in ends if lower.node in bonded),
    )


def _cables(spec: Spec) -> tuple[Cable, ...]:
    return tuple(
        Cable(End(lower, f"{prefix}{index}"), End(upper, f"{lower}-{prefix}{index}"))
        for lower, prefix, uppers in (*_classic_cables(spec), *_fabric_cables(spec))
        for index, upper in enumerate(uppers)
    )


_Bundle = tuple[str, str, tuple[str, ...]]
"""A node, what its interfaces are called, and what they lead to in the order of their numbers."""


def _classic_cables(spec: Spec) -> Iterator[_Bundle]:
    for name, switch in spec.switches.items():
        yield name, "up", switch.uplinks
        yield name, "peer", switch.peers
    for name, router in spec.routers.items():
        yield name, "up", router.uplinks
    for name, uplinks in _host_uplinks(spec).items():
        yield name, "eth", uplinks
    for name, machine in spec.baremetal.items():
        yield name, "eth", (machine.port,)
    if spec.management.server is not None:
        yield MANAGEMENT_NODE, "eth", (spec.management.server,)


def _fabric_cables(spec: Spec) -> Iterator[_Bundle]:
    if spec.fabric is not None:
        for speaker in speakers(spec):
            if speaker.kind != "spine":
                yield speaker.node, "up", tuple(spine_names(spec.fabric))
        for name, border in spec.fabric.borders.items():
            yield name, "peer", (border.router,)
    for leg in _legs(spec):
        yield leg.node, "mgmt", (MANAGEMENT_NODE,)


def _host_uplinks(spec: Spec) -> dict[str, tuple[str, ...]]:
    alike = {
        name: spec.hosts.uplinks or leaves_of_host(spec, number)
        for number, name in enumerate(spec.host_names(), start=1)
    }
    return alike | {name: host.uplinks for name, host in spec.provider_hosts.items()}


def _bridges(
    spec: Spec, cables: tuple[Cable, ...], gateways: tuple[Gateway, ...]
) -> tuple[Bridge, ...]:
    uplinks = {
        **{name: switch.uplinks for name, switch in spec.switches.items()},
        **{name: router.uplinks for name, router in spec.routers.items()},
    }
    ports: dict[str, list[Port]] = {name: [] for name in uplinks}
    for cable in cables:
        if cable.upper.node in ports:
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
    if spec.fabric is not None and below in spec.fabric.borders:
        return Port(interface, "trunk")
    if below == MANAGEMENT_NODE:
        return Port(interface, "access", spec.management.vlan)
    if below in spec.baremetal:
        vlan = spec.baremetal[below].vlan
        return Port(interface, "closed" if vlan is None else "access", vlan)
    if spec.management.is_out_of_band:
        return Port(interface, "trunk", bfd=True)
    return Port(interface, "native", spec.management.vlan, bfd=True)


def _is_bonded(cable: Cable, uplinks: dict[str, tuple[str, ...]]) -> bool:
    """One of several uplinks of a switch or router (OVS has no bond of one)."""
    return cable.lower.interface.startswith("up") and len(uplinks[cable.lower.node]) > 1


def _management_ip(spec: Spec, offset: int) -> str:
    subnet = ipaddress.ip_network(spec.management.subnet)
    return f"{subnet[offset]}/{subnet.prefixlen}"
