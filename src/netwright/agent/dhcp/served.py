"""What a port's DHCP client shall be told, of its subnets and its own options. Pure."""

from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_network

from netwright.model.resources import (
    DhcpOption,
    HostRoute,
    Network,
    NetworkType,
    Port,
    Subnet,
    Value,
)
from netwright.model.segments import segment_on
from netwright.model.wire import CONTAINER_OWNER

STATEFUL, STATELESS = "dhcpv6-stateful", "dhcpv6-stateless"
_IPV4, _IPV6 = 4, 6


class Lease4(Value, frozen=True, kw_only=True):
    """An IPv4 client's configuration. `options` are the port's own, which come before the rest."""

    address: str
    prefix_length: int
    gateway: str | None
    name_servers: tuple[str, ...] = ()
    routes: tuple[HostRoute, ...] = ()
    mtu: int
    hostname: str = ""
    domain: str = ""
    options: tuple[DhcpOption, ...] = ()


class Prefix6(Value, frozen=True, kw_only=True):
    """An IPv6 subnet as router advertisements tell of it."""

    cidr: str
    is_autonomous: bool


class Lease6(Value, frozen=True, kw_only=True):
    """An IPv6 client's configuration.

    `addresses` are leased (stateful); `is_asked` says whether DHCPv6 is answered at all. `prefixes`
    are advertised to who solicits a router; none: nothing is advertised.
    """

    addresses: tuple[str, ...] = ()
    is_asked: bool = False
    name_servers: tuple[str, ...] = ()
    prefixes: tuple[Prefix6, ...] = ()
    mtu: int
    options: tuple[DhcpOption, ...] = ()


class Served(Value, frozen=True, kw_only=True):
    """What is answered to the client behind a port; None: nothing by this IP version."""

    v4: Lease4 | None = None
    v6: Lease6 | None = None


class WhereServed(Value, frozen=True, kw_only=True):
    """The networks of which this host answers clients, where their subnets say so.

    On provider networks there may be somebody else who does, so that they are named one by one.
    """

    fabric: bool = True
    physical_networks: frozenset[str] = frozenset()

    def includes(self, network: Network, available: Collection[str]) -> bool:
        """Whether clients are answered on the segment by which the host has the network."""
        found = segment_on(network, available)
        segment = found.segment if found is not None else network.segment
        if segment.network_type is NetworkType.VXLAN:
            return self.fabric
        return segment.physical_network in self.physical_networks


def served(
    port: Port,
    network: Network,
    subnets: Mapping[str, Subnet],
    where: WhereServed,
    available: Collection[str] = (),
) -> Served | None:
    """None: its client is not answered. A container's addresses come from its runtime.

    `available`: the physical networks that the host has.
    """
    if port.device_owner == CONTAINER_OWNER or not where.includes(network, available):
        return None
    held = [
        (subnet, fixed.ip_address)
        for fixed in port.fixed_ips
        if (subnet := subnets.get(fixed.subnet_id)) is not None and subnet.enable_dhcp
    ]
    v4 = _lease4(port, network, [one for one in held if one[0].ip_version == _IPV4])
    v6 = _lease6(port, network, [one for one in held if one[0].ip_version == _IPV6])
    return None if v4 is None and v6 is None else Served(v4=v4, v6=v6)


def _lease4(port: Port, network: Network, held: list[tuple[Subnet, str]]) -> Lease4 | None:
    """Of the first address: DHCPv4 gives an interface no more than one."""
    if not held:
        return None
    subnet, address = held[0]
    return Lease4(
        address=address,
        prefix_length=ip_network(subnet.cidr).prefixlen,
        gateway=subnet.gateway_ip,
        name_servers=subnet.dns_nameservers,
        routes=subnet.host_routes,
        mtu=network.mtu,
        hostname=port.dns_name.partition(".")[0],
        domain=(port.dns_domain or network.dns_domain).rstrip("."),
        options=_options(port.extra_dhcp_opts, _IPV4),
    )


def _lease6(port: Port, network: Network, held: list[tuple[Subnet, str]]) -> Lease6 | None:
    modes = {subnet.ipv6_address_mode for subnet, _ in held}
    prefixes = {
        subnet.id: Prefix6(cidr=subnet.cidr, is_autonomous=subnet.ipv6_ra_mode != STATEFUL)
        for subnet, _ in held
        if subnet.ipv6_ra_mode is not None
    }
    is_asked = not modes.isdisjoint((STATEFUL, STATELESS))
    if not (is_asked or prefixes):
        return None
    stateful = [address for subnet, address in held if subnet.ipv6_address_mode == STATEFUL]
    name_servers = dict.fromkeys(one for subnet, _ in held for one in subnet.dns_nameservers)
    return Lease6(
        addresses=tuple(stateful),
        is_asked=is_asked,
        name_servers=tuple(name_servers),
        prefixes=tuple(prefixes.values()),
        mtu=network.mtu,
        options=_options(port.extra_dhcp_opts, _IPV6),
    )


def _options(options: Iterable[DhcpOption], version: int) -> tuple[DhcpOption, ...]:
    return tuple(one for one in options if one.ip_version == version)
