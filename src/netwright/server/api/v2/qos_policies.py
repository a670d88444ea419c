"""QoS policies in the Networking API: form of requests, commands, views. Rules: `qos_rules`.

Administrators make and change them, as by Neutron's default policy; projects read their own and
those that are shared, and give them to networks and ports.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from netwright.model.errors import NotFound
from netwright.model.qos import QosPolicy
from netwright.model.qos_errors import QosPolicyNotFound
from netwright.model.resources import Network
from netwright.model.sharing import is_shared_with
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.ids import new_id
from netwright.server.api.v2 import listing, policy
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, Name, ProjectId, project_of
from netwright.server.commands import Caller, Command
from netwright.server.qos.commands import (
    CreateQosPolicies,
    DeleteQosPolicy,
    QosPolicyDraft,
    UpdateQosPolicy,
)
from netwright.server.sharing.keeping import may_use


class QosPolicyCreation(Body, frozen=True, kw_only=True):
    name: Name = ""
    description: Name = ""
    shared: bool = False
    is_default: bool = False
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class QosPolicyChange(Body, frozen=True, kw_only=True):
    name: Name | UnsetType = UNSET
    description: Name | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET


class QosPolicyCreationBody(Body, frozen=True, kw_only=True):
    policy: QosPolicyCreation | UnsetType = UNSET
    policies: tuple[QosPolicyCreation, ...] | UnsetType = UNSET


class QosPolicyChangeBody(Body, frozen=True, kw_only=True):
    policy: QosPolicyChange


class QosPolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """Of each rule its type stands among what is its own."""

    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    shared: bool
    is_default: bool
    rules: tuple[Mapping[str, Any], ...]
    tags: tuple[str, ...]
    revision_number: int
    created_at: datetime
    updated_at: datetime


_ATTRIBUTES = frozenset(QosPolicyView.__struct_encode_fields__)


class QosPolicies(Resource[QosPolicy, QosPolicyCreation, QosPolicyChange]):
    name = "policy"
    collection = "policies"
    value_type = QosPolicy
    not_found = QosPolicyNotFound
    view_type = QosPolicyView
    create_shape = Shape[Any](QosPolicyCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](
        QosPolicyChangeBody, wrapped=True, read_only=_ATTRIBUTES, changes=True
    )
    change_type = QosPolicyChange
    listable = listing.Listable(
        collection=collection,
        filters={
            **listing.NAMED_FILTERS,
            "shared": listing.boolean,
            "is_default": listing.boolean,
            **listing.STANDARD_FILTERS,
        },
        sort_keys=listing.NAMED_SORT_KEYS,
    )

    @property
    def path(self) -> str:
        return "/v2.0/qos/policies"

    @property
    def other_paths(self) -> tuple[str, ...]:
        """Where Neutron has the tags."""
        return ("/v2.0/policies",)

    def creation(
        self,
        caller: Caller,
        items: Sequence[QosPolicyCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        policy.require_granted(caller, "create_policy")
        drafts = tuple(
            QosPolicyDraft(
                id=new_id(),
                project_id=project_of(caller, item.project_id, item.tenant_id),
                name=item.name,
                description=item.description,
                shared=item.shared,
                is_default=item.is_default,
            )
            for item in items
        )
        return CreateQosPolicies(caller=caller, drafts=drafts)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: QosPolicyChange,
        if_match: int | None,
        sight: Sight[QosPolicy],  # noqa: ARG002
    ) -> Command:
        policy.require_granted(caller, "update_policy")
        return UpdateQosPolicy(
            caller=caller,
            id=id_,
            name=item.name,
            description=item.description,
            shared=item.shared,
            is_default=item.is_default,
            if_match=if_match,
        )

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        policy.require_granted(caller, "delete_policy")
        return DeleteQosPolicy(caller=caller, id=id_, if_match=if_match)

    def missing(self, id_: str) -> NotFound:
        return self.not_found(f"QoS policy {id_} could not be found.")

    def may_see(self, caller: Caller, value: QosPolicy, networks: Mapping[str, Network]) -> bool:  # noqa: ARG002
        return may_use(caller, value)

    def view(self, caller: Caller, value: QosPolicy) -> QosPolicyView:
        return QosPolicyView(
            id=value.id,
            name=value.name,
            description=value.description,
            project_id=value.project_id,
            tenant_id=value.project_id,
            shared=is_shared_with(value, caller.project_id),
            is_default=value.is_default,
            rules=tuple(
                {**msgspec.to_builtins(rule), "qos_policy_id": value.id} for rule in value.rules
            ),
            tags=value.tags,
            revision_number=value.revision_number,
            created_at=times.moment(value.created_at),
            updated_at=times.moment(value.updated_at),
        )
