"""Decisions about routers. What is about their interfaces is in `router_interfaces`."""

from functools import partial

from msgspec import UNSET
from msgspec.structs import replace

from netwright.ipam.addresses import cidr_range, from_text
from netwright.model.resources import HostRoute
from netwright.model.routing import Router, RouterInterface
from netwright.model.routing_errors import (
    InvalidRoutes,
    RouterInterfaceInUseByRoute,
    RouterInUse,
    RouterNotFound,
    RoutesExhausted,
)
from netwright.server.commands import Caller
from netwright.server.containers.places import require_zones
from netwright.server.each import each
from netwright.server.gateways import with_gateway, without_gateway
from netwright.server.handed_over import require_free
from netwright.server.networks import check_revision
from netwright.server.overlay.transit import release_vni, with_transit
from netwright.server.routing_commands import (
    ChangeRoutes,
    CreateRouters,
    DeleteRouter,
    RouterDraft,
    UpdateRouter,
)
from netwright.server.world import World

ROUTES_MAX = 30  # Neutron's default


def create(world: World, command: CreateRouters) -> tuple[Router, ...]:
    return each("routers", command.drafts, partial(_create, world, command.caller))


def update(world: World, command: UpdateRouter) -> tuple[Router, ...]:
    router = owned(world, command.caller, command.id)
    check_revision(router.revision_number, command.if_match)
    wanted = {
        "name": command.name,
        "description": command.description,
        "admin_state_up": command.admin_state_up,
        "routes": command.routes,
    }
    after = replace(router, **{key: value for key, value in wanted.items() if value is not UNSET})
    if command.gateway is not UNSET:
        after = with_gateway(world, command.caller, after, command.gateway)
    if after == router:
        return (router,)
    _check_routes(router, after)
    if after.outer != router.outer:
        after = with_transit(world, after)
    return (touched(world, after),)


def change_routes(world: World, command: ChangeRoutes) -> tuple[Router, ...]:
    """Add those that are not there, take away those that are."""
    router = owned(world, command.caller, command.router_id)
    kept = tuple(route for route in router.routes if route not in command.remove)
    new = tuple(route for route in dict.fromkeys(command.add) if route not in kept)
    after = replace(router, routes=(*kept, *new))
    if len(after.routes) > ROUTES_MAX:
        raise too_many_routes(router.id)
    if after.routes == router.routes:
        return (router,)
    _check_routes(router, after)
    return (touched(world, after),)


def too_many_routes(router_id: str) -> RoutesExhausted:
    return RoutesExhausted(
        f"Unable to complete operation for {router_id}. The number of routes exceeds the "
        f"maximum {ROUTES_MAX}.",
        next="join routes with one next hop to a shorter prefix",
    )


def delete(world: World, command: DeleteRouter) -> tuple[()]:
    router = owned(world, command.caller, command.id)
    check_revision(router.revision_number, command.if_match)
    if router.interfaces:
        subnets = ", ".join(each.subnet_id for each in router.interfaces)
        raise RouterInUse(
            f"Router {router.id} still has ports: interfaces in {subnets}.",
            next=f"remove them first: openstack router remove subnet {router.id} SUBNET",
        )
    without_gateway(world, router)
    world.of(Router).put(router.id, None)
    if router.vni is not None:
        release_vni(world, router.vni)
    return ()


def owned(world: World, caller: Caller, router_id: str) -> Router:
    """The router, if it is the caller's; another project's does not exist for it."""
    router = world.of(Router).get(router_id)
    if router is None or not caller.may_touch(router.project_id):
        raise RouterNotFound(f"Router {router_id} could not be found.")
    return router


def touched(world: World, router: Router) -> Router:
    """Put the router with the next revision."""
    router = replace(router, revision_number=router.revision_number + 1, updated_at=world.now)
    world.of(Router).put(router.id, router)
    return router


def leads_over(route: HostRoute, cidr: str) -> bool:
    """Whether the route's next hop is in the subnet."""
    return from_text(route.nexthop) in cidr_range(cidr)


def _create(world: World, caller: Caller, draft: RouterDraft) -> Router:
    require_zones(world, draft.availability_zone_hints)
    require_free(world.of(Router), "Router", draft.id)
    router = Router(
        id=draft.id,
        project_id=draft.project_id,
        name=draft.name,
        description=draft.description,
        tags=draft.tags,
        admin_state_up=draft.admin_state_up,
        availability_zone_hints=draft.availability_zone_hints,
        revision_number=1,
        created_at=world.now,
        updated_at=world.now,
    )
    if draft.gateway is not None:
        router = with_gateway(world, caller, router, draft.gateway)
    world.of(Router).put(router.id, router)
    return router


def _check_routes(before: Router, after: Router) -> None:
    """Raises what is wrong with the routes, or with taking the gateway that they lead over."""
    if after.routes != before.routes:
        for route in after.routes:
            _check_route(after, route)
        return
    for route in after.routes:
        if not any(leads_over(route, one.cidr) for one in _addresses(after)):
            raise RouterInterfaceInUseByRoute(
                f"Gateway of router {after.id} cannot be changed so, as it is required by one or "
                f"more routes ({route.destination} via {route.nexthop}).",
                next="take the route away first: openstack router unset --route",
            )


def _addresses(router: Router) -> tuple[RouterInterface, ...]:
    """Of all its interfaces, and of its gateway."""
    return (*router.interfaces, *(router.gateway.addresses if router.gateway else ()))


def _check_route(router: Router, route: HostRoute) -> None:
    said = f"{route.destination} via {route.nexthop}"
    if not any(leads_over(route, each.cidr) for each in _addresses(router)):
        subnets = ", ".join(each.cidr for each in _addresses(router))
        raise InvalidRoutes(
            f"Invalid format for routes: {said}, the nexthop is not connected with router "
            f"{router.id}.",
            next=f"choose a next hop in one of its subnets: {subnets or 'it has none'}",
        )
    if any(each.ip_address == route.nexthop for each in _addresses(router)):
        raise InvalidRoutes(
            f"Invalid format for routes: {said}, the nexthop is used by router {router.id}.",
            next="choose the address of another router",
        )
