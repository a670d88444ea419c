"""Matches to OXM bytes and back (OpenFlow 1.4.1 §7.2.3). Pure.

A field is class (16 bits), number (7), has-mask (1), length (8), value, mask. Ours are of the basic
class, and a few of Open vSwitch's (ovs-fields(7)); a stranger's field of any other is kept as
hexadecimal text.
"""

import functools
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal, TypeAlias

from netwright.agent.ovs.flows import Field, Match, bits_text, canonical_field, parsed_address

_Kind: TypeAlias = Literal["int", "mac", "ipv4", "ipv6"]

_BASIC: Final = 0x8000
_OVS: Final = 0x0001
_BEFORE_ALL: Final = -1
_AFTER_ADDRESSES: Final = 1 << 7
"""More than any field's number, which has 7 bits."""
_AFTER_BASIC: Final = 1 << 8
_MATCH_OXM: Final = 1
_MATCH_HEADER = struct.Struct("!HH")
_FIELD_HEADER = struct.Struct("!HBB")

_FIELDS: Final[tuple[tuple[str, _Kind, int], ...]] = (
    ("in_port", "int", 4),
    ("in_phy_port", "int", 4),
    ("metadata", "int", 8),
    ("eth_dst", "mac", 6),
    ("eth_src", "mac", 6),
    ("eth_type", "int", 2),
    ("vlan_vid", "int", 2),
    ("vlan_pcp", "int", 1),
    ("ip_dscp", "int", 1),
    ("ip_ecn", "int", 1),
    ("ip_proto", "int", 1),
    ("ipv4_src", "ipv4", 4),
    ("ipv4_dst", "ipv4", 4),
    ("tcp_src", "int", 2),
    ("tcp_dst", "int", 2),
    ("udp_src", "int", 2),
    ("udp_dst", "int", 2),
    ("sctp_src", "int", 2),
    ("sctp_dst", "int", 2),
    ("icmpv4_type", "int", 1),
    ("icmpv4_code", "int", 1),
    ("arp_op", "int", 2),
    ("arp_spa", "ipv4", 4),
    ("arp_tpa", "ipv4", 4),
    ("arp_sha", "mac", 6),
    ("arp_tha", "mac", 6),
    ("ipv6_src", "ipv6", 16),
    ("ipv6_dst", "ipv6", 16),
    ("ipv6_flabel", "int", 4),
    ("icmpv6_type", "int", 1),
    ("icmpv6_code", "int", 1),
    ("ipv6_nd_target", "ipv6", 16),
    ("ipv6_nd_sll", "mac", 6),
    ("ipv6_nd_tll", "mac", 6),
)
"""The basic class (§7.2.3.7) from number 0 on: name, kind, bytes."""

_CARRIED: Final = frozenset(
    name
    for name, _, _ in _FIELDS
    if name.startswith(("ip_", "tcp_", "udp_", "sctp_", "icmpv", "ipv6_nd_"))
)

_OVS_FIELDS: Final = {
    5: "reg5",
    6: "reg6",
    37: "conj_id",
    105: "ct_state",
    107: "ct_mark",
}
"""Number → name; each is a number of 4 bytes."""

_BY_CODE: Final[dict[tuple[int, int], tuple[str, _Kind, int]]] = {
    **{(_BASIC, number): field for number, field in enumerate(_FIELDS)},
    **{(_OVS, number): (name, "int", 4) for number, name in _OVS_FIELDS.items()},
}
_BY_NAME: Final = {
    name: (oxm_class, number, kind, size)
    for (oxm_class, number), (name, kind, size) in _BY_CODE.items()
}


def match_bytes(match: Match) -> bytes:
    """Encode a match, padded to 8 bytes, in the order in which ovs-vswitchd gives ours back.

    The basic fields by their numbers, but those of what a packet's addresses carry after the
    addresses; then its own, but for a conjunction's, which comes first. So what was sent is known
    again by its bytes.
    """
    fields = b"".join([field for _, field in sorted(map(_numbered, match))])
    length = _MATCH_HEADER.size + len(fields)
    return _MATCH_HEADER.pack(_MATCH_OXM, length) + fields + bytes(-length % 8)


def field_bytes(name: str, value: int | str) -> bytes:
    """Encode one field. Raises KeyError for a name, ValueError for a value that is none."""
    oxm_class, number, kind, size = _BY_NAME[name]
    octets, mask = _octets(kind, size, value)
    head = _FIELD_HEADER.pack(oxm_class, number << 1 | bool(mask), len(octets) + len(mask))
    return head + octets + mask


def _octets(kind: _Kind, size: int, value: int | str) -> tuple[bytes, bytes]:
    """A field's value and its mask, none when all of it matters."""
    if isinstance(value, int):
        return value.to_bytes(size, "big"), b""
    text, _, mask = value.partition("/")
    if kind == "int":
        return int(text, 16).to_bytes(size, "big"), int(mask, 16).to_bytes(size, "big")
    if kind == "mac":
        return bytes.fromhex(text.replace(":", "")), bytes.fromhex(mask.replace(":", ""))
    octets = parsed_address(text).packed
    if len(octets) != size:
        raise ValueError(f"{text} is no {kind} address")
    is_part = mask != "" and int(mask) < size * 8
    return octets, _mask(int(mask), size) if is_part else b""


def read_match(body: bytes, at: int) -> tuple[Match, int]:
    """Decode the match that begins at `at`; return it and where what follows it begins."""
    _, length = _MATCH_HEADER.unpack_from(body, at)
    fields = _read_fields(body[at + _MATCH_HEADER.size : at + length])
    return tuple(sorted(fields)), at + length + -length % 8


@functools.lru_cache(maxsize=2048)
def _numbered(field: Field) -> tuple[int, bytes]:
    """(its place, its bytes). An endpoint's flows share most fields, hence the cache."""
    oxm_class, number, _, _ = _BY_NAME[field[0]]
    if field[0] == "conj_id":
        number = _BEFORE_ALL
    elif oxm_class == _OVS:
        number += _AFTER_BASIC
    elif field[0] in _CARRIED:
        number += _AFTER_ADDRESSES
    return number, field_bytes(*field)


def _read_fields(octets: bytes) -> Iterator[Field]:
    at = 0
    while at < len(octets):
        oxm_class, flags, length = _FIELD_HEADER.unpack_from(octets, at)
        at += _FIELD_HEADER.size
        field = _read_field(oxm_class, flags >> 1, octets[at : at + length], masked=bool(flags & 1))
        at += length
        if field is not None:
            yield field


def _read_field(oxm_class: int, number: int, payload: bytes, *, masked: bool) -> Field | None:
    half = len(payload) // 2 if masked else len(payload)
    value, mask = payload[:half], payload[half:]
    known = _BY_CODE.get((oxm_class, number))
    if known is None:
        text = value.hex() + (f"/{mask.hex()}" if masked else "")
        return f"oxm_{oxm_class:04x}_{number}", text
    name, kind, _ = known
    plain = _plain(kind, value)
    if masked and kind == "int":
        plain = bits_text(int.from_bytes(value, "big"), int.from_bytes(mask, "big"))
    elif masked:
        plain = f"{plain}/{_mask_text(kind, mask)}"
    try:
        return canonical_field(name, plain)
    except ValueError:  # a mask that is no prefix: somebody else's flow, kept as it is
        return name, plain


def _plain(kind: _Kind, value: bytes) -> int | str:
    match kind:
        case "int":
            return int.from_bytes(value, "big")
        case "mac":
            return value.hex(":")
        case "ipv4":
            return str(IPv4Address(value))
        case "ipv6":
            return str(IPv6Address(value))


def _mask_text(kind: _Kind, mask: bytes) -> int | str:
    """An address's mask as its prefix length if it is one."""
    if kind in ("ipv4", "ipv6"):
        prefix = int.from_bytes(mask, "big").bit_count()
        if mask == _mask(prefix, len(mask)):
            return prefix
    return _plain(kind, mask)


def _mask(prefix: int, size: int) -> bytes:
    width = size * 8
    return ((1 << prefix) - 1 << width - prefix).to_bytes(size, "big")
