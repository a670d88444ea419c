"""Neighbours of an interface: whose MAC an address has. Rtnetlink as bytes. Pure.

Numbers are those of linux/neighbour.h.
"""

import ipaddress
import socket
import struct
from collections.abc import Iterable

from netwright.linux.codec import CREATE, REPLACE, Request, attribute, attributes, number
from netwright.linux.links import PROTOCOL
from netwright.model.resources import Value

NEW_NEIGHBOUR, DELETE_NEIGHBOUR, GET_NEIGHBOUR = 28, 29, 30

_HEAD = struct.Struct("=BBHiHBB")
_NO_ARP, _VALID = 0x40, 0x40 | 0x80 | 0x02 | 0x04 | 0x08 | 0x10
_LEARNED_ELSEWHERE = 0x10
_ADDRESS, _MAC, _INTERFACE, _PROTOCOL = 1, 2, 8, 12


class Neighbour(Value, frozen=True):
    """`is_ours`: it was added by `add`."""

    address: str
    mac_address: str
    is_ours: bool


def add(index: int, address: str, mac_address: str) -> Request:
    """For good, as routing daemons do it: no ARP, and none that overrides it."""
    ip = ipaddress.ip_address(address)
    body = _head(ip, index, _NO_ARP, _LEARNED_ELSEWHERE) + attribute(_ADDRESS, ip.packed)
    body += attribute(_MAC, bytes.fromhex(mac_address.replace(":", "")))
    body += attribute(_PROTOCOL, bytes([PROTOCOL]))
    return Request(NEW_NEIGHBOUR, body, CREATE | REPLACE, f"neighbour {address}")


def remove(index: int, address: str) -> Request:
    ip = ipaddress.ip_address(address)
    body = _head(ip, index) + attribute(_ADDRESS, ip.packed)
    return Request(DELETE_NEIGHBOUR, body, 0, f"removing neighbour {address}")


def dump(index: int) -> Request:
    body = _HEAD.pack(0, 0, 0, 0, 0, 0, 0) + attribute(_INTERFACE, index)
    return Request(GET_NEIGHBOUR, body, 0, "neighbours")


def parse(bodies: Iterable[bytes]) -> dict[str, Neighbour]:
    """By address, those whose MAC is known."""
    found = {}
    for body in bodies:
        family, _, _, _, state, _, _ = _HEAD.unpack_from(body)
        values = attributes(body, _HEAD.size)
        if family not in {socket.AF_INET, socket.AF_INET6} or not state & _VALID:
            continue
        address = str(ipaddress.ip_address(values[_ADDRESS]))
        mac, is_ours = values.get(_MAC, b"").hex(":"), number(values.get(_PROTOCOL)) == PROTOCOL
        found[address] = Neighbour(address, mac, is_ours)
    return found


def _head(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, index: int, state: int = 0, flags: int = 0
) -> bytes:
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6  # noqa: PLR2004 (IP version)
    return _HEAD.pack(family, 0, 0, index, state, flags, 0)
