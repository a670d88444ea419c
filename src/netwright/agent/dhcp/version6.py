"""DHCPv6 as one port's server says it (RFC 8415), and what its subnets' prefixes are. Pure.

    SOLICIT ─▶ ADVERTISE, or REPLY to one that wants to be done at once (rapid commit)
    REQUEST, RENEW, REBIND, CONFIRM, INFORMATION-REQUEST ─▶ REPLY, unless for another server
    RELEASE, DECLINE ─▶ REPLY: the address is the port's for as long as it is there
    router solicitation ─▶ router advertisement (RFC 4861)

An advertisement tells of prefixes, name servers, MTU, and whether to ask DHCPv6: of no router,
for the next hop would be who advertises. What it tells of lasts for ever, as the port's addresses
do, so that it is sent to who solicits alone.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from ipaddress import IPv6Address, IPv6Network
from typing import Final

from netwright.agent.dhcp import frames
from netwright.agent.dhcp.options import domains
from netwright.agent.dhcp.served import Lease6

_EVER = 0xFFFF_FFFF
VALID_S: Final = 86_400
_RENEW_S, _REBIND_S = VALID_S // 2, VALID_S * 4 // 5

OUR_DUID: Final = struct.pack("!HH", 3, 1) + frames.OUR_MAC
OUR_ADDRESS: Final = IPv6Address("fe80::4e:57ff:fe00:1")
"""The link-local address that belongs to `frames.OUR_MAC`."""

_CLIENT_ID, _SERVER_ID, _IA_NA, _IA_ADDRESS, _STATUS, _RAPID = 1, 2, 3, 5, 13, 14
_NAME_SERVERS, _DOMAINS, _SNTP, _REFRESH, _BOOT_URL = 23, 24, 31, 32, 59
_SUCCESS, _NO_ADDRESSES, _NOT_ON_LINK = 0, 2, 4
_PORTS = (547, 546)
_OPTION = struct.Struct("!HH")
_IA = struct.Struct("!III")
_LEASED = struct.Struct("!16sII")
_ADVERTISEMENT = struct.Struct("!BBHBBHII")
_PREFIX = struct.Struct("!BBBBIII16s")
_ICMP6 = 58
_SOLICITATION, _ADVERTISED = 133, 134
_MANAGED, _OTHER = 0x80, 0x40
_ON_LINK, _AUTONOMOUS = 0x80, 0x40
_UNKNOWN = IPv6Address("::")
_ALL_NODES = IPv6Address("ff02::1")


class Kind(IntEnum):
    """RFC 8415, 7.3."""

    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    INFORMATION_REQUEST = 11


_TO_ONE_SERVER = frozenset({Kind.REQUEST, Kind.RENEW, Kind.RELEASE, Kind.DECLINE})
_OF_ADDRESSES = frozenset({Kind.SOLICIT, Kind.REQUEST, Kind.RENEW, Kind.REBIND})
_OURS = frozenset({Kind.ADVERTISE, Kind.REPLY})


class Message:
    """A client's message, taken apart. Raises ValueError for what is none."""

    def __init__(self, body: bytes) -> None:
        if len(body) < _OPTION.size:
            raise ValueError("no DHCPv6 message")
        self.kind = Kind(body[0])
        self.transaction = body[1:4]
        found: dict[int, list[bytes]] = {}
        for code, value in _read_options(body[4:]):
            found.setdefault(code, []).append(value)
        self.options: Mapping[int, list[bytes]] = found

    def one(self, code: int) -> bytes | None:
        return self.options.get(code, [None])[0]

    @property
    def associations(self) -> Iterator[tuple[bytes, tuple[IPv6Address, ...]]]:
        """The id of each IA_NA, and the addresses that it has. Raises ValueError."""
        for value in self.options.get(_IA_NA, ()):
            if len(value) < _IA.size:
                raise ValueError("an IA_NA that is cut off")
            held = (one for code, one in _read_options(value[_IA.size :]) if code == _IA_ADDRESS)
            yield value[:4], tuple(IPv6Address(one[:16]) for one in held)


def answer(lease: Lease6, mac: bytes, frame: bytes) -> bytes | None:
    """The frame that the client behind the port gets; None: it gets none.

    Raises ValueError for what is no client's message.
    """
    said = frames.read(frame)
    if said.mac != mac or not isinstance(said.source, IPv6Address):
        return None
    if said.protocol == _ICMP6:
        return _advertisement(lease, mac, said.source, said.payload)
    message = Message(frames.read_udp(said))
    if not lease.is_asked or not _is_for_us(message):
        return None
    wants_all_now = message.kind is Kind.SOLICIT and message.one(_RAPID) is not None
    kind = Kind.ADVERTISE if message.kind is Kind.SOLICIT and not wants_all_now else Kind.REPLY
    told = b"".join(_told(lease, message, is_rapid=wants_all_now))
    body = bytes([kind]) + message.transaction + told
    return frames.datagram6(mac, OUR_ADDRESS, said.source, _PORTS, body)


def unknown_options(lease: Lease6) -> tuple[str, ...]:
    """Why options of the port's own are not sent."""
    return tuple(why for *_, why in _own_options(lease) if why)


def _is_for_us(message: Message) -> bool:
    """Whether a server answers it, and whether that is us."""
    server = message.one(_SERVER_ID)
    if message.kind in _OURS:
        return False
    if message.kind in _TO_ONE_SERVER:
        return server == OUR_DUID and message.one(_CLIENT_ID) is not None
    return server is None or (message.kind is Kind.INFORMATION_REQUEST and server == OUR_DUID)


def _told(lease: Lease6, message: Message, *, is_rapid: bool) -> Iterator[bytes]:
    if (client := message.one(_CLIENT_ID)) is not None:
        yield _option(_CLIENT_ID, client)
    yield _option(_SERVER_ID, OUR_DUID)
    if is_rapid:
        yield _option(_RAPID, b"")
    if message.kind is Kind.CONFIRM:
        held = {one for _, addresses in message.associations for one in addresses}
        ours = set(map(IPv6Address, lease.addresses))
        yield _status(_SUCCESS if held <= ours else _NOT_ON_LINK)
    elif message.kind in {Kind.RELEASE, Kind.DECLINE}:
        yield _status(_SUCCESS)
    if message.kind in _OF_ADDRESSES:
        yield from _associations(lease, message)
    for code, value in _configuration(lease).items():
        yield _option(code, value)


def _associations(lease: Lease6, message: Message) -> Iterator[bytes]:
    """The first has all the port's addresses; what else the client thinks it has ends at once."""
    for place, (ia, held) in enumerate(message.associations):
        given = [] if place else [IPv6Address(one) for one in lease.addresses]
        leased = [_option(_IA_ADDRESS, _LEASED.pack(a.packed, VALID_S, VALID_S)) for a in given]
        if message.kind in {Kind.RENEW, Kind.REBIND, Kind.REQUEST}:
            lost = [one for one in held if one not in given]
            leased += [_option(_IA_ADDRESS, _LEASED.pack(one.packed, 0, 0)) for one in lost]
        if not given:
            leased.append(_status(_NO_ADDRESSES))
        head = ia + struct.pack("!II", _RENEW_S, _REBIND_S)
        yield _option(_IA_NA, head + b"".join(leased))


def _configuration(lease: Lease6) -> dict[int, bytes]:
    told: dict[int, bytes] = {}
    if servers := _packed(lease.name_servers):
        told[_NAME_SERVERS] = servers
    told.update({code: value for code, value, why in _own_options(lease) if not why})
    return {code: value for code, value in told.items() if value}


def _own_options(lease: Lease6) -> Iterator[tuple[int, bytes, str]]:
    """(code, value, why it is not sent)."""
    for one in lease.options:
        try:
            yield *option(one.opt_name, one.opt_value), ""
        except ValueError as error:
            yield 0, b"", str(error)


_KNOWN: Mapping[str, int] = {
    "dns-server": _NAME_SERVERS,
    "domain-search": _DOMAINS,
    "sntp-server": _SNTP,
    "information-refresh-time": _REFRESH,
    "bootfile-url": _BOOT_URL,
}


def option(name: str, value: str) -> tuple[int, bytes]:
    """A DHCPv6 option by dnsmasq's name of it, or its number. Raises ValueError."""
    plain = name.removeprefix("option6:").removeprefix("option:")
    code = _KNOWN.get(plain) or (int(plain) if plain.isdecimal() and plain.isascii() else 0)
    if not _RAPID + 2 < code <= 0xFFFF or code in {25, 26}:  # noqa: PLR2004 - the protocol's own
        raise ValueError(f"DHCPv6 option {name} is not known here")
    try:
        return code, _octets(code, value) if value else b""
    except ValueError as error:
        raise ValueError(f"DHCPv6 option {name}: {error}") from None


def _octets(code: int, value: str) -> bytes:
    if code == _DOMAINS:
        return domains(value)
    if code == _REFRESH:
        return struct.pack("!I", min(int(value), _EVER))
    try:
        return b"".join(IPv6Address(one.strip()).packed for one in value.split(","))
    except ValueError:
        if code in {_NAME_SERVERS, _SNTP}:
            raise
        return value.encode()


def _advertisement(lease: Lease6, mac: bytes, source: IPv6Address, message: bytes) -> bytes | None:
    if not lease.prefixes or message[:1] != bytes([_SOLICITATION]):
        return None
    flags = (_MANAGED if lease.addresses else 0) | (_OTHER if lease.is_asked else 0)
    body = _ADVERTISEMENT.pack(_ADVERTISED, 0, 0, 64, flags, 0, 0, 0)
    body += struct.pack("!BBHI", 5, 1, 0, lease.mtu)
    for prefix in lease.prefixes:
        network = IPv6Network(prefix.cidr)
        how = _ON_LINK | (_AUTONOMOUS if prefix.is_autonomous else 0)
        address = network.network_address.packed
        body += _PREFIX.pack(3, 4, network.prefixlen, how, _EVER, _EVER, 0, address)
    if servers := _packed(lease.name_servers):
        body += struct.pack("!BBHI", 25, 1 + len(servers) // 8, 0, _EVER) + servers
    target = _ALL_NODES if source == _UNKNOWN else source
    found = frames.icmp6_checksum(OUR_ADDRESS, target, body)
    whole = body[:2] + struct.pack("!H", found) + body[4:]
    return frames.packet6(mac, OUR_ADDRESS, target, _ICMP6, whole)


def _packed(addresses: Iterable[str]) -> bytes:
    return b"".join(IPv6Address(one).packed for one in addresses if ":" in one)


def _status(code: int) -> bytes:
    return _option(_STATUS, struct.pack("!H", code))


def _option(code: int, value: bytes) -> bytes:
    return _OPTION.pack(code, len(value)) + value


def _read_options(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(octets):
        if at + _OPTION.size > len(octets):
            raise ValueError("a DHCPv6 option that is cut off")
        code, length = _OPTION.unpack_from(octets, at)
        at += _OPTION.size
        if at + length > len(octets):
            raise ValueError(f"DHCPv6 option {code} is cut off")
        yield code, octets[at : at + length]
        at += length
