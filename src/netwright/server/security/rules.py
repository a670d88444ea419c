"""What a security group's rule may say, as Neutron has it: checked at the edge, made canonical.

Names and numbers of protocols are IANA's ("Assigned Internet Protocol Numbers").
"""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from netwright.model.resources import Value
from netwright.model.security import Direction, SecurityGroupRule
from netwright.model.security_errors import (
    InvalidCIDR,
    SecurityGroupEthertypeConflictWithProtocol,
    SecurityGroupInvalidIcmpValue,
    SecurityGroupInvalidPortRange,
    SecurityGroupInvalidPortValue,
    SecurityGroupInvalidProtocolForPort,
    SecurityGroupMissingIcmpType,
    SecurityGroupProtocolRequiredWithPorts,
    SecurityGroupRemoteGroupAndRemoteIpPrefix,
    SecurityGroupRuleInvalidEtherType,
    SecurityGroupRuleInvalidProtocol,
    SecurityGroupRuleParameterConflict,
)

ETHERTYPES = ("IPv4", "IPv6")

PROTOCOLS: Mapping[str, int] = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
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

_EVERY_PROTOCOL = frozenset({"any", "ip", "hopopt", "0"})
_WITH_PORTS = {PROTOCOLS[name] for name in ("dccp", "sctp", "tcp", "udp", "udplite")}
_ICMP, _ICMPV6 = PROTOCOLS["icmp"], PROTOCOLS["ipv6-icmp"]
_OF_IPV6 = {number for name, number in PROTOCOLS.items() if name.startswith("ipv6-")}
_PROTOCOL_MAX = 255
_PORT_MAX = 65535
_ICMP_MAX = 255

Port = int | str | None
"""A port number as clients send it: some send text."""


class RuleDraft(Value, frozen=True, kw_only=True):
    """A rule as it was asked for, before it is checked; the names are the Networking API's."""

    direction: Direction
    ethertype: str = "IPv4"
    protocol: str | int | None = None
    port_range_min: Port = None
    port_range_max: Port = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None
    description: str = ""


def checked(draft: RuleDraft, id_: str) -> SecurityGroupRule:
    """The rule in canonical form. Raises what Neutron does (`model.security_errors`).

    ICMP in a rule for IPv6 is ICMPv6; every protocol is None, whichever way it was said.
    """
    ethertype = _ethertype(draft.ethertype)
    protocol = _protocol(draft.protocol, ethertype)
    low, high = _port(draft.port_range_min), _port(draft.port_range_max)
    _check_ports(protocol, low, high)
    prefix = _prefix(draft.remote_ip_prefix, ethertype)
    if protocol is not None and ethertype == "IPv4" and number_of(protocol) in _OF_IPV6:
        raise SecurityGroupEthertypeConflictWithProtocol(
            f"Invalid ethertype {ethertype} for protocol {protocol}.",
            next="give the rule the ethertype IPv6",
        )
    remotes = (prefix, draft.remote_group_id, draft.remote_address_group_id)
    if sum(remote is not None for remote in remotes) > 1:
        raise SecurityGroupRemoteGroupAndRemoteIpPrefix(
            "Only remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
            next="make two rules of it",
        )
    text = None if prefix is None else str(prefix)
    given = draft.remote_ip_prefix or ""
    as_given = given if "/" in given else text
    return SecurityGroupRule(
        id=id_,
        direction=draft.direction,
        ethertype=ethertype,
        protocol=protocol,
        port_range_min=low,
        port_range_max=high,
        remote_ip_prefix=text,
        prefix_as_given=None if as_given == text else as_given,
        remote_group_id=draft.remote_group_id or draft.remote_address_group_id,
        remote_is_addresses=draft.remote_address_group_id is not None,
        description=draft.description,
    )


def number_of(protocol: str) -> int:
    """The protocol's number, of a name or of a number as text."""
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)


def says(rule: SecurityGroupRule) -> tuple[object, ...]:
    """What the rule allows: two that say the same are one rule twice."""
    everybody = rule.remote_ip_prefix in {None, "0.0.0.0/0", "::/0"}
    return (
        rule.direction,
        rule.ethertype,
        None if rule.protocol is None else number_of(rule.protocol),
        rule.port_range_min,
        rule.port_range_max,
        None if everybody else rule.remote_ip_prefix,
        rule.remote_group_id,
    )


def _ethertype(given: str) -> str:
    for known in ETHERTYPES:
        if given.lower() == known.lower():
            return known
    raise SecurityGroupRuleInvalidEtherType(
        f"Security group rule for ethertype '{given}' not supported."
        f" Allowed values are {', '.join(ETHERTYPES)}."
    )


def _protocol(given: str | int | None, ethertype: str) -> str | None:
    if given is None:
        return None
    name = str(given).lower()
    if name.isascii() and name.isdecimal():
        name = str(int(name))
    if name in _EVERY_PROTOCOL:
        return None
    if name not in PROTOCOLS and not (name.isdecimal() and int(name) <= _PROTOCOL_MAX):
        raise SecurityGroupRuleInvalidProtocol(
            f"Security group rule protocol {given} not supported. Only protocol values any,"
            f" {', '.join(PROTOCOLS)} and integer representations [0 to 255] are supported."
        )
    if name == "icmpv6":
        return "ipv6-icmp"
    if ethertype == "IPv6" and name in {"icmp", "1"}:
        return "ipv6-icmp" if name == "icmp" else str(_ICMPV6)
    return name


def _port(given: Port) -> int | None:
    if given is None:
        return None
    try:
        port = int(given)
    except ValueError:
        port = -1
    if not 0 <= port <= _PORT_MAX:
        raise SecurityGroupInvalidPortValue(f"Invalid value for port {given}.")
    return port


def _check_ports(protocol: str | None, low: int | None, high: int | None) -> None:
    if low is None and high is None:
        return
    if protocol is None:
        raise SecurityGroupProtocolRequiredWithPorts(
            "Must also specify protocol if port range is given."
        )
    number = number_of(protocol)
    if number in _WITH_PORTS:
        _check_range(low, high)
    elif number in {_ICMP, _ICMPV6}:
        _check_icmp(low, high)
    else:
        names = ", ".join(name.upper() for name, n in PROTOCOLS.items() if n in _WITH_PORTS)
        raise SecurityGroupInvalidProtocolForPort(
            f"Invalid protocol {protocol} for port range, only supported for {names}."
        )


def _check_range(low: int | None, high: int | None) -> None:
    if 0 in {low, high}:
        raise SecurityGroupInvalidPortValue("Invalid value for port 0.")
    if low is None or high is None or low > high:
        raise SecurityGroupInvalidPortRange(
            "For TCP/UDP protocols, port_range_min must be <= port_range_max.",
            next="give both ends of the range; the same number twice is one port",
        )


def _check_icmp(type_: int | None, code: int | None) -> None:
    for field, attribute, value in (
        ("type", "port_range_min", type_),
        ("code", "port_range_max", code),
    ):
        if value is not None and value > _ICMP_MAX:
            raise SecurityGroupInvalidIcmpValue(
                f"Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255."
            )
    if type_ is None:
        raise SecurityGroupMissingIcmpType(
            f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is"
            " missing."
        )


def _prefix(given: str | None, ethertype: str) -> IPv4Network | IPv6Network | None:
    if not given:
        return None
    wrong = InvalidCIDR(f"Invalid CIDR {given} given as IP prefix.")
    if "%" in given:  # a zone means nothing on another machine
        raise wrong
    try:
        prefix = ip_network(given, strict=False)
    except ValueError:
        raise wrong from None
    if ethertype != f"IPv{prefix.version}":
        raise SecurityGroupRuleParameterConflict(
            f"Conflicting value ethertype {ethertype} for CIDR {given}."
        )
    return prefix
