"""Floating IPs in the Networking API: form of requests, commands, views."""

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from netwright.model.errors import NotFound
from netwright.model.resources import Network
from netwright.model.routing import FloatingIp
from netwright.model.routing_errors import FloatingIPNotFound
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.v2 import dns, listing, values
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.rows import How, moment
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, Name, ProjectId, Text, Uuid, project_of
from netwright.server.commands import Caller, Command
from netwright.server.each import each
from netwright.server.routing_commands import (
    CreateFloatingIps,
    DeleteFloatingIp,
    FloatingIpDraft,
    UpdateFloatingIp,
)


class FloatingIpCreation(Body, frozen=True, kw_only=True):
    floating_network_id: Uuid
    floating_ip_address: Text | None = None
    subnet_id: Uuid | None = None
    port_id: Uuid | None = None
    fixed_ip_address: Text | None = None
    dns_name: str = ""
    dns_domain: str = ""
    description: Name = ""
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class FloatingIpChange(Body, frozen=True, kw_only=True):
    port_id: Uuid | UnsetType | None = UNSET
    fixed_ip_address: Text | UnsetType | None = UNSET
    description: Name | UnsetType = UNSET


class FloatingIpCreationBody(Body, frozen=True, kw_only=True):
    floatingip: FloatingIpCreation | UnsetType = UNSET
    floatingips: tuple[FloatingIpCreation, ...] | UnsetType = UNSET


class FloatingIpChangeBody(Body, frozen=True, kw_only=True):
    floatingip: FloatingIpChange


class FloatingIpView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    project_id: str
    tenant_id: str
    description: str
    floating_network_id: str
    floating_ip_address: str
    router_id: str | None
    port_id: str | None
    fixed_ip_address: str | None
    status: str
    dns_name: str
    dns_domain: str
    tags: tuple[str, ...]
    revision_number: int
    created_at: datetime
    updated_at: datetime


_ATTRIBUTES = frozenset(FloatingIpView.__struct_encode_fields__)

_SHOWN: How = {
    "tenant_id": "project_id",
    "created_at": moment("created_at"),
    "updated_at": moment("updated_at"),
}
_NAMELESS = {name: how for name, how in listing.NAMED_FILTERS.items() if name != "name"}
_PLACED = {
    "floating_network_id": listing.text,
    "floating_ip_address": listing.text,
    "router_id": listing.text,
    "fixed_ip_address": listing.text,
    "status": listing.text,
}


class FloatingIps(Resource[FloatingIp, FloatingIpCreation, FloatingIpChange]):
    name = "floatingip"
    collection = "floatingips"
    value_type = FloatingIp
    not_found = FloatingIPNotFound
    view_type = FloatingIpView
    create_shape = Shape[Any](FloatingIpCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](
        FloatingIpChangeBody, wrapped=True, read_only=_ATTRIBUTES | {"subnet_id"}, changes=True
    )
    change_type = FloatingIpChange
    shown = _SHOWN
    listable = listing.Listable(
        collection=collection,
        filters={**_NAMELESS, **_PLACED, "port_id": listing.text, **listing.STANDARD_FILTERS},
        sort_keys=(listing.NAMED_SORT_KEYS | _PLACED.keys()) - {"name"},
    )

    def creation(
        self,
        caller: Caller,
        items: Sequence[FloatingIpCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        drafts = each(self.collection, items, partial(_draft, caller))
        return CreateFloatingIps(caller=caller, drafts=drafts)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: FloatingIpChange,
        if_match: int | None,
        sight: Sight[FloatingIp],  # noqa: ARG002
    ) -> Command:
        fixed = item.fixed_ip_address
        return UpdateFloatingIp(
            caller=caller,
            id=id_,
            port_id=item.port_id,
            fixed_ip_address=UNSET if fixed is UNSET else _ipv4("fixed_ip_address", fixed),
            description=item.description,
            if_match=if_match,
        )

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeleteFloatingIp(caller=caller, id=id_, if_match=if_match)

    def missing(self, id_: str) -> NotFound:
        return self.not_found(f"Floating IP {id_} could not be found")

    def view(self, caller: Caller, value: FloatingIp) -> FloatingIpView:  # noqa: ARG002 - all see the same
        return FloatingIpView(
            id=value.id,
            project_id=value.project_id,
            tenant_id=value.project_id,
            description=value.description,
            floating_network_id=value.floating_network_id,
            floating_ip_address=value.floating_ip_address,
            router_id=value.router_id,
            port_id=value.port_id,
            fixed_ip_address=value.fixed_ip_address,
            status=value.status,
            dns_name=value.dns_name,
            dns_domain=value.dns_domain,
            tags=value.tags,
            revision_number=value.revision_number,
            created_at=times.moment(value.created_at),
            updated_at=times.moment(value.updated_at),
        )


def _draft(caller: Caller, item: FloatingIpCreation) -> FloatingIpDraft:
    return FloatingIpDraft(
        id=new_id(),
        project_id=project_of(caller, item.project_id, item.tenant_id),
        floating_network_id=item.floating_network_id,
        floating_ip_address=_ipv4("floating_ip_address", item.floating_ip_address),
        subnet_id=item.subnet_id,
        port_id=item.port_id,
        fixed_ip_address=_ipv4("fixed_ip_address", item.fixed_ip_address),
        dns_name=dns.relative_name(item.dns_name),
        dns_domain=dns.domain(item.dns_domain),
        description=item.description,
        new_port_id=new_id(),
    )


def _ipv4(attribute: str, text: str | None) -> str | None:
    if text is None:
        return None
    address = values.ip(attribute, text)
    if not isinstance(address, ipaddress.IPv4Address):
        raise invalid(attribute, f"'{text}' is no address of IPv4, and floating IPs are of IPv4")
    return str(address)
