"""Security groups' rules as permits: what each lets through, in the words of a match. Pure.

A rule becomes as many permits as its port range takes masks. One that OpenFlow cannot say is left
out, with the reason: it permits nothing, and the others hold.
"""

import functools
import ipaddress
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Final

import msgspec

from netwright.agent.ovs.flows import Field, bits_text
from netwright.agent.ovs.wiring import Permit, PortFilter
from netwright.model.security import Direction, SecurityGroup, SecurityGroupRule

PROTOCOLS: Final = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "hopopt": 0,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
    "ip": 4,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
"""The names that the Networking API knows, of IANA's registry of protocol numbers."""

_ICMP, _ICMPV6 = 1, 58
_PORTS: Final = {6: "tcp_dst", 17: "udp_dst", 132: "sctp_dst"}
_ICMP_FIELDS: Final = {
    _ICMP: ("icmpv4_type", "icmpv4_code"),
    _ICMPV6: ("icmpv6_type", "icmpv6_code"),
}
_ICMP_OF: Final = {4: _ICMP, 6: _ICMPV6}
_EXTENSIONS: Final = frozenset({0, 43, 44, 60})
"""IPv6 extension headers (RFC 8200 §4): OVS looks past them, to the header that they lead to."""

_NAME = itemgetter(0)

_PORT_MAX: Final = 0xFFFF
_BYTE_MAX: Final = 0xFF


class Filter(msgspec.Struct, frozen=True):
    """What groups let through, and the rules that could not be put so, each with the reason."""

    filter: PortFilter
    left_out: tuple[str, ...] = ()


def port_filter(groups: Iterable[SecurityGroup]) -> Filter:
    """All that the groups let through, together."""
    found = [_compiled(group.rules, group.stateful) for group in groups]
    permits = sorted({permit for permits, _ in found for permit in permits}, key=repr)
    left_out = sorted({reason for _, reasons in found for reason in reasons})
    return Filter(PortFilter(tuple(permits)), tuple(left_out))


def port_masks(first: int, last: int) -> Iterator[str | int]:
    """The fewest masked values that together are the ports first..last."""
    while first <= last:
        size = first & -first or _PORT_MAX + 1
        while size > last - first + 1:
            size >>= 1
        yield first if size == 1 else bits_text(first, _PORT_MAX & ~(size - 1))
        first += size


@functools.lru_cache(maxsize=1024)
def _compiled(
    rules: tuple[SecurityGroupRule, ...],
    stateful: bool,  # noqa: FBT001 - a cache's key
) -> tuple[tuple[Permit, ...], tuple[str, ...]]:
    permits: list[Permit] = []
    left_out: list[str] = []
    for rule in rules:
        try:
            permits += _permits(rule, stateful=stateful)
        except ValueError as error:
            left_out.append(f"security group rule {rule.id} lets nothing through: {error}")
    return tuple(permits), tuple(left_out)


def _permits(rule: SecurityGroupRule, *, stateful: bool) -> list[Permit]:
    """Raises ValueError, which says why the rule cannot be put as matches."""
    version = {"IPv4": 4, "IPv6": 6}.get(rule.ethertype)
    if version is None:
        raise ValueError(f"{rule.ethertype!r} is no ethertype that is filtered")
    ingress = rule.direction is Direction.INGRESS
    common = [*_prefix(rule, version, ingress=ingress)]
    return [
        Permit(
            ingress=ingress,
            ip_version=version,
            stateful=stateful,
            fields=tuple(sorted((*common, *fields), key=_NAME)),
            remote_group=rule.remote_group_id or "",
        )
        for fields in _protocol_fields(rule, version)
    ]


def _prefix(rule: SecurityGroupRule, version: int, *, ingress: bool) -> Iterator[Field]:
    if rule.remote_ip_prefix is None:
        return
    if rule.remote_group_id is not None:
        raise ValueError("it names its peers both by prefix and by group")
    network = ipaddress.ip_network(rule.remote_ip_prefix, strict=False)
    if network.version != version:
        raise ValueError(f"{network} is not {rule.ethertype}")
    if network.prefixlen:
        yield f"ipv{version}_{'src' if ingress else 'dst'}", str(network)


def _protocol_fields(rule: SecurityGroupRule, version: int) -> Iterator[tuple[Field, ...]]:
    first, last = rule.port_range_min, rule.port_range_max
    number = _protocol(rule.protocol, version)
    if number is None:
        if first is not None or last is not None:
            raise ValueError("it has ports, and no protocol to have them")
        yield ()
        return
    proto: Field = ("ip_proto", number)
    if first is None and last is None:
        yield (proto,)
    elif number == _ICMP_OF[version]:
        yield (proto, *_icmp_fields(number, first, last))
    elif number in _PORTS:
        for value in port_masks(*_ports(first, last)):
            canonical = (_PORTS[number], value)
            yield (proto,) if value == bits_text(0, 0) else (proto, canonical)
    else:
        raise ValueError(
            f"Open vSwitch knows no ports, types or codes of {rule.protocol} in {rule.ethertype}"
        )


def _protocol(text: str | None, version: int) -> int | None:
    """The number that a packet of this IP version bears, None for any."""
    if text is None or text == "any":
        return None
    number = int(text) if text.isdecimal() else PROTOCOLS.get(text)
    if number is None or number > _BYTE_MAX:
        raise ValueError(f"{text!r} is no IP protocol")
    if version == 6 and number == _ICMP:  # noqa: PLR2004 - the API takes `icmp` for both
        return _ICMPV6
    if version == 6 and number in _EXTENSIONS:  # noqa: PLR2004 - IPv6
        raise ValueError(f"Open vSwitch looks past the extension header {text}")
    return number


def _ports(first: int | None, last: int | None) -> tuple[int, int]:
    low = first if first is not None else 0
    high = last if last is not None else _PORT_MAX
    if not 0 <= low <= high <= _PORT_MAX:
        raise ValueError(f"{low}..{high} are no ports")
    return low, high


def _icmp_fields(number: int, kind: int | None, code: int | None) -> Iterator[Field]:
    names = _ICMP_FIELDS[number]
    if kind is None:
        raise ValueError("it has an ICMP code without a type")
    for name, value in zip(names, (kind, code), strict=True):
        if value is not None:
            if not 0 <= value <= _BYTE_MAX:
                raise ValueError(f"{value} is no ICMP type or code")
            yield name, value
