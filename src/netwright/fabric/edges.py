"""The fabric's edge: gateways of the provider networks, and the VPCs' ways out to them. Pure.

    provider network ─▶ core     its subnets' gateway addresses; static routes to the VPCs' prefixes
    VPC's way out    ─▶ borders  the VRF; on one of them the VPC's address and its default route

An address is on one switch at a time, else two would answer for it: on the first core of the
inventory that has an interface into the network, and on the first such border, by name, that is not
drained. The other borders have the VRF ready.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from netwright.fabric.config import Route, VlanGateway
from netwright.fabric.intent import Intent
from netwright.fabric.naming import age
from netwright.fabric.overlays import Overlays
from netwright.fabric.prefixes import Prefixes, with_length
from netwright.fabric.refusals import Refusal, RefusalCode, called
from netwright.fabric.topology import FabricIndex
from netwright.fabric.vpcs import Vpc, WayOut
from netwright.model.resources import Network, NetworkType, Value


class Edge(Value, frozen=True, kw_only=True):
    """What a core has, or a border beside what it has as a leaf."""

    vpcs: tuple[Vpc, ...] = ()
    gateways: Mapping[str, VlanGateway] = {}
    routes: frozenset[Route] = frozenset()


class Edges(NamedTuple):
    """By switch: every border and every core that is ours to configure."""

    switches: Mapping[str, Edge]
    refusals: tuple[Refusal, ...]


NO_EDGE = Edge()


def edges(intent: Intent, fabric: FabricIndex, overlays: Overlays) -> Edges:
    """What the edge of the fabric is."""
    made = _Edges(intent, fabric)
    made.provide()
    made.lead_out(overlays.ways_out)
    return made.edges(overlays.ways_out)


class _Edges:
    def __init__(self, intent: Intent, fabric: FabricIndex) -> None:
        self._intent, self._fabric = intent, fabric
        self._gateways: dict[str, dict[str, VlanGateway]] = {}
        self._routes: dict[str, set[Route]] = {}
        self._core_of: dict[str, str] = {}
        self._refusals: list[Refusal] = []

    def provide(self) -> None:
        """Give each provider network its gateway on a core."""
        addresses: dict[str, set[str]] = {}
        for subnet in self._intent.subnets.values():
            if subnet.gateway_ip is not None:
                own = with_length(subnet.gateway_ip, subnet.cidr)
                addresses.setdefault(subnet.network_id, set()).add(own)
        providers = [
            network
            for network in self._intent.networks.values()
            if network.segment.network_type is not NetworkType.VXLAN
            and network.admin_state_up
            and network.id in addresses
        ]
        for network in sorted(providers, key=age):
            self._provide(network, tuple(sorted(addresses[network.id])))

    def _provide(self, network: Network, addresses: tuple[str, ...]) -> None:
        found = self._first(self._fabric.cores, network)
        if found is None:
            if self._fabric.cores:
                self._refuse_core(network)
            return
        core, interface = found
        held = self._gateways.setdefault(core, {})
        if other := held.get(interface):
            self._refusals.append(
                Refusal(
                    code=RefusalCode.INTERFACE_TAKEN,
                    network_id=network.id,
                    switch=core,
                    interface=interface,
                    words=f"{called(network)} has no gateway: interface {interface} of switch "
                    f"{core} is that of network {other.network_id}.",
                )
            )
            return
        self._core_of[network.id] = core
        gateway = _gateway(network, interface, addresses)
        held[gateway.key] = gateway

    def lead_out(self, ways_out: tuple[WayOut, ...]) -> None:
        prefixes: dict[str, Prefixes] = {}
        for way in sorted(ways_out, key=lambda each: (each.vpc.age, age(each.network))):
            found = self._first(self._fabric.borders, way.network)
            if found is None:
                self._refuse(way, RefusalCode.NO_WAY_OUT, self._why_no_border(way.network))
                continue
            border, interface = found
            outer = () if way.nat is None else (f"{each}/32" for each, _ in way.nat.floating)
            gateway = msgspec.structs.replace(
                _gateway(way.network, interface, tuple(sorted({*way.addresses, *outer}))),
                mac_address=way.mac_address or None,
                vrf=way.vpc.name,
                nat=way.nat,
            )
            self._gateways.setdefault(border, {})[gateway.key] = gateway
            self._routes.setdefault(border, set()).update(way.routes)
            core = self._core_of.get(way.network.id)
            if core is not None:
                self._lead_in(core, way, prefixes.setdefault(core, Prefixes()))

    def _lead_in(self, core: str, way: WayOut, prefixes: Prefixes) -> None:
        """The core's routes to a VPC's prefixes, which no other VPC may have there."""
        nexthops = {":" in each: each.partition("/")[0] for each in reversed(way.addresses)}
        for prefix in way.inside:
            nexthop = nexthops.get(":" in prefix)
            if nexthop is None:
                continue
            owner = prefixes.claim(prefix, way.vpc.called)
            if owner is not None:
                if owner != way.vpc.called:
                    self._refuse(
                        way,
                        RefusalCode.PREFIX_TAKEN,
                        f"core {core} reaches {owner} by a prefix that overlaps its {prefix}",
                        core,
                    )
                continue
            self._routes.setdefault(core, set()).add(Route(destination=prefix, nexthop=nexthop))

    def edges(self, ways_out: tuple[WayOut, ...]) -> Edges:
        vpcs = tuple({way.vpc.router_id: way.vpc for way in ways_out}.values())
        return Edges(
            {
                name: Edge(
                    vpcs=vpcs if name in self._fabric.leaves else (),
                    gateways=self._gateways.get(name, {}),
                    routes=frozenset(self._routes.get(name, ())),
                )
                for name in (*self._fabric.borders, *self._fabric.cores)
            },
            tuple(self._refusals),
        )

    def _first(self, switches: tuple[str, ...], network: Network) -> tuple[str, str] | None:
        """The switch, and its interface, that bears addresses in a provider network."""
        drained = self._intent.drained
        for name in sorted(switches, key=drained.__contains__):
            interface = self._fabric.gateway_interface(name, network.segment)
            if interface is not None:
                return name, interface
        return None

    def _why_no_border(self, network: Network) -> str:
        if not self._fabric.borders:
            return f"no border leads to {called(network)}: the inventory has none"
        return (
            f"no border ({', '.join(self._fabric.borders)}) has an interface into "
            f"{called(network)}, {_where(network)}: name it in the inventory's gateways"
        )

    def _refuse(self, way: WayOut, code: RefusalCode, why: str, switch: str | None = None) -> None:
        self._refusals.append(
            Refusal(
                code=code,
                router_id=way.vpc.router_id,
                network_id=way.network.id,
                switch=switch,
                words=f"{way.vpc.called} has no way there: {why}.",
            )
        )

    def _refuse_core(self, network: Network) -> None:
        self._refusals.append(
            Refusal(
                code=RefusalCode.NO_WAY_OUT,
                network_id=network.id,
                words=f"{called(network)} has no gateway: no core "
                f"({', '.join(self._fabric.cores)}) has an interface into it, {_where(network)}: "
                "name it in the inventory's gateways.",
            )
        )


def _gateway(network: Network, interface: str, addresses: tuple[str, ...]) -> VlanGateway:
    return VlanGateway(
        interface=interface,
        physical_network=network.segment.physical_network or "",
        vlan=network.segment.segmentation_id,
        network_id=network.id,
        addresses=addresses,
    )


def _where(network: Network) -> str:
    vlan = network.segment.segmentation_id
    of = "the flat network" if vlan is None else f"VLAN {vlan}"
    return f"{of} of physical network {network.segment.physical_network}"
