"""DHCPv4 options by the names that dnsmasq knows them by, as octets (RFC 2132 and its kin). Pure.

Neutron hands its ports' options to dnsmasq, so that what works there is what people write: a name
of `dnsmasq --help dhcp`, or a number, `option:` before it or not. What a number's value is, its
form says: addresses, a whole number, octets by 0x or colons, else text.
"""

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from netwright.model.resources import HostRoute

CODE_MAX: Final = 254

_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})+|[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2})+")
_SMALL = {1: "!B", 2: "!H", 4: "!I"}


def _addresses(value: str) -> bytes:
    return b"".join(IPv4Address(one.strip()).packed for one in value.split(","))


def _text(value: str) -> bytes:
    return value.encode()


def _octet(value: str) -> bytes:
    return _number(value, 1)


def _short(value: str) -> bytes:
    return _number(value, 2)


def _long(value: str) -> bytes:
    return _number(value, 4)


def _number(value: str, size: int) -> bytes:
    try:
        return struct.pack(_SMALL[size], int(value))
    except struct.error:
        raise ValueError(f"{value} is no number of {size} octets") from None


def domains(value: str) -> bytes:
    """Names as DNS has them, uncompressed (RFC 3397)."""
    found = b""
    for name in value.split(","):
        labels = [label.encode("idna") for label in name.strip().strip(".").split(".")]
        found += b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return found


def _routes(value: str) -> bytes:
    """`DESTINATION,GATEWAY,…`, as dnsmasq takes them."""
    parts = [part.strip() for part in value.split(",")]
    if len(parts) % 2:
        raise ValueError(f"{value} is no row of prefixes and gateways")
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return routes(HostRoute(destination=to, nexthop=by) for to, by in pairs)


def routes(given: Iterable[HostRoute]) -> bytes:
    """Classless static routes (RFC 3442). Raises ValueError."""
    found = b""
    for route in given:
        to = IPv4Network(route.destination)
        significant = (to.prefixlen + 7) // 8
        found += bytes([to.prefixlen]) + to.network_address.packed[:significant]
        found += IPv4Address(route.nexthop).packed
    return found


def _guessed(value: str) -> bytes:
    """A numbered option's value by its form."""
    if _HEX.fullmatch(value):
        return bytes.fromhex(value.removeprefix("0x").replace(":", ""))
    if value.isdecimal() and int(value) < 1 << 32:
        size = next(size for size in _SMALL if int(value) < 1 << size * 8)
        return _number(value, size)
    try:
        return _addresses(value)
    except ValueError:
        return _text(value)


ROUTER, NAME_SERVERS, ROUTES, ROUTES_OF_MICROSOFT = 3, 6, 121, 249
HOSTNAME, DOMAIN, BOOT_FILE, TFTP_SERVER, SERVER_ADDRESS = 12, 15, 67, 66, 150
NETMASK, MTU, LEASE_TIME, RENEWAL, REBINDING = 1, 26, 51, 58, 59

_KNOWN: Mapping[str, tuple[int, Callable[[str], bytes]]] = {
    "netmask": (NETMASK, _addresses),
    "time-offset": (2, _long),
    "router": (ROUTER, _addresses),
    "dns-server": (NAME_SERVERS, _addresses),
    "log-server": (7, _addresses),
    "lpr-server": (9, _addresses),
    "hostname": (HOSTNAME, _text),
    "boot-file-size": (13, _short),
    "domain-name": (DOMAIN, _text),
    "swap-server": (16, _addresses),
    "root-path": (17, _text),
    "extension-path": (18, _text),
    "ip-forward-enable": (19, _octet),
    "default-ttl": (23, _octet),
    "mtu": (MTU, _short),
    "all-subnets-local": (27, _octet),
    "broadcast": (28, _addresses),
    "router-discovery": (31, _octet),
    "static-route": (33, _addresses),
    "arp-timeout": (35, _long),
    "tcp-ttl": (37, _octet),
    "tcp-keepalive": (38, _long),
    "nis-domain": (40, _text),
    "nis-server": (41, _addresses),
    "ntp-server": (42, _addresses),
    "vendor-encap": (43, _guessed),
    "netbios-ns": (44, _addresses),
    "netbios-dd": (45, _addresses),
    "netbios-nodetype": (46, _octet),
    "netbios-scope": (47, _text),
    "x-windows-fs": (48, _addresses),
    "x-windows-dm": (49, _addresses),
    "lease-time": (LEASE_TIME, _long),
    "T1": (RENEWAL, _long),
    "T2": (REBINDING, _long),
    "vendor-class": (60, _text),
    "nis+-domain": (64, _text),
    "nis+-server": (65, _addresses),
    "tftp-server": (TFTP_SERVER, _text),
    "bootfile-name": (BOOT_FILE, _text),
    "mobile-ip-home": (68, _addresses),
    "smtp-server": (69, _addresses),
    "pop3-server": (70, _addresses),
    "nntp-server": (71, _addresses),
    "irc-server": (74, _addresses),
    "user-class": (77, _text),
    "client-arch": (93, _short),
    "posix-timezone": (100, _text),
    "tzdb-timezone": (101, _text),
    "domain-search": (119, domains),
    "classless-static-route": (ROUTES, _routes),
    "server-ip-address": (SERVER_ADDRESS, _addresses),
}
_OURS_ALONE = frozenset({0, 50, 53, 54, 55, 57, 61, 82, 255})
"""What is the protocol's, and no port's to say."""


def option(name: str, value: str) -> tuple[int, bytes]:
    """An option's code and octets; none of them: it is not sent at all. Raises ValueError."""
    plain = name.removeprefix("option:")
    code, encode = _KNOWN.get(plain, (0, _guessed))
    if not code:
        code = int(plain) if plain.isdecimal() and plain.isascii() else 0
    if not 0 < code <= CODE_MAX or code in _OURS_ALONE:
        raise ValueError(f"DHCP option {name} is not known here")
    try:
        return code, encode(value) if value else b""
    except ValueError as error:
        raise ValueError(f"DHCP option {name}: {error}") from None
