"""What the collections of pools, scopes and routers announce to filter and sort by is answered.

And it is what neutron-lib says.
"""

from typing import Any

import pytest
from neutron_lib.api.definitions import (
    address_scope,
    extraroute,
    l3,
    router_availability_zone,
    subnetpool,
)
from tests.unit.server.projects import client_of

from netwright.server.api.v2 import policy
from netwright.server.api.v2.address_scopes import AddressScopes
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.routers import Routers
from netwright.server.api.v2.subnetpools import SubnetPools
from netwright.server.core import Core

RESOURCES: tuple[Resource[Any, Any, Any], ...] = (AddressScopes(), SubnetPools(), Routers())

_OURS = {  # beside Neutron's map: its own extensions' attributes, which all its resources have
    *("project_id", "description", "revision_number", "created_at", "updated_at"),
    *("tags", "tags-any", "not-tags", "not-tags-any", "changed_since", "handed_over"),
}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: str(each.collection))
async def test_what_is_announced_is_answered(core: Core, resource: Resource[Any, Any, Any]) -> None:
    client = client_of(core, "other")
    asked = [f"sort_key={key}&limit=1" for key in resource.listable.sort_keys]
    asked += [
        f"{name}={'2026-01-31' if name == 'changed_since' else 1}"
        for name in resource.listable.filters
    ]
    for query in sorted(asked):
        answer = await client.get(f"{resource.path}?{query}")
        assert answer.status == 200, (query, answer)


def _neutrons(resource: Resource[Any, Any, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for module in (address_scope, subnetpool, l3, extraroute, router_availability_zone):
        found |= module.RESOURCE_ATTRIBUTE_MAP.get(resource.collection, {})
    return found


def _settable(body: type[Any], resource: Resource[Any, Any, Any]) -> set[str]:
    item: Any = body.__annotations__[resource.name]
    one: Any = item if isinstance(item, type) else item.__args__[0]  # without `| UnsetType`
    return set(one.__struct_encode_fields__)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: str(each.collection))
def test_attributes_are_neutrons(resource: Resource[Any, Any, Any]) -> None:
    theirs = _neutrons(resource)
    shown = {name for name, one in theirs.items() if one.get("is_visible")}
    assert set(resource.view_type.__struct_encode_fields__) - _OURS == shown
    for body, allowed in (
        (resource.create_shape.type, "allow_post"),
        (resource.update_shape.type, "allow_put"),
    ):
        expected = {name for name, one in theirs.items() if one[allowed]}
        assert _settable(body, resource) - _OURS == expected
    filters = {name for name, one in theirs.items() if one.get("is_filter")}
    assert set(resource.listable.filters) - _OURS == filters
    keys = {name for name, one in theirs.items() if one.get("is_sort_key")}
    assert set(resource.listable.sort_keys) - _OURS == keys
    enforced = {name for name, one in theirs.items() if one.get("enforce_policy")}
    guarded = set(policy.ADMIN_ONLY[resource.name]) - _OURS
    assert guarded == enforced - {"external_gateway_info"}
