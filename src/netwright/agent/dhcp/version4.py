"""DHCPv4 as one port's server says it (RFC 2131, 2132). Pure.

    DISCOVER ─▶ OFFER         INFORM ─▶ ACK without a lease
    REQUEST of our address ─▶ ACK, of another ─▶ NAK, of another server ─▶ nothing
    DECLINE, RELEASE ─▶ nothing: the address is the port's for as long as it is there

The server names itself by the subnet's gateway, so that a client's renewal, which it sends to that
address, can be resolved; it is taken from the port wherever it is sent to. Without a gateway that
fails, and the client asks all a while later (RFC 2131, 4.4.5).
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from netwright.agent.dhcp import frames, options
from netwright.agent.dhcp.served import Lease4
from netwright.model.resources import HostRoute

LEASE_S: Final = 86_400
NOBODYS_SERVER: Final = IPv4Address("169.254.1.1")
"""Who answers where the subnet has no gateway."""

_HEAD = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s")
_COOKIE = bytes.fromhex("63825363")
_REQUEST, _REPLY, _ETHERNET = 1, 2, 1
_BROADCAST_FLAG = 0x8000
_PORTS = (67, 68)
_END, _PAD = 255, 0
_ANY = IPv4Address(0)
_ALL = IPv4Address("255.255.255.255")
_ALL_MAC = b"\xff" * 6
_SIZE_MIN, _SIZE_MAX = 576, 1400
_ASKED_FOR, _KIND, _SERVER, _WISHES, _SIZE, _CLIENT = 50, 53, 54, 55, 57, 61
_OPTION_LENGTH_MAX = 255
_FILE_LENGTH_MAX = 127


class Kind(IntEnum):
    """RFC 2132, 9.6."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Message:
    """A client's message, taken apart. Raises ValueError for what is none."""

    def __init__(self, body: bytes) -> None:
        if len(body) < _HEAD.size + len(_COOKIE) or body[_HEAD.size :][:4] != _COOKIE:
            raise ValueError("no DHCP message")
        head = _HEAD.unpack_from(body)
        operation, hardware, length, _, self.transaction, _, self.flags = head[:7]
        if (operation, hardware, length) != (_REQUEST, _ETHERNET, 6):
            raise ValueError("no request of an Ethernet client")
        self.client_address = IPv4Address(head[7])
        self.relay = IPv4Address(head[10])
        self.hardware: bytes = head[11]
        self.options = dict(_read_options(body[_HEAD.size + len(_COOKIE) :]))
        self.kind = Kind(self._number(_KIND, 1) or 0)

    @property
    def mac(self) -> bytes:
        return self.hardware[:6]

    @property
    def wishes(self) -> bytes:
        """The options that the client asks for, the dearest first."""
        return self.options.get(_WISHES, b"")

    @property
    def size_max(self) -> int:
        """The longest reply that the client takes, IP's and UDP's heads included."""
        return min(max(self._number(_SIZE, 2) or 0, _SIZE_MIN), _SIZE_MAX)

    def address(self, code: int) -> IPv4Address | None:
        value = self.options.get(code, b"")
        return IPv4Address(value) if len(value) == 4 else None  # noqa: PLR2004 - octets

    @property
    def wanted(self) -> IPv4Address | None:
        """The address that it wants to have, or has."""
        return self.address(_ASKED_FOR) or (
            self.client_address if self.client_address != _ANY else None
        )

    @property
    def server(self) -> IPv4Address | None:
        """Whom of several servers it has chosen."""
        return self.address(_SERVER)

    def _number(self, code: int, size: int) -> int | None:
        value = self.options.get(code, b"")
        return int.from_bytes(value, "big") if len(value) == size else None


def answer(lease: Lease4, mac: bytes, frame: bytes) -> bytes | None:
    """The frame that the client behind the port gets; None: it gets none.

    Raises ValueError for what is no client's message.
    """
    message = Message(frames.read_udp(frames.read(frame)))
    if message.mac != mac or message.relay != _ANY:
        return None
    kind = _kind(lease, message)
    return None if kind is None else _reply(lease, message, kind)


def unknown_options(lease: Lease4) -> tuple[str, ...]:
    """Why options of the port's own are not sent."""
    return tuple(why for *_, why in _own_options(lease) if why)


def server_of(lease: Lease4) -> IPv4Address:
    return NOBODYS_SERVER if lease.gateway is None else IPv4Address(lease.gateway)


def _kind(lease: Lease4, message: Message) -> Kind | None:
    """What it is answered by."""
    if message.kind is Kind.DISCOVER:
        return Kind.OFFER
    if message.kind is Kind.INFORM:
        return Kind.ACK
    if message.kind is not Kind.REQUEST or message.server not in {None, server_of(lease)}:
        return None
    return Kind.ACK if message.wanted == IPv4Address(lease.address) else Kind.NAK


def _reply(lease: Lease4, message: Message, kind: Kind) -> bytes:
    server, leased = server_of(lease), IPv4Address(lease.address)
    is_informed = message.kind is Kind.INFORM
    told: dict[int, bytes] = {_KIND: bytes([kind]), _SERVER: server.packed}
    if kind is not Kind.NAK:
        told |= _configuration(lease, is_leased=not is_informed)
    if client := message.options.get(_CLIENT):
        told[_CLIENT] = client  # RFC 6842
    body = _head(message, told, leased if kind is not Kind.NAK and not is_informed else _ANY)
    body += _COOKIE + _fitting(told, message, message.size_max - 28 - len(body) - len(_COOKIE))
    is_told_to_all = kind is Kind.NAK or bool(message.flags & _BROADCAST_FLAG)
    target = message.client_address if message.client_address != _ANY else leased
    if is_told_to_all:
        return frames.datagram4(_ALL_MAC, server, _ALL, _PORTS, body)
    return frames.datagram4(message.mac, server, target, _PORTS, body)


def _head(message: Message, told: dict[int, bytes], given: IPv4Address) -> bytes:
    """The fixed part. Boot loaders of old read file and server there (RFC 2131, 2)."""
    file = told.get(options.BOOT_FILE, b"")
    file = file if len(file) <= _FILE_LENGTH_MAX else b""
    booting = told.get(options.SERVER_ADDRESS, b"")[:4]
    client = message.client_address if message.kind is not Kind.DISCOVER else _ANY
    return _HEAD.pack(
        _REPLY, _ETHERNET, 6, 0, message.transaction, 0, message.flags, client.packed,
        given.packed, booting, bytes(4), message.hardware, b"", file,
    )  # fmt: skip


def _configuration(lease: Lease4, *, is_leased: bool) -> dict[int, bytes]:
    """Options of the subnet, and the port's own, which take their place."""
    network = IPv4Network(f"{lease.address}/{lease.prefix_length}", strict=False)
    told: dict[int, bytes] = {
        options.NETMASK: network.netmask.packed,
        options.MTU: struct.pack("!H", min(lease.mtu, 0xFFFF)),
    }
    if is_leased:
        told[options.LEASE_TIME] = struct.pack("!I", LEASE_S)
    ways = list(lease.routes)
    if lease.gateway is not None:
        told[options.ROUTER] = IPv4Address(lease.gateway).packed
        ways.append(HostRoute(destination="0.0.0.0/0", nexthop=lease.gateway))
    if lease.routes:  # who reads these heeds no router beside them (RFC 3442)
        told[options.ROUTES] = told[options.ROUTES_OF_MICROSOFT] = options.routes(ways)
    servers = [IPv4Address(one).packed for one in lease.name_servers if ":" not in one]
    if servers:
        told[options.NAME_SERVERS] = b"".join(servers)
    told[options.HOSTNAME] = lease.hostname.encode()
    told[options.DOMAIN] = lease.domain.encode()
    told.update({code: value for code, value, why in _own_options(lease) if not why})
    return {code: value for code, value in told.items() if value}


def _own_options(lease: Lease4) -> Iterator[tuple[int, bytes, str]]:
    """(code, value, why it is not sent)."""
    for one in lease.options:
        try:
            yield *options.option(one.opt_name, one.opt_value), ""
        except ValueError as error:
            yield 0, b"", str(error)


def _fitting(told: dict[int, bytes], message: Message, room: int) -> bytes:
    """As many options as there is room for: what must be, what was asked for, the rest."""
    wishes = {code: place for place, code in enumerate(message.wishes)}
    must = {_KIND: -9, _SERVER: -8, options.LEASE_TIME: -7, options.NETMASK: -6, _CLIENT: -5}
    found = b""
    for code in sorted(told, key=lambda code: (must.get(code, wishes.get(code, 256)), code)):
        encoded = _encoded(code, told[code])
        if len(found) + len(encoded) < room:
            found += encoded
    return found + bytes([_END])


def _encoded(code: int, value: bytes) -> bytes:
    """A long one as several, which the client puts together (RFC 3396)."""
    parts = [value[at : at + _OPTION_LENGTH_MAX] for at in range(0, len(value), _OPTION_LENGTH_MAX)]
    return b"".join(bytes([code, len(part)]) + part for part in parts)


def _read_options(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(octets) and octets[at] != _END:
        code = octets[at]
        if code == _PAD:
            at += 1
            continue
        if at + 2 > len(octets) or at + 2 + octets[at + 1] > len(octets):
            raise ValueError(f"DHCP option {code} is cut off")
        yield code, octets[at + 2 : at + 2 + octets[at + 1]]
        at += 2 + octets[at + 1]
