"""Values to try: what is taken, and what neutron-lib's validators refuse."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import webob.exc
from neutron_lib import exceptions
from neutron_lib.api import converters
from neutron_lib.api.attributes import AttributeInfo
from tests.unit.server.oracle.definitions import Attribute

NOBODY = "0190c9d2-0000-7000-8000-00000000dead"


class Good(NamedTuple):
    """Two values that an attribute takes. `@networks` is the id of the scene's network, and so on.

    `beside` stands beside the first in a creation (None takes away), and beside the second, if
    `otherwise` does not; `beside_change` beside both in an update.
    """

    first: Any
    second: Any
    beside: Mapping[str, Any] = {}
    otherwise: Mapping[str, Any] | None = None
    beside_change: Mapping[str, Any] = {}


_PAIR = {"ip_address": "10.9.9.9", "mac_address": "fa:16:3e:00:00:09"}
_VXLAN = {"provider:network_type": "vxlan"}
_VLAN = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}
_FURTHER = {**_VLAN, "provider:physical_network": "physnet2"}
_IPV6 = {"ip_version": 6, "cidr": "2001:db8:77::/64"}

GOOD: Mapping[tuple[str, str], Good] = {
    ("networks", "mtu"): Good(1400, 1300),
    ("networks", "qos_policy_id"): Good("@policy", "@other_policy"),
    ("ports", "qos_policy_id"): Good("@policy", "@other_policy"),
    ("networks", "provider:network_type"): Good(
        "flat", "vxlan", {"provider:physical_network": "physnet-flat"}, {}
    ),
    ("networks", "provider:physical_network"): Good(
        "physnet1", "physnet2", {"provider:network_type": "vlan", "provider:segmentation_id": 71}
    ),
    ("networks", "provider:segmentation_id"): Good(72, 73, _VLAN),
    ("networks", "segments"): Good(
        [{**_VLAN, "provider:segmentation_id": 74}, {**_FURTHER, "provider:segmentation_id": 74}],
        [{**_VLAN, "provider:segmentation_id": 75}, {**_FURTHER, "provider:segmentation_id": 75}],
    ),
    ("segments", "network_id"): Good("@segmented", "@other_segmented"),
    ("segments", "network_type"): Good("vlan", "flat", otherwise={"segmentation_id": None}),
    ("segments", "physical_network"): Good("physnet2", "physnet3"),
    ("segments", "segmentation_id"): Good(76, 77),
    ("subnets", "segment_id"): Good("@own_segment", None, {"network_id": "@segmented"}, {}),
    ("subnets", "network_id"): Good("@networks", "@other_network"),
    ("subnets", "ip_version"): Good(4, 6, otherwise=_IPV6),
    ("subnets", "cidr"): Good("10.200.0.0/24", "10.200.1.0/24"),
    ("subnets", "use_default_subnetpool"): Good(
        first=True, second=False, beside={"ip_version": 6, "cidr": None}, otherwise={}
    ),
    ("subnets", "subnetpool_id"): Good("@subnetpools", None, {"cidr": None}, {}),
    ("subnets", "prefixlen"): Good(26, 27, {"cidr": None, "subnetpool_id": "@subnetpools"}),
    ("subnets", "gateway_ip"): Good(
        "10.201.0.9",
        "10.201.0.8",
        {
            "cidr": "10.201.0.0/24",
            "allocation_pools": [{"start": "10.201.0.99", "end": "10.201.0.199"}],
        },
    ),
    ("subnets", "allocation_pools"): Good(
        [{"start": "10.202.0.9", "end": "10.202.0.19"}],
        [{"start": "10.202.0.9", "end": "10.202.0.29"}],
        {"cidr": "10.202.0.0/24"},
    ),
    ("subnets", "dns_nameservers"): Good(["10.1.1.1"], ["10.1.1.2", "10.1.1.1"]),
    ("subnets", "host_routes"): Good(
        [{"destination": "10.8.0.0/16", "nexthop": "10.0.0.9"}],
        [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}],
    ),
    ("subnets", "ipv6_ra_mode"): Good("slaac", "dhcpv6-stateless", _IPV6),
    ("subnets", "ipv6_address_mode"): Good("slaac", "dhcpv6-stateless", _IPV6),
    ("ports", "network_id"): Good("@networks", "@other_network"),
    ("ports", "mac_address"): Good("fa:16:3e:00:00:01", "fa:16:3e:00:00:02"),
    ("ports", "fixed_ips"): Good(
        [{"subnet_id": "@subnets", "ip_address": "@address"}],
        [{"subnet_id": "@subnets", "ip_address": "@other"}],
    ),
    ("ports", "device_id"): Good("instance-1", "instance-2"),
    ("ports", "device_owner"): Good("compute:nova", "compute:zone"),
    ("ports", "allowed_address_pairs"): Good([_PAIR], [{**_PAIR, "ip_address": "10.9.0.0/16"}]),
    ("ports", "dns_name"): Good("one", "two.example.org."),
    ("ports", "dns_domain"): Good("one.example.", "two.example."),
    ("ports", "data_plane_status"): Good("ACTIVE", "DOWN"),
    ("networks", "dns_domain"): Good("one.example.", "two.example."),
    ("networks", "availability_zone_hints"): Good(["north"], ["south"]),
    ("routers", "availability_zone_hints"): Good(["north"], ["south"]),
    ("floatingips", "dns_name"): Good("one", "two.three"),
    ("floatingips", "dns_domain"): Good("one.example.", "two.example."),
    ("ports", "extra_dhcp_opts"): Good(
        [{"opt_name": "bootfile-name", "opt_value": "one", "ip_version": 4}],
        [{"opt_name": "bootfile-name", "opt_value": "two", "ip_version": 4}],
    ),
    ("ports", "port_security_enabled"): Good(
        first=True,
        second=False,
        otherwise={"security_groups": []},
        beside_change={"security_groups": []},
    ),
    ("ports", "security_groups"): Good(["@security_groups"], []),
    ("ports", "binding:vnic_type"): Good("normal", "baremetal"),
    ("ports", "binding:host_id"): Good("h1", ""),
    ("ports", "binding:profile"): Good({"key": "one"}, {"key": "two"}),
    ("ports", "tags"): Good(["one"], ["two"]),
    ("security_group_rules", "security_group_id"): Good("@security_groups", "@security_groups"),
    ("security_group_rules", "remote_group_id"): Good("@security_groups", "@security_groups"),
    ("security_group_rules", "direction"): Good("ingress", "egress"),
    ("security_group_rules", "protocol"): Good("tcp", "udp"),
    ("security_group_rules", "port_range_min"): Good(7, 8),
    ("security_group_rules", "port_range_max"): Good(
        9, 10, {"port_range_min": 9, "protocol": "tcp"}
    ),
    ("security_group_rules", "ethertype"): Good("IPv4", "IPv6"),
    ("security_group_rules", "remote_ip_prefix"): Good("10.1.0.0/16", "10.2.0.0/16"),
    ("address_scopes", "ip_version"): Good(4, 6),
    ("subnetpools", "prefixes"): Good(["10.210.0.0/16"], ["10.210.0.0/15"]),
    ("subnetpools", "address_scope_id"): Good("@address_scopes", None),
    ("subnetpools", "default_quota"): Good(700, 800),
    ("subnetpools", "default_prefixlen"): Good(26, 27),
    ("subnetpools", "min_prefixlen"): Good(25, 24),
    ("subnetpools", "max_prefixlen"): Good(29, 28),
    ("routers", "external_gateway_info"): Good(
        {
            "network_id": "@outer",
            "enable_snat": True,
            "external_fixed_ips": [{"subnet_id": "@outer_subnet", "ip_address": "@outer_address"}],
        },
        None,
    ),
    ("floatingips", "floating_network_id"): Good("@outer", "@outer"),
    ("floatingips", "floating_ip_address"): Good("@outer_address", "@outer_other"),
    ("floatingips", "subnet_id"): Good("@outer_subnet", "@outer_subnet"),
    ("floatingips", "port_id"): Good("@port", None),
    ("floatingips", "fixed_ip_address"): Good(
        "@pair_address",
        "@pair_other",
        {"port_id": "@pair"},
        {"port_id": "@pair"},
        {"port_id": "@pair"},
    ),
    ("address_groups", "addresses"): Good(["10.1.0.0/16"], ["10.1.0.0/16", "2001:db8::/32"]),
    ("security_group_rules", "remote_address_group_id"): Good("@address_groups", "@address_groups"),
    **{
        ("default_security_group_rules", name): good
        for name, good in {
            "remote_group_id": Good("PARENT", None),
            "direction": Good("ingress", "egress"),
            "protocol": Good("tcp", "udp"),
            "port_range_min": Good(7, 8),
            "port_range_max": Good(9, 10, {"port_range_min": 9, "protocol": "tcp"}),
            "ethertype": Good("IPv4", "IPv6"),
            "remote_ip_prefix": Good("10.1.0.0/16", "10.2.0.0/16"),
        }.items()
    },
    ("subnets", "service_types"): Good(["compute:nova"], ["network:dhcp", "compute:nova"]),
    ("rbac_policies", "object_type"): Good(
        "network", "address_scope", otherwise={"object_id": "@address_scopes"}
    ),
    ("rbac_policies", "object_id"): Good("@networks", "@other_network"),
    ("rbac_policies", "target_tenant"): Good("one", "two"),
    ("rbac_policies", "action"): Good("access_as_shared", "access_as_external"),
    ("routers", "routes"): Good([], []),
    ("trunks", "port_id"): Good("@parent", "@other_parent"),
    ("trunks", "sub_ports"): Good(
        [{"port_id": "@sub_port", "segmentation_type": "vlan", "segmentation_id": 7}],
        [{"port_id": "@other_sub_port", "segmentation_type": "vlan", "segmentation_id": 8}],
    ),
}
"""Of what its validators do not say enough of."""

HIDDEN_FILTERS: Mapping[tuple[str, str], str] = {
    ("network_ip_availabilities", "ip_version"): "4",
    ("subnets", "shared"): "false",
}
"""What to filter by of what nobody is shown."""

PROBES: tuple[Any, ...] = (
    *(None, "", "one", "x" * 256, "maybe", 2, -1, 5.5, "2", [], {}),
    *("10.0.0.1", "10.0.0.1/33", "fe80::g", "10.0.0.0/8", "fa:16:3e", "fa:16:3e:00:00:zz"),
    *("not-a-uuid", NOBODY, "1" * 33, " padded ", "tab\tinside", "zero\u200bwidth"),
    *([1], [None], [""], ["10.0.0.0/33"], ["10.1.1.1", "10.1.1.1"], ["x"], [{}]),
    *([{"start": "10.0.0.9"}], [{"start": "10.0.0.9", "end": "x"}], [{"start": 1, "end": 2}]),
    *([{"destination": "10.0.0.0/8"}], [{"destination": "x", "nexthop": "10.0.0.1"}]),
    *([{"destination": "10.0.0.0/8", "nexthop": "x"}], [{"nexthop": "10.0.0.1"}]),
    *([{"ip_address": "x"}], [{"subnet_id": "x"}], [{"ip_address": "10.0.0.1", "more": 1}]),
    *([{"ip_address": "10.9.9.9", "mac_address": "x"}], "{}", {"a": 1}),
)
"""Each is tried on each attribute; what neutron-lib refuses, the server has to refuse."""

FORMS: Mapping[Any, tuple[tuple[Any, Any], ...]] = {
    converters.convert_to_boolean: (
        *((True, True), (False, False), ("true", True), ("False", False), ("TRUE", True)),
        *((1, True), (0, False), ("1", True), ("0", False)),
    ),
}
"""By how a value is converted: in which forms it may be given, and what is shown then."""


def good_of(collection: str, attribute: str, says: Attribute) -> Good | None:
    """What the attribute takes; None: nobody said."""
    if (collection, attribute) in GOOD:
        return GOOD[collection, attribute]
    if attribute in {"tenant_id", "project_id"}:
        return Good("member", "member")
    if says.get("convert_to") is converters.convert_to_boolean:
        return Good(first=True, second=False)
    names = {"type:name_string", "type:not_empty_name_string", "type:string"}
    if names & says.get("validate", {}).keys() or attribute == "name":
        return Good("one", "two")
    return None


def refused(attribute: str, says: Attribute) -> Iterator[Any]:
    """The probes that neutron-lib refuses."""
    for probe in PROBES:
        try:
            AttributeInfo({attribute: dict(says)}).convert_values({attribute: deepcopy(probe)})
        except (exceptions.InvalidInput, webob.exc.HTTPBadRequest):
            yield probe
        except (TypeError, ValueError, AttributeError, KeyError, IndexError):
            continue  # Neutron fails there: it says nothing of what is right
