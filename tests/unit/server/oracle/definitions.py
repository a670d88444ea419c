"""What Neutron says of each alias: neutron-lib's definitions, and those that only Neutron has.

A definition of neutron-lib is taken as it stands. Six aliases are defined in Neutron's own tree,
which is no library: `NEUTRONS` says in our words what they add. `OURS` are our own additions, which
nobody else announces.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from neutron_lib import constants
from neutron_lib.api import converters, definitions

Attribute = Mapping[str, Any]
"""What is said of one attribute: `allow_post`, `default`, `validate` …"""

CORE = ("network", "subnet", "subnetpool", "port")
"""What Neutron has without an extension."""

UNSET = constants.ATTR_NOT_SPECIFIED


class Alias(NamedTuple):
    """An extension: `requires` are the aliases that must be announced beside it."""

    alias: str
    name: str
    description: str
    updated: str
    attributes: Mapping[str, Mapping[str, Attribute]] = {}
    sub_resources: Mapping[str, Mapping[str, Any]] = {}
    actions: Mapping[str, Mapping[str, str]] = {}
    requires: tuple[str, ...] = ()


OURS: Mapping[str, str] = {
    "container-claims": "ports show whose container they are for, and how long they are kept",
    "drift-domain": "networks say how far containers' named ports may move",
    "handed-over": "admins make what another service owns with the ids that it has there",
    "network-labels": "networks have labels, by which ports may ask for any of several networks",
    "port-unique-name": "a port that is asked for twice by one name is made once",
}

OUR_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "networks": frozenset({"labels", "drift_domain"}),
    "ports": frozenset({"unique_name", "claim"}),
}
"""What they show, by collection."""


def _read_only(**more: Any) -> Attribute:
    return {"allow_post": False, "allow_put": False, "is_visible": True, **more}


def _set_once(**more: Any) -> Attribute:
    return {"allow_post": True, "allow_put": False, "is_visible": True, **more}


_KEY = {"is_filter": True, "is_sort_key": True}
_ID = _read_only(validate={"type:uuid": None}, primary_key=True, **_KEY)
_PROJECT = _set_once(required_by_policy=True, validate={"type:string": 255}, **_KEY)
_DESCRIPTION = {
    **_set_once(validate={"type:string": 255}, default="", **_KEY),
    "allow_put": True,
}
_REVISION = _read_only(**_KEY)
_MOMENT = _read_only(is_sort_key=True)
_TAGS = _read_only(is_filter=True)

GROUPS: Mapping[str, Mapping[str, Attribute]] = {
    "security_groups": {
        "id": _ID,
        "name": {
            **_set_once(default="", validate={"type:name_not_default": 255}, **_KEY),
            "allow_put": True,
        },
        "tenant_id": _PROJECT,
        "security_group_rules": _read_only(),
    },
    "security_group_rules": {
        "id": _ID,
        "security_group_id": _set_once(required_by_policy=True, **_KEY),
        "remote_group_id": _set_once(default=None, **_KEY),
        "direction": _set_once(validate={"type:values": ["ingress", "egress"]}, **_KEY),
        "protocol": _set_once(default=None, **_KEY),
        "port_range_min": _set_once(default=None, **_KEY),
        "port_range_max": _set_once(default=None, **_KEY),
        "ethertype": _set_once(default="IPv4", **_KEY),
        "remote_ip_prefix": _set_once(default=None, **_KEY),
        "tenant_id": _PROJECT,
    },
    "ports": {
        "security_groups": {**_set_once(default=UNSET, is_filter=True), "allow_put": True},
    },
}
"""Of `security-group`; values of a rule that neutron-lib has no word for are in `probes`."""

_STANDARD = (
    *("networks", "subnets", "subnetpools", "ports", "routers", "security_groups"),
    *("floatingips", "policies", "trunks"),
)


def _standard(**attributes: Attribute) -> Mapping[str, Mapping[str, Attribute]]:
    """Of all that have standard attributes; a rule has no tags, and is never changed."""
    return {
        **dict.fromkeys(_STANDARD, attributes),
        "security_group_rules": {
            name: {**one, "allow_put": False, "is_sort_key": name in {"description", "created_at"}}
            for name, one in attributes.items()
            if name != "tags"
        },
        "segments": {name: one for name, one in attributes.items() if name != "tags"},
    }


_DEFAULT_RULES: Mapping[str, Mapping[str, Attribute]] = {
    "default_security_group_rules": {
        "id": _ID,
        "remote_group_id": _set_once(default=None, **_KEY),
        "direction": _set_once(validate={"type:values": ["ingress", "egress"]}, **_KEY),
        "protocol": _set_once(default=None, **_KEY),
        "port_range_min": _set_once(default=None, **_KEY),
        "port_range_max": _set_once(default=None, **_KEY),
        "ethertype": _set_once(default="IPv4", **_KEY),
        "remote_ip_prefix": _set_once(default=None, **_KEY),
        "remote_address_group_id": _read_only(),
        "description": _set_once(default="", validate={"type:string": 255}, **_KEY),
        "used_in_default_sg": _set_once(
            default=False, convert_to=converters.convert_to_boolean, is_filter=True
        ),
        "used_in_non_default_sg": _set_once(
            default=True, convert_to=converters.convert_to_boolean, is_filter=True
        ),
    },
}
_RULED = {"is_filter": True, "is_sort_key": True, "enforce_policy": True}
_POLICIES: Mapping[str, Mapping[str, Attribute]] = {
    "rbac_policies": {
        "id": _ID,
        "object_type": _set_once(
            validate={
                "type:values": [
                    *("network", "address_scope", "subnetpool", "security_group"),
                    "address_group",
                ]
            },
            **_RULED,
        ),
        "object_id": _set_once(validate={"type:uuid": None}, **_RULED),
        "target_tenant": {
            **_set_once(validate={"type:not_empty_string": 255}, **_RULED),
            "allow_put": True,
        },
        "tenant_id": _PROJECT,
        "action": _set_once(
            validate={"type:values": ["access_as_shared", "access_as_external"]}, **_RULED
        ),
    },
}

_ALL = (
    Alias(
        "rbac-policies",
        "RBAC Policies",
        "Allows creation and modification of policies that control tenant access to resources.",
        "2015-06-17T12:15:12-00:00",
        attributes=_POLICIES,
    ),
    Alias(
        "quotas",
        "Quota management support",
        "Expose functions for quotas management per project",
        "2012-07-29T10:00:00-00:00",
    ),
    Alias(
        "quota_details",
        "Quota details management support",
        "Expose functions for quotas usage statistics per project",
        "2017-02-10T10:00:00-00:00",
        requires=("quotas",),
    ),
    Alias(
        "security-groups-default-rules",
        "Default rules for security groups",
        "Configure set of security group rules used as default rules for every new security group",
        "2022-12-19T10:00:00-00:00",
        attributes=_DEFAULT_RULES,
        requires=("security-group",),
    ),
    Alias(
        "security-group",
        "security-group",
        "The security groups extension.",
        "2012-10-05T10:00:00-00:00",
        attributes=GROUPS,
    ),
    Alias(
        "standard-attr-description",
        "standard-attr-description",
        "Extension to add descriptions to standard attributes",
        "2016-02-10T10:00:00-00:00",
        attributes=_standard(description=_DESCRIPTION),
    ),
    Alias(
        "standard-attr-revisions",
        "Resource revision numbers",
        "This extension will display the revision number of neutron resources.",
        "2016-04-11T10:00:00-00:00",
        attributes=_standard(revision_number=_REVISION),
    ),
    Alias(
        "standard-attr-tag",
        "Tag support for resources with standard attribute: "
        "network, subnet, port, subnetpool, router, security_group, floatingip",
        "Enables to set tag on resources with standard attribute.",
        "2017-01-01T00:00:00-00:00",
        attributes=_standard(tags=_TAGS),
    ),
    Alias(
        "standard-attr-timestamp",
        "Resource timestamps",
        "Adds created_at and updated_at fields to all Neutron resources that have Neutron "
        "standard attributes.",
        "2016-09-12T10:00:00-00:00",
        attributes=_standard(created_at=_MOMENT, updated_at=_MOMENT),
    ),
    Alias(
        "subnet_allocation",
        "Subnet Allocation",
        "Enables allocation of subnets from a subnet pool",
        "2015-03-30T10:00:00-00:00",
    ),
)
NEUTRONS: Mapping[str, Alias] = {one.alias: one for one in _ALL}
"""What Neutron defines outside of neutron-lib, of what we announce."""


_SHIMS: Mapping[str, Mapping[str, Mapping[str, Attribute]]] = {
    "tag-ports-during-bulk-creation": {"ports": {"tags": {"allow_post": True, "default": []}}},
}
"""What Neutron does for aliases that neutron-lib gives no attributes."""


@cache
def known() -> Mapping[str, Alias]:
    """All aliases of Neutron by their names, the core resources among them."""
    found = dict(NEUTRONS)
    for module in _modules():
        found[module.ALIAS] = Alias(
            alias=module.ALIAS,
            name=module.NAME,
            description=module.DESCRIPTION,
            updated=module.UPDATED_TIMESTAMP,
            attributes=_own(module),
            sub_resources=module.SUB_RESOURCE_ATTRIBUTE_MAP or {},
            actions=module.ACTION_MAP or {},
            requires=tuple(module.REQUIRED_EXTENSIONS or ()),
        )
    return found


def attributes_of(aliases: frozenset[str]) -> Mapping[str, Mapping[str, tuple[str, Attribute]]]:
    """By collection and attribute: the alias that brings it, and all that is said of it.

    Who says last is who extends: an alias that others require is read before them.
    """
    found: dict[str, dict[str, tuple[str, Attribute]]] = {}
    named = [known()[alias] for alias in (*CORE, *sorted(aliases - OURS.keys()))]
    last = _SHIMS.keys()
    order = sorted(named, key=lambda one: (one.alias not in CORE, one.alias in last, one.requires))
    for one in order:
        for collection, attributes in one.attributes.items():
            for name, says in attributes.items():
                _, before = found.get(collection, {}).get(name, ("", {}))
                whole = (one.alias, {**before, **says})
                found.setdefault(collection, {})[name] = whole
    return found


def _modules() -> list[Any]:
    names = [each.name for each in pkgutil.iter_modules(definitions.__path__)]
    modules = [importlib.import_module(f"{definitions.__name__}.{name}") for name in names]
    return [module for module in modules if hasattr(module, "ALIAS") and module.ALIAS != "dummy"]


def _own(module: Any) -> Mapping[str, Mapping[str, Attribute]]:
    found: Mapping[str, Mapping[str, Attribute]] = module.RESOURCE_ATTRIBUTE_MAP or {}
    return found or _SHIMS.get(module.ALIAS, {})
