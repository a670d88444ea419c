"""What only admins, or the owner of a network, may ask for: Neutron's defaults, as a table.

A caller's rights (`rights.rules`) may grant what stands here, or deny what does not.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec import UNSET

from netwright.model.errors import Denied
from netwright.server.commands import Caller

# With the value that says no more than leaving the attribute out does; UNSET: there is none.
ADMIN_ONLY: Mapping[str, Mapping[str, Any]] = {
    "network": {
        "provider:network_type": UNSET,
        "provider:physical_network": UNSET,
        "provider:segmentation_id": UNSET,
        "segments": UNSET,
        "drift_domain": None,
        "shared": False,
        "router:external": False,
        "handed_over": None,
    },
    "subnet": {"segment_id": None, "handed_over": None},
    "segment": {},  # administrators' as a whole: see `segments`
    "port": {"binding:host_id": UNSET, "binding:profile": UNSET, "handed_over": None},
    "security_group": {"handed_over": None},
    "security_group_rule": {},
    "address_scope": {"shared": False},
    "subnetpool": {"shared": False, "is_default": False},
    "router": {"handed_over": None},  # of its gateway, more than the network: see `routers`
    "floatingip": {"floating_ip_address": None, "handed_over": None},
    "trunk": {},
    "policy": {},  # administrators' as a whole: see `qos_policies`
    "rbac_policy": {},  # but with everybody: see `rbac_policies`
    "address_group": {},
    "default_security_group_rule": {},
}

ADMIN_ONLY_TO_UPDATE: Mapping[str, frozenset[str]] = {
    "port": frozenset({"mac_address", "data_plane_status"})
}
"""What others may give a new resource, and not change."""

# What only admins see, so only they may ask which ones have it.
ADMIN_ONLY_FILTERS = {
    "network": frozenset(
        {
            "provider:network_type",
            "provider:physical_network",
            "provider:segmentation_id",
        }
    ),
    "subnet": frozenset({"segment_id"}),
    "segment": frozenset[str](),
    "port": frozenset({"binding:host_id"}),
    "security_group": frozenset[str](),
    "security_group_rule": frozenset[str](),
    "address_scope": frozenset[str](),
    "subnetpool": frozenset[str](),
    "router": frozenset[str](),
    "floatingip": frozenset[str](),
    "policy": frozenset[str](),
    "trunk": frozenset[str](),
    "rbac_policy": frozenset[str](),
    "address_group": frozenset[str](),
    "default_security_group_rule": frozenset[str](),
}

# What others are not shown at all.
ADMIN_ONLY_SHOWN: Mapping[str, frozenset[str]] = {
    "network": frozenset(
        {
            "provider:network_type",
            "provider:physical_network",
            "provider:segmentation_id",
            "segments",
            "drift_domain",
        }
    ),
    "subnet": frozenset({"segment_id"}),
    "port": frozenset(
        {"binding:host_id", "binding:vif_type", "binding:vif_details", "binding:profile"}
    ),
}

# Attributes by which a port could pass for another in a network that is shared with it.
NETWORK_OWNER_ONLY = frozenset(
    {
        "mac_address",
        "port_security_enabled",
        "allowed_address_pairs",
        "fixed_ips:ip_address",
        "device_owner:network",
    }
)


def require_admin_to_create(caller: Caller, resource: str, given: Mapping[str, Any]) -> None:
    """Raises Denied when the request sets what only an admin may, to more than its default."""
    _require_admin(caller, "create", resource, given, ADMIN_ONLY[resource])


def require_admin_to_update(
    caller: Caller, resource: str, given: Mapping[str, Any], seen: Mapping[str, Any]
) -> None:
    """Raises Denied when the request changes what only an admin may.

    `seen` is the resource as the caller sees it: sending back what one was shown changes nothing.
    (Neutron refuses that too, which fails clients that send a resource whole.) What the caller is
    not shown is refused whatever its value, so that nobody finds it out by trying.
    """
    standing = {name: seen.get(name, UNSET) for name in admins_to_update(resource)}
    _require_admin(caller, "update", resource, given, standing)


def admins_to_update(resource: str) -> Collection[str]:
    """The attributes that only an admin may change."""
    return (*ADMIN_ONLY[resource], *ADMIN_ONLY_TO_UPDATE.get(resource, ()))


def _require_admin(
    caller: Caller,
    action: str,
    resource: str,
    given: Mapping[str, Any],
    standing: Mapping[str, Any],
) -> None:
    """`standing` holds what is reserved, with the value that changes nothing."""
    if caller.is_admin:
        return
    for attribute, value in standing.items():
        if (
            attribute in given
            and given[attribute] != value
            and rule_name(action, resource, attribute) not in caller.rights.granted
        ):
            raise _denied(action, resource, attribute)


def require_admin_to_filter(caller: Caller, resource: str, filters: Iterable[str]) -> None:
    """Raises Denied when a list is filtered by what only an admin may see."""
    if caller.is_admin:
        return
    for attribute in filters:
        if attribute in ADMIN_ONLY_FILTERS[resource] and not shows(caller, resource, attribute):
            raise _denied("get", resource, attribute)


def shows(caller: Caller, resource: str, attribute: str) -> bool:
    """Whether the caller is shown an attribute of those that others are not."""
    return caller.is_admin or f"get_{resource}:{attribute}" in caller.rights.granted


def reserved(caller: Caller, action: str, resource: str) -> frozenset[str]:
    """What of such a resource only others may set: admins, and who was granted it."""
    if caller.is_admin:
        return frozenset()
    return frozenset(
        attribute
        for attribute in admins_to_update(resource)
        if rule_name(action, resource, attribute) not in caller.rights.granted
    )


def require_granted(caller: Caller, rule: str) -> None:
    """Raises Denied where an action is an administrator's, and was granted to nobody else here."""
    if not (caller.is_admin or caller.reaches_all or rule in caller.rights.granted):
        raise Denied(f"rule:{rule} is disallowed by policy", next="Ask an administrator.")


def rule_name(action: str, resource: str, attribute: str) -> str:
    """The rule of an attribute, such as create_network:shared."""
    return f"{action}_{resource}:{attribute.removesuffix(':network')}"


def network_owners_part(given: Iterable[str]) -> list[str]:
    """What of a port's request only an admin or its network's owner may set."""
    return [attribute for attribute in given if attribute in NETWORK_OWNER_ONLY]


def require_network_owner(caller: Caller, action: str, given: Iterable[str], *, owns: bool) -> None:
    """Raises Denied when a port's request sets what only its network's owner may."""
    for attribute in network_owners_part(given):
        rule, rights = rule_name(action, "port", attribute), caller.rights
        if rule in rights.denied or not (owns or rule in rights.granted):
            raise _denied(action, "port", attribute)


def require_admin_of_gateway(
    caller: Caller, action: str, given: Mapping[str, Any], standing: Mapping[str, Any]
) -> None:
    """Raises Denied when a router's gateway is asked to be more than in a network.

    `standing` is what the caller sees of the gateway that there is.
    """
    if caller.is_admin:
        return
    for attribute in ("enable_snat", "external_fixed_ips"):
        if attribute in given and given[attribute] != standing.get(attribute, UNSET):
            raise _denied(action, "router", f"external_gateway_info:{attribute}")


def require_own_project(caller: Caller, project_id: str) -> None:
    """Raises Denied when a request would make something in another's project."""
    if not caller.may_touch(project_id):
        raise Denied(
            f"Project {caller.project_id} may not make anything in project {project_id}.",
            next="Leave project_id out, or ask an administrator.",
        )


def require_touchable(caller: Caller, action: str, resource: str, project_id: str) -> None:
    """Raises Denied when the resource is another project's, though the caller may see it."""
    if not caller.may_touch(project_id):
        raise Denied(
            f"rule:{action}_{resource} is disallowed by policy",
            next=f"The {resource} belongs to project {project_id}: ask there.",
        )


def _denied(action: str, resource: str, attribute: str) -> Denied:
    return Denied(
        f"rule:{action}_{resource}:{attribute} is disallowed by policy",
        next=f"Leave {attribute} out, or ask an administrator.",
    )
