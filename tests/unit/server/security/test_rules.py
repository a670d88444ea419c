"""What a rule may say: Neutron's checks, by its own error types."""

from typing import Any

import pytest

from netwright.model import security_errors as errors
from netwright.model.security import Direction, SecurityGroupRule
from netwright.server.security.rules import PROTOCOLS, RuleDraft, checked, number_of, says


def rule(**attributes: Any) -> SecurityGroupRule:
    return checked(RuleDraft(direction=Direction.INGRESS, **attributes), "r")


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"ethertype": "IPv5"}, errors.SecurityGroupRuleInvalidEtherType),
        ({"protocol": "quic"}, errors.SecurityGroupRuleInvalidProtocol),
        ({"protocol": 256}, errors.SecurityGroupRuleInvalidProtocol),
        ({"protocol": "-1"}, errors.SecurityGroupRuleInvalidProtocol),
        ({"protocol": ""}, errors.SecurityGroupRuleInvalidProtocol),
        ({"port_range_min": 80}, errors.SecurityGroupProtocolRequiredWithPorts),
        ({"protocol": "any", "port_range_max": 80}, errors.SecurityGroupProtocolRequiredWithPorts),
        ({"protocol": "tcp", "port_range_min": 80}, errors.SecurityGroupInvalidPortRange),
        (
            {"protocol": "tcp", "port_range_min": 81, "port_range_max": 80},
            errors.SecurityGroupInvalidPortRange,
        ),
        (
            {"protocol": "17", "port_range_min": 0, "port_range_max": 80},
            errors.SecurityGroupInvalidPortValue,
        ),
        ({"protocol": "tcp", "port_range_min": "http"}, errors.SecurityGroupInvalidPortValue),
        ({"protocol": "tcp", "port_range_min": 65536}, errors.SecurityGroupInvalidPortValue),
        ({"protocol": "tcp", "port_range_min": -1}, errors.SecurityGroupInvalidPortValue),
        ({"protocol": "icmp", "port_range_min": 256}, errors.SecurityGroupInvalidIcmpValue),
        (
            {"protocol": "icmp", "port_range_min": 8, "port_range_max": 256},
            errors.SecurityGroupInvalidIcmpValue,
        ),
        ({"protocol": "icmp", "port_range_max": 0}, errors.SecurityGroupMissingIcmpType),
        (
            {"protocol": "esp", "port_range_min": 1, "port_range_max": 2},
            errors.SecurityGroupInvalidProtocolForPort,
        ),
        ({"protocol": "icmpv6"}, errors.SecurityGroupEthertypeConflictWithProtocol),
        ({"protocol": "ipv6-icmp"}, errors.SecurityGroupEthertypeConflictWithProtocol),
        ({"protocol": "58"}, errors.SecurityGroupEthertypeConflictWithProtocol),
        ({"protocol": "ipv6-frag"}, errors.SecurityGroupEthertypeConflictWithProtocol),
        ({"remote_ip_prefix": "2001:db8::/32"}, errors.SecurityGroupRuleParameterConflict),
        (
            {"remote_ip_prefix": "10.0.0.0/8", "ethertype": "IPv6"},
            errors.SecurityGroupRuleParameterConflict,
        ),
        ({"remote_ip_prefix": "10.0.0.0/33"}, errors.InvalidCIDR),
        ({"remote_ip_prefix": "everybody"}, errors.InvalidCIDR),
        ({"remote_ip_prefix": "fe80::%eth0/64", "ethertype": "IPv6"}, errors.InvalidCIDR),
        (
            {"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "g"},
            errors.SecurityGroupRemoteGroupAndRemoteIpPrefix,
        ),
    ],
)
def test_what_is_refused(attributes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        rule(**attributes)


@pytest.mark.parametrize(
    ("attributes", "protocol"),
    [
        ({}, None),
        ({"protocol": "any"}, None),
        ({"protocol": 0}, None),
        ({"protocol": "TCP"}, "tcp"),
        ({"protocol": 6}, "6"),
        ({"protocol": "006"}, "6"),
        ({"protocol": "icmp", "ethertype": "ipv6"}, "ipv6-icmp"),
        ({"protocol": "icmpv6", "ethertype": "IPv6"}, "ipv6-icmp"),
        ({"protocol": "1", "ethertype": "IPv6"}, "58"),
        ({"protocol": "255"}, "255"),
    ],
)
def test_protocols_are_made_canonical(attributes: dict[str, Any], protocol: str | None) -> None:
    assert rule(**attributes).protocol == protocol


def test_ports_may_be_text_and_icmp_takes_a_type_alone() -> None:
    made = rule(protocol="tcp", port_range_min="22", port_range_max=23)
    assert (made.port_range_min, made.port_range_max) == (22, 23)
    assert rule(protocol="icmp", port_range_min=8).port_range_max is None
    assert rule(protocol="icmp", port_range_min=0, port_range_max=0).port_range_min == 0
    assert rule(protocol="udplite", port_range_min=1, port_range_max=65535).protocol == "udplite"


@pytest.mark.parametrize(
    ("given", "normal", "shown"),
    [
        ("10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.5/24", "10.0.0.0/24", "10.0.0.5/24"),
        ("10.0.0.5", "10.0.0.5/32", "10.0.0.5/32"),
        ("2001:DB8::5/32", "2001:db8::/32", "2001:DB8::5/32"),
        ("2001:DB8::5", "2001:db8::5/128", "2001:db8::5/128"),
        ("", None, None),
        (None, None, None),
    ],
)
def test_a_prefix_has_no_host_bits_and_is_shown_as_given(
    given: str | None, normal: str | None, shown: str | None
) -> None:
    made = rule(remote_ip_prefix=given, ethertype="IPv6" if ":" in (given or "") else "IPv4")
    assert (made.remote_ip_prefix, made.shown_prefix) == (normal, shown)


def test_rules_that_allow_the_same_are_the_same() -> None:
    assert says(rule(protocol="tcp")) == says(rule(protocol=6, description="another"))
    assert says(rule(remote_ip_prefix="0.0.0.0/0")) == says(rule())
    assert says(rule(remote_ip_prefix="10.0.0.1/8")) == says(rule(remote_ip_prefix="10.0.0.0/8"))
    assert says(rule(remote_group_id="g")) != says(rule())
    assert says(rule(protocol="icmp", port_range_min=8)) != says(rule(protocol="icmp"))


def test_every_name_has_its_number() -> None:
    assert all(number_of(name) == number for name, number in PROTOCOLS.items())
    assert number_of("253") == 253
