"""A core router: a namespace that forwards between its VLAN interfaces.

The kernel here may lack 8021q, so each VLAN ends on a veth of its own, whose other end is an
access port of the router's bridge (its line card).
"""

from netwright.lab import links, netns
from netwright.lab.layout import Gateway
from netwright.lab.links import Configuration, VethEnd
from netwright.lab.state import Lab


def gateway_veths(lab: Lab, gateways: tuple[Gateway, ...]) -> list[tuple[VethEnd, VethEnd]]:
    return [
        (VethEnd(namespace, gateway.interface), VethEnd(namespace, gateway.bridge_port))
        for gateway in gateways
        for namespace in (lab.namespace(gateway.router),)
    ]


def bring_up(lab: Lab, node: str) -> None:
    """Gateway addresses and forwarding for both IP versions.

    It sends no redirects, as routers before a VPC's way out must not: a host would remember the
    way out's address for minutes, also when it has gone.
    """
    namespace = lab.namespace(node)
    gateways = [gateway for gateway in lab.layout.gateways if gateway.router == node]
    links.configure(
        namespace,
        lab.mark,
        [
            Configuration(gateway.interface, gateway.addresses, checksum_offload=False)
            for gateway in gateways
        ],
    )

    def forward() -> None:
        links.write_sysctl("net/ipv4/ip_forward", "1")
        links.write_sysctl("net/ipv6/conf/all/forwarding", "1")
        for scope in ("all", *(gateway.interface for gateway in gateways)):
            links.write_sysctl(f"net/ipv4/conf/{scope}/send_redirects", "0")

    netns.run_in(namespace, forward)
