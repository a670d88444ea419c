"""Address groups in the Networking API: form of requests, commands, views."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from netwright.model.resources import Network
from netwright.model.security import AddressGroup
from netwright.model.security_errors import AddressGroupNotFound
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v2 import listing, values
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, Name, ProjectId, Text, or_default, project_of
from netwright.server.commands import Caller, Command
from netwright.server.security.commands import (
    AddressGroupDraft,
    CreateAddressGroups,
    DeleteAddressGroup,
    UpdateAddressGroup,
)
from netwright.server.sharing.keeping import may_use

Addresses = Annotated[tuple[Text, ...], Meta(max_length=1000)]


class AddressGroupCreation(Body, frozen=True, kw_only=True):
    name: Name = ""
    description: Name = ""
    addresses: Addresses | None = ()
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class AddressGroupChange(Body, frozen=True, kw_only=True):
    name: Name | UnsetType = UNSET
    description: Name | UnsetType = UNSET


class AddressGroupCreationBody(Body, frozen=True, kw_only=True):
    address_group: AddressGroupCreation | UnsetType = UNSET
    address_groups: tuple[AddressGroupCreation, ...] | UnsetType = UNSET


class AddressGroupChangeBody(Body, frozen=True, kw_only=True):
    address_group: AddressGroupChange


class AddressesBody(Body, frozen=True, kw_only=True):
    addresses: Addresses


class AddressGroupView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    description: str
    project_id: str
    addresses: tuple[str, ...]


_ATTRIBUTES = frozenset(AddressGroupView.__struct_encode_fields__)
_READ_ONLY = _ATTRIBUTES | {"shared", "tenant_id"}
_ADDRESSES = Shape(AddressesBody)


class AddressGroups(Resource[AddressGroup, AddressGroupCreation, AddressGroupChange]):
    name = "address_group"
    collection = "address_groups"
    value_type = AddressGroup
    not_found = AddressGroupNotFound
    view_type = AddressGroupView
    create_shape = Shape[Any](AddressGroupCreationBody, wrapped=True, read_only=_READ_ONLY)
    update_shape = Shape[Any](
        AddressGroupChangeBody, wrapped=True, read_only=_READ_ONLY, changes=True
    )
    change_type = AddressGroupChange
    listable = listing.Listable(
        collection=collection,
        filters=dict.fromkeys(
            ("id", "name", "description", "project_id", "tenant_id"), listing.text
        ),
        sort_keys=frozenset({"id", "name", "description", "project_id", "tenant_id"}),
    )

    def creation(
        self,
        caller: Caller,
        items: Sequence[AddressGroupCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        drafts = tuple(
            AddressGroupDraft(
                id=new_id(),
                project_id=project_of(caller, item.project_id, item.tenant_id),
                name=item.name,
                description=item.description,
                addresses=_prefixes(or_default(item.addresses, ())),
            )
            for item in items
        )
        return CreateAddressGroups(caller=caller, drafts=drafts)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: AddressGroupChange,
        if_match: int | None,
        sight: Sight[AddressGroup],  # noqa: ARG002
    ) -> Command:
        return UpdateAddressGroup(
            caller=caller,
            id=id_,
            name=item.name,
            description=item.description,
            if_match=if_match,
        )

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeleteAddressGroup(caller=caller, id=id_, if_match=if_match)

    def may_see(self, caller: Caller, value: AddressGroup, networks: Mapping[str, Network]) -> bool:  # noqa: ARG002
        return may_use(caller, value)

    def view(self, caller: Caller, value: AddressGroup) -> AddressGroupView:  # noqa: ARG002 - all see the same
        return AddressGroupView(
            id=value.id,
            name=value.name,
            description=value.description,
            project_id=value.project_id,
            addresses=value.addresses,
        )

    async def add_addresses(self, call: Call) -> Reply:
        id_, named = await self._named(call)
        return await self._changed(call, UpdateAddressGroup(caller=call.caller, id=id_, add=named))

    async def remove_addresses(self, call: Call) -> Reply:
        id_, named = await self._named(call)
        command = UpdateAddressGroup(caller=call.caller, id=id_, remove=named)
        return await self._changed(call, command)

    def routes(self) -> tuple[Route, ...]:
        path, access, one = f"{self.path}/{{id}}", Access.PROJECT, {self.name: AddressGroupView}
        return (
            *super().routes(),
            Route("PUT", f"{path}/add_addresses", self.add_addresses, access,
                  "Add addresses to an address group", AddressesBody, one),
            Route("PUT", f"{path}/remove_addresses", self.remove_addresses, access,
                  "Remove addresses from an address group", AddressesBody, one),
        )  # fmt: skip

    async def _named(self, call: Call) -> tuple[str, tuple[str, ...]]:
        """The group, which is the caller's to change, and the prefixes that are named."""
        listing.refuse_parameters(call.query)
        body = _ADDRESSES.decode(await call.body())
        id_ = call.path["id"]
        self.require_touchable(call.caller, "update", id_, await self.sight(call, [id_]))
        return id_, tuple(dict.fromkeys(map(_prefix, body.addresses)))

    async def _changed(self, call: Call, command: UpdateAddressGroup) -> Reply:
        (group,) = await call.service.commit(command)
        return json_reply({self.name: self.view(call.caller, group)})


def _prefixes(given: Sequence[str]) -> tuple[str, ...]:
    """Canonical prefixes, none twice, each with its length; host bits are let go."""
    found = tuple(str(values.cidr("addresses", text, strict=False)) for text in given)
    if len(set(found)) != len(found):
        raise invalid("addresses", "one is there twice")
    return found


def _prefix(text: str) -> str:
    """A prefix, or an address as the prefix that holds it alone; host bits are let go."""
    if "/" not in text:
        return str(ipaddress.ip_network(values.address("addresses", text)))
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise invalid("addresses", f"'{text}' is not a valid IP subnet") from None
