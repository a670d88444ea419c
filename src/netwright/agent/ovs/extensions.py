"""Open vSwitch's own actions to bytes and back (ovs-actions(7)): registers, conntrack. Pure.

The structures stand in OVS's `lib/ofp-actions.c`: nx_action_conntrack, nx_action_conjunction,
nx_action_resubmit. What is not exactly as we write it is not ours to read.
"""

import functools
import struct
from collections.abc import Callable, Mapping
from typing import Final

from netwright.agent.ovs.flows import (
    ZONE,
    Action,
    Commit,
    Conjunction,
    Resubmit,
    SetRegister,
    Track,
    Untrack,
)
from netwright.agent.ovs.openflow_wire import ActionType
from netwright.agent.ovs.oxm import field_bytes

_NICIRA: Final = 0x2320
_RESUBMIT_TABLE, _CONJUNCTION, _CT, _CT_CLEAR = 14, 34, 35, 43

_HEAD = struct.Struct("!HHIH")
_CT_BODY = struct.Struct("!HIHB3xH")
_CONJUNCTION_BODY = struct.Struct("!BBI")
_RESUBMIT_BODY = struct.Struct("!HB3x")
_TYPE_LENGTH = struct.Struct("!HH")

_COMMIT: Final = 0x0001
_NO_TABLE: Final = 0xFF
_IN_PORT: Final = 0xFFF8
_ZONE_SOURCE: Final = 0x00010004 | ZONE << 9
"""NXM_NX_REG5: class 1, the register's number, four bytes."""
_LOW_16_BITS: Final = 15
"""Bits 0..15 of a register: offset << 6 | number of bits - 1."""


def extension_bytes(action: Action) -> bytes:
    """Encode an action. Raises ValueError for one that no flow of ours has."""
    match action:
        case SetRegister(register, value):
            return _set_field(f"reg{register}", value)
        case Track(table):
            return _nicira(_CT, _CT_BODY.pack(0, _ZONE_SOURCE, _LOW_16_BITS, table, 0))
        case Commit(mark):
            body = _CT_BODY.pack(_COMMIT, _ZONE_SOURCE, _LOW_16_BITS, _NO_TABLE, 0)
            return _nicira(_CT, body + _set_field("ct_mark", mark))
        case Untrack():
            return _nicira(_CT_CLEAR, b"")
        case Conjunction(conj_id, clause, clauses):
            return _nicira(_CONJUNCTION, _CONJUNCTION_BODY.pack(clause - 1, clauses, conj_id))
        case Resubmit(table):
            return _nicira(_RESUBMIT_TABLE, _RESUBMIT_BODY.pack(_IN_PORT, table))
        case _:
            raise ValueError(f"no flow of ours has the action {action!r}")


@functools.lru_cache(maxsize=1024)
def read_extension(kind: int, octets: bytes) -> Action | None:
    """Decode an action that is exactly as we would write it; None for any other."""
    try:
        action = _read(kind, octets)
        return action if action is not None and extension_bytes(action) == octets else None
    except (struct.error, KeyError):
        return None


def _read(kind: int, octets: bytes) -> Action | None:
    if kind == ActionType.SET_FIELD:
        # type, length, then the field: class, number, length, and a number of 4 bytes
        register = octets[6] >> 1
        return SetRegister(register, int.from_bytes(octets[8:12], "big"))
    if kind != ActionType.EXPERIMENTER:
        return None
    read = _READERS.get(_HEAD.unpack_from(octets)[3])
    return read(octets[_HEAD.size :]) if read is not None else None


def _read_ct(body: bytes) -> Action:
    flags, _, _, table, _ = _CT_BODY.unpack_from(body)
    if flags != _COMMIT:
        return Track(table)
    mark = body[_CT_BODY.size + 8 : _CT_BODY.size + 12]
    return Commit(int.from_bytes(mark, "big"))


def _read_conjunction(body: bytes) -> Action:
    clause, clauses, conj_id = _CONJUNCTION_BODY.unpack_from(body)
    return Conjunction(conj_id, clause + 1, clauses)


def _read_resubmit(body: bytes) -> Action:
    return Resubmit(_RESUBMIT_BODY.unpack_from(body)[1])


_READERS: Final[Mapping[int, Callable[[bytes], Action]]] = {
    _CT: _read_ct,
    _CT_CLEAR: lambda _: Untrack(),
    _CONJUNCTION: _read_conjunction,
    _RESUBMIT_TABLE: _read_resubmit,
}


def _nicira(subtype: int, body: bytes) -> bytes:
    length = _HEAD.size + len(body)
    padding = -length % 8
    return _HEAD.pack(ActionType.EXPERIMENTER, length + padding, _NICIRA, subtype) + body.ljust(
        len(body) + padding, b"\0"
    )


def _set_field(name: str, value: int) -> bytes:
    field = field_bytes(name, value)
    length = _TYPE_LENGTH.size + len(field)
    padding = -length % 8
    head = _TYPE_LENGTH.pack(ActionType.SET_FIELD, length + padding)
    return head + field + bytes(padding)
