"""What only admins, or the owner of a network, may ask for: Neutron's defaults, as a table."""

from collections.abc import Iterable, Mapping
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
        "drift_domain": None,
        "shared": False,
        "router:external": False,
    },
    "subnet": {},
    "port": {"binding:host_id": UNSET, "binding:profile": UNSET},
    "security_group": {},
    "security_group_rule": {},
    "address_scope": {"shared": False},
    "subnetpool": {"shared": False, "is_default": False},
    "router": {},  # of its gateway, more than the network: see `routers`
    "floatingip": {"floating_ip_address": None},
}

# What only admins see, so only they may ask which ones have it.
ADMIN_ONLY_FILTERS = {
    "network": frozenset(
        {
            "provider:network_type",
            "provider:physical_network",
            "provider:segmentation_id",
        }
    ),
    "subnet": frozenset[str](),
    "port": frozenset({"binding:host_id"}),
    "security_group": frozenset[str](),
    "security_group_rule": frozenset[str](),
    "address_scope": frozenset[str](),
    "subnetpool": frozenset[str](),
    "router": frozenset[str](),
    "floatingip": frozenset[str](),
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
    _require_admin(caller, "update", resource, given, seen)


def _require_admin(
    caller: Caller,
    action: str,
    resource: str,
    given: Mapping[str, Any],
    standing: Mapping[str, Any],
) -> None:
    if caller.is_admin:
        return
    for attribute in ADMIN_ONLY[resource]:
        if attribute in given and given[attribute] != standing.get(attribute, UNSET):
            raise _denied(action, resource, attribute)


def require_admin_to_filter(caller: Caller, resource: str, filters: Iterable[str]) -> None:
    """Raises Denied when a list is filtered by what only an admin may see."""
    if caller.is_admin:
        return
    for attribute in filters:
        if attribute in ADMIN_ONLY_FILTERS[resource]:
            raise _denied("get", resource, attribute)


def network_owners_part(given: Iterable[str]) -> list[str]:
    """What of a port's request only an admin or its network's owner may set."""
    return [attribute for attribute in given if attribute in NETWORK_OWNER_ONLY]


def require_network_owner(action: str, given: Iterable[str], *, owns: bool) -> None:
    """Raises Denied when a port's request sets what only its network's owner may."""
    reserved = network_owners_part(given)
    if reserved and not owns:
        raise _denied(action, "port", reserved[0])


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
