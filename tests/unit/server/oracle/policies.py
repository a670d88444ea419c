"""Who may give and see what, as Neutron's default policies have it.

neutron-lib says only where there is a rule (`enforce_policy`), not which.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Who = Literal["member", "network owner", "admin"]

NETWORK_OWNER: Who = "network owner"


class Rule(NamedTuple):
    """`value`: what the rule is about, where it is not about every value."""

    create: Who = "member"
    update: Who = "member"
    is_seen_by_admins_only: bool = False
    value: Any = None

    def of(self, value: Any) -> Any:
        """The value to try."""
        return value if self.value is None else self.value


_ADMIN = Rule("admin", "admin")
_ADMIN_ALONE = Rule("admin", "admin", is_seen_by_admins_only=True)
_NETWORKS = Rule(NETWORK_OWNER, NETWORK_OWNER)

_POLICIES = ("name", "description", "shared", "is_default")

POLICY: Mapping[tuple[str, str], Rule] = {
    **{("policies", name): _ADMIN for name in _POLICIES},
    ("address_scopes", "shared"): _ADMIN._replace(value=True),
    ("networks", "shared"): _ADMIN._replace(value=True),
    ("floatingips", "floating_ip_address"): Rule("admin")._replace(value="@outer_address"),
    ("networks", "mtu"): Rule(),
    ("networks", "qos_policy_id"): Rule(),
    ("networks", "router:external"): _ADMIN._replace(value=True),
    ("networks", "port_security_enabled"): Rule(),
    ("networks", "provider:network_type"): _ADMIN_ALONE,
    ("networks", "provider:physical_network"): _ADMIN_ALONE,
    ("networks", "provider:segmentation_id"): _ADMIN_ALONE,
    ("networks", "segments"): _ADMIN_ALONE,
    ("subnets", "segment_id"): _ADMIN_ALONE._replace(value="@own_segment"),
    ("ports", "allowed_address_pairs"): _NETWORKS,
    ("ports", "binding:host_id"): _ADMIN_ALONE._replace(value="h1"),
    ("ports", "binding:profile"): _ADMIN_ALONE,
    ("ports", "binding:vif_details"): _ADMIN_ALONE,
    ("ports", "binding:vif_type"): _ADMIN_ALONE,
    ("ports", "binding:vnic_type"): Rule(),
    ("ports", "data_plane_status"): Rule("admin", "admin"),
    ("ports", "device_id"): Rule(),
    ("ports", "device_owner"): _NETWORKS._replace(value="network:dhcp"),
    ("ports", "fixed_ips"): _NETWORKS,
    ("ports", "mac_address"): Rule(NETWORK_OWNER, "admin"),
    ("ports", "port_security_enabled"): _NETWORKS,
    ("ports", "qos_policy_id"): Rule(),
    ("rbac_policies", "action"): Rule(),
    ("rbac_policies", "object_id"): Rule(),
    ("rbac_policies", "object_type"): Rule(),
    ("rbac_policies", "target_tenant"): _ADMIN._replace(value="*"),
    ("security_groups", "shared"): Rule(),
    ("routers", "external_gateway_info"): Rule(),
    ("ports", "trunk_details"): Rule(),
    ("trunks", "sub_ports"): Rule(),
    ("subnetpools", "is_default"): _ADMIN._replace(value=True),
    ("subnetpools", "shared"): _ADMIN._replace(value=True),
    ("subnets", "shared"): Rule(),
}
"""By collection and attribute. What is not here is its project's."""
