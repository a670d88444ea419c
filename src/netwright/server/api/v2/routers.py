"""Routers in the Networking API: form of requests, commands, views; their interfaces."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from netwright.model.errors import BadRequest
from netwright.model.resources import HostRoute, Network
from netwright.model.routing import Router
from netwright.model.routing_errors import RouterNotFound, RoutesExhausted
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v2 import listing, values
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.subnets import RouteBody, host_routes
from netwright.server.api.v2.values import Body, Name, ProjectId, Uuid, project_of
from netwright.server.commands import Caller, Command
from netwright.server.routing_commands import (
    AddInterface,
    CreateRouters,
    DeleteRouter,
    InterfaceChanged,
    RemoveInterface,
    RouterDraft,
    UpdateRouter,
)

ROUTES_MAX = 30  # Neutron's default

Gateway = dict[str, Any] | UnsetType | None


class RouterCreation(Body, frozen=True, kw_only=True):
    name: Name = ""
    description: Name = ""
    admin_state_up: bool = True
    external_gateway_info: Gateway = UNSET
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class RouterChange(Body, frozen=True, kw_only=True):
    name: Name | UnsetType = UNSET
    description: Name | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    external_gateway_info: Gateway = UNSET
    routes: tuple[RouteBody, ...] | UnsetType | None = UNSET


class RouterCreationBody(Body, frozen=True, kw_only=True):
    router: RouterCreation | UnsetType = UNSET
    routers: tuple[RouterCreation, ...] | UnsetType = UNSET


class RouterChangeBody(Body, frozen=True, kw_only=True):
    router: RouterChange


class InterfaceBody(Body, frozen=True, kw_only=True):
    subnet_id: Uuid | UnsetType = UNSET
    port_id: Uuid | UnsetType = UNSET


class RouterView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    status: str
    admin_state_up: bool
    external_gateway_info: None
    routes: tuple[HostRoute, ...]
    tags: tuple[str, ...]
    revision_number: int
    created_at: datetime
    updated_at: datetime


class InterfaceView(msgspec.Struct, frozen=True, kw_only=True):
    """What was added or removed; `id` is the router's. `subnet_id` is one of `subnet_ids`."""

    id: str
    tenant_id: str
    port_id: str
    network_id: str
    subnet_id: str
    subnet_ids: tuple[str, ...]


_ATTRIBUTES = frozenset(RouterView.__struct_encode_fields__)
_INTERFACE = Shape[InterfaceBody](InterfaceBody)


class Routers(Resource[Router, RouterCreation, RouterChange]):
    name = "router"
    collection = "routers"
    value_type = Router
    not_found = RouterNotFound
    view_type = RouterView
    create_shape = Shape[Any](RouterCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](RouterChangeBody, wrapped=True, read_only=_ATTRIBUTES, changes=True)
    change_type = RouterChange
    listable = listing.Listable(
        collection=collection,
        filters={
            **listing.NAMED_FILTERS,
            "admin_state_up": listing.boolean,
            **listing.STANDARD_FILTERS,
        },
        sort_keys=listing.NAMED_SORT_KEYS | {"admin_state_up", "status"},
    )

    def creation(
        self,
        caller: Caller,
        items: Sequence[RouterCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        return CreateRouters(caller=caller, drafts=tuple(_draft(caller, item) for item in items))

    def change(
        self,
        caller: Caller,
        id_: str,
        item: RouterChange,
        if_match: int | None,
        sight: Sight[Router],  # noqa: ARG002
    ) -> Command:
        _refuse_gateway(item.external_gateway_info)
        return UpdateRouter(
            caller=caller,
            id=id_,
            name=item.name,
            description=item.description,
            admin_state_up=item.admin_state_up,
            routes=UNSET if item.routes is UNSET else _routes(id_, item.routes or ()),
            if_match=if_match,
        )

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeleteRouter(caller=caller, id=id_, if_match=if_match)

    def view(self, caller: Caller, value: Router) -> RouterView:  # noqa: ARG002 - all see the same
        return RouterView(
            id=value.id,
            name=value.name,
            description=value.description,
            project_id=value.project_id,
            tenant_id=value.project_id,
            status="ACTIVE",
            admin_state_up=value.admin_state_up,
            external_gateway_info=None,
            routes=value.routes,
            tags=value.tags,
            revision_number=value.revision_number,
            created_at=times.moment(value.created_at),
            updated_at=times.moment(value.updated_at),
        )

    async def add_interface(self, call: Call) -> Reply:
        router_id, body = await self._interface(call)
        if body.subnet_id is not UNSET and body.port_id is not UNSET:
            raise _bad("Cannot specify both subnet-id and port-id")
        command = AddInterface(
            caller=call.caller,
            router_id=router_id,
            subnet_id=_or_none(body.subnet_id),
            port_id=_or_none(body.port_id),
            new_port_id=new_id(),
        )
        changed: InterfaceChanged = await call.service.commit(command)
        return _interface_reply(changed, changed.subnet_ids[-1])

    async def remove_interface(self, call: Call) -> Reply:
        router_id, body = await self._interface(call)
        command = RemoveInterface(
            caller=call.caller,
            router_id=router_id,
            subnet_id=_or_none(body.subnet_id),
            port_id=_or_none(body.port_id),
        )
        changed: InterfaceChanged = await call.service.commit(command)
        return _interface_reply(changed, changed.subnet_ids[0])

    def routes(self) -> tuple[Route, ...]:
        path = f"{self.path}/{{id}}"
        asked, answered = InterfaceBody, InterfaceView
        return (
            *super().routes(),
            Route("PUT", f"{path}/add_router_interface", self.add_interface, Access.PROJECT,
                  "Add an interface to a router", asked, answered),
            Route("PUT", f"{path}/remove_router_interface", self.remove_interface, Access.PROJECT,
                  "Remove an interface from a router", asked, answered),
        )  # fmt: skip

    async def _interface(self, call: Call) -> tuple[str, InterfaceBody]:
        """The router, which is the caller's to change, and what is asked of it."""
        listing.refuse_parameters(call.query)
        body = _INTERFACE.decode(await call.body())
        id_ = call.path["id"]
        if not values.is_uuid(id_):
            raise self.missing(id_)
        if not call.caller.is_admin:
            self._owned(call.caller, "update", id_, await self.sight(call, [id_]))
        if body.subnet_id is UNSET and body.port_id is UNSET:
            raise _bad("Either subnet_id or port_id must be specified")
        return id_, body


def _draft(caller: Caller, item: RouterCreation) -> RouterDraft:
    _refuse_gateway(item.external_gateway_info)
    return RouterDraft(
        id=new_id(),
        project_id=project_of(caller, item.project_id, item.tenant_id),
        name=item.name,
        description=item.description,
        admin_state_up=item.admin_state_up,
    )


def _refuse_gateway(gateway: Gateway) -> None:
    """Null and {} say that there is none, which is so."""
    if isinstance(gateway, dict) and gateway:
        raise invalid(
            "external_gateway_info",
            "routers have no external gateway yet: it comes with floating IPs, in stage 4 (public "
            "cloud). Leave it out or null; a provider network's own gateway leads outside",
        )


def _routes(router_id: str, routes: Sequence[RouteBody]) -> tuple[HostRoute, ...]:
    if len(routes) > ROUTES_MAX:
        raise RoutesExhausted(
            f"Unable to complete operation for {router_id}. The number of routes exceeds the "
            f"maximum {ROUTES_MAX}.",
            next="join routes with one next hop to a shorter prefix",
        )
    return host_routes(routes, "routes")


def _or_none(value: str | UnsetType) -> str | None:
    return None if value is UNSET else value


def _interface_reply(changed: InterfaceChanged, subnet_id: str) -> Reply:
    return json_reply(
        InterfaceView(
            id=changed.router_id,
            tenant_id=changed.project_id,
            port_id=changed.port_id,
            network_id=changed.network_id,
            subnet_id=subnet_id,
            subnet_ids=changed.subnet_ids,
        )
    )


def _bad(reason: str) -> BadRequest:
    return BadRequest(f"Bad router request: {reason}.")
