"""Flows come back from the wire as they went, and os-ken reads and writes the same bytes."""

import ipaddress
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from os_ken.ofproto import ofproto_v1_4 as ofp
from os_ken.ofproto import ofproto_v1_4_parser as wire
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from netwright.agent.members import address_key
from netwright.agent.ovs.address_sets import AddressFlow, added, address_cookie, removed
from netwright.agent.ovs.changes import AddressChange, FlowChange
from netwright.agent.ovs.errors import OvsProtocolError
from netwright.agent.ovs.flows import (
    Action,
    Commit,
    Conjunction,
    Flow,
    Goto,
    Match,
    Metered,
    Normal,
    Opaque,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetRegister,
    SetVlan,
    ToAgent,
    Track,
    Untrack,
    match_on,
    owner_cookie,
)
from netwright.agent.ovs.openflow_codec import FlowCodec, flow_stats_request
from netwright.agent.ovs.openflow_wire import error_text
from netwright.agent.ovs.oxm import match_bytes
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
    for flow in endpoint_flows(endpoint, 77, 3):
        round_trip(flow)


def test_base_and_translation_flows_come_back() -> None:
    bridge = PhysicalBridge("br-bond", "p")
    for segment in (NetworkSegment("p", 9), NetworkSegment("p")):
        for flow in integration_base() | inbound(segment, 3, 1) | outbound(segment, 3, 2, bridge):
            round_trip(flow)


def test_every_action_comes_back() -> None:
    actions = (PopVlan(), PushVlan(), SetVlan(4094), Output(3), ToAgent(), Normal(), Goto(9))
    round_trip(Flow(1, 2, match_on(in_port=3), actions, owner_cookie("x")))
    ours = (SetRegister(5, 77), Untrack(), Track(21), Commit(1), Commit(0), Resubmit(40))
    round_trip(Flow(1, 2, match_on(reg5=3, eth_type=0x0800), ours, owner_cookie("x")))
    clauses = (Conjunction(0xDEADBEEF, 1, 2), Conjunction(2, 2, 2))
    match = match_on(eth_type=0x0800, ip_proto=6, tcp_dst="0x50/0xfff0", ct_state="0x21/0x23")
    round_trip(Flow(1, 2, match, clauses, owner_cookie("x")))


@pytest.mark.parametrize(
    "cidr", ["10.0.0.1", "10.0.0.0/9", "0.0.0.0/0", "2001:db8::1", "2001:db8::/33", "::/0"]
)
@pytest.mark.parametrize("table", [22, 42])
def test_an_address_of_remote_groups_comes_back_as_one(cidr: str, table: int) -> None:
    key = address_key(cidr)
    change = AddressChange(key, (), ((table, 60, (4, 0xDEADBEEF)),))
    (put,) = added(change)
    codec = FlowCodec()
    read = as_stats(codec.bundle_add(7, 1, put))
    found: list[AddressFlow] = []
    assert codec.flow_stats(read, found) == ([], False)
    assert found == [AddressFlow(key, table, 60, (4, 0xDEADBEEF))]
    assert codec.flow_stats(read) == ([put.flow], False)
    (taken,) = removed(AddressChange(key, change.wants, ()))
    assert (taken.delete, taken.flow.key) == (True, put.flow.key)


def test_an_address_that_is_none_is_the_peers_fault() -> None:
    match = match_on(in_port=3)
    odd = Flow(42, 60, match, (Conjunction(4, 1, 2),), address_cookie(address_key("10.0.0.1")))
    read = as_stats(FlowCodec().bundle_add(7, 1, FlowChange(odd)))
    with pytest.raises(OvsProtocolError, match="an address that cannot be read"):
        FlowCodec().flow_stats(read, [])


def test_a_strangers_mask_is_kept_as_text() -> None:
    odd: Match = (("eth_type", 0x0800), ("ipv4_src", "10.0.0.1/255.0.0.255"))
    codec = FlowCodec()
    whole = codec.bundle_add(
        7, 1, FlowChange(Flow(0, 1, match_on(eth_type=0x0800, ipv4_src="10.0.0.0/9"), (), 1))
    )
    body = as_stats(whole).replace(bytes([255, 128, 0, 0]), bytes([255, 0, 0, 255]))
    body = body.replace(bytes([10, 0, 0, 0]), bytes([10, 0, 0, 1]))
    assert codec.flow_stats(body)[0][0].match == odd


FLOW_MOD_AT = 16
"""Where the flow mod begins in a bundle-add message."""


ZONE = "reg5"


def as_os_ken_has_it(value: int | str) -> Any:
    if isinstance(value, int) or "/" not in value:
        return value
    if value.startswith("0x"):
        return tuple(int(part, 16) for part in value.split("/"))
    if ":" in value and value.count(":") == 10:  # a MAC with its mask
        return tuple(value.split("/"))
    network = ipaddress.ip_network(value)
    address = str(network.network_address)
    is_host = network.prefixlen == network.max_prefixlen
    return address if is_host else (address, str(network.netmask))


def action_of_os_ken(action: Action) -> Any:
    match action:
        case SetVlan(vlan):
            return wire.OFPActionSetField(vlan_vid=0x1000 | vlan)
        case SetRegister(register, value):
            return wire.OFPActionSetField(**{f"reg{register}": value})
        case Commit(mark):
            marking = wire.OFPActionSetField(ct_mark=mark)
            return wire.NXActionCT(1, ZONE, 15, 255, 0, [marking])
        case Conjunction(conj_id, clause, clauses):
            return wire.NXActionConjunction(clause - 1, clauses, conj_id)
    fields = [getattr(action, name) for name in action.__struct_fields__]
    makers: dict[type, Callable[..., Any]] = {
        Normal: lambda: wire.OFPActionOutput(ofp.OFPP_NORMAL, 0),
        ToAgent: lambda: wire.OFPActionOutput(ofp.OFPP_CONTROLLER, ofp.OFPCML_NO_BUFFER),
        Output: lambda port: wire.OFPActionOutput(port, 0),
        PushVlan: lambda: wire.OFPActionPushVlan(0x8100),
        PopVlan: wire.OFPActionPopVlan,
        Track: lambda table: wire.NXActionCT(0, ZONE, 15, table, 0, []),
        Untrack: wire.NXActionCTClear,
        Resubmit: lambda table: wire.NXActionResubmitTable(table_id=table),
    }
    return makers[type(action)](*fields)


def written_by_os_ken(xid: int, flow: Flow) -> bytes:
    """The flow mod as os-ken writes it."""
    applied = [action_of_os_ken(one) for one in flow.actions if not isinstance(one, Goto)]
    gotos = [
        wire.OFPInstructionGotoTable(one.table) for one in flow.actions if isinstance(one, Goto)
    ]
    if applied:
        gotos.insert(0, wire.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, applied))
    fields = sorted(flow.match, key=lambda field: ofp.oxm_from_user_header(field[0]))
    message = wire.OFPFlowMod(
        ProtocolDesc(version=ofp.OFP_VERSION),
        cookie=flow.cookie,
        table_id=flow.table,
        priority=flow.priority,
        out_port=ofp.OFPP_ANY,
        out_group=ofp.OFPG_ANY,
        match=wire.OFPMatch(**{name: as_os_ken_has_it(value) for name, value in fields}),
        instructions=gotos,
    )
    message.set_xid(xid)
    message.serialize()
    return bytes(message.buf)


def as_os_ken_does(flow: Flow) -> None:
    """The same bytes, but for the order of fields where OVS gives them back in another than os-ken.

    OVS has its own fields after all others, and addresses before what packets carry.
    """
    added = FlowCodec().bundle_add(7, 1, FlowChange(flow))[FLOW_MOD_AT:]
    theirs = written_by_os_ken(7, flow)
    names = {name for name, _ in flow.match}
    is_carried = "ip_proto" in names and any(name.startswith(("ipv4", "ipv6_")) for name in names)
    if not is_carried and {name[:3] for name in names}.isdisjoint({"reg", "ct_", "con"}):
        assert added == theirs
    else:
        assert len(added) == len(theirs)
        assert FlowCodec().flow_stats(as_stats(bytes(FLOW_MOD_AT) + theirs)) == ([flow], False)


def test_fields_are_sent_in_the_order_of_ovs() -> None:
    """As `ovs-ofctl parse-oxm` puts them."""
    match = match_on(
        conj_id=7, in_port=3, eth_type=0x0800, ip_proto=6, tcp_dst=80, ipv4_src="10.0.0.1", reg5=1
    )
    fields = (
        "00014a04 00000007  80000004 00000003  80000a02 0800  80001604 0a000001"
        "80001401 06  80001c02 0050  00010a04 00000001"
    )
    octets = bytes.fromhex(fields)
    assert match_bytes(match)[4 : 4 + len(octets)] == octets


@settings(deadline=None)
@given(endpoints)
def test_os_ken_writes_the_same_bytes_for_an_endpoint(endpoint: Endpoint) -> None:
    for flow in endpoint_flows(endpoint, 77, 3):
        as_os_ken_does(flow)


def test_os_ken_writes_the_same_bytes_for_everything_else() -> None:
    bridge = PhysicalBridge("br-bond", "p")
    actions = (PopVlan(), PushVlan(), SetVlan(4094), Output(3), ToAgent(), Normal(), Goto(9))
    flows = {Flow(1, 2, match_on(in_port=3), actions, owner_cookie("x")), *integration_base()}
    for segment in (NetworkSegment("p", 9), NetworkSegment("p")):
        flows |= inbound(segment, 3, 1) | outbound(segment, 3, 2, bridge)
    for flow in flows:
        as_os_ken_does(flow)
    request = wire.OFPFlowStatsRequest(
        ProtocolDesc(version=ofp.OFP_VERSION),
        table_id=ofp.OFPTT_ALL,
        cookie=5,
        cookie_mask=9,
        match=wire.OFPMatch(),
    )
    request.set_xid(7)
    request.serialize()
    assert flow_stats_request(7, 5, 9) == bytes(request.buf)


def test_a_strangers_flow_is_read_whatever_it_does() -> None:
    """It has what ours never have; two readings of it are equal."""
    instructions = [
        wire.OFPInstructionMeter(3),
        wire.OFPInstructionWriteMetadata(1, 3),
        wire.OFPInstructionActions(
            ofp.OFPIT_APPLY_ACTIONS,
            [
                wire.OFPActionGroup(5),
                wire.OFPActionSetField(eth_dst="02:00:00:00:00:01"),
                wire.OFPActionOutput(4, 128),
                wire.NXActionResubmitTable(table_id=3),
            ],
        ),
        wire.OFPInstructionGotoTable(7),
    ]
    message = wire.OFPFlowMod(
        ProtocolDesc(version=ofp.OFP_VERSION),
        cookie=1,
        match=wire.OFPMatch(
            in_port=2,
            eth_type=0x0800,
            ipv4_dst=("10.1.0.0", "255.255.0.0"),
            eth_src=("02:00:00:00:00:00", "ff:00:00:00:00:00"),
            ip_proto=6,
            tcp_dst=80,
            reg0=(1, 255),
        ),
        instructions=instructions,
    )
    message.set_xid(7)
    message.serialize()
    body = as_stats(bytes(FLOW_MOD_AT) + bytes(message.buf))
    ((flow,), more) = FlowCodec().flow_stats(body)
    assert not more
    assert flow == FlowCodec().flow_stats(body)[0][0]
    assert flow.match == (
        ("eth_src", "02:00:00:00:00:00/ff:00:00:00:00:00"),
        ("eth_type", 0x0800),
        ("in_port", 2),
        ("ip_proto", 6),
        ("ipv4_dst", "10.1.0.0/16"),
        ("oxm_0001_0", "00000001/000000ff"),
        ("tcp_dst", 80),
    )
    assert [type(action) for action in flow.actions] == [
        Metered, Opaque, Opaque, Opaque, Output, Resubmit, Goto,
    ]  # fmt: skip
    assert flow.actions[0] == Metered(3)
    assert str(flow.actions[1]).startswith("Opaque(text='instruction:2(")


@pytest.mark.parametrize("cut", [1, 3, 9, 20, 47])
def test_a_flow_that_is_cut_off_is_the_peers_fault(cut: int) -> None:
    added = FlowCodec().bundle_add(7, 1, FlowChange(min(integration_base(), key=str)))
    whole = as_stats(added)
    with pytest.raises(OvsProtocolError):
        FlowCodec().flow_stats(whole[:-cut])


def test_errors_have_names() -> None:
    """As os-ken names them, for all that flows and bundles may meet."""
    prefixes = {
        1: "OFPBRC_",
        2: "OFPBAC_",
        3: "OFPBIC_",
        4: "OFPBMC_",
        5: "OFPFMFC_",
        17: "OFPBFC_",
    }
    for kind, prefix in prefixes.items():
        codes = {
            value: name
            for name, value in vars(ofp).items()
            if name.startswith(prefix) and isinstance(value, int) and value < 100
        }
        kind_name = ofp.ofp_error_type_to_str(kind).partition("(")[0]
        for code, name in codes.items():
            assert error_text(struct.pack("!HH", kind, code)) == f"{kind_name}: {name}"
    assert error_text(struct.pack("!HH", 99, 7)) == "error type 99: code 7"
