"""Which segment a network gets when its maker does not say: the lowest free VLAN of a range."""

from collections.abc import Sequence

from netwright.model.errors import InvalidInput, NoNetworkAvailable
from netwright.model.resources import NetworkType, Segment
from netwright.model.segments import VlanRange, is_whole, segment_key
from netwright.model.wording import nearest
from netwright.server.world import World


def choose(world: World, wanted: Segment | None, ranges: Sequence[VlanRange]) -> Segment:
    """The segment that is asked for, made whole. Raises InvalidInput, NoNetworkAvailable."""
    if wanted is not None and wanted.network_type is NetworkType.VLAN and wanted.physical_network:
        _require_known(wanted.physical_network, ranges)
    if wanted is not None and is_whole(wanted):
        if wanted.network_type is NetworkType.VLAN and wanted.physical_network is None:
            raise InvalidInput(
                "Invalid input for provider:physical_network. Reason: a VLAN id means nothing "
                "without its physical network.",
                next="name the physical network, or leave the VLAN id out to have one chosen",
            )
        return wanted
    if wanted is not None and wanted.network_type is NetworkType.VXLAN:
        raise InvalidInput(
            "Invalid input for provider:segmentation_id. Reason: this server chooses no VNIs.",
            next="give provider:segmentation_id",
        )
    physical_network = wanted.physical_network if wanted is not None else None
    fitting = [r for r in ranges if r.vlans and physical_network in {None, r.physical_network}]
    for each in fitting:
        for vlan in each.vlans:
            segment = Segment(
                network_type=NetworkType.VLAN,
                physical_network=each.physical_network,
                segmentation_id=vlan,
            )
            if world.segments.get(segment_key(segment)) is None:
                return segment
    where = f" of physical network {physical_network}" if physical_network else ""
    why = f"all VLANs{where} in vlan_ranges are in use" if fitting else f"no vlan_ranges{where}"
    raise NoNetworkAvailable(
        f"Unable to create the network. No tenant network is available for allocation: {why}.",
        next="give provider:network_type, provider:physical_network and "
        "provider:segmentation_id, or set vlan_ranges in the server's configuration",
    )


def _require_known(physical_network: str, ranges: Sequence[VlanRange]) -> None:
    """A mistyped name is told at once, where the configuration says which there are."""
    known = sorted({each.physical_network for each in ranges})
    if ranges and physical_network not in known:
        near = nearest(physical_network, known)
        raise InvalidInput(
            f"Invalid input for provider:physical_network. Reason: physical network "
            f"{physical_network} is unknown; vlan_ranges names {', '.join(known)}"
            f"{f' (nearest: {near})' if near else ''}.",
            next="name one of these, or add it to vlan_ranges in the server's configuration",
        )
