"""What leaves say and learn in the tunnel of a network (ADR 38, 45). Pure.

All leaves are a network's gateway with one MAC. Said into the tunnel by all of them, it would be
learned behind whichever end the last frame came from, for each packet anew. So a leaf says its own
instead: a program at the egress of the vxlan writes it over the gateway's, and every vxlan learns.
"""

from netwright.fabric.config import AnycastGateway
from netwright.fabric.drivers.bpf import programs
from netwright.fabric.drivers.frr import names
from netwright.fabric.drivers.frr.observed import Space
from netwright.linux.links import Link


def sender_filter(gateway: AnycastGateway | None, loopback: str) -> str:
    """The name of the filter at the egress of a network's vxlan; "" without a gateway: none."""
    if gateway is None:
        return ""
    return programs.own_sender_name(gateway.mac_address, names.router_mac(loopback))


def is_as_it_shall(
    space: Space, vxlan: Link, gateway: AnycastGateway | None, loopback: str
) -> bool:
    """Whether it learns, as a port and behind which end, answers for others, and says its own."""
    return (
        vxlan.learns
        and vxlan.learns_ends
        and vxlan.suppresses
        and space.sender_filter(vxlan.index) == sender_filter(gateway, loopback)
    )
