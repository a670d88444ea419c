"""VPCs: what a router makes of its networks, and its way out through a border. Pure.

    router's interfaces ─ in fabric networks ─▶ anycast gateways, in the VPC's VRF on the leaves
                        ─ in provider networks ─▶ ways out: the border has the address there
    router's gateway, floating IPs ─▶ a way out with what the border translates there (IPv4)

Of two that want the same (a network, a prefix) the older router, and of one router the interface
that is named first, has it; the other is refused by itself.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netwright.fabric import naming
from netwright.fabric.config import AnycastGateway, Nat, Route, RouteTargets
from netwright.fabric.intent import Intent
from netwright.fabric.naming import age
from netwright.fabric.prefixes import Prefixes, contains, with_length
from netwright.fabric.refusals import Refusal, RefusalCode, called
from netwright.model.resources import HostRoute, Network, NetworkType, Value
from netwright.model.routing import FloatingIp, Router, RouterInterface
from netwright.model.topology import Irb

NO_TARGETS = RouteTargets(imports=(), exports=())
_DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


class Vpc(Value, frozen=True, kw_only=True):
    """A router's VRF, the same on all leaves.

    `network_ids`: the networks that each leaf with the VRF needs; none in particular when routing
    is symmetric. `routes` are the router's own to next hops in its fabric networks, each with the
    network that a leaf must have for it.
    """

    router_id: str
    called: str
    age: tuple[float, str]
    name: str
    l3vni: int | None
    route_targets: RouteTargets
    network_ids: tuple[str, ...] = ()
    routes: tuple[tuple[str, Route], ...] = ()


class WayOut(Value, frozen=True, kw_only=True):
    """A VPC's place in a provider network: its address there, and where to go from it.

    `inside` are those of the VPC's own prefixes that the provider's gateway reaches by `addresses`:
    not those whose sources are translated.
    """

    vpc: Vpc
    network: Network
    addresses: tuple[str, ...]
    mac_address: str
    routes: tuple[Route, ...]
    inside: tuple[str, ...]
    nat: Nat | None = None


class Vpcs(NamedTuple):
    """`gateways` by network id: the network's VPC, and its gateway, if its interface has a MAC."""

    gateways: Mapping[str, tuple[Vpc, AnycastGateway | None]]
    ways_out: tuple[WayOut, ...]
    refusals: tuple[Refusal, ...]


def vpcs(intent: Intent, usable: Mapping[str, Network], robbed: Mapping[str, str]) -> Vpcs:
    """All VPCs. `usable` are the fabric networks; `robbed` are routers whose VNI another has."""
    names = naming.vrf_names(intent.routers.values())
    gateways: dict[str, tuple[Vpc, AnycastGateway | None]] = {}
    ways_out: list[WayOut] = []
    refusals: list[Refusal] = []
    led_in: dict[str, list[FloatingIp]] = {}
    for each in intent.floating.values():
        if each.router_id is not None:
            led_in.setdefault(each.router_id, []).append(each)
    for router in sorted(intent.routers.values(), key=age):
        if not router.admin_state_up or not router.interfaces:
            continue
        made = _Vpc(intent, usable, router, robbed.get(router.id), led_in.get(router.id, ()))
        made.sort_out(gateways)
        if vpc := made.vpc(names[router.id]):
            gateways |= {network: (vpc, made.gateway(network)) for network in made.inside}
            ways_out += made.ways_out(vpc)
        refusals += made.refusals
    return Vpcs(gateways, tuple(ways_out), tuple(refusals))


class _Vpc:
    """One router on its way to a VPC: its interfaces by network, and what is refused of them."""

    def __init__(
        self,
        intent: Intent,
        usable: Mapping[str, Network],
        router: Router,
        robbed: str | None,
        floating: Sequence[FloatingIp],
    ) -> None:
        self._floating = floating
        self._intent, self._usable, self._router = intent, usable, router
        self._l3vni = None if robbed else router.vni
        self._why_no_vni = robbed or "it needs a transit VNI, and the server has given it none"
        self._is_symmetric = intent.topology.fabric.irb is Irb.SYMMETRIC
        self.inside: dict[str, list[RouterInterface]] = {}
        self._outside: dict[str, list[RouterInterface]] = {}
        self.refusals: list[Refusal] = []

    def sort_out(self, taken: Mapping[str, tuple[Vpc, AnycastGateway | None]]) -> None:
        """Tell interfaces in fabric networks from those in others; `taken` are other VPCs'."""
        prefixes = Prefixes()
        for interface in (*self._router.outer, *self._router.interfaces):
            network = self._intent.networks.get(interface.network_id)
            if network is None:
                self._refuse(
                    RefusalCode.UNKNOWN_NETWORK,
                    f"its network {interface.network_id} is not known",
                    interface.network_id,
                )
                continue
            is_fabric = network.segment.network_type is NetworkType.VXLAN
            if (is_fabric and network.id not in self._usable) or not network.admin_state_up:
                continue  # the network says why
            if is_fabric and interface in self._router.outer:
                self._refuse(
                    RefusalCode.NO_WAY_OUT,
                    f"its gateway is in {called(network)}, a fabric network, which no border leads "
                    "out of",
                    network.id,
                )
                continue
            if is_fabric and network.id in taken:
                self._refuse(
                    RefusalCode.NETWORK_TAKEN,
                    f"{called(network)} is in the VPC of {taken[network.id][0].called}",
                    network.id,
                )
                continue
            owner = prefixes.claim(interface.cidr, interface.subnet_id)
            if owner is not None and owner != interface.subnet_id:
                self._refuse(
                    RefusalCode.PREFIX_TAKEN,
                    f"subnet {interface.subnet_id} ({interface.cidr}) of {called(network)} "
                    f"overlaps the VPC's subnet {owner}",
                    network.id,
                )
                continue
            side = self.inside if is_fabric else self._outside
            side.setdefault(network.id, []).append(interface)

    def vpc(self, name: str) -> Vpc | None:
        """None when there is nothing to route, or no way to."""
        if not (self.inside or self._outside):
            return None
        needs_vni = self._is_symmetric or bool(self._outside)
        l3vni = self._l3vni if needs_vni else None
        if needs_vni and l3vni is None:
            self._refuse(RefusalCode.NO_VNI, self._why_no_vni)
            if self._is_symmetric:
                return None
        asn = self._intent.topology.fabric.asn
        return Vpc(
            router_id=self._router.id,
            called=called(self._router),
            age=age(self._router),
            name=name,
            l3vni=l3vni,
            route_targets=NO_TARGETS if l3vni is None else naming.route_targets(asn, l3vni),
            network_ids=() if self._is_symmetric else tuple(sorted(self.inside)),
            routes=tuple(
                (network_id, Route(destination=each.destination, nexthop=each.nexthop, vrf=name))
                for each in self._router.routes
                if (network_id := _towards(each, self.inside))
            ),
        )

    def gateway(self, network_id: str) -> AnycastGateway | None:
        interfaces = self.inside[network_id]
        mac = _mac(interfaces)
        if not mac:
            self._refuse(
                RefusalCode.NO_MAC,
                f"its interface in network {network_id} has no MAC to answer with",
                network_id,
            )
            return None
        return AnycastGateway(addresses=_addresses(interfaces), mac_address=mac)

    def ways_out(self, vpc: Vpc) -> list[WayOut]:
        """One for each provider network; default routes by the first that has a gateway."""
        found: list[WayOut] = []
        covered = {each.destination for each in self._router.routes}
        inside = tuple(
            sorted({each.cidr for interfaces in self.inside.values() for each in interfaces})
        )
        for network_id, interfaces in self._outside.items():
            if vpc.l3vni is None:
                break
            network = self._intent.networks[network_id]
            gateways = self._providers_gateways(interfaces)
            if ours := {each.ip_address for each in interfaces} & gateways.keys():
                self._refuse(
                    RefusalCode.NO_WAY_OUT,
                    f"its address {min(ours)} in {called(network)} is that of the network's own "
                    "gateway: give its interface another",
                    network_id,
                )
                continue
            defaults = {
                destination: nexthop
                for nexthop, destination in gateways.items()
                if destination not in covered
            }
            covered |= defaults.keys()
            routes = [HostRoute(destination=to, nexthop=by) for to, by in defaults.items()]
            routes += [
                each
                for each in self._router.routes
                if _towards(each, {network_id: interfaces}) == network_id
            ]
            nat = self._nat(network_id, inside)
            found.append(
                WayOut(
                    vpc=vpc,
                    network=network,
                    addresses=_addresses(interfaces),
                    mac_address=_mac(interfaces),
                    routes=tuple(
                        Route(destination=each.destination, nexthop=each.nexthop, vrf=vpc.name)
                        for each in routes
                    ),
                    inside=inside if nat is None or not nat.sources else _ipv6(inside),
                    nat=nat,
                )
            )
        self._tell_of_lost_routes()
        return found

    def _nat(self, network_id: str, inside: tuple[str, ...]) -> Nat | None:
        """What is translated where the router's gateway is; IPv6 is routed as it is."""
        gateway = self._router.gateway
        if gateway is None or gateway.network_id != network_id:
            return None
        own = [each.ip_address for each in gateway.addresses if ":" not in each.ip_address]
        floating = sorted(
            (each.floating_ip_address, each.fixed_ip_address)
            for each in self._floating
            if each.floating_network_id == network_id and each.fixed_ip_address is not None
        )
        if not own or not (gateway.enable_snat or floating):
            return None
        return Nat(
            address=own[0],
            sources=gateway.enable_snat,
            floating=tuple(floating),
            inside=tuple(each for each in inside if ":" not in each),
        )

    def _providers_gateways(self, interfaces: list[RouterInterface]) -> dict[str, str]:
        """The gateways of the provider's subnets that the VPC is in → the default route's name."""
        found: dict[str, str] = {}
        for interface in interfaces:
            subnet = self._intent.subnets.get(interface.subnet_id)
            if subnet is not None and subnet.gateway_ip:
                default = _DEFAULT[subnet.ip_version]
                if default not in found.values():
                    found[subnet.gateway_ip] = default
        return found

    def _tell_of_lost_routes(self) -> None:
        everywhere = self.inside | self._outside
        for each in self._router.routes:
            if not _towards(each, everywhere):
                self._refuse(
                    RefusalCode.NO_WAY_OUT,
                    f"the next hop {each.nexthop} of its route to {each.destination} is in none of "
                    "its subnets",
                )

    def _refuse(self, code: RefusalCode, why: str, network_id: str | None = None) -> None:
        self.refusals.append(
            Refusal(
                code=code,
                router_id=self._router.id,
                network_id=network_id,
                words=f"{called(self._router)} is not routed as it should be: {why}.",
            )
        )


def _towards(route: HostRoute, interfaces: Mapping[str, list[RouterInterface]]) -> str | None:
    """The network that the route's next hop is in."""
    return next(
        (
            network_id
            for network_id, each in interfaces.items()
            if any(contains(interface.cidr, route.nexthop) for interface in each)
        ),
        None,
    )


def _addresses(interfaces: list[RouterInterface]) -> tuple[str, ...]:
    return tuple(sorted({with_length(each.ip_address, each.cidr) for each in interfaces}))


def _ipv6(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each in prefixes if ":" in each)


def _mac(interfaces: list[RouterInterface]) -> str:
    """Of several ports in one network, that of the lowest address: a gateway answers with one."""
    return min(
        ((each.ip_address, each.mac_address) for each in interfaces if each.mac_address),
        default=("", ""),
    )[1]
