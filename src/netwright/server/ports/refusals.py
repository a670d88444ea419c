"""Why a host cannot serve a binding of a port, in words for who reads them. Pure."""

from netwright.model.planes import needed_planes
from netwright.model.resources import (
    Host,
    HostState,
    IpAllocation,
    Network,
    Port,
    Prepared,
    VnicType,
)
from netwright.model.segments import segment_on, segments_in_words
from netwright.model.states import Plane
from netwright.server.network_segments.reach import unreached
from netwright.server.overlay.attachments import fabric_refusal, is_fabric
from netwright.server.world import World


def refusal_of(world: World, port: Port, kind: Prepared, name: str, unaddressed: str = "") -> str:
    """Why the host cannot serve such a binding of the port now; "" when it can.

    `unaddressed` is why it could not have there the addresses that it waits for, if that was tried.
    """
    network = network_of(world, port)
    overlay = needs_overlay(network, port, kind)
    if kind.vnic_type is VnicType.BAREMETAL and (port.qos_policy_id or network.qos_policy_id):
        return (
            f"QoS policy {port.qos_policy_id or network.qos_policy_id} cannot be enforced: a "
            "bare-metal machine has no agent on Open vSwitch"
        )
    waits = _address_refusal(world, network, port, name, unaddressed)
    if kind.vnic_type is VnicType.BAREMETAL:
        return waits or (fabric_refusal(world, network, port, name, kind) if overlay else "")
    host = world.hosts.get(name)
    if host is None:
        return f"host {name} is not registered: start netwright agent --host {name} there"
    refusal = _hosts_refusal(host) or _segment_refusal(world, network, port, host)
    return refusal or waits or (fabric_refusal(world, network, port, name, kind) if overlay else "")


def needs_overlay(network: Network, port: Port, kind: Prepared) -> bool:
    if not is_fabric(network):
        return False
    network_type = network.segment.network_type
    return Plane.OVERLAY in needed_planes(network_type, kind.vnic_type, port.device_owner)


def _hosts_refusal(host: Host) -> str:
    name = host.name
    if host.state is HostState.FENCED:
        return f"host {name} is fenced: netwright host unfence {name} when it is clean"
    if host.state is HostState.UNKNOWN:
        return f"host {name} is silent: its agent was not heard for 15 s; look at it there"
    return ""


def _segment_refusal(world: World, network: Network, port: Port, host: Host) -> str:
    """Why the host cannot wire it by any segment of a provider network, or not by its own."""
    if is_fabric(network) or network.segment.physical_network is None:
        return ""
    segment = segment_on(network, host.physical_networks)
    if segment is None:
        wanted = segments_in_words(network)
        has = ", ".join(sorted(host.physical_networks)) or "none"
        return (
            f"host {host.name} has no physical network {wanted} (it has: {has}): "
            f"give its agent --physical-network {network.segment.physical_network}=BRIDGE"
        )
    why = unreached(world, network, port.fixed_ips, segment)
    return f"host {host.name} {why}" if why else ""


def _address_refusal(world: World, network: Network, port: Port, name: str, why: str) -> str:
    """That a port that waits for its addresses got none there; "" when it waits for none."""
    if port.ip_allocation is not IpAllocation.DEFERRED or port.fixed_ips:
        return ""
    host = world.hosts.get(name)
    segment = segment_on(network, host.physical_networks) if host is not None else None
    if segment is None:
        return (
            f"on which segment of network {network.id} {name} is cannot be told, so that the port "
            "has no address: give it fixed_ips of that segment's subnets"
        )
    return (
        f"host {name} is on segment {segment.id} of network {network.id}, where the port has no "
        f"address ({why or 'no subnet is there'}): see that it can have one, then unbind and bind "
        "it, or give it fixed_ips there"
    )


def own_kind(port: Port) -> Prepared:
    """What a port's active binding is asked for as."""
    return Prepared(vnic_type=port.vnic_type, profile=port.profile)


def network_of(world: World, port: Port) -> Network:
    network = world.networks.get(port.network_id)
    assert network is not None, f"port {port.id}'s network {port.network_id} was not loaded"
    return network
