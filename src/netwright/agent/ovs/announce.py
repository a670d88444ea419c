"""What a port says of itself when it has come up: here I am. Pure.

Switches that have learned its MAC elsewhere, and neighbours that hold its address in their caches,
learn the new place at once instead of after a time-out; the instance itself may stay silent.
"""

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

_BROADCAST = b"\xff" * 6
_ETHERTYPE_ARP = 0x0806
_ETHERTYPE_RARP = 0x8035
_ETHERTYPE_IPV6 = 0x86DD
_ARP_ETHERNET_IPV4_REQUEST = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
_RARP_ETHERNET_IPV4_REQUEST = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 3)
_ICMPV6 = 58
_NEIGHBOUR_ADVERTISEMENT = 136
_OVERRIDE = 0x2000_0000
_TARGET_LINK_LAYER_ADDRESS = b"\x02\x01"
_ALL_NODES = IPv6Address("ff02::1")
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_HOP_LIMIT = 255


def announcements(mac: str, addresses: Iterable[str]) -> list[bytes]:
    """A frame for each address, as the port itself would send it."""
    sender = bytes.fromhex(mac.replace(":", ""))
    parsed = (ip_address(address) for address in addresses)
    return [
        gratuitous_arp(sender, address)
        if isinstance(address, IPv4Address)
        else unsolicited_advertisement(sender, address)
        for address in parsed
    ]


def reverse_request(mac: str) -> bytes:
    """Who am I: a reverse ARP request (RFC 903), as hypervisors send it for a machine that comes.

    It names no address, so bridges which suppress ARP let it through: all switches hear of the MAC.
    """
    octets = bytes.fromhex(mac.replace(":", ""))
    body = _RARP_ETHERNET_IPV4_REQUEST + octets + bytes(4) + octets + bytes(4)
    return _BROADCAST + octets + struct.pack("!H", _ETHERTYPE_RARP) + body


def gratuitous_arp(mac: bytes, address: IPv4Address) -> bytes:
    """An ARP announcement: a broadcast request for one's own address (RFC 5227, 2.3)."""
    body = _ARP_ETHERNET_IPV4_REQUEST + mac + address.packed + bytes(6) + address.packed
    return _BROADCAST + mac + struct.pack("!H", _ETHERTYPE_ARP) + body


def unsolicited_advertisement(mac: bytes, address: IPv6Address) -> bytes:
    """A neighbour advertisement to all nodes that overrides what they hold (RFC 4861, 7.2.6)."""
    head = struct.pack("!BBH", _NEIGHBOUR_ADVERTISEMENT, 0, 0)
    body = struct.pack("!I", _OVERRIDE) + address.packed + _TARGET_LINK_LAYER_ADDRESS + mac
    checksum = _checksum(_pseudo_header(address, len(head) + len(body)) + head + body)
    message = head[:2] + struct.pack("!H", checksum) + body
    ip = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, _HOP_LIMIT)
    ethernet = _ALL_NODES_MAC + mac + struct.pack("!H", _ETHERTYPE_IPV6)
    return ethernet + ip + address.packed + _ALL_NODES.packed + message


def _pseudo_header(source: IPv6Address, length: int) -> bytes:
    """What ICMPv6's checksum covers beside the message (RFC 8200, 8.1)."""
    return source.packed + _ALL_NODES.packed + struct.pack("!II", length, _ICMPV6)


def _checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of octets."""
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
