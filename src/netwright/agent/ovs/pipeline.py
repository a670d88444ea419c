"""The flow tables of both bridges, as pure functions from wiring to flows.

    br-int   0 classify   from the wire: provider VLAN → local VLAN → 30
                          from an endpoint: MAC right → 10, or 30 without port security
                          a client's DHCP, where the agent answers it → the agent
             10 source    ARP and IP sources of that endpoint; servers' roles refused
             11 ND target what a neighbour advertisement may claim
             12 ND option whose link-layer address a neighbour message may carry
             20 … 23      what a filtered endpoint may send (`firewall`)
             30 destination, 40 … 43 what one may get, 50 exit: NORMAL
    br-bond  0            from br-int: local VLAN → provider VLAN → NORMAL
                          from the wire: known VLANs → NORMAL

Whatever no flow lets through is dropped: an endpoint that is plugged and not yet wired says
nothing, an unmapped VLAN ends at the first bridge. An endpoint's frames must come untagged, so
that a port whose tag is not yet set cannot speak into other VLANs. ARP and neighbour discovery that
tell the truth pass whatever groups say, as does a client's DHCP.

One match per meaning: what holds for all endpoints (no DHCP server, no router advertisement) is
one flow, not one per endpoint.
"""

import functools
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TypeAlias

from netwright.agent.ovs.firewall import (
    DESTINATION,
    EGRESS,
    filter_base,
    filter_flows,
    is_filtered,
)
from netwright.agent.ovs.flows import (
    NETWORK,
    VLAN_NONE,
    VLAN_PRESENT,
    ZONE,
    Action,
    Flow,
    Goto,
    Match,
    Metered,
    Normal,
    PopVlan,
    PushVlan,
    SetDscp,
    SetRegister,
    SetVlan,
    ToAgent,
    match_on,
    owner_cookie,
)
from netwright.agent.ovs.meters import from_endpoint
from netwright.agent.ovs.wiring import (
    Endpoint,
    Heard,
    NetworkSegment,
    PhysicalBridge,
    Qos,
    link_local,
)

CLASSIFY, SOURCE, ND_TARGET, ND_OPTION = 0, 10, 11, 12

OFPP_LOCAL = 0xFFFFFFFE

_Fields: TypeAlias = dict[str, int | str]

_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_UDP, _ICMPV6 = 17, 58
_ROUTER_SOLICITATION, _ROUTER_ADVERTISEMENT = 133, 134
_NEIGHBOUR_SOLICITATION, _NEIGHBOUR_ADVERTISEMENT = 135, 136
_REDIRECT, _MLD2_REPORT = 137, 143
_ARP_REQUEST = 1
_ICMP6: _Fields = {"eth_type": _IPV6, "ip_proto": _ICMPV6}
_HEARD: Mapping[Heard, _Fields] = {
    Heard.DHCP4: {"eth_type": _IPV4, "ip_proto": _UDP, "udp_src": 68, "udp_dst": 67},
    Heard.DHCP6: {"eth_type": _IPV6, "ip_proto": _UDP, "udp_src": 546, "udp_dst": 547},
    Heard.SOLICITATION: _ICMP6 | {"icmpv6_type": _ROUTER_SOLICITATION},
}
_NO_MAC = "00:00:00:00:00:00"

# What endpoints' flows have in common, beside who sends.
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - an ARP probe's sender (RFC 5227 §1.1)
_OF_ARP, _OF_IPV4, _OF_IPV6 = (match_on(eth_type=one) for one in (_ARP, _IPV4, _IPV6))
_ARP_PROBE = match_on(eth_type=_ARP, arp_op=_ARP_REQUEST, arp_spa=_NO_ADDRESS)
_SOLICITED = match_on(**_ICMP6, icmpv6_type=_NEIGHBOUR_SOLICITATION)
_UNADDRESSED_SOLICITATION = match_on(**_ICMP6, icmpv6_type=_NEIGHBOUR_SOLICITATION, ipv6_src="::")
_ADVERTISED = match_on(**_ICMP6, icmpv6_type=_NEIGHBOUR_ADVERTISEMENT)

BASE = owner_cookie("base")


@functools.lru_cache(maxsize=8192)
def segment_cookie(segment: NetworkSegment) -> int:
    return owner_cookie(f"segment {segment}")


@functools.lru_cache(maxsize=8192)
def port_cookie(port_id: str) -> int:
    return owner_cookie(f"port {port_id}")


@functools.cache
def integration_base() -> frozenset[Flow]:
    """Flows of the integration bridge that stand before anything is wired."""
    return frozenset(_integration_base()) | filter_base()


@functools.cache
def physical_base(bridge: PhysicalBridge, patch_ofport: int | None) -> frozenset[Flow]:
    """Flows of a physical bridge without any network: the host's own traffic, nothing else."""
    flows = [
        _flow(BASE, CLASSIFY, 1),
        _flow(BASE, CLASSIFY, 15, Normal(), in_port=OFPP_LOCAL),
        *(
            _flow(BASE, CLASSIFY, 10, Normal(), vlan_vid=_vid(vlan))
            for vlan in sorted(_host_vlans(bridge), key=str)
        ),
    ]
    if patch_ofport is not None:
        flows.append(_flow(BASE, CLASSIFY, 20, in_port=patch_ofport))
    return frozenset(flows)


@functools.lru_cache(maxsize=8192)
def inbound(segment: NetworkSegment, local_vlan: int, patch_ofport: int) -> frozenset[Flow]:
    """Translate the segment's frames from the wire, on the integration bridge."""
    tagging = () if segment.vlan is not None else (PushVlan(),)
    network = SetRegister(NETWORK, local_vlan)
    actions = (*tagging, SetVlan(local_vlan), network, Goto(DESTINATION))
    match = {"in_port": patch_ofport, "vlan_vid": _vid(segment.vlan)}
    return frozenset({_flow(segment_cookie(segment), CLASSIFY, 30, *actions, **match)})


@functools.lru_cache(maxsize=8192)
def outbound(
    segment: NetworkSegment, local_vlan: int, patch_ofport: int, bridge: PhysicalBridge
) -> frozenset[Flow]:
    """Translate the segment's frames to the wire, and let them in from it, on its bridge."""
    cookie = segment_cookie(segment)
    retag: Action = PopVlan() if segment.vlan is None else SetVlan(segment.vlan)
    match = {"in_port": patch_ofport, "vlan_vid": _vid(local_vlan)}
    flows = {_flow(cookie, CLASSIFY, 30, retag, Normal(), **match)}
    if segment.vlan not in _host_vlans(bridge):
        flows.add(_flow(cookie, CLASSIFY, 10, Normal(), vlan_vid=_vid(segment.vlan)))
    return frozenset(flows)


@functools.lru_cache(maxsize=8192)
def endpoint_flows(endpoint: Endpoint, ofport: int, local_vlan: int) -> frozenset[Flow]:
    """What this endpoint may send, and get; nothing when it is administratively down."""
    if not endpoint.admin_up:
        return frozenset()
    cookie = port_cookie(endpoint.port_id)
    untagged: _Fields = {"in_port": ofport, "vlan_vid": VLAN_NONE}
    network = SetRegister(NETWORK, local_vlan)
    heard = {
        _flow(cookie, CLASSIFY, 110, ToAgent(), **untagged, eth_src=endpoint.mac, **_HEARD[one])
        for one in endpoint.heard
    }
    if not endpoint.port_security:
        anything = _classified(endpoint, ofport, (network, Goto(DESTINATION)), untagged)
        return frozenset({*anything, *heard})
    flows = heard | filter_flows(endpoint, ofport, cookie)
    known = (SetRegister(ZONE, ofport), network) if is_filtered(endpoint) else (network,)
    sources = _sources(endpoint)
    for mac in {mac for mac, _ in sources}:
        from_mac = {**untagged, "eth_src": mac}
        flows.update(_classified(endpoint, ofport, (*known, Goto(SOURCE)), from_mac))
        flows.update(_mac_flows(cookie, ofport, mac))
    for mac, cidr in sources:
        flows.update(_source_flows(cookie, ofport, mac, cidr))
    return frozenset(flows)


def _classified(
    endpoint: Endpoint, ofport: int, actions: tuple[Action, ...], match: _Fields
) -> Iterator[Flow]:
    """Where an endpoint's frames begin: no more of them than it may send, marked if they are."""
    cookie, qos = port_cookie(endpoint.port_id), endpoint.qos or Qos()
    metered = (Metered(from_endpoint(ofport)),) if qos.egress is not None else ()
    yield _flow(cookie, CLASSIFY, 100, *metered, *actions, **match)
    if qos.dscp_mark is None:
        return
    marked = (*metered, SetDscp(qos.dscp_mark), *actions)
    for ethertype in (_IPV4, _IPV6):  # which marking demands
        yield _flow(cookie, CLASSIFY, 105, *marked, **match, eth_type=ethertype)


def _integration_base() -> Iterator[Flow]:
    yield _flow(BASE, CLASSIFY, 1)
    # The roles of routers and DHCP servers are not an instance's (RFC 6105, RFC 7610).
    no_server = functools.partial(_flow, BASE, SOURCE, 90)
    yield no_server(eth_type=_IPV4, ip_proto=_UDP, udp_src=67, udp_dst=68)
    yield no_server(eth_type=_IPV6, ip_proto=_UDP, udp_src=547, udp_dst=546)
    yield no_server(eth_type=_IPV6, ip_proto=_ICMPV6, icmpv6_type=_ROUTER_ADVERTISEMENT)
    yield no_server(eth_type=_IPV6, ip_proto=_ICMPV6, icmpv6_type=_REDIRECT)
    # What a client says before it has an address; its MAC was checked on the way here.
    unaddressed = functools.partial(_flow, BASE, SOURCE, 80, Goto(DESTINATION))
    yield unaddressed(
        eth_type=_IPV4,
        ip_proto=_UDP,
        udp_src=68,
        udp_dst=67,
        ipv4_src="0.0.0.0",  # noqa: S104 - a source address, not a socket to bind
        ipv4_dst="255.255.255.255",
    )
    for kind in (_ROUTER_SOLICITATION, _MLD2_REPORT):
        yield unaddressed(eth_type=_IPV6, ip_proto=_ICMPV6, icmpv6_type=kind, ipv6_src="::")
    yield _flow(BASE, SOURCE, 0)
    solicitation = _ICMP6 | {"icmpv6_type": _NEIGHBOUR_SOLICITATION}
    advertisement = _ICMP6 | {"icmpv6_type": _NEIGHBOUR_ADVERTISEMENT}
    yield _flow(BASE, ND_TARGET, 80, **advertisement)
    yield _flow(BASE, ND_TARGET, 80, Goto(ND_OPTION), **solicitation)
    yield _flow(BASE, ND_TARGET, 0, Goto(EGRESS))
    # Without the option a message teaches nobody a MAC (Linux leaves it out of unicast answers).
    yield _flow(BASE, ND_OPTION, 80, Goto(DESTINATION), **solicitation, ipv6_nd_sll=_NO_MAC)
    yield _flow(BASE, ND_OPTION, 80, Goto(DESTINATION), **advertisement, ipv6_nd_tll=_NO_MAC)
    yield _flow(BASE, ND_OPTION, 0)


def _mac_flows(cookie: int, ofport: int, mac: str) -> Iterator[Flow]:
    """Return what holds for a MAC whatever its addresses."""
    sender = match_on(in_port=ofport, eth_src=mac)
    own = match_on(arp_sha=mac)
    yield _checked(cookie, SOURCE, 50, DESTINATION, sender, own, _ARP_PROBE)
    own = match_on(ipv6_nd_sll=mac)
    yield _checked(cookie, ND_OPTION, 90, DESTINATION, sender, own, _SOLICITED)
    own = match_on(ipv6_nd_tll=mac)
    yield _checked(cookie, ND_OPTION, 90, DESTINATION, sender, own, _ADVERTISED)


def _source_flows(cookie: int, ofport: int, mac: str, cidr: str) -> Iterator[Flow]:
    sender = match_on(in_port=ofport, eth_src=mac)
    if ":" not in cidr:
        own = match_on(arp_sha=mac, arp_spa=cidr)
        yield _checked(cookie, SOURCE, 50, DESTINATION, sender, own, _OF_ARP)
        own = match_on(ipv4_src=cidr)
        yield _checked(cookie, SOURCE, 50, EGRESS, sender, own, _OF_IPV4)
        return
    own = match_on(ipv6_src=cidr)
    yield _checked(cookie, SOURCE, 50, ND_TARGET, sender, own, _OF_IPV6)
    own = match_on(ipv6_nd_target=cidr)
    # Duplicate address detection (RFC 4862 §5.4) for its own addresses only.
    yield _checked(cookie, SOURCE, 80, DESTINATION, sender, own, _UNADDRESSED_SOLICITATION)
    yield _checked(cookie, ND_TARGET, 90, ND_OPTION, sender, own, _ADVERTISED)


def _sources(endpoint: Endpoint) -> set[tuple[str, str]]:
    """(MAC, address or prefix) that the endpoint may use as source, link-local ones included."""
    own = endpoint.mac.lower()
    pairs = {(own, address) for address in endpoint.addresses}
    pairs |= {((pair.mac or own).lower(), pair.cidr) for pair in endpoint.allowed_pairs}
    return pairs | {(mac, link_local(mac)) for mac in {own, *(mac for mac, _ in pairs)}}


def _host_vlans(bridge: PhysicalBridge) -> frozenset[int | None]:
    """VLANs of the host itself on this bridge; None is untagged."""
    return frozenset({bridge.management_vlan, *bridge.host_vlans})


def _vid(vlan: int | None) -> int:
    return VLAN_NONE if vlan is None else VLAN_PRESENT | vlan


def _checked(cookie: int, table: int, priority: int, next_table: int, *parts: Match) -> Flow:
    """A flow that leads on; its match is put together from canonical parts."""
    match = tuple(sorted(chain.from_iterable(parts)))
    return Flow(table, priority, match, (Goto(next_table),), cookie)


def _flow(cookie: int, table: int, priority: int, *actions: Action, **match: int | str) -> Flow:
    return Flow(table, priority, match_on(**match), actions, cookie)
