"""Address scopes in the Networking API: form of requests, commands, views."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from netwright.model.addressing import AddressScope
from netwright.model.addressing_errors import AddressScopeNotFound
from netwright.model.resources import Network
from netwright.model.sharing import is_shared_with
from netwright.server.addressing_commands import (
    AddressScopeDraft,
    CreateAddressScopes,
    DeleteAddressScope,
    UpdateAddressScope,
)
from netwright.server.api.body import Shape
from netwright.server.api.ids import new_id
from netwright.server.api.v2 import listing
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, Name, ProjectId, or_default, project_of
from netwright.server.commands import Caller, Command
from netwright.server.sharing.keeping import may_use


class AddressScopeCreation(Body, frozen=True, kw_only=True):
    ip_version: Literal[4, 6]
    name: Name = ""
    shared: bool | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class AddressScopeChange(Body, frozen=True, kw_only=True):
    name: Name | UnsetType = UNSET
    shared: bool | UnsetType = UNSET


class AddressScopeCreationBody(Body, frozen=True, kw_only=True):
    address_scope: AddressScopeCreation | UnsetType = UNSET
    address_scopes: tuple[AddressScopeCreation, ...] | UnsetType = UNSET


class AddressScopeChangeBody(Body, frozen=True, kw_only=True):
    address_scope: AddressScopeChange


class AddressScopeView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    project_id: str
    tenant_id: str
    ip_version: int
    shared: bool


_ATTRIBUTES = frozenset(AddressScopeView.__struct_encode_fields__)


class AddressScopes(Resource[AddressScope, AddressScopeCreation, AddressScopeChange]):
    name = "address_scope"
    collection = "address_scopes"
    value_type = AddressScope
    not_found = AddressScopeNotFound
    view_type = AddressScopeView
    create_shape = Shape[Any](AddressScopeCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](
        AddressScopeChangeBody, wrapped=True, read_only=_ATTRIBUTES, changes=True
    )
    change_type = AddressScopeChange
    listable = listing.Listable(
        collection=collection,
        filters={
            "id": listing.text,
            "name": listing.text,
            "project_id": listing.text,
            "tenant_id": listing.text,
            "ip_version": listing.integer,
            "shared": listing.boolean,
        },
        sort_keys=frozenset({"id", "name", "project_id", "tenant_id", "ip_version", "shared"}),
    )

    def creation(
        self,
        caller: Caller,
        items: Sequence[AddressScopeCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        drafts = tuple(
            AddressScopeDraft(
                id=new_id(),
                project_id=project_of(caller, item.project_id, item.tenant_id),
                ip_version=item.ip_version,
                name=item.name,
                shared=or_default(item.shared, default=False),
            )
            for item in items
        )
        return CreateAddressScopes(caller=caller, drafts=drafts)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: AddressScopeChange,
        if_match: int | None,
        sight: Sight[AddressScope],  # noqa: ARG002
    ) -> Command:
        return UpdateAddressScope(
            caller=caller, id=id_, name=item.name, shared=item.shared, if_match=if_match
        )

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeleteAddressScope(caller=caller, id=id_, if_match=if_match)

    def may_see(self, caller: Caller, value: AddressScope, networks: Mapping[str, Network]) -> bool:  # noqa: ARG002
        return may_use(caller, value)

    def view(self, caller: Caller, value: AddressScope) -> AddressScopeView:
        return AddressScopeView(
            id=value.id,
            name=value.name,
            project_id=value.project_id,
            tenant_id=value.project_id,
            ip_version=value.ip_version,
            shared=is_shared_with(value, caller.project_id),
        )
