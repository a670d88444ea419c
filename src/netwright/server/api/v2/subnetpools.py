"""Subnet pools in the Networking API: form of requests, commands, views."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from netwright.ipam.addresses import cidr_range, is_ipv4
from netwright.model.addressing import SubnetPool
from netwright.model.addressing_errors import EmptySubnetPoolPrefixList, SubnetPoolNotFound
from netwright.model.resources import Network
from netwright.model.sharing import is_shared_with
from netwright.server.addressing_commands import (
    CreateSubnetPools,
    DeleteSubnetPool,
    SubnetPoolDraft,
    UpdateSubnetPool,
)
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v2 import listing, values
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import (
    Body,
    Name,
    ProjectId,
    Text,
    Uuid,
    project_of,
)
from netwright.server.commands import Caller, Command
from netwright.server.sharing.keeping import may_use
from netwright.server.subnet_pools import compacted_one_version

_IPV4_IN_IPV6 = cidr_range("0.0.0.0/0")  # on the one line of all addresses: ::ffff:0:0/96

PoolName = Annotated[str, Meta(min_length=1, max_length=255)]
Prefixes = Annotated[tuple[Text, ...], Meta(max_length=500)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class SubnetPoolCreation(Body, frozen=True, kw_only=True):
    name: PoolName
    prefixes: Prefixes
    description: Name = ""
    min_prefixlen: Count | None = None
    max_prefixlen: Count | None = None
    default_prefixlen: Count | None = None
    default_quota: Count | None = None
    address_scope_id: Uuid | None = None
    is_default: bool = False
    shared: bool = False
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class SubnetPoolChange(Body, frozen=True, kw_only=True):
    name: PoolName | UnsetType = UNSET
    description: Name | UnsetType = UNSET
    prefixes: Prefixes | UnsetType = UNSET
    min_prefixlen: Count | UnsetType = UNSET
    max_prefixlen: Count | UnsetType = UNSET
    default_prefixlen: Count | UnsetType = UNSET
    default_quota: Count | UnsetType | None = UNSET
    address_scope_id: Uuid | UnsetType | None = UNSET
    is_default: bool | UnsetType = UNSET


class SubnetPoolCreationBody(Body, frozen=True, kw_only=True):
    subnetpool: SubnetPoolCreation | UnsetType = UNSET
    subnetpools: tuple[SubnetPoolCreation, ...] | UnsetType = UNSET


class SubnetPoolChangeBody(Body, frozen=True, kw_only=True):
    subnetpool: SubnetPoolChange


class PrefixesBody(Body, frozen=True, kw_only=True):
    prefixes: Prefixes


class SubnetPoolView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    ip_version: int
    prefixes: tuple[str, ...]
    min_prefixlen: int
    max_prefixlen: int
    default_prefixlen: int
    default_quota: int | None
    address_scope_id: str | None
    is_default: bool
    shared: bool
    tags: tuple[str, ...]
    revision_number: int
    created_at: datetime
    updated_at: datetime


_ATTRIBUTES = frozenset(SubnetPoolView.__struct_encode_fields__)
_PREFIXES = Shape(PrefixesBody)


class SubnetPools(Resource[SubnetPool, SubnetPoolCreation, SubnetPoolChange]):
    name = "subnetpool"
    collection = "subnetpools"
    value_type = SubnetPool
    not_found = SubnetPoolNotFound
    view_type = SubnetPoolView
    create_shape = Shape[Any](SubnetPoolCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](
        SubnetPoolChangeBody, wrapped=True, read_only=_ATTRIBUTES, changes=True
    )
    change_type = SubnetPoolChange
    listable = listing.Listable(
        collection=collection,
        filters={
            **listing.NAMED_FILTERS,
            "ip_version": listing.integer,
            "min_prefixlen": listing.integer,
            "max_prefixlen": listing.integer,
            "default_prefixlen": listing.integer,
            "default_quota": listing.integer,
            "address_scope_id": listing.text,
            "is_default": listing.boolean,
            "shared": listing.boolean,
            **listing.STANDARD_FILTERS,
        },
        sort_keys=listing.NAMED_SORT_KEYS
        | {
            "ip_version",
            "min_prefixlen",
            "max_prefixlen",
            "default_prefixlen",
            "default_quota",
            "address_scope_id",
            "is_default",
            "shared",
        },
    )

    def creation(
        self,
        caller: Caller,
        items: Sequence[SubnetPoolCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        drafts = tuple(_draft(caller, item) for item in items)
        return CreateSubnetPools(caller=caller, drafts=drafts)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: SubnetPoolChange,
        if_match: int | None,
        sight: Sight[SubnetPool],  # noqa: ARG002
    ) -> Command:
        return UpdateSubnetPool(
            caller=caller,
            id=id_,
            name=item.name,
            description=item.description,
            prefixes=UNSET if item.prefixes is UNSET else _prefixes(item.prefixes),
            min_prefixlen=item.min_prefixlen,
            max_prefixlen=item.max_prefixlen,
            default_prefixlen=item.default_prefixlen,
            default_quota=item.default_quota,
            address_scope_id=item.address_scope_id,
            is_default=item.is_default,
            if_match=if_match,
        )

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeleteSubnetPool(caller=caller, id=id_, if_match=if_match)

    def may_see(self, caller: Caller, value: SubnetPool, networks: Mapping[str, Network]) -> bool:  # noqa: ARG002
        return may_use(caller, value)

    def view(self, caller: Caller, value: SubnetPool) -> SubnetPoolView:
        return SubnetPoolView(
            id=value.id,
            name=value.name,
            description=value.description,
            project_id=value.project_id,
            tenant_id=value.project_id,
            ip_version=value.ip_version,
            prefixes=value.prefixes,
            min_prefixlen=value.min_prefixlen,
            max_prefixlen=value.max_prefixlen,
            default_prefixlen=value.default_prefixlen,
            default_quota=value.default_quota,
            address_scope_id=value.address_scope_id,
            is_default=value.is_default,
            shared=is_shared_with(value, caller.project_id),
            tags=value.tags,
            revision_number=value.revision_number,
            created_at=times.moment(value.created_at),
            updated_at=times.moment(value.updated_at),
        )

    async def add_prefixes(self, call: Call) -> Reply:
        id_, named = await self._named(call)
        return await self._changed(call, UpdateSubnetPool(caller=call.caller, id=id_, add=named))

    async def remove_prefixes(self, call: Call) -> Reply:
        id_, named = await self._named(call)
        return await self._changed(call, UpdateSubnetPool(caller=call.caller, id=id_, remove=named))

    def routes(self) -> tuple[Route, ...]:
        path, access, shown = f"{self.path}/{{id}}", Access.PROJECT, PrefixesBody
        return (
            *super().routes(),
            Route("PUT", f"{path}/add_prefixes", self.add_prefixes, access,
                  "Add prefixes to a subnet pool", PrefixesBody, shown),
            Route("PUT", f"{path}/remove_prefixes", self.remove_prefixes, access,
                  "Remove prefixes from a subnet pool", PrefixesBody, shown),
        )  # fmt: skip

    async def _named(self, call: Call) -> tuple[str, tuple[str, ...]]:
        """The pool, which is the caller's to change, and the prefixes that are named."""
        listing.refuse_parameters(call.query)
        body = _PREFIXES.decode(await call.body())
        id_ = call.path["id"]
        self.require_touchable(call.caller, "update", id_, await self.sight(call, [id_]))
        return id_, _prefixes(body.prefixes)

    async def _changed(self, call: Call, command: UpdateSubnetPool) -> Reply:
        (pool,) = await call.service.commit(command)
        return json_reply({"prefixes": pool.prefixes})


def _draft(caller: Caller, item: SubnetPoolCreation) -> SubnetPoolDraft:
    prefixes = _prefixes(item.prefixes)
    return SubnetPoolDraft(
        id=new_id(),
        project_id=project_of(caller, item.project_id, item.tenant_id),
        name=item.name,
        ip_version=4 if is_ipv4(cidr_range(prefixes[0]).first) else 6,
        prefixes=prefixes,
        description=item.description,
        min_prefixlen=item.min_prefixlen,
        max_prefixlen=item.max_prefixlen,
        default_prefixlen=item.default_prefixlen,
        default_quota=item.default_quota,
        address_scope_id=item.address_scope_id,
        is_default=item.is_default,
        shared=item.shared,
    )


def _prefixes(given: Sequence[str]) -> tuple[str, ...]:
    """Canonical, of one IP version. Raises InvalidInput and what Neutron does."""
    if not given:
        raise EmptySubnetPoolPrefixList("Empty subnet pool prefix list.", next="name a prefix")
    found = tuple(map(_prefix, given))
    if len(set(found)) != len(found):
        raise invalid("prefixes", "one prefix is named twice")
    return compacted_one_version(found)


def _prefix(text: str) -> str:
    prefix = values.cidr("prefixes", text, strict=False)  # as by Neutron
    if prefix.prefixlen == 0 or prefix.is_multicast or prefix.is_loopback:
        raise invalid("prefixes", f"'{text}' holds no addresses that subnets could have")
    if prefix.version == 6:  # noqa: PLR2004
        first, last = int(prefix.network_address), int(prefix.broadcast_address)
        if first <= _IPV4_IN_IPV6.last and _IPV4_IN_IPV6.first <= last:
            raise invalid("prefixes", f"'{text}' holds IPv4 addresses (RFC 4291, 2.5.5.2)")
    return str(prefix)
