"""What keeps a router's interface what it is when its port is asked for."""

from netwright.model.resources import Port
from netwright.model.routing import ROUTER_INTERFACE, Router
from netwright.model.routing_errors import ServicePortInUse, UnsupportedPortDeviceOwner
from netwright.server.world import World


def require_no_interface(world: World, port: Port) -> None:
    """Raises ServicePortInUse: it is removed from its router, and goes then."""
    router = _router_of(world, port)
    if router is not None:
        raise ServicePortInUse(
            f"Port {port.id} cannot be deleted directly via the port API: has device owner "
            f"{port.device_owner}.",
            next=f"openstack router remove port {router.id} {port.id}",
        )


def require_as_attached(world: World, before: Port, after: Port) -> None:
    """Raises UnsupportedPortDeviceOwner for a change that the router would have to know of."""
    kept = {
        "device_id": (before.device_id, after.device_id),
        "device_owner": (before.device_owner, after.device_owner),
        "fixed_ips": (before.fixed_ips, after.fixed_ips),
        "mac_address": (before.mac_address, after.mac_address),
        "binding:host_id": (before.active_binding, after.active_binding),
    }
    changed = [attribute for attribute, (was, now) in kept.items() if was != now]
    if changed and (router := _router_of(world, before)) is not None:
        raise UnsupportedPortDeviceOwner(
            f"Operation {changed[0]} update is not supported for device_owner "
            f"{before.device_owner} on port {before.id}.",
            next=f"the port is an interface of router {router.id}: remove it there, add another",
        )


def _router_of(world: World, port: Port) -> Router | None:
    """The router that the port is an interface of."""
    if port.device_owner != ROUTER_INTERFACE:
        return None
    router = world.of(Router).get(port.device_id)
    if router is None or all(each.port_id != port.id for each in router.interfaces):
        return None
    return router
