"""What keeps the port of a router or a floating IP what it is when the port is asked for."""

from typing import NamedTuple

from netwright.model.resources import Port
from netwright.model.routing import (
    FLOATING_IP,
    ROUTER_GATEWAY,
    ROUTER_INTERFACE,
    FloatingIp,
    Router,
)
from netwright.model.routing_errors import ServicePortInUse, UnsupportedPortDeviceOwner
from netwright.server.world import World


class _Holder(NamedTuple):
    """Whose port it is, in words, and the command that takes it away."""

    named: str
    removal: str


def require_no_interface(world: World, port: Port) -> None:
    """Raises ServicePortInUse: it is removed from its holder, and goes then."""
    holder = _holder_of(world, port)
    if holder is not None:
        raise ServicePortInUse(
            f"Port {port.id} cannot be deleted directly via the port API: has device owner "
            f"{port.device_owner}.",
            next=f"openstack {holder.removal}",
        )


def require_as_attached(world: World, before: Port, after: Port) -> None:
    """Raises UnsupportedPortDeviceOwner for a change that the holder would have to know of."""
    kept = {
        "device_id": (before.device_id, after.device_id),
        "device_owner": (before.device_owner, after.device_owner),
        "fixed_ips": (before.fixed_ips, after.fixed_ips),
        "mac_address": (before.mac_address, after.mac_address),
        "binding:host_id": (before.active_binding, after.active_binding),
    }
    changed = [attribute for attribute, (was, now) in kept.items() if was != now]
    if changed and (holder := _holder_of(world, before)) is not None:
        raise UnsupportedPortDeviceOwner(
            f"Operation {changed[0]} update is not supported for device_owner "
            f"{before.device_owner} on port {before.id}.",
            next=f"the port is {holder.named}: remove it there, add another",
        )


def _holder_of(world: World, port: Port) -> _Holder | None:
    """The router or floating IP that has the port, where it is not only said to be one's."""
    if port.device_owner == ROUTER_INTERFACE:
        router = world.of(Router).get(port.device_id)
        if router is not None and any(one.port_id == port.id for one in router.interfaces):
            removal = f"router remove port {router.id} {port.id}"
            return _Holder(f"an interface of router {router.id}", removal)
    elif port.device_owner == ROUTER_GATEWAY:
        router = world.of(Router).get(port.device_id)
        if router is not None and router.gateway and router.gateway.port_id == port.id:
            removal = f"router unset --external-gateway {router.id}"
            return _Holder(f"the gateway of router {router.id}", removal)
    elif port.device_owner == FLOATING_IP:
        floating = world.of(FloatingIp).get(port.device_id)
        if floating is not None and floating.floating_port_id == port.id:
            removal = f"floating ip delete {floating.id}"
            return _Holder(f"that of floating IP {floating.id}", removal)
    return None
