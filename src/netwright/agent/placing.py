"""Where the host's networks lie on its wires: the segment of each, or why it has none. Pure.

flat, VLAN network ──▶ the first of its segments whose physical network the host has
fabric network     ──▶ the VLAN that its attachment to this host has, on the bridge to the leaves

Above the leaf a fabric network is VXLAN; below, to this host, it is a VLAN like any other, given by
the server for the VLAN domain. No two networks get the same VLAN of a bridge, whoever gave it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum

from netwright.agent.live import live_binding
from netwright.model.planes import planes_on
from netwright.model.resources import (
    Attachment,
    Network,
    NetworkType,
    Port,
    Segment,
    Subnet,
    Value,
)
from netwright.model.segments import segment_on, segments_in_words, segments_of
from netwright.model.states import BindingState, Plane


class FabricUplink(Value, frozen=True, kw_only=True):
    """By which bridge the host's fabric networks reach its leaves.

    `physical_network` is the name that the bridge has among the host's physical networks, or one
    that only the agent knows. `management_vlan` is the host's own there.
    """

    bridge: str
    physical_network: str
    management_vlan: int | None = None


class Place(Value, frozen=True, kw_only=True):
    """A network's segment on this host; without one, one of the others says why.

    `segment_id` is a provider network's segment's.
    `refusal`: it cannot have one. `unknown`: too little has come from the server. `none_yet`: it
    has none now, and what stands of it here must go.
    """

    segment: Segment | None = None
    segment_id: str = ""
    refusal: str = ""
    unknown: str = ""
    none_yet: str = ""


def places(
    host: str,
    ports: Iterable[Port],
    networks: Mapping[str, Network],
    attachments: Mapping[str, Attachment],
    *,
    physical_networks: frozenset[str],
    fabric: FabricUplink | None,
) -> Mapping[str, Place]:
    """The place of each network, by its id. `attachments` are this host's, by network id."""
    found = {
        network.id: _in_fabric(network, host, fabric, attachments.get(network.id))
        if _is_fabric(network)
        else _provided(network, host, physical_networks)
        for network in networks.values()
    }
    sharing: dict[Segment, list[Network]] = {}
    for network_id, place in found.items():
        if place.segment is not None:
            sharing.setdefault(_tag(place.segment), []).append(networks[network_id])
    disputed = [(tag, several) for tag, several in sharing.items() if len(several) > 1]
    if disputed:
        claims = _claims(host, ports, networks)
        for tag, several in disputed:
            claimants = [network for network in several if network.id in claims]
            found.update(_settled(host, tag, claimants, claims))
    return found


def _provided(network: Network, host: str, available: frozenset[str]) -> Place:
    found = segment_on(network, available)
    if found is not None:
        return Place(segment=found.segment, segment_id=found.id)
    has, own = ", ".join(sorted(available)) or "none", network.segment.physical_network
    return Place(
        refusal=f"host {host} has no physical network {segments_in_words(network)} "
        f"(it has: {has}): start its agent with --physical-network {own}=BRIDGE"
    )


def misplaced(
    port: Port,
    network: Network,
    place: Place,
    *,
    host: str,
    subnets: Mapping[str, Subnet],
    available: frozenset[str],
) -> str:
    """Why a port must not be wired where its network lies here; "" when it may.

    An address is of use on its subnet's segment alone. The server binds nothing elsewhere, but a
    host comes to lie on another segment when its agent is started with other physical networks.
    """
    if not (network.further_segments and place.segment_id):
        return ""
    physical_networks = {one.id: one.segment.physical_network for one in segments_of(network)}
    for fixed in port.fixed_ips:
        subnet = subnets.get(fixed.subnet_id)
        if subnet is None or subnet.segment_id in {None, place.segment_id}:
            continue
        wanted, has = physical_networks.get(subnet.segment_id), ", ".join(sorted(available))
        return (
            f"address {fixed.ip_address} is of segment {subnet.segment_id} of network "
            f"{network.id}, on physical network {wanted}; host {host} is on segment "
            f"{place.segment_id} (physical network {physical_networks[place.segment_id]}), the "
            f"first of which it has one (it has: {has}): start its agent with --physical-network "
            f"{wanted}=BRIDGE and with none of an earlier segment, or bind the port elsewhere"
        )
    return ""


def _in_fabric(
    network: Network, host: str, fabric: FabricUplink | None, attachment: Attachment | None
) -> Place:
    if fabric is None:
        return Place(
            refusal=f"network {network.id} is a fabric network (VXLAN), and host {host} does not "
            "say which bridge leads to its leaves: start its agent with --fabric-bridge BRIDGE"
        )
    if attachment is None:
        return Place(
            unknown=f"the attachment of network {network.id} to host {host} has not come from the "
            "server yet"
        )
    if attachment.vlan is None:
        why = f" ({attachment.cause})" if attachment.cause else ""
        return Place(
            none_yet=f"the server has given fabric network {network.id} no VLAN to host {host} "
            f"yet{why}"
        )
    if attachment.vlan == fabric.management_vlan:
        return Place(
            refusal=f"VLAN {attachment.vlan}, which fabric network {network.id} has to host "
            f"{host}, is the host's own for management on {fabric.bridge}: {_OTHER_VLANS}"
        )
    return Place(
        segment=Segment(
            network_type=NetworkType.VLAN,
            physical_network=fabric.physical_network,
            segmentation_id=attachment.vlan,
        )
    )


# One VLAN, two networks

_OTHER_VLANS = "take it out of the fabric's VLANs (fabric.vlans and domain_vlans of the topology)"


def _tag(segment: Segment) -> Segment:
    """What two networks must not share: flat is VLAN None."""
    return Segment(
        network_type=NetworkType.VLAN,
        physical_network=segment.physical_network,
        segmentation_id=segment.segmentation_id,
    )


class _Claim(IntEnum):
    """How much of a network stands here."""

    STANDS = 0
    MAY_STAND = 1
    WANTED = 2


def _claims(
    host: str, ports: Iterable[Port], networks: Mapping[str, Network]
) -> Mapping[str, _Claim]:
    """By network id. A network without a port that is wired here, or was, has no claim."""
    claims: dict[str, _Claim] = {}
    for port in ports:
        binding, network = port.binding_on(host), networks.get(port.network_id)
        if binding is None or network is None:
            continue
        if Plane.UNDERLAY not in planes_on(binding, port, network):
            continue
        if binding.state is BindingState.WITHDRAWING:
            claim = _Claim.MAY_STAND
        elif live_binding(port, host) is not None:
            claim = _Claim.STANDS if binding.state is BindingState.UP else _Claim.WANTED
        else:
            continue
        claims[network.id] = min(claim, claims.get(network.id, claim))
    return claims


def _settled(
    host: str, tag: Segment, claimants: Sequence[Network], claims: Mapping[str, _Claim]
) -> Iterator[tuple[str, Place]]:
    """All but one are refused: what stands is not torn down for what comes later.

    Where that does not tell, a provider network goes first: somebody chose its VLAN.
    """
    if not claimants:
        return
    first, *others = sorted(
        claimants,
        key=lambda network: (claims[network.id], _is_fabric(network), network.id),
    )
    for network in others:
        yield (
            network.id,
            Place(
                refusal=f"{_name(network)} and {_name(first)} have the same VLAN "
                f"{tag.segmentation_id} of physical network {tag.physical_network} on host {host}, "
                f"where {first.id} has it: {_OTHER_VLANS}, or give one of them up"
            ),
        )


def _name(network: Network) -> str:
    return f"{'fabric' if _is_fabric(network) else 'provider'} network {network.id}"


def _is_fabric(network: Network) -> bool:
    return network.segment.network_type is NetworkType.VXLAN
