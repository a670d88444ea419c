"""Flows to OpenFlow 1.4 bytes and back, by os-ken's parser alone (no app manager, no eventlet).

Flows come back from the switch in the same bytes as we sent them, or nearly always: the codec
remembers what it encoded, so that reading back 5,000 known flows costs 5,000 dictionary look-ups.
"""

import functools
import ipaddress
import itertools
import struct
from collections.abc import Iterator
from typing import Any

from os_ken.lib.packet.packet_base import PacketBase
from os_ken.ofproto import ofproto_v1_4 as ofp
from os_ken.ofproto import ofproto_v1_4_parser as wire
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from netwright.agent.ovs.changes import FlowChange
from netwright.agent.ovs.errors import OvsProtocolError
from netwright.agent.ovs.flows import (
    COOKIE_EXACT,
    VLAN_PRESENT,
    Action,
    Field,
    Flow,
    Goto,
    Match,
    Normal,
    Opaque,
    Output,
    PopVlan,
    PushVlan,
    SetVlan,
    canonical_field,
)

VERSION = ofp.OFP_VERSION
HEADER = struct.Struct("!BBHI")
BUNDLE_FLAGS = ofp.OFPBF_ATOMIC | ofp.OFPBF_ORDERED

_PACKET_OUT = struct.Struct("!IIH6x")
_OUTPUT = struct.Struct("!HHIH6x")
_BUNDLE_CONTROL = struct.Struct("!IHH")
_BUNDLE_ADD = struct.Struct("!IxxH")
_FLOW_STATS = struct.Struct(ofp.OFP_FLOW_STATS_0_PACK_STR)
_FLOW_MOD = struct.Struct(ofp.OFP_FLOW_MOD_PACK_STR0)
_MATCH_HEADER = struct.Struct("!HH")
_MULTIPART = struct.Struct("!HH4x")
_ERROR = struct.Struct("!HH")
_REMEMBERED_MAX = 32768
_ETHERTYPE_VLAN = 0x8100


def frame(message_type: int, xid: int, body: bytes = b"") -> bytes:
    """One OpenFlow message."""
    return HEADER.pack(VERSION, message_type, HEADER.size + len(body), xid) + body


def packet_out(xid: int, ofport: int, ethernet: bytes) -> bytes:
    """A frame that runs through the tables as if it came in by `ofport` (OpenFlow 1.4.1 §7.3.6).

    Nothing answers; a frame that the flows drop is gone.
    """
    through_the_tables = _OUTPUT.pack(ofp.OFPAT_OUTPUT, _OUTPUT.size, ofp.OFPP_TABLE, 0)
    head = _PACKET_OUT.pack(ofp.OFP_NO_BUFFER, ofport, len(through_the_tables))
    return frame(ofp.OFPT_PACKET_OUT, xid, head + through_the_tables + ethernet)


def bundle_control(xid: int, bundle_id: int, control: int) -> bytes:
    """OpenFlow 1.4.1 §7.3.9.1; `control` is OFPBCT_*_REQUEST."""
    body = _BUNDLE_CONTROL.pack(bundle_id, control, BUNDLE_FLAGS)
    return frame(ofp.OFPT_BUNDLE_CONTROL, xid, body)


def error_text(body: bytes) -> str:
    """Name an OFPT_ERROR's type and code, as in "OFPET_BAD_ACTION: OFPBAC_BAD_OUT_PORT"."""
    error_type, code = _ERROR.unpack_from(body)
    type_name = ofp.ofp_error_type_to_str(error_type)
    code_name = ofp.ofp_error_code_to_str(error_type, code)
    return f"{_bare(type_name)}: {_bare(code_name)}"


class FlowCodec:
    """Encoder and decoder with their common memory; one a connection."""

    def __init__(self) -> None:
        self._protocol = ProtocolDesc(version=VERSION)
        self._remembered: dict[bytes, Flow] = {}

    def bundle_add(self, xid: int, bundle_id: int, change: FlowChange) -> bytes:
        """Wrap a flow mod for a bundle (§7.3.9.2); inner and outer xid must be equal."""
        flow = change.flow
        fixed = _FLOW_MOD.pack(
            flow.cookie,
            COOKIE_EXACT if change.delete else 0,
            flow.table,
            ofp.OFPFC_DELETE_STRICT if change.delete else ofp.OFPFC_ADD,
            0,  # no timeouts
            0,
            flow.priority,
            ofp.OFP_NO_BUFFER,
            ofp.OFPP_ANY,
            ofp.OFPG_ANY,
            0,  # no flags, no importance
            0,
        )
        variable = _match_bytes(flow.match)
        if not change.delete:
            variable += _instruction_bytes(flow.actions)
            self._remember(variable, flow)
        flow_mod = frame(ofp.OFPT_FLOW_MOD, xid, fixed + variable)
        body = _BUNDLE_ADD.pack(bundle_id, BUNDLE_FLAGS) + flow_mod
        return frame(ofp.OFPT_BUNDLE_ADD_MESSAGE, xid, body)

    def flow_stats_request(self, xid: int, cookie: int, cookie_mask: int) -> bytes:
        """Ask for the flows of all tables whose cookie agrees within the mask."""
        request = wire.OFPFlowStatsRequest(
            self._protocol,
            table_id=ofp.OFPTT_ALL,
            cookie=cookie,
            cookie_mask=cookie_mask,
            match=wire.OFPMatch(),
        )
        request.set_xid(xid)
        request.serialize()
        return bytes(request.buf)

    def flow_stats(self, body: bytes) -> tuple[list[Flow], bool]:
        """Decode one multipart reply; return its flows and whether more parts follow."""
        kind, flags = _MULTIPART.unpack_from(body)
        if kind != ofp.OFPMP_FLOW:
            raise OvsProtocolError(f"expected flow statistics, got multipart type {kind}")
        flows = []
        at = _MULTIPART.size
        while at < len(body):
            length, table, _, _, priority, _, _, _, _, cookie, _, _ = _FLOW_STATS.unpack_from(
                body, at
            )
            variable = body[at + _FLOW_STATS.size : at + length]
            known = self._remembered.get(variable)
            match, actions = _decode(body, at) if known is None else (known.match, known.actions)
            flow = Flow(table, priority, match, actions, cookie)
            if flow == known:
                flow = known  # one object for what was sent and what stands
            else:
                self._remember(variable, flow)
            flows.append(flow)
            at += length
        return flows, bool(flags & ofp.OFPMPF_REPLY_MORE)

    def _remember(self, encoded: bytes, flow: Flow) -> None:
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[encoded] = flow


def _decode(body: bytes, at: int) -> tuple[Match, tuple[Action, ...]]:
    stats = wire.OFPFlowStats.parser(body, at)
    return _from_wire(stats.match), tuple(_actions(stats.instructions))


def _match_bytes(match: Match) -> bytes:
    """Encode a match (§7.2.3.2): its fields in the order of their numbers, padded to 8 bytes."""
    fields = b"".join(field for _, field in sorted(map(_field_bytes, match)))
    length = _MATCH_HEADER.size + len(fields)
    return _MATCH_HEADER.pack(ofp.OFPMT_OXM, length) + fields + bytes(-length % 8)


@functools.lru_cache(maxsize=2048)
def _field_bytes(field: Field) -> tuple[int, bytes]:
    """(field number, OXM TLV). An endpoint's flows share most fields, hence the cache."""
    encoded = bytearray()
    wire.OFPMatch(**{field[0]: _value_to_wire(field[1])}).serialize(encoded, 0)
    _, length = _MATCH_HEADER.unpack_from(encoded)
    tlv = bytes(encoded[_MATCH_HEADER.size : length])
    return tlv[2] >> 1, tlv


@functools.lru_cache(maxsize=256)
def _instruction_bytes(actions: tuple[Action, ...]) -> bytes:
    encoded = bytearray()
    for instruction in _instructions(actions):
        instruction.serialize(encoded, len(encoded))
    return bytes(encoded)


def _value_to_wire(value: int | str) -> Any:
    if not isinstance(value, str) or "/" not in value:
        return value
    network = ipaddress.ip_network(value)
    address = str(network.network_address)
    is_host = network.prefixlen == network.max_prefixlen
    return address if is_host else (address, str(network.netmask))


def _from_wire(match: Any) -> Match:
    return tuple(sorted(filter(None, itertools.starmap(_field_from_wire, match.items()))))


def _field_from_wire(name: str, value: Any) -> Field | None:
    if isinstance(value, tuple):
        value = _masked_text(*value)
    try:
        return canonical_field(name, value)
    except ValueError:  # a mask that is no prefix: somebody else's flow, kept as it is
        return name, value


def _masked_text(value: int | str, mask: int | str) -> str:
    """Write value/mask, with an IP mask as prefix length if it is one."""
    try:
        bits = int(ipaddress.ip_address(mask))
        width = ipaddress.ip_address(mask).max_prefixlen
    except ValueError:
        return f"{value}/{mask}"
    prefix = bits.bit_count()
    contiguous = bits == ((1 << prefix) - 1) << (width - prefix)
    return f"{value}/{prefix if contiguous and isinstance(mask, str) else mask}"


def _instructions(actions: tuple[Action, ...]) -> list[Any]:
    applied = [_action_to_wire(action) for action in actions if not isinstance(action, Goto)]
    gotos = [wire.OFPInstructionGotoTable(a.table) for a in actions if isinstance(a, Goto)]
    if applied:
        return [wire.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, applied), *gotos]
    return gotos


def _action_to_wire(action: Action) -> Any:
    match action:
        case Normal():
            return wire.OFPActionOutput(ofp.OFPP_NORMAL, 0)
        case Output(port):
            return wire.OFPActionOutput(port, 0)
        case PushVlan():
            return wire.OFPActionPushVlan(_ETHERTYPE_VLAN)
        case PopVlan():
            return wire.OFPActionPopVlan()
        case SetVlan(vlan):
            return wire.OFPActionSetField(vlan_vid=VLAN_PRESENT | vlan)
        case _:
            raise ValueError(f"no flow of ours has the action {action!r}")


def _actions(instructions: list[Any]) -> Iterator[Action]:
    for instruction in instructions:
        if isinstance(instruction, wire.OFPInstructionGotoTable):
            yield Goto(instruction.table_id)
        elif getattr(instruction, "type", None) == ofp.OFPIT_APPLY_ACTIONS:
            yield from map(_action_from_wire, instruction.actions)
        else:
            yield Opaque(str(instruction))


def _action_from_wire(action: Any) -> Action:
    match action:
        case wire.OFPActionOutput(port=ofp.OFPP_NORMAL):
            return Normal()
        case wire.OFPActionOutput():
            return Output(action.port)
        case wire.OFPActionPushVlan(ethertype=0x8100):
            return PushVlan()
        case wire.OFPActionPopVlan():
            return PopVlan()
        case wire.OFPActionSetField(key="vlan_vid", value=int(vid)) if vid & VLAN_PRESENT:
            return SetVlan(vid & ~VLAN_PRESENT)
        case _:
            return Opaque(str(action))


def _bare(name: str) -> str:
    """os-ken writes "OFPET_BAD_ACTION(2)"; people want the name."""
    return name.split("(", maxsplit=1)[0]


def _forget_class_checks(checked: type[PacketBase]) -> None:
    """Give back 4.5 MB: what abc remembers of os-ken asking every class whether it is a packet.

    It asks while it is imported, for tables of its packet library that nobody uses here. The
    caches fill again as far as somebody asks again.
    """
    checked._abc_caches_clear()  # noqa: SLF001 - abc has no public way
    for subclass in checked.__subclasses__():
        _forget_class_checks(subclass)


_forget_class_checks(PacketBase)
