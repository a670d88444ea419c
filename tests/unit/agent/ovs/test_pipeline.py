"""Which frames pass: the anti-spoofing tables, looked up as a switch does, and VLAN translation."""

import pytest
from tests.unit.agent.ovs.tablewalk import Packet, forwards

from netwright.agent.ovs.pipeline import (
    endpoint_flows,
    inbound,
    integration_base,
    outbound,
    physical_base,
)
from netwright.agent.ovs.wiring import (
    AddressPair,
    Endpoint,
    NetworkSegment,
    PhysicalBridge,
    link_local,
)

MAC, OTHER_MAC, PAIR_MAC = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02", "fa:16:3e:00:00:99"
LL, OTHER_LL = link_local(MAC), link_local(OTHER_MAC)
SEGMENT = NetworkSegment("physnet1", 101)
PORT = 5
VLAN = 3
ENDPOINT = Endpoint(
    "p1",
    SEGMENT,
    MAC.upper(),
    addresses=("10.0.0.1", "2001:db8::1"),
    allowed_pairs=(AddressPair("10.9.0.0/16"), AddressPair("10.8.0.7", PAIR_MAC)),
)


def frame(**fields: int | str) -> dict[str, int | str]:
    return {"in_port": PORT, "vlan_vid": 0, "eth_src": MAC, "eth_dst": OTHER_MAC, **fields}


def arp(spa: str, sha: str = MAC, op: int = 1, **fields: int | str) -> dict[str, int | str]:
    return frame(eth_type=0x0806, arp_op=op, arp_sha=sha, arp_spa=spa, **fields)


def ipv4(src: str, **fields: int | str) -> dict[str, int | str]:
    return frame(eth_type=0x0800, ipv4_src=src, ipv4_dst="10.0.0.9", ip_proto=6) | fields


def udp4(src: str, src_port: int, dst_port: int, dst: str) -> dict[str, int | str]:
    return ipv4(src, ip_proto=17, udp_src=src_port, udp_dst=dst_port, ipv4_dst=dst)


def ipv6(src: str, **fields: int | str) -> dict[str, int | str]:
    return frame(eth_type=0x86DD, ipv6_src=src, ipv6_dst="ff02::1", ip_proto=6) | fields


def icmp6(src: str, kind: int, **fields: int | str) -> dict[str, int | str]:
    return ipv6(src, ip_proto=58, icmpv6_type=kind) | fields


def solicit(src: str, target: str, sll: str) -> dict[str, int | str]:
    return icmp6(src, 135, ipv6_nd_target=target, ipv6_nd_sll=sll)


def advertise(src: str, target: str, tll: str) -> dict[str, int | str]:
    return icmp6(src, 136, ipv6_nd_target=target, ipv6_nd_tll=tll)


NO_OPTION = "00:00:00:00:00:00"

ALLOWED = {
    "arp request": arp("10.0.0.1"),
    "arp reply": arp("10.0.0.1", op=2),
    "arp probe": arp("0.0.0.0"),
    "ipv4": ipv4("10.0.0.1"),
    "ipv4 of an allowed prefix": ipv4("10.9.200.3"),
    "arp of an allowed prefix": arp("10.9.200.3"),
    "allowed pair with its own mac": ipv4("10.8.0.7", eth_src=PAIR_MAC),
    "arp of an allowed pair": arp("10.8.0.7", sha=PAIR_MAC, eth_src=PAIR_MAC),
    "dhcp discover": udp4("0.0.0.0", 68, 67, "255.255.255.255"),
    "dhcp renewal": udp4("10.0.0.1", 68, 67, "10.0.0.2"),
    "dns": udp4("10.0.0.1", 5353, 53, "10.0.0.2"),
    "ipv6": ipv6("2001:db8::1"),
    "ipv6 link-local": ipv6(LL),
    "link-local of a pair's mac": ipv6(link_local(PAIR_MAC), eth_src=PAIR_MAC),
    "dhcpv6 solicit": ipv6(LL, ip_proto=17, udp_src=546, udp_dst=547),
    "echo request": icmp6("2001:db8::1", 128),
    "router solicitation": icmp6(LL, 133),
    "router solicitation without address": icmp6("::", 133),
    "mld report without address": icmp6("::", 143),
    "duplicate address detection": solicit("::", "2001:db8::1", NO_OPTION),
    "duplicate address detection, link-local": solicit("::", LL, NO_OPTION),
    "neighbour solicitation": solicit("2001:db8::1", "2001:db8::9", MAC),
    "unicast neighbour solicitation": solicit(LL, "2001:db8::9", NO_OPTION),
    "neighbour advertisement": advertise("2001:db8::1", "2001:db8::1", MAC),
    "neighbour advertisement from link-local": advertise(LL, "2001:db8::1", MAC),
    "neighbour advertisement without option": advertise(LL, LL, NO_OPTION),
}

FORGED = {
    "mac": ipv4("10.0.0.1", eth_src=OTHER_MAC),
    "ipv4": ipv4("10.0.0.2"),
    "pair's address under the own mac": ipv4("10.8.0.7"),
    "own address under the pair's mac": ipv4("10.0.0.1", eth_src=PAIR_MAC),
    "arp sender address": arp("10.0.0.2", op=2),
    "arp sender mac": arp("10.0.0.1", sha=OTHER_MAC, op=2),
    "arp probe with another mac": arp("0.0.0.0", sha=OTHER_MAC),
    "arp reply without address": arp("0.0.0.0", op=2),
    "dhcp offer": udp4("10.0.0.1", 67, 68, "255.255.255.255"),
    "unaddressed to a host": udp4("0.0.0.0", 68, 67, "10.0.0.2"),
    "ipv6": ipv6("2001:db8::2"),
    "another's link-local": ipv6(OTHER_LL),
    "dhcpv6 advertise": ipv6(LL, ip_proto=17, udp_src=547, udp_dst=546),
    "router advertisement": icmp6(LL, 134),
    "redirect": icmp6(LL, 137),
    "detection of another's address": solicit("::", "2001:db8::2", NO_OPTION),
    "solicitation with another's mac": solicit("2001:db8::1", "2001:db8::9", OTHER_MAC),
    "solicitation from another's address": solicit("2001:db8::2", "2001:db8::9", MAC),
    "advertisement of another's address": advertise(LL, "2001:db8::2", MAC),
    "advertisement with another's mac": advertise(LL, "2001:db8::1", OTHER_MAC),
    "advertisement without option of another's address": advertise(LL, OTHER_LL, NO_OPTION),
    "advertisement from another's address": advertise(OTHER_LL, "2001:db8::1", MAC),
    "echo from nowhere": icmp6("::", 128),
    "vlan tag": ipv4("10.0.0.1", vlan_vid=0x1065),
    "lldp": frame(eth_type=0x88CC),
    "another in_port": ipv4("10.0.0.1", in_port=6),
}


EVERYTHING = ALLOWED | FORGED


@pytest.mark.parametrize("packet", ALLOWED.values(), ids=ALLOWED)
def test_what_an_endpoint_may_send(packet: Packet) -> None:
    assert forwards(integration_base() | endpoint_flows(ENDPOINT, PORT, VLAN), packet)


@pytest.mark.parametrize("packet", FORGED.values(), ids=FORGED)
def test_what_an_endpoint_may_not_send(packet: Packet) -> None:
    assert not forwards(integration_base() | endpoint_flows(ENDPOINT, PORT, VLAN), packet)


@pytest.mark.parametrize("packet", EVERYTHING.values(), ids=EVERYTHING)
def test_without_port_security_every_untagged_frame_passes(packet: Packet) -> None:
    open_port = Endpoint("p1", SEGMENT, MAC, port_security=False)
    passes = packet["in_port"] == PORT and packet["vlan_vid"] == 0
    assert forwards(integration_base() | endpoint_flows(open_port, PORT, VLAN), packet) == passes


@pytest.mark.parametrize("packet", ALLOWED.values(), ids=ALLOWED)
def test_nothing_passes_before_wiring_or_when_down(packet: Packet) -> None:
    down = Endpoint("p1", SEGMENT, MAC, admin_up=False, port_security=False)
    assert not forwards(integration_base() | endpoint_flows(down, PORT, VLAN), packet)


def test_any_address_may_be_allowed() -> None:
    anything = Endpoint(
        "p1", SEGMENT, MAC, allowed_pairs=(AddressPair("0.0.0.0/0"), AddressPair("::/0"))
    )
    flows = integration_base() | endpoint_flows(anything, PORT, VLAN)
    assert forwards(flows, ipv4("192.0.2.1"))
    assert forwards(flows, arp("192.0.2.1"))
    assert forwards(flows, advertise(LL, "2001:db8::77", MAC))
    assert not forwards(flows, advertise(LL, "2001:db8::77", OTHER_MAC))
    assert not forwards(flows, udp4("192.0.2.1", 67, 68, "255.255.255.255"))


def test_an_endpoint_without_ipv6_costs_nine_flows() -> None:
    assert len(endpoint_flows(Endpoint("p1", SEGMENT, MAC, ("10.0.0.1",)), PORT, VLAN)) == 9


def test_translation_is_by_segment_and_the_rest_is_dropped() -> None:
    bridge = PhysicalBridge("br-bond", "physnet1")
    inside = integration_base() | inbound(SEGMENT, 3, patch_ofport=1)
    assert forwards(inside, {"in_port": 1, "vlan_vid": 0x1000 | 101})
    assert not forwards(inside, {"in_port": 1, "vlan_vid": 0x1000 | 102})
    assert not forwards(inside, {"in_port": 1, "vlan_vid": 0})
    outside = physical_base(bridge, 2) | outbound(SEGMENT, 3, 2, bridge)
    assert forwards(outside, {"in_port": 2, "vlan_vid": 0x1000 | 3})
    assert not forwards(outside, {"in_port": 2, "vlan_vid": 0x1000 | 101})
    assert not forwards(outside, {"in_port": 2, "vlan_vid": 0})
    assert forwards(outside, {"in_port": 7, "vlan_vid": 0x1000 | 101})
    assert not forwards(outside, {"in_port": 7, "vlan_vid": 0x1000 | 3})


def test_management_may_be_tagged() -> None:
    bridge = PhysicalBridge("br-bond", "physnet1", management_vlan=7, host_vlans=(8,))
    flows = physical_base(bridge, 2)
    assert forwards(flows, {"in_port": 9, "vlan_vid": 0x1007})
    assert forwards(flows, {"in_port": 9, "vlan_vid": 0x1008})
    assert not forwards(flows, {"in_port": 9, "vlan_vid": 0})
    assert forwards(flows, {"in_port": 0xFFFFFFFE, "vlan_vid": 0})
    shared = outbound(NetworkSegment("physnet1", 8), 3, 2, bridge)
    assert len(shared) == 1  # the host's own flow lets its frames in already
