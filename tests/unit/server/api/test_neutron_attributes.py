"""The attributes of our resources are those of Neutron, as neutron-lib defines them.

Of each attribute that neutron-lib has in an extension that we announce: who may create and update
with it, whether it is shown, filtered and sorted by, whether it is required, and its default. What
deviates stands in `DEVIATIONS`, with the reason; a deviation that is gone has to go from there.
Attributes of extensions that neutron-lib does not define are in `ELSEWHERE`: nothing is said of
them here but that they are there. Quotas are not in neutron-lib at all.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
from neutron_lib import constants
from neutron_lib.api import definitions
from tests.unit.server.projects import client_of

from netwright.server.api.v2 import extensions
from netwright.server.api.v2.address_scopes import AddressScopes
from netwright.server.api.v2.floatingips import FloatingIps
from netwright.server.api.v2.networks import Networks
from netwright.server.api.v2.ports import Ports
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.routers import Routers
from netwright.server.api.v2.security_group_rules import SecurityGroupRules
from netwright.server.api.v2.security_groups import SecurityGroups
from netwright.server.api.v2.subnetpools import SubnetPools
from netwright.server.api.v2.subnets import Subnets
from netwright.server.core import Core

RESOURCES: tuple[Resource[Any, Any, Any], ...] = (
    *(Networks(), Subnets(), Ports(), SecurityGroups(), SecurityGroupRules()),
    *(AddressScopes(), SubnetPools(), Routers(), FloatingIps()),
)
CORE = frozenset({"network", "subnet", "port", "subnetpool"})
"""What Neutron has without an extension; subnet pools are announced as `subnet_allocation`."""

_STANDARD = frozenset({"description", "revision_number", "created_at", "updated_at"})
_TAGS = frozenset({"tags", "tags-any", "not-tags", "not-tags-any", "changed_since"})
ELSEWHERE: Mapping[str, frozenset[str]] = {
    "networks": _STANDARD | _TAGS | {"labels", "drift_domain"},
    "subnets": _STANDARD | _TAGS,
    "ports": _STANDARD | _TAGS | {"security_groups", "unique_name", "network_labels", "claim"},
    "security_groups": _STANDARD | _TAGS | {"id", "name", "tenant_id", "security_group_rules"},
    "security_group_rules": _STANDARD
    | {"id", "tenant_id", "security_group_id", "direction", "ethertype", "protocol"}
    | {"port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"},
    "address_scopes": frozenset(),
    "subnetpools": _STANDARD | _TAGS,
    "routers": _STANDARD | _TAGS,
    "floatingips": _STANDARD | _TAGS,
}
"""Of standard attributes, tags, security groups and our own extensions."""

_UPDATE = frozenset({"update"})
_SEGMENT_STAYS = "a network stays on its segment; ML2 refuses all but another VLAN id, too"
DEVIATIONS: Mapping[tuple[str, str], tuple[frozenset[str], str]] = {
    ("networks", "provider:network_type"): (_UPDATE, _SEGMENT_STAYS),
    ("networks", "provider:physical_network"): (_UPDATE, _SEGMENT_STAYS),
    ("networks", "provider:segmentation_id"): (_UPDATE, _SEGMENT_STAYS),
    ("networks", "mtu"): (
        frozenset({"default"}),
        "0 asks for the default, which is shown then, as ML2 does",
    ),
    ("floatingips", "floating_ip_address"): (
        frozenset({"default"}),
        "null asks for any address, and which it is is shown then, as in Neutron",
    ),
    ("ports", "network_id"): (
        frozenset({"require"}),
        "a port may name labels of networks instead (network-labels)",
    ),
}
"""By collection and attribute: in what it deviates, and why."""

SMALLEST: Mapping[str, Mapping[str, Any]] = {
    "networks": {"provider:network_type": "vxlan", "provider:segmentation_id": 5},
    "subnets": {"network_id": "networks", "ip_version": 4, "cidr": "10.0.0.0/24"},
    "ports": {"network_id": "networks"},
    "security_groups": {"name": "g"},
    "security_group_rules": {"security_group_id": "security_groups", "direction": "ingress"},
    "address_scopes": {"ip_version": 4},
    "subnetpools": {"name": "p", "prefixes": ["10.0.0.0/16"]},
    "routers": {},
    "floatingips": {"floating_network_id": "networks"},
}
"""What each is made of, at the least. An id is that of what was made in the collection named."""


def _definitions() -> Iterator[Any]:
    """The modules that define what we announce, those that change others' attributes last."""
    for found in pkgutil.iter_modules(definitions.__path__):
        module = importlib.import_module(f"{definitions.__name__}.{found.name}")
        if getattr(module, "ALIAS", None) in extensions.announced() | CORE:
            yield module


def neutrons(collection: str) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for module in sorted(_definitions(), key=lambda each: str(each.ALIAS)):
        for attribute, says in (module.RESOURCE_ATTRIBUTE_MAP or {}).get(collection, {}).items():
            found[attribute] = found.get(attribute, {}) | says
    return found


def _item(body: type[Any], name: str) -> type[Any]:
    item: Any = body.__annotations__[name]
    one: type[Any] = item if isinstance(item, type) else item.__args__[0]  # without `| UnsetType`
    return one


def ours(resource: Resource[Any, Any, Any]) -> Mapping[str, frozenset[str]]:
    """Our attributes by what may be done with them; `project_id` is another name of `tenant_id`."""
    creation = _item(resource.create_shape.type, resource.name)
    change = resource.change_type
    required = {field.encode_name for field in msgspec.structs.fields(creation) if field.required}
    found = {
        "create": creation.__struct_encode_fields__,
        "update": change.__struct_encode_fields__,
        "show": resource.view_type.__struct_encode_fields__,
        "filter": resource.listable.filters,
        "sort": resource.listable.sort_keys,
        "require": required,
    }
    return {what: frozenset(names) - {"project_id"} for what, names in found.items()}


def theirs(collection: str) -> Mapping[str, frozenset[str]]:
    says = neutrons(collection)
    flags = {
        "create": "allow_post",
        "update": "allow_put",
        "show": "is_visible",
        "filter": "is_filter",
        "sort": "is_sort_key",
    }
    found = {
        what: frozenset(name for name, one in says.items() if one.get(flag))
        for what, flag in flags.items()
    }
    optional = {name for name, one in says.items() if "default" in one} | {"tenant_id"}
    return {**found, "require": found["create"] - optional}


def deviations(resource: Resource[Any, Any, Any]) -> Mapping[str, frozenset[str]]:
    here, there = ours(resource), theirs(resource.collection)
    found: dict[str, set[str]] = {}
    for what, names in here.items():
        for attribute in names ^ there[what]:
            if attribute not in ELSEWHERE[resource.collection]:
                found.setdefault(attribute, set()).add(what)
    return {attribute: frozenset(whats) for attribute, whats in found.items()}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: str(each.collection))
def test_attributes_are_neutrons(resource: Resource[Any, Any, Any]) -> None:
    known = {
        attribute: whats - {"default"}
        for (collection, attribute), (whats, _) in DEVIATIONS.items()
        if collection == resource.collection and whats != {"default"}
    }
    assert deviations(resource) == known


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: str(each.collection))
def test_what_is_elsewhere_is_there_and_not_in_neutron_lib(
    resource: Resource[Any, Any, Any],
) -> None:
    elsewhere = ELSEWHERE[resource.collection]
    assert elsewhere <= frozenset[str]().union(*ours(resource).values())
    assert not elsewhere & neutrons(resource.collection).keys()


async def test_defaults_are_neutrons(core: Core) -> None:
    client = client_of(core, "admin")
    made: dict[str, str] = {}
    deviating = set()
    for resource in RESOURCES:
        body = SMALLEST[resource.collection]
        given = {
            key: made.get(value, value) if isinstance(value, str) else value
            for key, value in body.items()
        }
        if resource.collection == "floatingips":
            outside = {"network": {"router:external": True}}
            path = f"/v2.0/networks/{made['networks']}"
            assert (await client.put(path, outside)).status == 200
        answer = await client.post(resource.path, {resource.name: given})
        assert answer.status == 201, answer
        shown = answer.json[resource.name]
        made[resource.collection] = shown["id"]
        for attribute, says in neutrons(resource.collection).items():
            default = says.get("default", constants.ATTR_NOT_SPECIFIED)
            if attribute in given or attribute not in shown or not says["allow_post"]:
                continue
            if default is not constants.ATTR_NOT_SPECIFIED and shown[attribute] != default:
                deviating.add((resource.collection, attribute))
    assert deviating == {where for where, (whats, _) in DEVIATIONS.items() if "default" in whats}
