"""Announcements of who has an address: ARP requests for one's own (RFC 5227, 3)."""

import socket
import struct

_ETHERNET, _ARP, _IPV4, _REQUEST = 1, 0x0806, 0x0800, 1
_BROADCAST = b"\xff" * 6


def announcement(mac_address: str, address: str) -> bytes:
    """The frame by which neighbours that know the address learn the MAC that it has now."""
    mac, ip = bytes.fromhex(mac_address.replace(":", "")), socket.inet_aton(address)
    form = struct.pack("!HHBBH", _ETHERNET, _IPV4, len(mac), len(ip), _REQUEST)
    return _BROADCAST + mac + _ARP.to_bytes(2, "big") + form + mac + ip + bytes(6) + ip


def announce(interface: str, mac_address: str, address: str) -> None:
    """From an interface in the calling thread's namespace. Raises OSError."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((interface, 0))
        sender.send(announcement(mac_address, address))
