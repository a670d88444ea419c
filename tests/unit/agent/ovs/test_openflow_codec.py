"""Flows come back from the wire as they went, whether the codec knows their bytes or not."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from os_ken.ofproto import ofproto_v1_4 as ofp

from netwright.agent.ovs.changes import FlowChange
from netwright.agent.ovs.flows import (
    Flow,
    Goto,
    Match,
    Normal,
    Output,
    PopVlan,
    PushVlan,
    SetVlan,
    match_on,
    owner_cookie,
)
from netwright.agent.ovs.openflow_codec import FlowCodec, error_text
from netwright.agent.ovs.pipeline import endpoint_flows, inbound, integration_base, outbound
from netwright.agent.ovs.wiring import AddressPair, Endpoint, NetworkSegment, PhysicalBridge

addresses = st.one_of(
    st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str), st.just("10.0.0.0/9")
)
macs = st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":"))
endpoints = st.builds(
    Endpoint,
    st.text(min_size=1),
    st.just(NetworkSegment("p", 9)),
    macs,
    st.lists(addresses.filter(lambda text: "/" not in text), max_size=3).map(tuple),
    st.lists(st.builds(AddressPair, addresses, st.none() | macs), max_size=2).map(tuple),
)


def as_stats(added: bytes) -> bytes:
    """Rewrite a bundle-add message's flow mod as the multipart reply that OVS would send."""
    flow_mod = added[16:]
    cookie, _, table, _, _, _, priority = struct.unpack_from("!QQBBHHH", flow_mod, 8)
    rest = flow_mod[48:]
    fixed = struct.pack(
        "!HBxIIHHHHH2xQQQ", 48 + len(rest), table, 0, 0, priority, 0, 0, 0, 0, cookie, 0, 0
    )
    return struct.pack("!HH4x", ofp.OFPMP_FLOW, 0) + fixed + rest


def round_trip(flow: Flow) -> None:
    codec = FlowCodec()
    added = codec.bundle_add(7, 1, FlowChange(flow))
    for reader in (codec, FlowCodec()):
        assert reader.flow_stats(as_stats(added)) == ([flow], False)


def test_a_flow_that_comes_back_is_the_one_that_was_sent() -> None:
    """One object, however often it is read; the same bytes in another table are another flow."""
    codec = FlowCodec()
    flow = Flow(0, 5, match_on(in_port=1), (Normal(),), owner_cookie("x"))
    other = Flow(10, 5, flow.match, flow.actions, owner_cookie("y"))
    read = as_stats(codec.bundle_add(7, 1, FlowChange(flow)))
    assert codec.flow_stats(read)[0][0] is flow
    assert codec.flow_stats(as_stats(FlowCodec().bundle_add(7, 1, FlowChange(other)))) == (
        [other],
        False,
    )
    assert codec.flow_stats(read) == ([flow], False)


@settings(deadline=None)
@given(endpoints)
def test_an_endpoints_flows_come_back(endpoint: Endpoint) -> None:
    for flow in endpoint_flows(endpoint, 77):
        round_trip(flow)


def test_base_and_translation_flows_come_back() -> None:
    bridge = PhysicalBridge("br-bond", "p")
    for segment in (NetworkSegment("p", 9), NetworkSegment("p")):
        for flow in integration_base() | inbound(segment, 3, 1) | outbound(segment, 3, 2, bridge):
            round_trip(flow)


def test_every_action_comes_back() -> None:
    actions = (PopVlan(), PushVlan(), SetVlan(4094), Output(3), Normal(), Goto(9))
    round_trip(Flow(1, 2, match_on(in_port=3), actions, owner_cookie("x")))


def test_a_strangers_mask_is_kept_as_text() -> None:
    odd: Match = (("eth_type", 0x0800), ("ipv4_src", "10.0.0.1/255.0.0.255"))
    codec = FlowCodec()
    whole = codec.bundle_add(
        7, 1, FlowChange(Flow(0, 1, match_on(eth_type=0x0800, ipv4_src="10.0.0.0/9"), (), 1))
    )
    body = as_stats(whole).replace(bytes([255, 128, 0, 0]), bytes([255, 0, 0, 255]))
    body = body.replace(bytes([10, 0, 0, 0]), bytes([10, 0, 0, 1]))
    assert codec.flow_stats(body)[0][0].match == odd


def test_errors_have_names() -> None:
    body = struct.pack("!HH", ofp.OFPET_FLOW_MOD_FAILED, ofp.OFPFMFC_TABLE_FULL)
    assert error_text(body) == "OFPET_FLOW_MOD_FAILED: OFPFMFC_TABLE_FULL"
