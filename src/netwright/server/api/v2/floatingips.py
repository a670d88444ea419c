"""Floating IPs in the Networking API: form of requests, commands, views."""

import ipaddress
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from netwright.model.errors import NotFound
from netwright.model.resources import Network, Port
from netwright.model.routing import FloatingIp
from netwright.model.routing_errors import FloatingIPNotFound
from netwright.model.states import API_STATUS
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.route import Call
from netwright.server.api.v2 import dns, listing, values
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.rows import How, Rows, moment
from netwright.server.api.v2.sight import Sight, of_ids
from netwright.server.api.v2.values import Body, HandedOver, Name, ProjectId, Text, Uuid, project_of
from netwright.server.commands import Caller, Command
from netwright.server.each import each
from netwright.server.queries import Page, Query, Reader
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
    handed_over: HandedOver | UnsetType | None = UNSET


class FloatingIpChange(Body, frozen=True, kw_only=True):
    port_id: Uuid | UnsetType | None = UNSET
    fixed_ip_address: Text | UnsetType | None = UNSET
    description: Name | UnsetType = UNSET


class FloatingIpCreationBody(Body, frozen=True, kw_only=True):
    floatingip: FloatingIpCreation | UnsetType = UNSET
    floatingips: tuple[FloatingIpCreation, ...] | UnsetType = UNSET


_BLANK = FloatingIpChange()
"""It takes the association away, as by Neutron: that was once all that could be changed."""


class FloatingIpChangeBody(Body, frozen=True, kw_only=True):
    floatingip: FloatingIpChange


class PortDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Of the port that a floating IP leads to (`fip-port-details`)."""

    name: str
    network_id: str
    mac_address: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str


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
    port_details: PortDetails | None
    tags: tuple[str, ...]
    revision_number: int
    created_at: datetime
    updated_at: datetime


_ATTRIBUTES = frozenset(FloatingIpView.__struct_encode_fields__)

_DETAILS = "port_details"
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
        is_blank = item == _BLANK
        return UpdateFloatingIp(
            caller=caller,
            id=id_,
            port_id=None if is_blank else item.port_id,
            fixed_ip_address=UNSET if fixed is UNSET else _ipv4("fixed_ip_address", fixed),
            description=item.description,
            if_match=if_match,
        )

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeleteFloatingIp(caller=caller, id=id_, if_match=if_match)

    def missing(self, id_: str) -> NotFound:
        return self.not_found(f"Floating IP {id_} could not be found")

    def rows(self, caller: Caller, fields: frozenset[str]) -> Rows:
        """With ports' details only where they are asked for: a page's are one more read."""
        if fields and _DETAILS not in fields:
            return super().rows(caller, fields)
        return Rows(
            FloatingIp, lambda found: [listing.project(_view(*each), fields) for each in found]
        )

    async def pages(self, call: Call, query: Query, rows: Rows) -> AsyncIterator[Page[Any]]:
        async for page in super().pages(call, query, rows):
            if rows.type is FloatingIp:
                ports = await _ports_of(call.service.reader, page.rows)
                pairs = [(each, ports.get(each.port_id)) for each in page.rows]
                yield Page(page.ids, pairs, more=page.more)
            else:
                yield page

    async def views(self, call: Call, found: Sequence[FloatingIp]) -> Sequence[FloatingIpView]:
        ports = await _ports_of(call.service.reader, found)
        return [_view(each, ports.get(each.port_id)) for each in found]

    def view(self, caller: Caller, value: FloatingIp) -> FloatingIpView:  # noqa: ARG002 - all see the same
        """Without its port's details, which are nobody's to change."""
        return _view(value, None)


async def _ports_of(reader: Reader, found: Sequence[FloatingIp]) -> Mapping[str | None, Port]:
    """The ports that they lead to, by id."""
    ids = [each.port_id for each in found if each.port_id is not None]
    return {port.id: port for port in await reader.many(Port, of_ids(ids))} if ids else {}


def _view(value: FloatingIp, port: Port | None) -> FloatingIpView:
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
        port_details=None if port is None else _details(port),
        tags=value.tags,
        revision_number=value.revision_number,
        created_at=times.moment(value.created_at),
        updated_at=times.moment(value.updated_at),
    )


def _details(port: Port) -> PortDetails:
    return PortDetails(
        name=port.name,
        network_id=port.network_id,
        mac_address=port.mac_address,
        admin_state_up=port.admin_state_up,
        status=API_STATUS[port.state],
        device_id=port.device_id,
        device_owner=port.device_owner,
    )


def _draft(caller: Caller, item: FloatingIpCreation) -> FloatingIpDraft:
    identity = values.identity(item.handed_over)
    return FloatingIpDraft(
        id=identity.id,
        is_chosen=identity.is_chosen,
        tags=identity.tags,
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
