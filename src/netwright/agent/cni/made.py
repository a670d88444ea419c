"""What a container's interface is to have, the result that says so, and how what is there differs.

Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_interface
from typing import Any

from msgspec.structs import replace

from netwright.agent.cni.asked import Bandwidth, Result
from netwright.linux.shaping import Limit, limit
from netwright.model.resources import Network, Port, Subnet, Value

DEVICE_PREFIX = "nwc"
LINK_MARK = "netwright container "
"""What the alias of a host's end begins with; the container's id follows."""
_PORT_ID_CHARACTERS = 11
_SHOWN_MAX = 100
DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}
HAS_NO_IP_VERSION = "1.0.0"  # from there on


class Address(Value, frozen=True, kw_only=True):
    """With its prefix length; the gateway is that of its subnet, or ""."""

    address: str
    gateway: str = ""


class Way(Value, frozen=True, kw_only=True):
    """A route: what lies behind which neighbour."""

    destination: str
    nexthop: str


class Fitting(Value, frozen=True, kw_only=True):
    """A container's end of a veth, and the name of the host's.

    `sent` and `received` are limits of what the container does, None without one.
    """

    port_id: str
    device: str
    mac_address: str
    mtu: int
    addresses: tuple[Address, ...]
    ways: tuple[Way, ...]
    nameservers: tuple[str, ...] = ()
    sent: Limit | None = None
    received: Limit | None = None


class Seen(Value, frozen=True, kw_only=True):
    """An interface as the kernel has it; `ways` are those of ours."""

    mac_address: str
    mtu: int
    is_up: bool
    addresses: frozenset[str]
    ways: frozenset[Way]


def device_of(port_id: str) -> str:
    """The host's end: at most 15 characters, as the kernel has it."""
    return f"{DEVICE_PREFIX}{port_id[:_PORT_ID_CHARACTERS]}"


def mark_of(container_id: str) -> str:
    """The alias of a container's devices on the host."""
    return f"{LINK_MARK}{container_id}"


def fitting(
    port: Port, network: Network, subnets: Mapping[str, Subnet], *, default_route: bool
) -> Fitting | None:
    """What the port's interface is to have; None while a subnet of it is not known."""
    if any(ip.subnet_id not in subnets for ip in port.fixed_ips):
        return None
    of = [(ip.ip_address, subnets[ip.subnet_id]) for ip in port.fixed_ips]
    ways: dict[str, Way] = {}
    for _, subnet in of:
        if default_route and subnet.gateway_ip:
            destination = DEFAULTS[subnet.ip_version]
            ways.setdefault(destination, Way(destination=destination, nexthop=subnet.gateway_ip))
        for route in subnet.host_routes:
            way = Way(destination=route.destination, nexthop=route.nexthop)
            ways.setdefault(route.destination, way)
    return Fitting(
        port_id=port.id,
        device=device_of(port.id),
        mac_address=port.mac_address,
        mtu=network.mtu,
        addresses=tuple(
            Address(
                address=f"{address}/{subnet.cidr.partition('/')[2]}",
                gateway=subnet.gateway_ip or "",
            )
            for address, subnet in of
        ),
        ways=tuple(ways.values()),
        nameservers=tuple(
            dict.fromkeys(server for _, subnet in of for server in subnet.dns_nameservers)
        ),
    )


def without_addresses(port_id: str, mtu: int) -> Fitting:
    """Of a port that is not known yet: its device alone."""
    device = device_of(port_id)
    return Fitting(port_id=port_id, device=device, mac_address="", mtu=mtu, addresses=(), ways=())


def limited(fit: Fitting, asked: Bandwidth) -> Fitting:
    """With the limits that were asked for: a container's ingress is what it receives."""
    received = limit(asked.ingress_rate, asked.ingress_burst, fit.mtu)
    sent = limit(asked.egress_rate, asked.egress_burst, fit.mtu)
    return replace(
        fit,
        received=received if asked.ingress_rate else None,
        sent=sent if asked.egress_rate else None,
    )


def result(version: str, fit: Fitting, netns: str, ifname: str) -> dict[str, Any]:
    """The result of ADD in this version of the specification (section 5, "Success")."""
    host: dict[str, Any] = {"name": fit.device}
    container: dict[str, Any] = {"name": ifname, "mac": fit.mac_address, "sandbox": netns}
    if version == "1.1.0":
        host["mtu"] = container["mtu"] = fit.mtu
    made: dict[str, Any] = {
        "cniVersion": version,
        "interfaces": [host, container],
        "ips": [_ip(version, one) for one in fit.addresses],
        "routes": [{"dst": way.destination, "gw": way.nexthop} for way in fit.ways],
        "dns": {"nameservers": list(fit.nameservers)} if fit.nameservers else {},
    }
    return made


def _ip(version: str, one: Address) -> dict[str, Any]:
    found: dict[str, Any] = {"address": one.address, "interface": 1}
    if version < HAS_NO_IP_VERSION:
        found["version"] = str(ip_interface(one.address).version)
    if one.gateway:
        found["gateway"] = one.gateway
    return found


def differences(
    fit: Fitting, before: Result, seen: Seen | None, *, netns: str, ifname: str
) -> Sequence[str]:
    """In words, what ADD answered or made and is not so now."""
    inside = [one for one in before.interfaces if one.sandbox and one.name == ifname]
    found = [*_of_result(fit, before, inside_count=len(inside))]
    for one in inside:
        if one.mac and one.mac.lower() != fit.mac_address:
            found.append(f"prevResult has MAC {one.mac}, the port {fit.mac_address}")
        if one.sandbox != netns:
            found.append(f"prevResult has {ifname} in {one.sandbox}, CNI_NETNS is {netns}")
    return [*found, *_of_kernel(fit, seen, ifname)]


def _of_result(fit: Fitting, before: Result, *, inside_count: int) -> Iterable[str]:
    if inside_count != 1:
        yield f"prevResult has {inside_count} interfaces of that name in a sandbox"
    told = {_canonical(one.address) for one in before.ips}
    own = {str(ip_interface(one.address)) for one in fit.addresses}
    if told != own:
        yield f"prevResult has addresses {_listed(told)}, the port {_listed(own)}"


def _canonical(address: str) -> str:
    """A runtime may remember anything."""
    try:
        return str(ip_interface(address))
    except ValueError:
        return repr(address[:_SHOWN_MAX])


def _of_kernel(fit: Fitting, seen: Seen | None, ifname: str) -> Iterable[str]:
    if seen is None:
        yield f"there is no {ifname}"
        return
    if not seen.is_up:
        yield f"{ifname} is down"
    if seen.mac_address != fit.mac_address:
        yield f"{ifname} has MAC {seen.mac_address}, not {fit.mac_address}"
    if seen.mtu != fit.mtu:
        yield f"{ifname} has MTU {seen.mtu}, not {fit.mtu}"
    lacking = {str(ip_interface(one.address)) for one in fit.addresses} - seen.addresses
    if lacking:
        yield f"{ifname} lacks {_listed(lacking)}"
    if gone := [way.destination for way in fit.ways if way not in seen.ways]:
        yield f"{ifname} lacks routes to {_listed(gone)}"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "none"
