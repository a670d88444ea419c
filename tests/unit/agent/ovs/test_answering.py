"""What a bridge hands to the agent comes back by the port where it came in, and to nobody else."""

import asyncio
import struct
from pathlib import Path

import pytest
from msgspec.structs import replace
from os_ken.ofproto import ofproto_v1_4 as ofp
from tests.unit.agent.dhcp.said import LEASE, LEASE6, MAC, Told4, solicitation, v4
from tests.unit.agent.ovs.tablewalk import Tables
from tests.unit.agent.ovs.test_openflow import Bridge

from netwright.agent.dhcp.rates import Rate, Rates
from netwright.agent.dhcp.served import Served
from netwright.agent.dhcp.version4 import Kind
from netwright.agent.ovs.answering import Answering
from netwright.agent.ovs.converting import heard
from netwright.agent.ovs.errors import OvsProtocolError
from netwright.agent.ovs.flows import Flow, ToAgent, match_on
from netwright.agent.ovs.openflow_codec import frame
from netwright.agent.ovs.oxm import match_bytes
from netwright.agent.ovs.packet_in import PacketIn, read_packet_in
from netwright.agent.ovs.pipeline import endpoint_flows, integration_base, port_cookie
from netwright.agent.ovs.wiring import Endpoint as OvsEndpoint
from netwright.agent.ovs.wiring import Heard, NetworkSegment
from netwright.agent.wiring import Endpoint
from netwright.model.resources import NetworkType, Segment

SEGMENT = Segment(network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100)
ONE = Endpoint(
    port_id="one", network_id="n", segment=SEGMENT, mac_address=MAC, served=Served(v4=LEASE)
)
DISCOVER = v4(Kind.DISCOVER)
OFPORT = 7


def packet_in(cookie: int, ofport: int, ethernet: bytes) -> bytes:
    head = struct.pack("!IHBBQ", 0xFFFFFFFF, len(ethernet), 1, 0, cookie)
    return head + match_bytes(match_on(in_port=ofport)) + bytes(2) + ethernet


def answering(*endpoints: Endpoint, rates: Rates | None = None) -> Answering:
    made = Answering("br-int", Path("/nowhere"), rates=rates, clock=lambda: 0.0)
    made.serve(endpoints)
    return made


def test_the_flow_that_had_a_packet_for_us_says_whose_it_is() -> None:
    asked = answering(ONE)
    (reply,) = asked.answer(PacketIn(port_cookie("one"), OFPORT, DISCOVER))
    assert Told4(reply).head.yiaddr == LEASE.address
    assert asked.answer(PacketIn(port_cookie("two"), OFPORT, DISCOVER)) == ()
    stranger = v4(Kind.DISCOVER, mac="fa:16:3e:00:00:02")
    assert asked.answer(PacketIn(port_cookie("one"), OFPORT, stranger)) == ()
    assert asked.answer(PacketIn(port_cookie("one"), OFPORT, DISCOVER[:60])) == ()


def test_who_is_down_or_not_served_is_not_answered() -> None:

    for one in (replace(ONE, admin_state_up=False), replace(ONE, served=None)):
        assert answering(one).answer(PacketIn(port_cookie("one"), OFPORT, DISCOVER)) == ()


def test_a_flood_of_one_is_answered_no_more_than_its_share() -> None:
    asked = answering(ONE, rates=Rates(Rate(burst=5, per_s=1), Rate(burst=99, per_s=1)))
    packet = PacketIn(port_cookie("one"), OFPORT, DISCOVER)
    assert sum(len(asked.answer(packet)) for _ in range(50)) == 5


@pytest.mark.parametrize("octets", [b"", bytes(10), packet_in(1, 2, b"")[:20]])
def test_what_is_no_packet_is_refused(octets: bytes) -> None:
    with pytest.raises(OvsProtocolError):
        read_packet_in(octets)


async def test_over_the_wire_a_question_is_answered_by_the_port_where_it_came_in(
    tmp_path: Path,
) -> None:
    """It asks the bridge for whole packets before all else."""
    answered = asyncio.Event()

    def script(kind: int, _xid: int, _body: bytes) -> bytes:
        if kind == ofp.OFPT_PACKET_OUT:
            answered.set()
        asked = packet_in(port_cookie("one"), OFPORT, DISCOVER)
        return frame(ofp.OFPT_PACKET_IN, 0, asked) if kind == ofp.OFPT_SET_CONFIG else b""

    bridge = Bridge(script)
    server = await asyncio.start_unix_server(bridge.serve, tmp_path / "mgmt")
    made = Answering("br-int", tmp_path / "mgmt")
    made.serve([ONE])
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(5):
        await answered.wait()
    running.cancel()
    await asyncio.wait([running])
    server.close()
    assert bridge.writer is not None
    bridge.writer.close()
    said = {kind: body for kind, _, body in bridge.heard}
    assert said[ofp.OFPT_SET_CONFIG] == b"\0\0\xff\xff"
    out = said[ofp.OFPT_PACKET_OUT]
    _, in_port, length = struct.unpack_from("!IIH", out)
    kind, _, port, _ = struct.unpack_from("!HHIH", out, 16)
    assert (in_port, kind, port) == (ofp.OFPP_CONTROLLER, ofp.OFPAT_OUTPUT, OFPORT)
    assert Told4(out[16 + length :]).head.yiaddr == LEASE.address


Fields = dict[str, int | str]


def to_agent(flows: frozenset[Flow], **fields: int | str) -> bool:
    """Whether the flow that a packet meets first hands it to the agent."""
    packet: Fields = {
        "in_port": OFPORT,
        "vlan_vid": 0,
        "eth_src": MAC,
        "eth_dst": "ff:ff:ff:ff:ff:ff",
    }
    hits = [flow for flow in flows if flow.table == 0 and _meets(flow, {**packet, **fields})]
    return max(hits, key=lambda flow: flow.priority).actions == (ToAgent(),)


def _meets(flow: Flow, packet: dict[str, int | str]) -> bool:
    return all(packet.get(name) == value for name, value in flow.match)


DHCP4: Fields = {"eth_type": 0x0800, "ip_proto": 17, "udp_src": 68, "udp_dst": 67}
DHCP6: Fields = {"eth_type": 0x86DD, "ip_proto": 17, "udp_src": 546, "udp_dst": 547}
SOLICITATION: Fields = {"eth_type": 0x86DD, "ip_proto": 58, "icmpv6_type": 133}
WEB: Fields = {"eth_type": 0x0800, "ip_proto": 17, "udp_src": 1068, "udp_dst": 67}


@pytest.mark.parametrize("port_security", [True, False])
def test_only_what_is_answered_comes_to_the_agent(*, port_security: bool) -> None:
    known = heard(Served(v4=LEASE, v6=LEASE6))
    assert known == frozenset(Heard)
    segment = NetworkSegment("physnet1", 100)
    one = OvsEndpoint("one", segment, MAC, ("10.0.0.5",), port_security=port_security, heard=known)
    flows = integration_base() | endpoint_flows(one, OFPORT, 3)
    for fields in (DHCP4, DHCP6, SOLICITATION):
        assert to_agent(flows, **fields)
        assert not Tables(flows).forwards(
            {"in_port": OFPORT, "vlan_vid": 0, "eth_src": MAC, **fields}
        )
        assert not to_agent(flows, **{**fields, "eth_src": "fa:16:3e:00:00:02"})
    assert not to_agent(flows, **WEB)
    unheard = OvsEndpoint("one", segment, MAC, ("10.0.0.5",), port_security=port_security)
    flows = integration_base() | endpoint_flows(unheard, OFPORT, 3)
    assert not any(to_agent(flows, **fields) for fields in (DHCP4, DHCP6, SOLICITATION))


def test_a_solicitation_of_a_port_without_ipv6_is_not_answered() -> None:
    asked = answering(ONE)
    assert asked.answer(PacketIn(port_cookie("one"), OFPORT, solicitation())) == ()
