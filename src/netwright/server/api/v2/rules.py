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
    "subnets": "subnet",
    "ports": "port",
    "routers": "router",
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
    "address-scopes": "address_scope",
    "subnetpools": "subnetpool",
    "quotas": "quota",
    "extensions": "extension",
}
_TAGGED = ("networks", "subnets", "ports", "routers", "security_groups", "subnetpools")
_OF_SERVICES = frozenset({"port", "port_binding"})
"""What services make and change in any project; they read all that has a collection here."""
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "DELETE": "delete"}


def _actions() -> Iterator[tuple[str, str]]:
    yield _READ, either(READER, f"{SERVICE} and rule:owner")
    yield _WRITE, MEMBER
    for name in (*_SINGULAR.values(), "port_binding"):
        yield f"get_{name}", either(READER, SERVICE)
        for verb in ("create", "update", "delete"):
            yield f"{verb}_{name}", either(MEMBER, SERVICE) if name in _OF_SERVICES else MEMBER
    for name in _TAGGED:
        yield f"get_{name}_tags", either(READER, SERVICE)
        for verb in ("create", "update", "delete"):
            yield f"{verb}_{name}_tags", MEMBER
    for name in ("add_router_interface", "remove_router_interface"):
        yield name, MEMBER
    for verb in ("get", "create", "update", "delete"):
        yield f"{verb}_port_binding", either(ADMIN, SERVICE)
    yield "activate_port_binding", either(ADMIN, SERVICE)
    for verb in ("update", "delete"):
        yield f"{verb}_quota", ADMIN
    yield "get_extension", "@"


_NOT_OFFERED = frozenset(
    f"{verb}_{name}"
    for name in ("extension", "quota")
    for verb in ("create", "update", "delete")
    if f"{verb}_{name}" not in {"update_quota", "delete_quota"}
) | {"update_security_group_rule"}

ACTIONS: Mapping[str, str] = {
    name: rule for name, rule in dict(_actions()).items() if name not in _NOT_OFFERED
}


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
    collection, verb = parts[0] if parts else "", _VERBS.get(method, method.lower())
    singular = _SINGULAR.get(collection, collection)
    if len(parts) <= 2 or collection == "quotas":  # noqa: PLR2004 - a collection, and an id in it
        return f"{verb}_{singular}"
    if parts[2] == "tags":
        verb = "update" if method == "PUT" else verb
        return f"{verb}_{collection.replace('-', '_')}_tags"
    if parts[2] == "bindings":
        return "activate_port_binding" if parts[-1] == "activate" else f"{verb}_port_binding"
    if parts[2] in {"add_router_interface", "remove_router_interface"}:
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
