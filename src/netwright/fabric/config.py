"""What a switch shall be, and what it is: one neutral form for the plan and for reading back.

A plan gives each switch a `SwitchConfig`; a driver reads the switch's own back in the same form,
and only of what bears our mark. Their difference is what there is to do (`changes`). Pure values.

    SwitchConfig ─ vrfs        VPC → VRF, its L3VNI and route targets
                 ─ segments    VNI → VLAN, anycast gateway, VRF, route targets
                 ─ interfaces  host-facing: VLANs and their VNIs, and what is fenced there
                 ─ gateways    core and border: addresses in VLANs of the provider networks
                 ─ routes      core: static ones, by VRF or in the switch's own table
"""

from collections.abc import Mapping

from netwright.model.resources import Value


class RouteTargets(Value, frozen=True, kw_only=True):
    """RFC 4364: extended communities in the form `65000:1001`, sorted."""

    imports: tuple[str, ...]
    exports: tuple[str, ...]


class AnycastGateway(Value, frozen=True, kw_only=True):
    """The same on all leaves. `addresses` with prefix length (`10.8.0.1/24`), sorted."""

    addresses: tuple[str, ...]
    mac_address: str


class Segment(Value, frozen=True, kw_only=True):
    """A network on a switch: its VNI, and the VLAN that is local to the switch's VLAN domain.

    `vlan` None: no tagged host carries it, as on a leaf with untagged bare metal alone. `vrf` and
    `gateway` come with a VPC. `rd` is the route distinguisher (`naming.distinguisher`).
    """

    vni: int
    network_id: str
    vlan: int | None = None
    vrf: str | None = None
    gateway: AnycastGateway | None = None
    rd: str
    route_targets: RouteTargets
    mtu: int = 1500


class Vrf(Value, frozen=True, kw_only=True):
    """A VPC on a switch. `l3vni` None: asymmetric routing, without a transit VNI.

    `name` is short enough for an interface or namespace of Linux (15 octets). Without a transit
    VNI nothing of the VRF itself is told by BGP: then `rd` is empty, and it has no route targets.
    `vteps` are those of all leaves that it may be on, this one too, sorted as text: with a transit
    VNI a leaf knows behind which of them each router MAC is, whatever its routing daemon forgets.
    """

    name: str
    router_id: str
    l3vni: int | None = None
    rd: str
    route_targets: RouteTargets
    vteps: tuple[str, ...] = ()


class Fenced(Value, frozen=True, kw_only=True, order=True):
    """What an interface drops of a host that no longer may speak for a port (law 5).

    They are in order by port, MAC, addresses.
    """

    port_id: str
    mac_address: str
    addresses: tuple[str, ...] = ()


class Interface(Value, frozen=True, kw_only=True):
    """A host-facing interface: `tagged` VLAN → VNI, and the VNI of untagged frames.

    `fenced` is sorted. `is_down`: held down, as host ports of a switch that is not complete yet.
    """

    name: str
    tagged: Mapping[int, int] = {}
    untagged: int | None = None
    fenced: tuple[Fenced, ...] = ()
    is_down: bool = False


class Nat(Value, frozen=True, kw_only=True):
    """What a VPC's gateway translates, of IPv4.

    `floating` are outer addresses, each with the inner one that it stands for, both ways; sorted by
    the outer. `address` is the gateway's own: what comes from `inside`, the VPC's prefixes, and has
    no floating address, leaves with it if `sources`, and reaches the VPC's own floating addresses
    so in any case, since the answer would find a shorter way back.
    """

    address: str
    sources: bool
    floating: tuple[tuple[str, str], ...] = ()
    inside: tuple[str, ...] = ()


class VlanGateway(Value, frozen=True, kw_only=True):
    """Addresses (with prefix length) of a core or border in a provider network's VLAN.

    `interface` bears the addresses: one that the inventory names for this VLAN, or `TRUNK.VLAN` of
    a trunk that it names for the physical network, which the driver makes when it is not there.
    `vlan` None: the physical network's flat network. `vrf` None: the switch's own table.
    """

    interface: str
    physical_network: str
    vlan: int | None
    network_id: str
    addresses: tuple[str, ...]
    mac_address: str | None = None
    vrf: str | None = None
    nat: Nat | None = None

    @property
    def key(self) -> str:
        """Its name in a `SwitchConfig`. Several VPCs may have a gateway each in one VLAN."""
        return self.interface if self.vrf is None else f"{self.interface}@{self.vrf}"


class Route(Value, frozen=True, kw_only=True):
    """A static route. `vrf` None: the switch's own table."""

    destination: str
    nexthop: str
    vrf: str | None = None


class SwitchConfig(Value, frozen=True, kw_only=True):
    """All that is ours on a switch. Two are equal when the switch would be the same."""

    vrfs: Mapping[str, Vrf] = {}
    segments: Mapping[int, Segment] = {}
    interfaces: Mapping[str, Interface] = {}
    gateways: Mapping[str, VlanGateway] = {}
    routes: frozenset[Route] = frozenset()


EMPTY = SwitchConfig()
