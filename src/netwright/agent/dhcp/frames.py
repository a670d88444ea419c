"""Ethernet, IP and UDP around what clients and we say to each other. Pure."""

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

OUR_MAC: Final = bytes.fromhex("024e57000001")
"""Who answers: the same on every host, as nobody else's place is learnt by it."""

_ETHERNET = struct.Struct("!6s6sH")
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_UDP = struct.Struct("!HHHH")
_ETHERTYPE_IPV4, _ETHERTYPE_IPV6 = 0x0800, 0x86DD
_UDP_PROTOCOL = 17
_HOP_LIMIT = 255
_FRAGMENT = 0x3FFF
"""More fragments, or not the first of them."""


class Said(NamedTuple):
    """What came in: the IPv6 or IPv4 protocol, its source, and what is above IP."""

    mac: bytes
    source: IPv4Address | IPv6Address
    protocol: int
    payload: bytes


def read(frame: bytes) -> Said:
    """Take a frame's IP packet apart. Raises ValueError for what is none, or not whole."""
    try:
        _, mac, ethertype = _ETHERNET.unpack_from(frame)
        if ethertype == _ETHERTYPE_IPV4:
            return _read4(mac, frame[_ETHERNET.size :])
        if ethertype == _ETHERTYPE_IPV6:
            return _read6(mac, frame[_ETHERNET.size :])
    except struct.error as error:
        raise ValueError(f"a frame that ends amid its head: {error}") from None
    raise ValueError(f"ethertype {ethertype:#x}")


def read_udp(said: Said) -> bytes:
    """What a datagram carries. Raises ValueError when it is none, or not whole."""
    if said.protocol != _UDP_PROTOCOL or len(said.payload) < _UDP.size:
        raise ValueError("no UDP")
    _, _, length, _ = _UDP.unpack_from(said.payload)
    if not _UDP.size <= length <= len(said.payload):
        raise ValueError(f"a datagram of {length} octets in {len(said.payload)}")
    return said.payload[_UDP.size : length]


def datagram4(
    to_mac: bytes, source: IPv4Address, target: IPv4Address, ports: tuple[int, int], body: bytes
) -> bytes:
    """A frame with a datagram; its UDP checksum is left out, as RFC 768 allows."""
    udp = _UDP.pack(*ports, _UDP.size + len(body), 0) + body
    length = _IPV4.size + len(udp)
    fields = (0x45, 0, length, 0, 0, 64, _UDP_PROTOCOL)
    head = _IPV4.pack(*fields, 0, source.packed, target.packed)
    head = _IPV4.pack(*fields, checksum(head), source.packed, target.packed)
    return _ETHERNET.pack(to_mac, OUR_MAC, _ETHERTYPE_IPV4) + head + udp


def datagram6(
    to_mac: bytes, source: IPv6Address, target: IPv6Address, ports: tuple[int, int], body: bytes
) -> bytes:
    length = _UDP.size + len(body)
    covered = _pseudo6(source, target, length, _UDP_PROTOCOL)
    found = checksum(covered + _UDP.pack(*ports, length, 0) + body) or 0xFFFF
    return packet6(to_mac, source, target, _UDP_PROTOCOL, _UDP.pack(*ports, length, found) + body)


def packet6(
    to_mac: bytes, source: IPv6Address, target: IPv6Address, protocol: int, payload: bytes
) -> bytes:
    head = _IPV6.pack(6 << 28, len(payload), protocol, _HOP_LIMIT, source.packed, target.packed)
    return _ETHERNET.pack(to_mac, OUR_MAC, _ETHERTYPE_IPV6) + head + payload


def icmp6_checksum(source: IPv6Address, target: IPv6Address, message: bytes) -> int:
    """Of a message whose checksum is 0 (RFC 4443, 2.3)."""
    return checksum(_pseudo6(source, target, len(message), 58) + message)


def checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = octets + bytes(len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _pseudo6(source: IPv6Address, target: IPv6Address, length: int, protocol: int) -> bytes:
    return source.packed + target.packed + struct.pack("!II", length, protocol)


def _read4(mac: bytes, packet: bytes) -> Said:
    first, _, length, _, fragment, _, protocol, _, source, _ = _IPV4.unpack_from(packet)
    head = (first & 0x0F) * 4
    if first >> 4 != 4 or head < _IPV4.size or not head <= length <= len(packet):  # noqa: PLR2004
        raise ValueError("an IPv4 packet whose lengths do not fit")
    if fragment & _FRAGMENT:
        raise ValueError("a fragment")
    return Said(mac, IPv4Address(source), protocol, packet[head:length])


def _read6(mac: bytes, packet: bytes) -> Said:
    first, length, protocol, _, source, _ = _IPV6.unpack_from(packet)
    end = _IPV6.size + length
    if first >> 28 != 6 or end > len(packet):  # noqa: PLR2004
        raise ValueError("an IPv6 packet whose lengths do not fit")
    return Said(mac, IPv6Address(source), protocol, packet[_IPV6.size : end])
