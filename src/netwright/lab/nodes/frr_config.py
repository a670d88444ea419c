"""What a switch of the fabric is told at its start: the underlay alone. Pure text.

Every speaker has a BGP session without addresses (RFC 8950: IPv4 routes by IPv6 next hops) on each
cable to another, for its loopback and for EVPN. BFD finds a silent neighbour, and lets the bond of
a host find a silent leaf. VNIs, VRFs and what host ports carry are nobody's yet: the fabric
controller's driver makes them.
"""

from collections.abc import Iterator, Mapping

from netwright.lab.layout import FabricSwitch

BFD_INTERVAL_MS = 100
BFD_MULTIPLIER = 3

HOST_BFD = ("169.254.1.0", "169.254.1.1")
"""The leaf's address and the host's at a host's port: what Open vSwitch's BFD says by itself."""

_DEFAULTS = "frr defaults datacenter"


def daemons(switch: FabricSwitch) -> tuple[str, ...]:
    """In the order in which they are started: each asks those before it."""
    return ("zebra", "bfdd", "bgpd") if _is_spine(switch) else ("zebra", "staticd", "bfdd", "bgpd")


def configurations(switch: FabricSwitch, observer: tuple[str, int] | None) -> Mapping[str, str]:
    """By daemon, the text of its configuration file.

    `observer` is the address and AS of who hears all routes from the spines and says none.
    """
    texts = {name: [_DEFAULTS, f"hostname {switch.speaker.node}"] for name in daemons(switch)}
    texts["bfdd"] += _bfd(switch.bonded_ports)
    texts["bgpd"] += _bgp(switch, observer if _is_spine(switch) else None)
    return {name: "\n".join(lines) + "\n" for name, lines in texts.items()}


def _is_spine(switch: FabricSwitch) -> bool:
    return switch.speaker.kind == "spine"


def _bfd(bonded_ports: tuple[str, ...]) -> Iterator[str]:
    leaf, host = HOST_BFD
    yield "bfd"
    yield " profile fabric"
    yield f"  detect-multiplier {BFD_MULTIPLIER}"
    yield f"  receive-interval {BFD_INTERVAL_MS}"
    yield f"  transmit-interval {BFD_INTERVAL_MS}"
    yield " exit"
    for port in bonded_ports:
        yield f" peer {host} local-address {leaf} interface {port}"
        yield "  profile fabric"
        yield " exit"
    yield "exit"


def _bgp(switch: FabricSwitch, observer: tuple[str, int] | None) -> Iterator[str]:
    speaker = switch.speaker
    yield f"router bgp {speaker.asn}"
    yield f" bgp router-id {speaker.loopback}"
    yield " no bgp default ipv4-unicast"
    yield " no bgp ebgp-requires-policy"
    yield " bgp bestpath as-path multipath-relax"
    yield " neighbor fabric peer-group"
    yield " neighbor fabric remote-as external"
    yield from _timers("fabric")
    yield " neighbor fabric bfd"
    yield " neighbor fabric bfd profile fabric"
    for port in switch.fabric_ports:
        yield f" neighbor {port} interface peer-group fabric"
    if observer is not None:
        address, asn = observer
        yield f" neighbor {address} remote-as {asn}"
        yield from _timers(address)
    yield " address-family ipv4 unicast"
    yield f"  network {speaker.loopback}/32"
    yield "  neighbor fabric activate"
    yield " exit-address-family"
    yield " address-family l2vpn evpn"
    yield "  neighbor fabric activate"
    if observer is not None:
        yield f"  neighbor {address} activate"
        yield f"  neighbor {address} route-map nothing in"
    if not _is_spine(switch):
        yield "  advertise-all-vni"
    yield " exit-address-family"
    yield "exit"
    if observer is not None:
        yield "route-map nothing deny 1"
        yield "exit"


def _timers(neighbor: str) -> Iterator[str]:
    yield f" neighbor {neighbor} timers 3 9"
    yield f" neighbor {neighbor} timers connect 1"
    yield f" neighbor {neighbor} advertisement-interval 0"
