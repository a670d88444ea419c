"""Flows to OpenFlow 1.4 bytes and back.

Our own, for the few messages that an agent needs: os-ken's parser, which the tests compare it
with, takes 18 MB and ten times as long (ADR 6). Flows come back from the switch in the same bytes
as we sent them, or nearly always: the codec remembers what it encoded, so that reading back 5,000
known flows costs 5,000 dictionary look-ups.
"""

import functools
import struct
from collections.abc import Iterator

from netwright.agent.members import address_key
from netwright.agent.ovs.address_sets import AddressFlow
from netwright.agent.ovs.changes import FlowChange
from netwright.agent.ovs.errors import OvsProtocolError
from netwright.agent.ovs.extensions import extension_bytes, read_extension
from netwright.agent.ovs.flows import (
    ADDRESS_COOKIE,
    ADDRESS_COOKIE_MASK,
    COOKIE_EXACT,
    VLAN_PRESENT,
    Action,
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
    SetDscp,
    SetVlan,
    ToAgent,
)
from netwright.agent.ovs.openflow_wire import (
    BUNDLE_ATOMIC_ORDERED,
    GROUP_ANY,
    HEADER,
    MULTIPART_FLOW,
    MULTIPART_MORE,
    NO_BUFFER,
    PORT_ANY,
    PORT_CONTROLLER,
    PORT_NORMAL,
    PORT_TABLE,
    TABLE_ALL,
    VERSION,
    WHOLE_PACKET,
    ActionType,
    BundleControl,
    FlowCommand,
    InstructionType,
    MessageType,
)
from netwright.agent.ovs.oxm import field_bytes, match_bytes, read_match

_PACKET_OUT = struct.Struct("!IIH6x")
_BUNDLE_CONTROL = struct.Struct("!IHH")
_BUNDLE_ADD = struct.Struct("!BBHIIxxH")
_FLOW_MOD = struct.Struct("!BBHIQQBBHHHIIIHH")
_FLOW_STATS = struct.Struct("!HBxIIHHHHH2xQQQ")
_FLOW_STATS_REQUEST = struct.Struct("!B3xII4xQQ")
_MULTIPART = struct.Struct("!HH4x")
_TYPE_LENGTH = struct.Struct("!HH")
_OUTPUT = struct.Struct("!HHIH6x")
_PUSH_VLAN = struct.Struct("!HHH2x")
_POP_VLAN = struct.Struct("!HH4x")
_GOTO = struct.Struct("!HHB3x")
_METER = struct.Struct("!HHI")
_APPLY = struct.Struct("!HH4x")
_SET_FIELD_BYTES = 16
_REMEMBERED_MAX = 32768
_ETHERTYPE_VLAN = 0x8100
_ETHERTYPE_IPV4 = 0x0800
_ANY = {4: "0.0.0.0/0", 6: "::/0"}


def frame(message_type: int, xid: int, body: bytes = b"") -> bytes:
    """One OpenFlow message."""
    return HEADER.pack(VERSION, message_type, HEADER.size + len(body), xid) + body


def packet_out(xid: int, ofport: int, ethernet: bytes) -> bytes:
    """A frame that runs through the tables as if it came in by `ofport` (§7.3.6).

    Nothing answers; a frame that the flows drop is gone.
    """
    through_the_tables = _OUTPUT.pack(ActionType.OUTPUT, _OUTPUT.size, PORT_TABLE, 0)
    head = _PACKET_OUT.pack(NO_BUFFER, ofport, len(through_the_tables))
    return frame(MessageType.PACKET_OUT, xid, head + through_the_tables + ethernet)


def packet_sent(xid: int, ofport: int, ethernet: bytes) -> bytes:
    """A frame that leaves by `ofport`, whatever the tables say (§7.3.6)."""
    out = _OUTPUT.pack(ActionType.OUTPUT, _OUTPUT.size, ofport, 0)
    head = _PACKET_OUT.pack(NO_BUFFER, PORT_CONTROLLER, len(out))
    return frame(MessageType.PACKET_OUT, xid, head + out + ethernet)


def bundle_control(xid: int, bundle_id: int, control: BundleControl) -> bytes:
    """Open or commit a bundle (§7.3.9.1)."""
    body = _BUNDLE_CONTROL.pack(bundle_id, control, BUNDLE_ATOMIC_ORDERED)
    return frame(MessageType.BUNDLE_CONTROL, xid, body)


def flow_stats_request(xid: int, cookie: int, cookie_mask: int) -> bytes:
    """Ask for the flows of all tables whose cookie agrees within the mask (§7.3.5.2)."""
    head = _MULTIPART.pack(MULTIPART_FLOW, 0)
    body = _FLOW_STATS_REQUEST.pack(TABLE_ALL, PORT_ANY, GROUP_ANY, cookie, cookie_mask)
    return frame(MessageType.MULTIPART_REQUEST, xid, head + body + match_bytes(()))


class FlowCodec:
    """Encoder and decoder with their common memory; one a connection."""

    def __init__(self) -> None:
        self._remembered: dict[bytes, Flow] = {}

    def bundle_add(self, xid: int, bundle_id: int, change: FlowChange) -> bytes:
        """Wrap a flow mod for a bundle (§7.3.9.2); inner and outer xid must be equal."""
        flow = change.flow
        variable = match_bytes(flow.match)
        if not change.delete:
            variable += _instruction_bytes(flow.actions)
            if flow.cookie & ADDRESS_COOKIE_MASK != ADDRESS_COOKIE:
                self._remember(variable, flow)
        length = _FLOW_MOD.size + len(variable)
        flow_mod = _FLOW_MOD.pack(
            VERSION,
            MessageType.FLOW_MOD,
            length,
            xid,
            flow.cookie,
            COOKIE_EXACT if change.delete else 0,
            flow.table,
            FlowCommand.DELETE_STRICT if change.delete else FlowCommand.ADD,
            0,  # no timeouts
            0,
            flow.priority,
            NO_BUFFER,
            PORT_ANY,
            GROUP_ANY,
            0,  # no flags, no importance
            0,
        )
        wrapping = _BUNDLE_ADD.pack(
            VERSION,
            MessageType.BUNDLE_ADD_MESSAGE,
            _BUNDLE_ADD.size + length,
            xid,
            bundle_id,
            BUNDLE_ATOMIC_ORDERED,
        )
        return wrapping + flow_mod + variable

    def flow_stats(
        self, body: bytes, addresses: list[AddressFlow] | None = None
    ) -> tuple[list[Flow], bool]:
        """Decode one multipart reply; return its flows and whether more parts follow.

        With `addresses`, flows of remote groups' addresses go there instead: there may be tens of
        thousands, which are never kept as flows. Raises OvsProtocolError for what cannot be flow
        statistics.
        """
        kind, flags = _MULTIPART.unpack_from(body)
        if kind != MULTIPART_FLOW:
            raise OvsProtocolError(f"expected flow statistics, got multipart type {kind}")
        flows = []
        at = _MULTIPART.size
        while at < len(body):
            length, table, priority, cookie = _read_fixed(body, at)
            variable = body[at + _FLOW_STATS.size : at + length]
            at += length
            if addresses is not None and cookie & ADDRESS_COOKIE_MASK == ADDRESS_COOKIE:
                addresses.append(_read_address(variable, table, priority))
                continue
            known = self._remembered.get(variable)
            if known is not None and _is_at(known, table, priority, cookie):
                flows.append(known)  # one object for what was sent and what stands
                continue
            match, actions = _decode(variable) if known is None else (known.match, known.actions)
            flow = Flow(table, priority, match, actions, cookie)
            self._remember(variable, flow)
            flows.append(flow)
        return flows, bool(flags & MULTIPART_MORE)

    def _remember(self, encoded: bytes, flow: Flow) -> None:
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[encoded] = flow


def _read_fixed(body: bytes, at: int) -> tuple[int, int, int, int]:
    """Length, table, priority and cookie of the flow that begins at `at`."""
    left = len(body) - at
    if left >= _FLOW_STATS.size:
        length, table, _, _, priority, _, _, _, _, cookie, _, _ = _FLOW_STATS.unpack_from(body, at)
        if _FLOW_STATS.size <= length <= left:
            return length, table, priority, cookie
    raise OvsProtocolError(f"flow statistics end amid a flow: {body[at:].hex()}")


def _is_at(flow: Flow, table: int, priority: int, cookie: int) -> bool:
    return flow.table == table and flow.priority == priority and flow.cookie == cookie


def _decode(variable: bytes) -> tuple[Match, tuple[Action, ...]]:
    try:
        match, at = read_match(variable, 0)
        return match, tuple(_actions(variable, at))
    except (struct.error, IndexError, ValueError) as error:
        raise OvsProtocolError(f"a flow that cannot be read ({error}): {variable.hex()}") from error


def _read_address(variable: bytes, table: int, priority: int) -> AddressFlow:
    """An address's flow. Ours are an ethertype, an address if it is not any, conjunctions."""
    match, at = read_match(variable, 0)
    try:
        version = 4 if dict(match)["eth_type"] == _ETHERTYPE_IPV4 else 6
        cidr = next((str(value) for name, value in match if name.startswith("ipv")), _ANY[version])
        ids = tuple(one.conj_id for one in _conjunctions(variable[at:]))
    except (KeyError, ValueError, struct.error, IndexError) as error:
        raise OvsProtocolError(f"an address that cannot be read: {variable.hex()}") from error
    return AddressFlow(address_key(cidr), table, priority, ids)


@functools.lru_cache(maxsize=1024)
def _conjunctions(instructions: bytes) -> tuple[Conjunction, ...]:
    return tuple(one for one in _actions(instructions, 0) if isinstance(one, Conjunction))


@functools.lru_cache(maxsize=256)
def _instruction_bytes(actions: tuple[Action, ...]) -> bytes:
    """Ask a meter, apply the actions at once, then go to another table (§7.2.4)."""
    applied = b"".join(
        _action_bytes(action) for action in actions if not isinstance(action, Goto | Metered)
    )
    encoded = b"".join(
        _METER.pack(InstructionType.METER, _METER.size, action.number)
        for action in actions
        if isinstance(action, Metered)
    )
    if applied:
        length = _APPLY.size + len(applied)
        encoded += _APPLY.pack(InstructionType.APPLY_ACTIONS, length) + applied
    for action in actions:
        if isinstance(action, Goto):
            encoded += _GOTO.pack(InstructionType.GOTO_TABLE, _GOTO.size, action.table)
    return encoded


def _action_bytes(action: Action) -> bytes:
    match action:
        case Normal() | Output() | ToAgent():
            return _OUTPUT.pack(ActionType.OUTPUT, _OUTPUT.size, *_out_by(action))
        case PushVlan():
            return _PUSH_VLAN.pack(ActionType.PUSH_VLAN, _PUSH_VLAN.size, _ETHERTYPE_VLAN)
        case PopVlan():
            return _POP_VLAN.pack(ActionType.POP_VLAN, _POP_VLAN.size)
        case SetVlan() | SetDscp():
            return _set_field(action)
        case _:
            return extension_bytes(action)


def _set_field(action: SetVlan | SetDscp) -> bytes:
    if isinstance(action, SetVlan):
        field = field_bytes("vlan_vid", VLAN_PRESENT | action.vlan)
    else:
        field = field_bytes("ip_dscp", action.mark)
    head = _TYPE_LENGTH.pack(ActionType.SET_FIELD, _SET_FIELD_BYTES)
    return (head + field).ljust(_SET_FIELD_BYTES, b"\0")


def _out_by(action: Normal | Output | ToAgent) -> tuple[int, int]:
    """The port, and how much of a packet the agent is handed."""
    match action:
        case Normal():
            return PORT_NORMAL, 0
        case Output(port):
            return port, 0
        case ToAgent():
            return PORT_CONTROLLER, WHOLE_PACKET


def _actions(octets: bytes, at: int) -> Iterator[Action]:
    for kind, instruction in _split(octets, at):
        if kind == InstructionType.GOTO_TABLE:
            yield Goto(instruction[_TYPE_LENGTH.size])
        elif kind == InstructionType.METER:
            yield Metered(_METER.unpack(instruction)[2])
        elif kind == InstructionType.APPLY_ACTIONS:
            for action_kind, action in _split(instruction, _APPLY.size):
                yield _action(action_kind, action)
        else:
            yield Opaque(f"instruction:{kind}({instruction[_TYPE_LENGTH.size :].hex()})")


def _action(kind: int, octets: bytes) -> Action:
    if kind == ActionType.OUTPUT:
        _, _, port, length = _OUTPUT.unpack(octets)
        if (port, length) == (PORT_CONTROLLER, WHOLE_PACKET):
            return ToAgent()
        return Normal() if port == PORT_NORMAL else Output(port)
    known = _KNOWN_ACTIONS.get(octets)
    if known is not None:
        return known
    vlan = int.from_bytes(octets[8:10], "big") & ~VLAN_PRESENT
    if kind == ActionType.SET_FIELD and octets == _set_field(SetVlan(vlan)):
        return SetVlan(vlan)
    if kind == ActionType.SET_FIELD and octets == _set_field(SetDscp(octets[8])):
        return SetDscp(octets[8])
    extension = read_extension(kind, octets)
    return extension or Opaque(f"action:{kind}({octets[_TYPE_LENGTH.size :].hex()})")


def _split(octets: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Cut instructions or actions apart: (type, the whole of it)."""
    while at < len(octets):
        kind, length = _TYPE_LENGTH.unpack_from(octets, at)
        if length < _TYPE_LENGTH.size:
            raise ValueError(f"{length} bytes of type {kind}")
        yield kind, octets[at : at + length]
        at += length


_KNOWN_ACTIONS = {_action_bytes(action): action for action in (PushVlan(), PopVlan())}
