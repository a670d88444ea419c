"""Security groups and rules at the edge, against Neutron's attribute maps."""

from typing import Any

import msgspec
import pytest

from netwright.server.api.v2.extensions import announced
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.security_group_rules import (
    RuleCreation,
    RuleView,
    SecurityGroupRules,
)
from netwright.server.api.v2.security_groups import (
    SecurityGroupChange,
    SecurityGroupCreation,
    SecurityGroups,
    SecurityGroupView,
)

# Neutron's maps (extensions/securitygroup.py, and neutron-lib's stateful_security_group and
# security_groups_normalized_cidr), with what every resource has (standard attributes): what may be
# given at creation with its default, what may be changed, what is seen, filtered and sorted by.
_ANY = object()
ORACLE: dict[type[Resource[Any, Any, Any]], dict[str, Any]] = {
    SecurityGroups: {
        "creation": (SecurityGroupCreation, {"name": "", "description": "", "stateful": True}),
        "change": (SecurityGroupChange, "name description stateful"),
        "view": (
            SecurityGroupView,
            (
                "id name description tenant_id project_id stateful shared security_group_rules"
                " tags revision_number created_at updated_at"
            ),
        ),
        "filters": "id name description tenant_id project_id stateful shared",
        "sort_keys": "id name tenant_id",
    },
    SecurityGroupRules: {
        "creation": (
            RuleCreation,
            {
                "security_group_id": _ANY,
                "direction": _ANY,
                "ethertype": "IPv4",
                "protocol": None,
                "port_range_min": None,
                "port_range_max": None,
                "remote_ip_prefix": None,
                "remote_group_id": None,
                "remote_address_group_id": None,
                "description": "",
            },
        ),
        "view": (
            RuleView,
            (
                "id security_group_id remote_group_id remote_address_group_id direction protocol"
                " port_range_min port_range_max ethertype remote_ip_prefix normalized_cidr"
                " description tenant_id project_id revision_number created_at updated_at"
            ),
        ),
        "filters": (
            "id security_group_id remote_group_id direction protocol port_range_min port_range_max"
            " ethertype remote_ip_prefix normalized_cidr tenant_id project_id description"
        ),
        "sort_keys": (
            "id security_group_id remote_group_id direction protocol port_range_min port_range_max"
            " ethertype remote_ip_prefix normalized_cidr tenant_id"
        ),
    },
}


def fields(type_: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        field.encode_name: _ANY if field.required else field.default
        for field in msgspec.structs.fields(type_)
    }


@pytest.mark.parametrize("resource", ORACLE)
def test_attributes_and_defaults_are_neutrons(resource: type[Resource[Any, Any, Any]]) -> None:
    oracle = ORACLE[resource]
    type_, defaults = oracle["creation"]
    given = fields(type_)
    assert {given.pop(name) for name in ("project_id", "tenant_id")} == {msgspec.UNSET}
    assert given.pop("handed_over", msgspec.UNSET) is msgspec.UNSET  # an extension of ours
    assert given == defaults
    view, seen = oracle["view"]
    assert fields(view).keys() == set(seen.split())
    if "change" in oracle:
        change, changed = oracle["change"]
        assert fields(change).keys() == set(changed.split())
    assert resource.is_changeable is ("change" in oracle)


@pytest.mark.parametrize("resource", ORACLE)
def test_everything_that_neutron_filters_and_sorts_by(
    resource: type[Resource[Any, Any, Any]],
) -> None:
    assert set(ORACLE[resource]["filters"].split()) <= set(resource.listable.filters)
    assert set(ORACLE[resource]["sort_keys"].split()) <= resource.listable.sort_keys


def test_what_conforms_is_announced() -> None:
    conforming = {
        "security-group",
        "rbac-security-groups",
        "security-groups-default-rules",
        "security-groups-normalized-cidr",
        "security-groups-remote-address-group",
        "security-groups-shared-filtering",
        "stateful-security-group",
    }
    assert conforming <= announced()
