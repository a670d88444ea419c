"""Which of a network's subnets a port can have addresses of, where its host is.

A network whose subnets are on segments is routed between them by somebody else: an address is of
use on the hosts of its segment alone. A subnet that is on none is of use on all.
"""

from collections.abc import Iterable, Sequence

from netwright.model.errors import InvalidInput
from netwright.model.resources import FixedIp, FurtherSegment, Network, NetworkType, Port, Subnet
from netwright.model.routing import FLOATING_IP, ROUTER_GATEWAY, ROUTER_INTERFACE
from netwright.model.segment_errors import (
    FixedIpsSubnetsNotOnSameSegment,
    HostNotCompatibleWithFixedIps,
    NetworkIdsDontMatch,
    NoUpdateSubnetWhenMultipleSegmentsOnNetwork,
    SubnetSegmentAssociationChangeNotAllowed,
    SubnetsNotAllAssociatedWithSegments,
)
from netwright.model.segments import own_segment_id, segment_on, segments_of
from netwright.server.world import World

_OF_NETWORKS = "network:"
_OF_BORDERS = frozenset({ROUTER_INTERFACE, ROUTER_GATEWAY, FLOATING_IP})


def usable_on(
    world: World, network: Network, versions: Sequence[list[Subnet]], owner: str, host: str
) -> Sequence[list[Subnet]]:
    """What is left of the subnets (by IP version) for a port of this owner, on this host.

    None, if it is on no host yet: its addresses are chosen when it is bound. What a network has for
    itself (gateways, floating IPs) is on its own segment; so is all of a fabric network, whose VNI
    is on every host.
    """
    if not any(subnet.segment_id for of_version in versions for subnet in of_version):
        return versions
    where: str | None
    is_fabric = network.segment.network_type is NetworkType.VXLAN
    if is_fabric or (owner.startswith(_OF_NETWORKS) and not host):
        where = own_segment_id(network.id)
    else:
        where = _id_of(_segment_of(world, network, host))
    left = [[one for one in subnets if one.segment_id in {None, where}] for subnets in versions]
    return [subnets for subnets in left if subnets]


def unreached(
    world: World, network: Network, fixed_ips: Iterable[FixedIp], segment: FurtherSegment
) -> str:
    """Why a port with these addresses is of no use on this segment; "" when it is."""
    for fixed in fixed_ips:
        subnet = world.subnets.get(fixed.subnet_id)
        if subnet is None or subnet.segment_id in {None, segment.id}:
            continue
        return (
            f"is on segment {segment.id} (physical network {segment.segment.physical_network}) of "
            f"network {network.id}, and address {fixed.ip_address} is of segment "
            f"{subnet.segment_id}: bind the port where that is, or give it other fixed_ips"
        )
    return ""


def require_reached(world: World, network: Network, port: Port) -> None:
    """Raises HostNotCompatibleWithFixedIps when a bound port's addresses are of no use there."""
    active = port.active_binding
    segment = _segment_of(world, network, active.host) if active is not None else None
    if active is None or segment is None:
        return
    if why := unreached(world, network, port.fixed_ips, segment):
        raise HostNotCompatibleWithFixedIps(
            f"Host {active.host}, where port {port.id} is bound, {why}.",
            next="unbind the port first, or name addresses of its host's segment",
        )


def require_one_segment(world: World, fixed_ips: Iterable[FixedIp]) -> None:
    """Raises FixedIpsSubnetsNotOnSameSegment when no host could answer for all of them."""
    subnets = [world.subnets.get(fixed.subnet_id) for fixed in fixed_ips]
    on = {subnet.segment_id for subnet in subnets if subnet is not None} - {None}
    if len(on) > 1:
        raise FixedIpsSubnetsNotOnSameSegment(
            "Cannot allocate addresses from different segments: "
            f"{', '.join(sorted(one for one in on if one))}.",
            next="name addresses of one segment's subnets",
        )


def require_own_segment(world: World, owner: str, fixed_ips: Iterable[FixedIp]) -> None:
    """Raises InvalidInput where the fabric's borders, which are on own segments, are needed."""
    if owner not in _OF_BORDERS:
        return
    for fixed in fixed_ips:
        subnet = world.subnets.get(fixed.subnet_id)
        if subnet is None or subnet.segment_id in {None, own_segment_id(subnet.network_id)}:
            continue
        raise InvalidInput(
            f"Invalid input for fixed_ips. Reason: {fixed.ip_address} is of segment "
            f"{subnet.segment_id}, and the fabric's borders are on the own segment of network "
            f"{subnet.network_id} alone ({own_segment_id(subnet.network_id)}).",
            next="choose a subnet there; between a network's segments routers of your own route",
        )


def require_addressed(network: Network, owner: str) -> None:
    """Raises InvalidInput for what the fabric's borders need an address for, and can have none."""
    if owner in _OF_BORDERS:
        own = own_segment_id(network.id)
        raise InvalidInput(
            f"Invalid input for network_id. Reason: no subnet of network {network.id} is on its "
            f"own segment ({own}), and the fabric's borders are on that alone.",
            next="make a subnet there; between a network's segments routers of your own route",
        )


def require_alike(world: World, network: Network, segment_id: str | None) -> None:
    """Raises what is wrong with one more subnet of the network on this segment, or on none."""
    if segment_id is not None:
        _require_own(network, segment_id)
    for other in world.subnets_of(network.id):
        if (other.segment_id is None) is not (segment_id is None):
            raise SubnetsNotAllAssociatedWithSegments(
                f"All of the subnets on network '{network.id}' must either all be associated with "
                f"segments or all not associated with any segment; {other.id} is "
                f"{'not' if other.segment_id is None else f'with {other.segment_id}'}.",
                next="associate it too"
                if other.segment_id is None
                else "name the segment that this one is on",
            )


def require_movable(world: World, subnet: Subnet, segment_id: str | None) -> None:
    """Raises what is wrong with having a subnet that there is on this segment from now on."""
    if segment_id == subnet.segment_id:
        return
    if subnet.segment_id is not None:
        raise SubnetSegmentAssociationChangeNotAllowed(
            f"Subnet {subnet.id} is associated with segment {subnet.segment_id} already, which "
            "cannot be changed.",
            next="make a subnet on the other segment",
        )
    network = world.networks.get(subnet.network_id)
    assert network is not None, f"subnet {subnet.id}'s network was not loaded"
    assert segment_id is not None, "it was on none, and changes"
    _require_own(network, segment_id)
    if network.further_segments:
        raise NoUpdateSubnetWhenMultipleSegmentsOnNetwork(
            f"The network '{network.id}' has multiple segments: an existing subnet is associated "
            "with a segment only where there is a single one.",
            next="delete the further segments first, or make the subnet anew with its segment_id",
        )


def _require_own(network: Network, segment_id: str) -> None:
    if segment_id not in {one.id for one in segments_of(network)}:
        raise NetworkIdsDontMatch(
            f"Network {network.id}, which the subnet is in, has no segment '{segment_id}'.",
            next=f"openstack network segment list --network {network.id} shows which it has",
        )


def _segment_of(world: World, network: Network, host: str) -> FurtherSegment | None:
    known = world.hosts.get(host) if host else None
    return segment_on(network, known.physical_networks) if known is not None else None


def _id_of(segment: FurtherSegment | None) -> str | None:
    return segment.id if segment is not None else None
