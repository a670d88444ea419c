"""RBAC policies in the Networking API: form of requests, commands, views."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from netwright.model.errors import NotFound
from netwright.model.resources import EVERYBODY, Network, ShareAction
from netwright.model.sharing import ObjectType, RbacPolicy
from netwright.model.sharing_errors import RbacPolicyNotFound
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.v2 import listing, policy
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, ProjectId, Uuid, project_of
from netwright.server.commands import Caller, Command
from netwright.server.sharing.commands import (
    CreateRbacPolicies,
    DeleteRbacPolicy,
    RbacPolicyDraft,
    UpdateRbacPolicy,
)

Target = Annotated[str, Meta(min_length=1, max_length=255)]


class RbacPolicyCreation(Body, frozen=True, kw_only=True):
    object_type: str
    object_id: Uuid
    action: str
    target_tenant: Target
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class RbacPolicyChange(Body, frozen=True, kw_only=True):
    target_tenant: Target | UnsetType = UNSET


class RbacPolicyCreationBody(Body, frozen=True, kw_only=True):
    rbac_policy: RbacPolicyCreation | UnsetType = UNSET
    rbac_policies: tuple[RbacPolicyCreation, ...] | UnsetType = UNSET


class RbacPolicyChangeBody(Body, frozen=True, kw_only=True):
    rbac_policy: RbacPolicyChange


class RbacPolicyView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    project_id: str
    tenant_id: str
    object_type: ObjectType
    object_id: str
    action: ShareAction
    target_tenant: str


_ATTRIBUTES = frozenset(RbacPolicyView.__struct_encode_fields__)


class RbacPolicies(Resource[RbacPolicy, RbacPolicyCreation, RbacPolicyChange]):
    name = "rbac_policy"
    collection = "rbac_policies"
    value_type = RbacPolicy
    not_found = RbacPolicyNotFound
    view_type = RbacPolicyView
    create_shape = Shape[Any](RbacPolicyCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](
        RbacPolicyChangeBody, wrapped=True, read_only=_ATTRIBUTES, changes=True
    )
    change_type = RbacPolicyChange
    listable = listing.Listable(
        collection=collection,
        filters=dict.fromkeys(sorted(_ATTRIBUTES), listing.text),
        sort_keys=_ATTRIBUTES,
    )

    def creation(
        self,
        caller: Caller,
        items: Sequence[RbacPolicyCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        drafts = tuple(
            RbacPolicyDraft(
                id=new_id(),
                project_id=project_of(caller, item.project_id, item.tenant_id),
                object_type=_object_type(item.object_type),
                object_id=item.object_id,
                action=_action(item.action),
                target=item.target_tenant,
            )
            for item in items
        )
        return CreateRbacPolicies(caller=caller, drafts=drafts)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: RbacPolicyChange,
        if_match: int | None,  # noqa: ARG002 - it has no revision
        sight: Sight[RbacPolicy],  # noqa: ARG002
    ) -> Command:
        target = None if item.target_tenant is UNSET else item.target_tenant
        if target == EVERYBODY:
            policy.require_granted(caller, policy.rule_name("update", self.name, "target_tenant"))
        return UpdateRbacPolicy(caller=caller, id=id_, target=target)

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:  # noqa: ARG002
        return DeleteRbacPolicy(caller=caller, id=id_)

    def missing(self, id_: str) -> NotFound:
        return self.not_found(f"RBAC policy with ID {id_} not found")

    def view(self, caller: Caller, value: RbacPolicy) -> RbacPolicyView:  # noqa: ARG002 - all see the same
        return RbacPolicyView(
            id=value.id,
            project_id=value.project_id,
            tenant_id=value.project_id,
            object_type=value.object_type,
            object_id=value.object_id,
            action=value.action,
            target_tenant=value.target_tenant,
        )

    def _require_creatable(self, caller: Caller, item: RbacPolicyCreation) -> None:
        super()._require_creatable(caller, item)
        if item.target_tenant == EVERYBODY:
            policy.require_granted(caller, policy.rule_name("create", self.name, "target_tenant"))


def _object_type(given: str) -> ObjectType:
    try:
        return ObjectType(given.strip().lower())
    except ValueError:
        names = ", ".join(ObjectType)
        reason = f"'{given}' is not a valid RBAC object type; those are {names}"
        raise invalid("object_type", reason) from None


def _action(given: str) -> ShareAction:
    try:
        return ShareAction(given)
    except ValueError:
        reason = f"'{given}' is no action; those are {', '.join(ShareAction)}"
        raise invalid("action", reason) from None
