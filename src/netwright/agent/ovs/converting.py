"""The loop's endpoints in the driver's terms. Pure."""

from typing import NamedTuple

from netwright.agent.dhcp.asked import unknown_options
from netwright.agent.dhcp.served import Served
from netwright.agent.ovs.rules import port_filter
from netwright.agent.ovs.wiring import AddressPair, Heard, NetworkSegment
from netwright.agent.ovs.wiring import Endpoint as OvsEndpoint
from netwright.agent.wiring import Endpoint
from netwright.model.resources import NetworkType


class Converted(NamedTuple):
    """An endpoint of the loop's in the driver's terms; rules and DHCP options that have none."""

    of: Endpoint
    endpoint: OvsEndpoint
    left_out: tuple[str, ...]
    unsent: tuple[str, ...] = ()


def convert(endpoint: Endpoint) -> Converted:
    """Convert the loop's endpoint. Raises ValueError, which says what OVS cannot do with it."""
    segment = endpoint.segment
    if segment.network_type not in (NetworkType.FLAT, NetworkType.VLAN):
        raise ValueError(
            f"Open vSwitch here wires flat and vlan networks, not {segment.network_type}"
        )
    if segment.physical_network is None:
        raise ValueError(f"a {segment.network_type} network without a physical network")
    vlan = segment.segmentation_id
    if segment.network_type is NetworkType.VLAN and vlan is None:
        raise ValueError("a vlan network without a VLAN id")
    is_filtered = endpoint.port_security_enabled and endpoint.security_groups is not None
    compiled = port_filter(endpoint.security_groups or ()) if is_filtered else None
    made = OvsEndpoint(
        port_id=endpoint.port_id,
        segment=NetworkSegment(segment.physical_network, vlan),
        mac=endpoint.mac_address,
        addresses=endpoint.addresses,
        allowed_pairs=tuple(
            AddressPair(pair.ip_address, pair.mac_address)
            for pair in endpoint.allowed_address_pairs
        ),
        port_security=endpoint.port_security_enabled,
        admin_up=endpoint.admin_state_up,
        mtu=endpoint.mtu,
        filter=compiled.filter if compiled is not None else None,
        heard=heard(endpoint.served),
    )
    left_out = compiled.left_out if compiled is not None else ()
    return Converted(endpoint, made, left_out, _unsent(endpoint.served))


def heard(served: Served | None) -> frozenset[Heard]:
    """What is answered of what its client says."""
    if served is None:
        return frozenset()
    v6 = served.v6
    said = {
        Heard.DHCP4: served.v4 is not None,
        Heard.DHCP6: v6 is not None and v6.is_asked,
        Heard.SOLICITATION: v6 is not None and bool(v6.prefixes),
    }
    return frozenset(one for one, isheard in said.items() if isheard)


def _unsent(served: Served | None) -> tuple[str, ...]:
    """Why DHCP options are not sent that the port asks for."""
    return () if served is None else unknown_options(served)
