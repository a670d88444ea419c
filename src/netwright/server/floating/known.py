"""The floating IPs of ports and routers, as far as a batch has them, and how one loses its port."""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from netwright.model.resources import FixedIp, Port
from netwright.model.routing import NO_PROJECT, FloatingIp, FloatingStatus
from netwright.server.world import World


class NeedsFloatingIps(Exception):
    """The floating IPs of a port or a router count, and are not loaded yet."""

    def __init__(self, *, ports: Iterable[str] = (), routers: Iterable[str] = ()) -> None:
        super().__init__("floating IPs are needed")
        self.ports = frozenset(ports)
        self.routers = frozenset(routers)


def of_port(world: World, port_id: str) -> list[FloatingIp]:
    """Those that lead to the port. Raises NeedsFloatingIps."""
    if port_id not in world.floating.of_ports:
        raise NeedsFloatingIps(ports=(port_id,))
    return _those(world, lambda each: each.port_id == port_id)


def of_router(world: World, router_id: str) -> list[FloatingIp]:
    """Those that come in by the router. Raises NeedsFloatingIps."""
    if router_id not in world.floating.of_routers:
        raise NeedsFloatingIps(routers=(router_id,))
    return _those(world, lambda each: each.router_id == router_id)


def touched(world: World, floating: FloatingIp) -> FloatingIp:
    """Put the floating IP with the next revision."""
    revision = floating.revision_number + 1
    floating = replace(floating, revision_number=revision, updated_at=world.now)
    world.of(FloatingIp).put(floating.id, floating)
    return floating


def disassociated(floating: FloatingIp) -> FloatingIp:
    """The floating IP without a port."""
    return replace(
        floating,
        port_id=None,
        fixed_ip_address=None,
        router_id=None,
        status=FloatingStatus.DOWN,
        cause="",
    )


def let_go(world: World, port: Port, gone: Iterable[FixedIp]) -> None:
    """Disassociate the floating IPs of addresses that the port has no more.

    Raises NeedsFloatingIps.
    """
    addresses = {ip.ip_address for ip in gone if ":" not in ip.ip_address}
    if not addresses or port.project_id == NO_PROJECT:
        return
    for floating in of_port(world, port.id):
        if floating.fixed_ip_address in addresses:
            touched(world, disassociated(floating))


def _those(world: World, wanted: Callable[[FloatingIp], bool]) -> list[FloatingIp]:
    return [each for each in world.of(FloatingIp).values() if wanted(each)]
