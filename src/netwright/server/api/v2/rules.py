"""Which rule of policy a route is held to, and what the rules of this API are by default."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from netwright.model.errors import Denied
from netwright.server.api.v2 import policy
from netwright.server.commands import Caller
from netwright.server.rights.rules import ADMIN, MEMBER, NETWORK_OWNER, READER, SERVICE, either

_READ, _WRITE = "default_read", "default_write"
"""What routes are held to that have no rule of their own."""

_SINGULAR = {
    "networks": "network",
    "segments": "segment",
    "subnets": "subnet",
    "ports": "port",
    "routers": "router",
    "floatingips": "floatingip",
    "floatingip_pools": "floatingip_pool",
    "floatingip-pools": "floatingip_pool",
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
    "address-scopes": "address_scope",
    "subnetpools": "subnetpool",
    "rbac-policies": "rbac_policy",
    "address-groups": "address_group",
    "default-security-group-rules": "default_security_group_rule",
    "quotas": "quota",
    "extensions": "extension",
    "agents": "agent",
    "availability_zones": "availability_zone",
    "network-ip-availabilities": "network_ip_availability",
    "policies": "policy",
    "trunks": "trunk",
    "rule-types": "rule_type",
}
_CHANGED = frozenset(_SINGULAR.values()) - {
    *("quota", "extension", "agent", "availability_zone", "network_ip_availability"),
    "rule_type",
    "floatingip_pool",
}
"""What projects make, change and delete; the rest they read."""
_TAGGED = ("networks", "subnets", "ports", "routers", "floatingips", "security_groups",
           "subnetpools", "policies", "trunks")  # fmt: skip
_QOS_RULES = ("bandwidth_limit", "dscp_marking", "minimum_bandwidth")
_OF_SERVICES = frozenset({"port"})
"""What services make and change in any project; they read all that has a collection here."""
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "DELETE": "delete"}
_ACTIONS_BY_NAME = frozenset(
    {
        *("add_router_interface", "remove_router_interface", "add_prefixes", "remove_prefixes"),
        *("add_subports", "remove_subports", "get_subports"),
    }
)
_WRITING = ("create", "update", "delete")
_OWN_DEFAULTS = {
    "get_extension": "@",
    "get_agent": ADMIN,
    "get_segment": ADMIN,
    **dict.fromkeys((f"{verb}_segment" for verb in _WRITING), ADMIN),
    "get_network_ip_availability": ADMIN,
    **dict.fromkeys((f"{verb}_policy" for verb in _WRITING), ADMIN),
    **{f"{verb}_policy_{rule}_rule": ADMIN for verb in _WRITING for rule in _QOS_RULES},
    **{f"get_policy_{rule}_rule": READER for rule in _QOS_RULES},
    "update_quota": ADMIN,
    "delete_quota": ADMIN,
    "add_subports": MEMBER,
    "remove_subports": MEMBER,
    "get_subports": READER,
    "create_default_security_group_rule": ADMIN,
    "delete_default_security_group_rule": ADMIN,
    "add_prefixes": MEMBER,
    "remove_prefixes": MEMBER,
    "add_router_interface": MEMBER,
    "remove_router_interface": MEMBER,
    **dict.fromkeys(
        (*(f"{verb}_port_binding" for verb in _VERBS.values()), "activate_port_binding"),
        either(ADMIN, SERVICE),
    ),
    _READ: either(READER, f"{SERVICE} and rule:owner"),
    _WRITE: MEMBER,
}


def _actions() -> Iterator[tuple[str, str]]:
    for name in _SINGULAR.values():
        yield f"get_{name}", either(READER, SERVICE)
    for name in sorted(_CHANGED):
        for verb in _WRITING:
            yield f"{verb}_{name}", either(MEMBER, SERVICE) if name in _OF_SERVICES else MEMBER
    for name in _TAGGED:
        yield f"get_{name}_tags", either(READER, SERVICE)
        for verb in _WRITING:
            yield f"{verb}_{name}_tags", MEMBER


ACTIONS: Mapping[str, str] = {**dict(_actions()), **_OWN_DEFAULTS}


def _attributes() -> Iterator[tuple[str, str]]:
    for resource, attributes in policy.ADMIN_ONLY.items():
        for attribute in attributes:
            default = either(ADMIN, SERVICE) if resource in _OF_SERVICES else ADMIN
            for verb in ("create", "update"):
                yield f"{verb}_{resource}:{attribute}", default
    for resource, shown in policy.ADMIN_ONLY_SHOWN.items():
        for attribute in shown:
            default = either(ADMIN, SERVICE) if resource in _OF_SERVICES else ADMIN
            yield f"get_{resource}:{attribute}", default
    for verb in ("create", "update"):  # for everybody
        yield policy.rule_name(verb, "rbac_policy", "target_tenant"), ADMIN
    for attribute in policy.NETWORK_OWNER_ONLY:
        for verb in ("create", "update"):
            yield policy.rule_name(verb, "port", attribute), either(NETWORK_OWNER, SERVICE)


ATTRIBUTES: Mapping[str, str] = dict(_attributes())


@lru_cache(maxsize=1024)
def rule_of(method: str, template: str) -> str:
    """The rule of the route with this method and path."""
    if template.startswith("/v2.0/"):
        name = _named(method, template.strip("/").split("/")[1:])
        if name in ACTIONS:
            return name
    return _READ if method == "GET" else _WRITE


def _named(method: str, parts: list[str]) -> str:
    """By Neutron's names; `parts` are a path's, without the version."""
    if parts[0] == "qos":
        parts = parts[1:]
    collection, verb = parts[0] if parts else "", _VERBS.get(method, method.lower())
    singular = _SINGULAR.get(collection, collection)
    if len(parts) <= 2 or collection == "quotas":  # noqa: PLR2004 - a collection, and an id in it
        return f"{verb}_{singular}"
    if parts[2] == "tags":
        verb = "update" if method == "PUT" else verb
        return f"{verb}_{collection.replace('-', '_')}_tags"
    if parts[2].endswith("_rules"):
        return f"{verb}_{singular}_{parts[2].removesuffix('s')}"
    if parts[2] == "bindings":
        return "activate_port_binding" if parts[-1] == "activate" else f"{verb}_port_binding"
    if parts[2] in _ACTIONS_BY_NAME:
        return parts[2]
    return f"{verb}_{singular}"


def require(caller: Caller, method: str, template: str) -> Caller:
    """The caller as this route's handler is to know it; raises Denied."""
    rights, rule = caller.rights, rule_of(method, template)
    if rule in rights.everywhere:
        return Caller(project_id=caller.project_id, rights=rights, reaches_all=True)
    if rule in rights.denied:
        raise Denied(
            f"rule:{rule} is disallowed by policy",
            next="Ask with a role that may, or ask an administrator.",
        )
    return caller
