"""Flows in one canonical form, so that a wanted flow and the one read back compare equal. Pure.

Field names are OpenFlow's OXM names. Addresses are canonical text with their prefix length,
MACs lower case; a field that would match anything is left out. Within a bridge a flow is identified
by (table, priority, match), as the switch does it (OpenFlow 1.4.1 §5.2).
"""

import functools
import ipaddress
from hashlib import blake2b
from typing import TypeAlias

import msgspec

Field: TypeAlias = tuple[str, int | str]
Match: TypeAlias = tuple[Field, ...]
"""(field, value) sorted by field."""

FlowKey: TypeAlias = tuple[int, int, Match]

COOKIE_MARK = 0x4E57 << 48
"""Our mark ("NW") in a cookie's upper 16 bits; the lower 48 name the flow's owner."""
COOKIE_MARK_MASK = 0xFFFF << 48
COOKIE_EXACT = (1 << 64) - 1

VLAN_NONE = 0
"""vlan_vid of an untagged frame (OFPVID_NONE)."""
VLAN_PRESENT = 0x1000
"""Set in vlan_vid beside the VLAN id of a tagged frame (OFPVID_PRESENT)."""

_IP_FIELDS = frozenset(
    {"ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst", "arp_spa", "arp_tpa", "ipv6_nd_target"}
)
_MAC_FIELDS = frozenset(
    {"eth_src", "eth_dst", "arp_sha", "arp_tha", "ipv6_nd_sll", "ipv6_nd_tll"},
)


class Normal(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Switch as a learning bridge does, heeding Port.tag and bonds."""


class Output(msgspec.Struct, frozen=True, gc=False, tag=True):
    port: int


class PushVlan(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Add an 802.1Q header."""


class PopVlan(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Take the outermost VLAN header off."""


class SetVlan(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Overwrite the VLAN id, 1..4094."""

    vlan: int


class Goto(msgspec.Struct, frozen=True, gc=False, tag=True):
    table: int


class Opaque(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What we never write ourselves: an action of somebody else's flow."""

    text: str


Action: TypeAlias = Normal | Output | PushVlan | PopVlan | SetVlan | Goto | Opaque


class Flow(msgspec.Struct, frozen=True, gc=False):
    """One flow of one bridge. No actions: drop.

    There are some thousands, and none can be part of a cycle: the garbage collector skips them.
    """

    table: int
    priority: int
    match: Match
    actions: tuple[Action, ...]
    cookie: int

    @property
    def key(self) -> FlowKey:
        return (self.table, self.priority, self.match)

    @property
    def ours(self) -> bool:
        return self.cookie & COOKIE_MARK_MASK == COOKIE_MARK

    def __str__(self) -> str:
        fields = ",".join(f"{name}={value}" for name, value in self.match)
        actions = ",".join(map(_action_text, self.actions)) or "drop"
        return (
            f"cookie={self.cookie:#x} table={self.table} priority={self.priority}"
            f" {fields or 'any'} actions={actions}"
        )


@functools.lru_cache(maxsize=16384)
def owner_cookie(owner: str) -> int:
    """Return the cookie of everything that belongs to `owner` ("base", "port ID", ...)."""
    return COOKIE_MARK | int.from_bytes(blake2b(owner.encode(), digest_size=6).digest(), "big")


def match_on(**fields: int | str) -> Match:
    """Build a canonical match from OXM field names. Raises ValueError for a bad address."""
    pairs = (canonical_field(name, value) for name, value in fields.items())
    return tuple(sorted(pair for pair in pairs if pair is not None))


@functools.lru_cache(maxsize=1024)
def canonical_field(name: str, value: int | str) -> Field | None:
    """Return the one form of a match field; None if it matches everything.

    It is one object too, as long as it is remembered: an endpoint's flows share most fields.
    """
    if name in _IP_FIELDS:
        network = ipaddress.ip_network(value, strict=False)
        return (name, str(network)) if network.prefixlen else None
    if name in _MAC_FIELDS:
        return name, str(value).lower()
    return name, value


def _action_text(action: Action) -> str:
    match action:
        case SetVlan(vlan):
            return f"set_vlan:{vlan}"
        case Goto(table):
            return f"goto_table:{table}"
        case Output(port):
            return f"output:{port}"
        case Opaque(text):
            return text
        case _:
            return type(action).__name__.lower()
