"""Addresses that a port gets only when its host is known, since they are of the host's segment."""

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from netwright.model.resources import IpAllocation, Port
from netwright.server.commands import AddressWish
from netwright.server.ports.addressing import Addressee, assign
from netwright.server.world import World


def when_allocated(
    addressee: Addressee, wishes: tuple[AddressWish, ...] | UnsetType
) -> IpAllocation:
    """When a new port, whose addresses were just chosen, has them."""
    if addressee.deferred:
        return IpAllocation.DEFERRED
    return IpAllocation.NONE if wishes == () else IpAllocation.IMMEDIATE


def with_deferred(world: World, port: Port, host: str) -> Port:
    """The port with the addresses that it waited for, now that it is to be on this host.

    Raises Exhausted.
    """
    if port.ip_allocation is not IpAllocation.DEFERRED or not host:
        return port
    if port.fixed_ips:  # somebody has named some since
        return replace(port, ip_allocation=IpAllocation.IMMEDIATE)
    network = world.networks.get(port.network_id)
    assert network is not None, f"port {port.id}'s network was not loaded"
    addressee = Addressee(
        port.id, port.project_id, network, port.mac_address, port.device_owner, host=host
    )
    fixed_ips = assign(world, addressee, UNSET)
    if not fixed_ips:
        return port
    return replace(port, fixed_ips=fixed_ips, ip_allocation=IpAllocation.IMMEDIATE)
