"""What Netwright is to have, of Neutron's rows."""

from typing import Any

import pytest
from tests.unit.integrations.neutron import rows

from netwright_neutron.kinds import Key, Kind
from netwright_neutron.mapping import is_bound_by_us, marks_of_port, rule_of, wanted


def test_a_network_is_on_its_segment() -> None:
    made = wanted(Kind.NETWORK, rows.network())
    assert made is not None
    assert made.fixed == {
        "project_id": "p",
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": 100,
    }
    assert made.changeable["name"] == "red"
    assert "tags" not in made.changeable


@pytest.mark.parametrize("kind", [None, "geneve", "gre", "local"])
def test_networks_of_other_drivers_are_theirs(kind: str | None) -> None:
    assert wanted(Kind.NETWORK, rows.network(**{"provider:network_type": kind})) is None


def test_a_vxlan_network_has_no_physical_network() -> None:
    row = rows.network(**{"provider:network_type": "vxlan", "provider:physical_network": None})
    made = wanted(Kind.NETWORK, row)
    assert made is not None
    assert "provider:physical_network" not in made.fixed


def test_a_ports_host_is_said_when_we_bound_it() -> None:
    unbound, ours = wanted(Kind.PORT, rows.port()), wanted(Kind.PORT, rows.bound())
    assert unbound is not None
    assert ours is not None
    assert (unbound.changeable["binding:host_id"], unbound.status) == ("", "")
    assert (ours.changeable["binding:host_id"], ours.status) == ("host1", "DOWN")


@pytest.mark.parametrize(
    "other",
    [
        {"binding:vif_type": "binding_failed"},
        {"binding:vif_type": "unbound"},
        {"binding:vif_details": {"bound_by": "another"}},
        {"binding:vif_details": {}},
        {"binding:vif_details": None},
    ],
)
def test_what_others_bound_is_not_ours(other: dict[str, Any]) -> None:
    assert is_bound_by_us(rows.bound())
    assert not is_bound_by_us(rows.bound(**other))


@pytest.mark.parametrize("owner", ["network:router_gateway", "network:floatingip"])
def test_holders_of_outer_addresses_are_netwrights_own(owner: str) -> None:
    row = rows.port(device_owner=owner, device_id="x")
    assert wanted(Kind.PORT, row) is None
    assert Kind.PORT not in {key.kind for key in marks_of_port(row)}


def test_a_port_of_a_kind_that_nobody_wires() -> None:
    assert wanted(Kind.PORT, rows.port(**{"binding:vnic_type": "direct"})) is None


@pytest.mark.parametrize(
    ("owner", "also"),
    [
        ("compute:nova", []),
        ("", []),
        ("network:dhcp", []),
        ("network:router_interface", [Key(Kind.ROUTER, "vm1")]),
        ("network:router_gateway", [Key(Kind.ROUTER, "vm1")]),
        ("network:floatingip", [Key(Kind.FLOATING_IP, "vm1")]),
    ],
)
def test_what_a_port_has_looked_at(owner: str, also: list[Key]) -> None:
    marks = marks_of_port(rows.port(device_owner=owner))
    assert [key for key in marks if key.kind is not Kind.PORT] == also


def test_a_port_without_security_is_in_no_group() -> None:
    made = wanted(Kind.PORT, rows.port(port_security_enabled=False))
    assert made is not None
    assert made.changeable["security_groups"] == []


def test_an_interface_leaves_the_rest_to_netwright() -> None:
    made = wanted(Kind.PORT, rows.port(device_owner="network:router_interface"))
    assert made is not None
    assert {"device_id", "security_groups", "binding:host_id"}.isdisjoint(made.changeable)


def test_the_default_group_has_another_name() -> None:
    made = wanted(Kind.SECURITY_GROUP, rows.group(name="default"))
    assert made is not None
    assert made.changeable["name"] != "default"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"protocol": None}, {"protocol": "any"}),
        ({"protocol": "TCP"}, {"protocol": "tcp"}),
        ({"protocol": 6}, {"protocol": "6"}),
        ({"protocol": "6"}, {"protocol": "tcp"}),
        ({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": "icmpv6", "ethertype": "IPv6"}),
        ({"protocol": 58, "ethertype": "IPv6"}, {"protocol": "ipv6-icmp", "ethertype": "IPv6"}),
        ({"remote_ip_prefix": "0.0.0.0/0"}, {"remote_ip_prefix": None}),
        ({"remote_ip_prefix": "10.0.0.1"}, {"remote_ip_prefix": "10.0.0.1/32"}),
        ({"remote_ip_prefix": "10.0.0.1/24"}, {"remote_ip_prefix": "10.0.0.0/24"}),
        ({"id": "a"}, {"id": "b"}),
    ],
)
def test_rules_that_say_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert rule_of(rows.rule(**one)) == rule_of(rows.rule(**other))
    assert rule_of(rows.rule(**one)) != rule_of(rows.rule(**one, direction="egress"))
