"""Which planes a port needs before it is ACTIVE."""

from netwright.model.resources import Binding, Network, NetworkType, Port, VnicType
from netwright.model.states import Plane

_NONE: frozenset[Plane] = frozenset()
_UNDERLAY = frozenset({Plane.UNDERLAY})
_OVERLAY = frozenset({Plane.OVERLAY})
_BOTH = _UNDERLAY | _OVERLAY

# A bare-metal port of a VLAN network hangs on a switch port whose VLAN is set by hand: no process
# of ours wires it, so there is nothing to wait for.
_NEEDED = {
    (NetworkType.FLAT, VnicType.NORMAL): _UNDERLAY,
    (NetworkType.VLAN, VnicType.NORMAL): _UNDERLAY,
    (NetworkType.VXLAN, VnicType.NORMAL): _BOTH,
    (NetworkType.FLAT, VnicType.BAREMETAL): _NONE,
    (NetworkType.VLAN, VnicType.BAREMETAL): _NONE,
    (NetworkType.VXLAN, VnicType.BAREMETAL): _OVERLAY,
}

# Ports that stand for an address or a gateway and have no device on any host.
_OWNERS_WITHOUT_DEVICE = (
    "network:router_interface",
    "network:router_gateway",
    "network:ha_router_replicated_interface",
    "network:floatingip",
    "network:virtual_ip",
)


def has_device(device_owner: str) -> bool:
    """Whether a port of this owner has a device on some host, and is to be bound there."""
    return not device_owner.startswith(_OWNERS_WITHOUT_DEVICE)


def needed_planes(network: NetworkType, vnic: VnicType, device_owner: str) -> frozenset[Plane]:
    """The planes that must be up for a port of this network, vNIC and owner to be ACTIVE."""
    if not has_device(device_owner):
        return _NONE
    return _NEEDED[network, vnic]


def planes_on(binding: Binding, port: Port, network: Network) -> frozenset[Plane]:
    """The planes that the port needs where this binding is: one that was prepared has its own."""
    vnic_type = port.vnic_type if binding.prepared is None else binding.prepared.vnic_type
    return needed_planes(network.segment.network_type, vnic_type, port.device_owner)
