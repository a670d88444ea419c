"""Which MAC is behind which end of a vxlan, said so that it stays: rtnetlink as bytes. Pure.

    next hop: an end's address ─▶ a group of that one ─▶ entries of vxlans, MAC → group

An entry that leads to a group is left as it is by whoever adds or removes the same MAC with an
address, as routing daemons do. Next hops are of the namespace that the tunnels are in, wherever
the vxlans are; an entry goes with its group. Numbers are those of linux/nexthop.h, neighbour.h.
"""

import ipaddress
import socket
import struct
from collections.abc import Iterable

from netwright.linux.codec import CREATE, REPLACE, Request, attribute, attributes, number
from netwright.linux.links import PROTOCOL

NEW_NEXT_HOP, DELETE_NEXT_HOP, GET_NEXT_HOP = 104, 105, 106
NEW_NEIGHBOUR, DELETE_NEIGHBOUR, GET_NEIGHBOUR = 28, 29, 30

_NEXT_HOP, _MEMBER = struct.Struct("=BBBBI"), struct.Struct("=IBBH")
_ID, _GROUP, _GATEWAY, _OF_ENTRIES = 1, 2, 6, 11
_ENTRY = struct.Struct("=BBHiHBB")
_BRIDGE_FAMILY, _PERMANENT, _REACHABLE = 7, 0x80, 0x2
_OF_THE_VXLAN, _OF_THE_BRIDGE, _LEARNED_ELSEWHERE = 0x2, 0x4, 0x10
_END, _MAC, _ENTRY_GROUP = 1, 2, 13
_SINGLE, _GROUPED = 0x77 << 24, 0x78 << 24
"""What the kinds' ids begin with; an address's last three octets follow, which no two leaves of
a plan share. zebra takes all ids with these bits for another's, and leaves them alone."""


def add_end(address: str) -> tuple[Request, ...]:
    """The next hop and its group; as if new when they are there."""
    what = f"tunnel end {address}"
    packed, of_entries = ipaddress.IPv4Address(address).packed, attribute(_OF_ENTRIES, b"")
    single = _head(socket.AF_INET) + attribute(_ID, _number(_SINGLE, address))
    group = _head(socket.AF_UNSPEC) + attribute(_ID, _number(_GROUPED, address))
    member = attribute(_GROUP, _MEMBER.pack(_number(_SINGLE, address), 0, 0, 0))
    return (
        Request(
            NEW_NEXT_HOP, single + attribute(_GATEWAY, packed) + of_entries, CREATE | REPLACE, what
        ),
        Request(NEW_NEXT_HOP, group + member + of_entries, CREATE | REPLACE, what),
    )


def remove_end(address: str) -> Request:
    """Its group goes with it, and all entries that lead there."""
    body = _NEXT_HOP.pack(0, 0, 0, 0, 0) + attribute(_ID, _number(_SINGLE, address))
    return Request(DELETE_NEXT_HOP, body, 0, f"removing tunnel end {address}")


def place(address: str) -> int:
    """Of two ends with the same one, `add_end` of either replaces the other."""
    return _number(0, address)


def dump_ends() -> Request:
    return Request(GET_NEXT_HOP, _NEXT_HOP.pack(0, 0, 0, 0, 0) + attribute(_OF_ENTRIES, b""))


def parse_ends(bodies: Iterable[bytes]) -> dict[int, str]:
    """Those of ours that are whole: the group's id → the end's address."""
    singles: dict[int, str] = {}
    groups: dict[int, int] = {}
    for body in bodies:
        _, _, protocol, _, _ = _NEXT_HOP.unpack_from(body)
        values = attributes(body, _NEXT_HOP.size)
        if protocol != PROTOCOL:
            continue
        if len(members := values.get(_GROUP, b"")) == _MEMBER.size:
            groups[number(values[_ID])] = _MEMBER.unpack(members)[0]
        elif _GATEWAY in values:
            singles[number(values[_ID])] = str(ipaddress.ip_address(values[_GATEWAY]))
    return {group: singles[member] for group, member in groups.items() if member in singles}


def add_entry(index: int, mac_address: str, address: str) -> Request:
    """Refused while there is one with an address instead of a group: `remove_entry` first."""
    body = _ENTRY.pack(_BRIDGE_FAMILY, 0, 0, index, _PERMANENT, _OF_THE_VXLAN, 0)
    body += attribute(_MAC, bytes.fromhex(mac_address.replace(":", "")))
    body += attribute(_ENTRY_GROUP, _number(_GROUPED, address))
    return Request(NEW_NEIGHBOUR, body, CREATE | REPLACE, f"{mac_address} behind {address}")


def add_common_entry(index: int, mac_address: str, address: str) -> Request:
    """As routing daemons add it, at the bridge too: who removes this MAC with this address may."""
    flags = _OF_THE_VXLAN | _OF_THE_BRIDGE | _LEARNED_ELSEWHERE
    body = _ENTRY.pack(_BRIDGE_FAMILY, 0, 0, index, _REACHABLE, flags, 0)
    body += attribute(_END, ipaddress.IPv4Address(address).packed)
    body += attribute(_MAC, bytes.fromhex(mac_address.replace(":", "")))
    return Request(NEW_NEIGHBOUR, body, CREATE | REPLACE, f"{mac_address} behind {address}")


def remove_entry(index: int, mac_address: str) -> Request:
    body = _ENTRY.pack(_BRIDGE_FAMILY, 0, 0, index, 0, _OF_THE_VXLAN, 0)
    body += attribute(_MAC, bytes.fromhex(mac_address.replace(":", "")))
    return Request(DELETE_NEIGHBOUR, body, 0, f"removing what leads to {mac_address}")


def dump_entries(index: int) -> Request:
    """Of one vxlan."""
    body = _ENTRY.pack(_BRIDGE_FAMILY, 0, 0, index, 0, 0, 0)
    return Request(GET_NEIGHBOUR, body, 0, "entries of a vxlan")


def parse_entries(bodies: Iterable[bytes]) -> dict[str, int]:
    """MAC → the id of the group that it leads to, of those that lead to one."""
    found = {}
    for body in bodies:
        values = attributes(body, _ENTRY.size)
        if _ENTRY_GROUP in values and _MAC in values:
            found[values[_MAC].hex(":")] = number(values[_ENTRY_GROUP])
    return found


def _head(family: int) -> bytes:
    return _NEXT_HOP.pack(family, 0, PROTOCOL, 0, 0)


def _number(kind: int, address: str) -> int:
    return kind | (int(ipaddress.IPv4Address(address)) & 0xFFFFFF)
