"""Security group rules in the Networking API: form of requests, commands, views.

Rules are made and deleted, never changed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from netwright.model.errors import NotFound, SecurityGroupNotFound, SecurityGroupRuleNotFound
from netwright.model.resources import Network
from netwright.model.security import Direction, GroupRule
from netwright.model.security_errors import (
    AddressGroupNotFound,
    SecurityGroupNotSingleGroupRules,
    SecurityGroupRulesNotSingleTenant,
)
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.ids import new_id
from netwright.server.api.reply import Reply
from netwright.server.api.route import Call
from netwright.server.api.v2 import listing, values
from netwright.server.api.v2.default_group import ensure_default
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, Name, ProjectId, Text, Uuid, project_of
from netwright.server.commands import Caller, Command
from netwright.server.security.commands import AddSecurityGroupRules, RemoveSecurityGroupRule
from netwright.server.security.rules import RuleDraft, checked

_NumberOrName = Annotated[str, Meta(max_length=40)]


class RuleCreation(Body, frozen=True, kw_only=True):
    security_group_id: Uuid
    direction: Direction
    ethertype: _NumberOrName | None = "IPv4"
    protocol: int | _NumberOrName | None = None
    port_range_min: int | _NumberOrName | None = None
    port_range_max: int | _NumberOrName | None = None
    remote_ip_prefix: Text | None = None
    remote_group_id: Name | None = None
    remote_address_group_id: Name | None = None
    description: Name = ""
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class RuleChange(Body, frozen=True, kw_only=True):
    """There is nothing to change in a rule."""


class RuleCreationBody(Body, frozen=True, kw_only=True):
    security_group_rule: RuleCreation | UnsetType = UNSET
    security_group_rules: tuple[RuleCreation, ...] | UnsetType = UNSET


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    security_group_id: str
    project_id: str
    tenant_id: str
    direction: Direction
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    normalized_cidr: str | None
    remote_group_id: str | None
    remote_address_group_id: str | None
    description: str
    revision_number: int = 0
    created_at: datetime
    updated_at: datetime


_ATTRIBUTES = frozenset(RuleView.__struct_encode_fields__)
_BY_NUMBER = ("port_range_min", "port_range_max", "revision_number")
_BY_TEXT = (
    *("id", "security_group_id", "project_id", "tenant_id", "direction", "ethertype"),
    *("remote_ip_prefix", "normalized_cidr", "remote_group_id", "remote_address_group_id"),
)


def _lower(_name: str, value: str) -> str:
    return value.lower()


class SecurityGroupRules(Resource[GroupRule, RuleCreation, RuleChange]):
    name = "security_group_rule"
    collection = "security_group_rules"
    is_changeable = False
    value_type = GroupRule
    not_found = SecurityGroupRuleNotFound
    view_type = RuleView
    create_shape = Shape[Any](RuleCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](RuleChange)
    change_type = RuleChange
    listable = listing.Listable(
        collection=collection,
        filters={
            **dict.fromkeys((*_BY_TEXT, "description"), listing.text),
            **dict.fromkeys(_BY_NUMBER, listing.integer),
            "protocol": _lower,
        },
        sort_keys=frozenset(
            {*_BY_TEXT, "description", "protocol", "port_range_min", "port_range_max", "created_at"}
        ),
    )

    async def list_many(self, call: Call) -> Reply:
        await ensure_default(call, self.listable)
        return await super().list_many(call)

    def creation(
        self,
        caller: Caller,
        items: Sequence[RuleCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        projects = {_project(caller, item) for item in items}
        if len({item.security_group_id for item in items}) > 1:
            raise SecurityGroupNotSingleGroupRules(
                "Only allowed to update rules for one security profile at a time.",
                next="send a request for each group",
            )
        if len(projects) > 1:
            raise SecurityGroupRulesNotSingleTenant(
                "Multiple tenant_ids in bulk security group rule create not allowed."
            )
        return AddSecurityGroupRules(
            caller=caller,
            group_id=items[0].security_group_id,
            rules=tuple(checked(_draft(item), new_id()) for item in items),
            project_id=projects.pop(),
        )

    def change(
        self,
        caller: Caller,
        id_: str,
        item: RuleChange,
        if_match: int | None,
        sight: Sight[GroupRule],
    ) -> Command:
        raise NotImplementedError("rules are not changed: no route leads here")

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return RemoveSecurityGroupRule(caller=caller, id=id_, if_match=if_match)

    def missing(self, id_: str) -> NotFound:
        return self.not_found(f"Security group rule {id_} does not exist")

    def view(self, caller: Caller, value: GroupRule) -> RuleView:  # noqa: ARG002 - all see the same
        return rule_view(value)


def rule_view(rule: GroupRule) -> RuleView:
    """A rule with the API's names."""
    made_at = times.moment(rule.created_at)
    return RuleView(
        id=rule.id,
        security_group_id=rule.security_group_id,
        project_id=rule.project_id,
        tenant_id=rule.project_id,
        direction=rule.direction,
        ethertype=rule.ethertype,
        protocol=rule.protocol,
        port_range_min=rule.port_range_min,
        port_range_max=rule.port_range_max,
        remote_ip_prefix=rule.shown_prefix,
        normalized_cidr=rule.remote_ip_prefix,
        remote_group_id=None if rule.remote_is_addresses else rule.remote_group_id,
        remote_address_group_id=rule.remote_group_id if rule.remote_is_addresses else None,
        description=rule.description,
        created_at=made_at,
        updated_at=made_at,
    )


def _draft(item: RuleCreation) -> RuleDraft:
    if item.remote_group_id is not None and not values.is_uuid(item.remote_group_id):
        raise SecurityGroupNotFound(f"Security group {item.remote_group_id} does not exist")
    addresses = item.remote_address_group_id
    if addresses is not None and not values.is_uuid(addresses):
        raise AddressGroupNotFound(f"Address group {addresses} could not be found.")
    return RuleDraft(
        direction=item.direction,
        ethertype=item.ethertype or "IPv4",
        protocol=item.protocol,
        port_range_min=item.port_range_min,
        port_range_max=item.port_range_max,
        remote_ip_prefix=item.remote_ip_prefix,
        remote_group_id=item.remote_group_id,
        remote_address_group_id=addresses,
        description=item.description,
    )


def _project(caller: Caller, item: RuleCreation) -> str | None:
    """The project that the request names, if it does: the rule is its group's project's anyway."""
    if not (item.project_id or item.tenant_id):
        return None
    return project_of(caller, item.project_id, item.tenant_id)
