"""The segments that a network has: its own, and how further ones come to it."""

from msgspec.structs import replace

from netwright.model.errors import (
    Conflict,
    FlatNetworkInUse,
    InvalidInput,
    TunnelIdInUse,
    VlanIdInUse,
)
from netwright.model.resources import FurtherSegment, Network, NetworkType, Segment
from netwright.model.segments import (
    NetworkSegment,
    own_segment,
    segment_at_first,
    segment_key,
    segments_of,
)
from netwright.server.overlay.transit import RESTING
from netwright.server.segments import choose
from netwright.server.world import World


def take_own(world: World, network: Network) -> None:
    """The new network's own segment is its. Raises Conflict when another has it."""
    _take(world, network.id, network.segment)
    own = own_segment(network, world.now)
    world.of(NetworkSegment).put(own.id, own)


def take_further(
    world: World,
    network: Network,
    wanted: FurtherSegment,
    name: str | None = None,
    description: str = "",
) -> Network:
    """The network with one more segment. Raises InvalidInput, Conflict, NoNetworkAvailable."""
    _require_fitting(network, wanted.segment)
    segment = choose(world, wanted.id, wanted.segment)
    _take(world, network.id, segment)
    made = segment_at_first(network.id, wanted.id, segment, world.now)
    world.of(NetworkSegment).put(made.id, replace(made, name=name, description=description))
    further = FurtherSegment(id=wanted.id, segment=segment)
    return replace(network, further_segments=(*network.further_segments, further))


def _require_fitting(network: Network, wanted: Segment) -> None:
    """Raises InvalidInput where hosts could not tell the segments apart."""
    if network.segment.network_type is NetworkType.VXLAN:
        raise InvalidInput(
            f"Invalid input for network_id. Reason: network {network.id} is a fabric network, "
            "whose one VNI is on every host.",
            next="give further segments to a network of type vlan or flat",
        )
    if wanted.network_type is NetworkType.VXLAN:
        raise InvalidInput(
            "Invalid input for network_type. Reason: the segments beside a provider network's own "
            "are VLANs, or flat.",
            next="name vlan, or make a fabric network of its own",
        )
    if wanted.physical_network is None:
        raise InvalidInput(
            "Invalid input for physical_network. Reason: by it hosts tell a network's segments "
            "apart.",
            next="name one that the network has no segment on",
        )
    for one in segments_of(network):
        if one.segment.physical_network == wanted.physical_network:
            raise InvalidInput(
                f"Invalid input for physical_network. Reason: network {network.id} has segment "
                f"{one.id} on physical network {wanted.physical_network}, and hosts could not tell "
                "the two apart.",
                next="name another physical network",
            )


def _take(world: World, network_id: str, segment: Segment) -> None:
    key = segment_key(segment)
    holder = world.segments.get(key)
    if holder is not None:
        raise _in_use(world, segment, holder)
    world.segments.put(key, network_id)


def _in_use(world: World, segment: Segment, holder: str) -> Conflict:
    if segment.network_type is NetworkType.FLAT:
        return FlatNetworkInUse(
            f"Unable to create the flat network. Physical network {segment.physical_network} is in "
            f"use by network {holder}.",
            next="use that network, or a VLAN of the physical network",
        )
    if segment.network_type is NetworkType.VXLAN:
        is_held = world.fabric.held_vnis.get(segment_key(segment)) is not None
        whose = f"router {holder}" if is_held and holder else f"network {holder}"
        if holder == RESTING:
            whose = "what is gone, until the fabric controller has found every switch clear of it"
        return TunnelIdInUse(
            f"Unable to create the network. The tunnel ID {segment.segmentation_id} is in use by "
            f"{whose}.",
            next="choose another provider:segmentation_id, or none to have one chosen",
        )
    return VlanIdInUse(
        f"Unable to create the network. The VLAN {segment.segmentation_id} on physical network "
        f"{segment.physical_network} is in use by network {holder}.",
        next="choose another provider:segmentation_id",
    )
