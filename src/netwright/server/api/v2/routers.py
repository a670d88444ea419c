"""Routers in the Networking API: form of requests, commands, views; their interfaces."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from netwright.model.errors import BadRequest
from netwright.model.resources import FixedIp, HostRoute, Network
from netwright.model.routing import Router
from netwright.model.routing_errors import RouterNotFound
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v2 import listing, policy, values
from netwright.server.api.v2.port_requests import FixedIps, wishes
from netwright.server.api.v2.resource import Resource, given
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.subnets import RouteBody, host_routes
from netwright.server.api.v2.values import Body, HandedOver, Name, ProjectId, Uuid, project_of
from netwright.server.commands import Caller, Command
from netwright.server.each import each
from netwright.server.routers import ROUTES_MAX, too_many_routes
from netwright.server.routing_commands import (
    AddInterface,
    ChangeRoutes,
    CreateRouters,
    DeleteRouter,
    GatewayWish,
    InterfaceChanged,
    RemoveInterface,
    RouterDraft,
    UpdateRouter,
)


class GatewayBody(Body, frozen=True, kw_only=True):
    """Without a network it says, as null does, that there is to be none."""

    network_id: Uuid | UnsetType = UNSET
    enable_snat: bool | UnsetType = UNSET
    external_fixed_ips: FixedIps | UnsetType | None = UNSET


Gateway = GatewayBody | UnsetType | None


class RouterCreation(Body, frozen=True, kw_only=True):
    name: Name = ""
    description: Name = ""
    admin_state_up: bool = True
    external_gateway_info: Gateway = UNSET
    availability_zone_hints: tuple[str, ...] = ()
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET
    handed_over: HandedOver | UnsetType | None = UNSET


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


class RoutesChange(Body, frozen=True, kw_only=True):
    routes: tuple[RouteBody, ...]


class RoutesChangeBody(Body, frozen=True, kw_only=True):
    router: RoutesChange


class GatewayView(msgspec.Struct, frozen=True, kw_only=True):
    network_id: str
    enable_snat: bool
    external_fixed_ips: tuple[FixedIp, ...]


class RouterView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    status: str
    admin_state_up: bool
    external_gateway_info: GatewayView | None
    routes: tuple[HostRoute, ...]
    availability_zone_hints: tuple[str, ...]
    availability_zones: tuple[str, ...]
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
_ROUTES = Shape[Any](RoutesChangeBody, wrapped=True, read_only=_ATTRIBUTES - {"routes"})


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
        drafts = each(self.collection, items, partial(_draft, caller))
        return CreateRouters(caller=caller, drafts=drafts)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: RouterChange,
        if_match: int | None,
        sight: Sight[Router],  # noqa: ARG002
    ) -> Command:
        return UpdateRouter(
            caller=caller,
            id=id_,
            name=item.name,
            description=item.description,
            admin_state_up=item.admin_state_up,
            routes=UNSET if item.routes is UNSET else _routes(id_, item.routes or ()),
            gateway=_wish(caller, item.external_gateway_info),
            if_match=if_match,
        )

    def changing(
        self,
        caller: Caller,
        id_: str,
        item: RouterChange,
        if_match: int | None,
        sight: Sight[Router],
    ) -> Command:
        self.require_touchable(caller, "update", id_, sight)
        if not caller.is_admin:
            item = _without_admins_part(caller, item, sight.values[id_])
        return super().changing(caller, id_, item, if_match, sight)

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
            external_gateway_info=_gateway_view(value),
            routes=value.routes,
            availability_zone_hints=value.availability_zone_hints,
            availability_zones=value.availability_zone_hints,
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

    async def add_routes(self, call: Call) -> Reply:
        id_, routes = await self._routes_of(call)
        command = ChangeRoutes(caller=call.caller, router_id=id_, add=routes)
        return await self._changed(call, command)

    async def remove_routes(self, call: Call) -> Reply:
        id_, routes = await self._routes_of(call)
        command = ChangeRoutes(caller=call.caller, router_id=id_, remove=routes)
        return await self._changed(call, command)

    def routes(self) -> tuple[Route, ...]:
        path = f"{self.path}/{{id}}"
        asked, answered = InterfaceBody, InterfaceView
        routes, router = RoutesChangeBody, {self.name: RouterView}
        return (
            *super().routes(),
            Route("PUT", f"{path}/add_router_interface", self.add_interface, Access.PROJECT,
                  "Add an interface to a router", asked, answered),
            Route("PUT", f"{path}/remove_router_interface", self.remove_interface, Access.PROJECT,
                  "Remove an interface from a router", asked, answered),
            Route("PUT", f"{path}/add_extraroutes", self.add_routes, Access.PROJECT,
                  "Add static routes to a router", routes, router),
            Route("PUT", f"{path}/remove_extraroutes", self.remove_routes, Access.PROJECT,
                  "Remove static routes from a router", routes, router),
        )  # fmt: skip

    def _require_creatable(self, caller: Caller, item: RouterCreation) -> None:
        super()._require_creatable(caller, item)
        gateway = item.external_gateway_info
        if isinstance(gateway, GatewayBody):
            policy.require_admin_of_gateway(caller, "create", given(gateway), _AT_FIRST)

    async def _routes_of(self, call: Call) -> tuple[str, tuple[HostRoute, ...]]:
        """The router, which is the caller's to change, and the routes that are named."""
        listing.refuse_parameters(call.query)
        body = _ROUTES.decode(await call.body())
        id_ = await self._changeable(call)
        return id_, host_routes(body.router.routes, "routes")

    async def _changed(self, call: Call, command: ChangeRoutes) -> Reply:
        (router,) = await call.service.commit(command)
        return json_reply({self.name: self.view(call.caller, router)})

    async def _changeable(self, call: Call) -> str:
        """The id of the router that the path names, if it is the caller's to change."""
        id_ = call.path["id"]
        self.require_touchable(call.caller, "update", id_, await self.sight(call, [id_]))
        return id_

    async def _interface(self, call: Call) -> tuple[str, InterfaceBody]:
        """The router, which is the caller's to change, and what is asked of it."""
        listing.refuse_parameters(call.query)
        body = _INTERFACE.decode(await call.body())
        id_ = await self._changeable(call)
        if body.subnet_id is UNSET and body.port_id is UNSET:
            raise _bad("Either subnet_id or port_id must be specified")
        return id_, body


def _draft(caller: Caller, item: RouterCreation) -> RouterDraft:
    gateway = _wish(caller, item.external_gateway_info)
    identity = values.identity(item.handed_over)
    return RouterDraft(
        id=identity.id,
        is_chosen=identity.is_chosen,
        tags=identity.tags,
        project_id=project_of(caller, item.project_id, item.tenant_id),
        name=item.name,
        description=item.description,
        admin_state_up=item.admin_state_up,
        gateway=None if gateway is UNSET else gateway,
        availability_zone_hints=values.zone_hints(item.availability_zone_hints),
    )


def _wish(caller: Caller, gateway: Gateway) -> GatewayWish | UnsetType | None:
    """The gateway that is asked for; null and {} ask for none."""
    if gateway is UNSET:
        return UNSET
    if gateway is None or gateway == GatewayBody():
        return None
    if gateway.network_id is UNSET:
        raise invalid("external_gateway_info", "it names no network_id")
    fixed_ips = gateway.external_fixed_ips
    no_wish = UNSET if not caller.is_admin else True
    return GatewayWish(
        network_id=gateway.network_id,
        enable_snat=no_wish if gateway.enable_snat is UNSET else gateway.enable_snat,
        fixed_ips=wishes("external_fixed_ips", fixed_ips) if fixed_ips else UNSET,
        new_port_id=new_id(),
    )


_AT_FIRST = {"enable_snat": True, "external_fixed_ips": None}
"""What says no more of a new gateway than leaving it out does."""


def _without_admins_part(caller: Caller, item: RouterChange, router: Router) -> RouterChange:
    """Who sends back what it was shown of the gateway asks for no more than its network.

    Raises Denied when it asks for more.
    """
    gateway, view = item.external_gateway_info, _gateway_view(router)
    if not isinstance(gateway, GatewayBody):
        return item
    asked = msgspec.to_builtins(gateway)
    standing = {} if view is None else msgspec.to_builtins(view)
    policy.require_admin_of_gateway(caller, "update", asked, {**_AT_FIRST, **standing})
    return replace(item, external_gateway_info=GatewayBody(network_id=gateway.network_id))


def _gateway_view(router: Router) -> GatewayView | None:
    gateway = router.gateway
    if gateway is None:
        return None
    return GatewayView(
        network_id=gateway.network_id,
        enable_snat=gateway.enable_snat,
        external_fixed_ips=tuple(
            FixedIp(subnet_id=each.subnet_id, ip_address=each.ip_address)
            for each in gateway.addresses
        ),
    )


def _routes(router_id: str, routes: Sequence[RouteBody]) -> tuple[HostRoute, ...]:
    if len(routes) > ROUTES_MAX:
        raise too_many_routes(router_id)
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
