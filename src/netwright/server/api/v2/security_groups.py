"""Security groups in the Networking API: form of requests, commands, views."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from netwright.model.errors import NotFound, SecurityGroupNotFound
from netwright.model.resources import Network
from netwright.model.security import SecurityGroup
from netwright.model.sharing import is_shared_with
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.reply import Reply
from netwright.server.api.route import Call
from netwright.server.api.v2 import listing, values
from netwright.server.api.v2.default_group import ensure_default
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.security_group_rules import RuleView, rule_view
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, HandedOver, Name, ProjectId, project_of
from netwright.server.commands import Caller, Command
from netwright.server.security.commands import (
    CreateSecurityGroups,
    DeleteSecurityGroup,
    SecurityGroupDraft,
    UpdateSecurityGroup,
)
from netwright.server.security.decisions import in_group
from netwright.server.sharing.keeping import may_use


class SecurityGroupCreation(Body, frozen=True, kw_only=True):
    name: Name = ""
    description: Name = ""
    stateful: bool = True
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET
    handed_over: HandedOver | UnsetType | None = UNSET


class SecurityGroupChange(Body, frozen=True, kw_only=True):
    name: Name | UnsetType = UNSET
    description: Name | UnsetType = UNSET
    stateful: bool | UnsetType = UNSET


class SecurityGroupCreationBody(Body, frozen=True, kw_only=True):
    security_group: SecurityGroupCreation | UnsetType = UNSET
    security_groups: tuple[SecurityGroupCreation, ...] | UnsetType = UNSET


class SecurityGroupChangeBody(Body, frozen=True, kw_only=True):
    security_group: SecurityGroupChange


class SecurityGroupView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    stateful: bool
    shared: bool
    security_group_rules: tuple[RuleView, ...]
    tags: tuple[str, ...]
    revision_number: int
    created_at: datetime
    updated_at: datetime


_ATTRIBUTES = frozenset(SecurityGroupView.__struct_encode_fields__)


class SecurityGroups(Resource[SecurityGroup, SecurityGroupCreation, SecurityGroupChange]):
    name = "security_group"
    collection = "security_groups"
    value_type = SecurityGroup
    not_found = SecurityGroupNotFound
    view_type = SecurityGroupView
    create_shape = Shape[Any](SecurityGroupCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](
        SecurityGroupChangeBody, wrapped=True, read_only=_ATTRIBUTES, changes=True
    )
    change_type = SecurityGroupChange
    listable = listing.Listable(
        collection=collection,
        filters={
            **listing.NAMED_FILTERS,
            "stateful": listing.boolean,
            "shared": listing.boolean,
            **listing.STANDARD_FILTERS,
        },
        sort_keys=listing.NAMED_SORT_KEYS,
    )

    async def list_many(self, call: Call) -> Reply:
        await ensure_default(call, self.listable)
        return await super().list_many(call)

    def creation(
        self,
        caller: Caller,
        items: Sequence[SecurityGroupCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        drafts = tuple(_draft(caller, item) for item in items)
        return CreateSecurityGroups(caller=caller, drafts=drafts)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: SecurityGroupChange,
        if_match: int | None,
        sight: Sight[SecurityGroup],  # noqa: ARG002
    ) -> Command:
        return UpdateSecurityGroup(
            caller=caller,
            id=id_,
            name=item.name,
            description=item.description,
            stateful=item.stateful,
            if_match=if_match,
        )

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeleteSecurityGroup(caller=caller, id=id_, if_match=if_match)

    def may_see(
        self,
        caller: Caller,
        value: SecurityGroup,
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> bool:
        return may_use(caller, value)

    def missing(self, id_: str) -> NotFound:
        return self.not_found(f"Security group {id_} does not exist")

    def view(self, caller: Caller, value: SecurityGroup) -> SecurityGroupView:
        return SecurityGroupView(
            id=value.id,
            name=value.name,
            description=value.description,
            project_id=value.project_id,
            tenant_id=value.project_id,
            stateful=value.stateful,
            shared=is_shared_with(value, caller.project_id),
            security_group_rules=tuple(rule_view(in_group(value, rule)) for rule in value.rules),
            tags=value.tags,
            revision_number=value.revision_number,
            created_at=times.moment(value.created_at),
            updated_at=times.moment(value.updated_at),
        )


def _draft(caller: Caller, item: SecurityGroupCreation) -> SecurityGroupDraft:
    identity = values.identity(item.handed_over)
    return SecurityGroupDraft(
        id=identity.id,
        is_chosen=identity.is_chosen,
        tags=identity.tags,
        project_id=project_of(caller, item.project_id, item.tenant_id),
        name=item.name,
        description=item.description,
        stateful=item.stateful,
    )
