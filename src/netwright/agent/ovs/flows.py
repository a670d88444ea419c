"""Flows in one canonical form, so that a wanted flow and the one read back compare equal. Pure.

Field names are OpenFlow's OXM names, and Open vSwitch's own (ovs-fields(7)). Addresses are
canonical text with their prefix length, MACs lower case; a number of which only some bits matter is
"0xVALUE/0xMASK"; a field that would match anything is left out. Within a bridge a flow is
identified by (table, priority, match), as the switch does it (OpenFlow 1.4.1 §5.2).
"""

import functools
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, TypeAlias

import msgspec

Field: TypeAlias = tuple[str, int | str]
Match: TypeAlias = tuple[Field, ...]
"""(field, value) sorted by field."""

FlowKey: TypeAlias = tuple[int, int, Match]

COOKIE_MARK = 0x4E57 << 48
"""Our mark ("NW") in a cookie's upper 16 bits; the lower 48 name the flow's owner."""
COOKIE_MARK_MASK = 0xFFFF << 48
COOKIE_EXACT = (1 << 64) - 1

ADDRESS_COOKIE = COOKIE_MARK | 0xADD2 << 32
"""Cookies of remote groups' addresses (`address_sets`): their lower 32 bits name the address."""
ADDRESS_COOKIE_MASK = 0xFFFF_FFFF << 32

VLAN_NONE = 0
"""vlan_vid of an untagged frame (OFPVID_NONE)."""
VLAN_PRESENT = 0x1000
"""Set in vlan_vid beside the VLAN id of a tagged frame (OFPVID_PRESENT)."""

ZONE: Final = 5
"""The register with the OpenFlow port of the filtered endpoint that a packet comes from, or is for.

It is the endpoint's conntrack zone too."""
NETWORK: Final = 6
"""The register with the local VLAN that a frame belongs to, tagged or not."""

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


class ToAgent(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Hand the whole packet to who listens for such on the bridge; it goes nowhere else."""


class PushVlan(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Add an 802.1Q header."""


class PopVlan(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Take the outermost VLAN header off."""


class SetVlan(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Overwrite the VLAN id, 1..4094."""

    vlan: int


class Goto(msgspec.Struct, frozen=True, gc=False, tag=True):
    table: int


class SetRegister(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Note a number beside the packet; all registers are 0 when it comes in."""

    register: int
    value: int


class Track(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Ask conntrack, in the zone that `ZONE` holds, and go on at `table` with its answer."""

    table: int


class Commit(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Have conntrack keep the packet's connection, in the zone that `ZONE` holds, with a mark.

    One that it keeps already is marked anew.
    """

    mark: int


class Untrack(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Forget what conntrack said of the packet."""


class Conjunction(msgspec.Struct, frozen=True, gc=False, tag=True):
    """This flow is one of the `clauses`, the `clause`th from 1 on.

    A packet that meets one flow of each of them is looked up again with `conj_id`.
    """

    conj_id: int
    clause: int
    clauses: int


class Resubmit(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Look the packet up in a table, then come back: its registers stay as that left them."""

    table: int


class Metered(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Drop what is too much by this meter, before all other actions."""

    number: int


class SetDscp(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Mark an IP packet with a code point (RFC 2474); the match says that it is one."""

    mark: int


class Opaque(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What we never write ourselves: an action of somebody else's flow."""

    text: str


Action: TypeAlias = (
    Normal
    | Output
    | ToAgent
    | PushVlan
    | PopVlan
    | SetVlan
    | Goto
    | SetRegister
    | Track
    | Commit
    | Untrack
    | Conjunction
    | Resubmit
    | Metered
    | SetDscp
    | Opaque
)


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


def owner_cookie(owner: str) -> int:
    """Return the cookie of everything that belongs to `owner` ("base", "port ID", ...).

    Who asks for the same one often remembers it.
    """
    cookie = COOKIE_MARK | int.from_bytes(blake2b(owner.encode(), digest_size=6).digest(), "big")
    return cookie ^ 1 << 32 if cookie & ADDRESS_COOKIE_MASK == ADDRESS_COOKIE else cookie


def match_on(**fields: int | str) -> Match:
    """Build a canonical match from OXM field names. Raises ValueError for a bad address."""
    pairs = map(canonical_field, fields, fields.values())
    return tuple(sorted(filter(None, pairs)))


@functools.lru_cache(maxsize=1024)
def canonical_field(name: str, value: int | str) -> Field | None:
    """Return the one form of a match field; None if it matches everything.

    It is one object too, as long as it is remembered: an endpoint's flows share most fields.
    """
    if name in _IP_FIELDS:
        prefix = prefix_text(str(value))
        return None if prefix.endswith("/0") else (name, prefix)
    if name in _MAC_FIELDS:
        return name, str(value).lower()
    if isinstance(value, str) and value.startswith("0x"):
        bits, _, mask = (int(part, 16) if part != "/" else 0 for part in value.partition("/"))
        return (name, bits_text(bits, mask)) if mask else None
    return name, value


@functools.lru_cache(maxsize=1024)
def prefix_text(cidr: str) -> str:
    """An address or prefix in its one form. Raises ValueError for what is none.

    Several fields of an endpoint's flows name the same.
    """
    is_v6 = ":" in cidr
    if "/" in cidr:
        return str((IPv6Network if is_v6 else IPv4Network)(cidr, strict=False))
    return f"{parsed_address(cidr)}/{128 if is_v6 else 32}"


@functools.lru_cache(maxsize=1024)
def parsed_address(text: str) -> IPv4Address | IPv6Address:
    """Raises ValueError for what is no address."""
    return IPv6Address(text) if ":" in text else IPv4Address(text)


def bits_text(value: int, mask: int) -> str:
    """A number of which only the bits of `mask` matter, in its one form."""
    return f"{value & mask:#x}/{mask:#x}"


def _action_text(action: Action) -> str:
    if isinstance(action, Opaque):
        return action.text
    fields = [f"{getattr(action, name):#x}" for name in action.__struct_fields__]
    return ":".join([type(action).__name__.lower(), ",".join(fields)]).rstrip(":")
