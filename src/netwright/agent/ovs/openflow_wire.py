"""OpenFlow 1.4.1's numbers, as far as the agent speaks it, and the names of its errors. Pure."""

import struct
from enum import IntEnum
from typing import Final

VERSION: Final = 0x05
"""OpenFlow 1.4's wire version."""

HEADER: Final = struct.Struct("!BBHI")
"""version, type, length, xid (§7.1.1)."""

NO_BUFFER: Final = 0xFFFFFFFF
PORT_ANY: Final = 0xFFFFFFFF
PORT_TABLE: Final = 0xFFFFFFF9
PORT_CONTROLLER: Final = 0xFFFFFFFD
PORT_NORMAL: Final = 0xFFFFFFFA
GROUP_ANY: Final = 0xFFFFFFFF
TABLE_ALL: Final = 0xFF

WHOLE_PACKET: Final = 0xFFFF
"""As a length: all of a packet (OFPCML_NO_BUFFER)."""

MULTIPART_FLOW: Final = 1
MULTIPART_MORE: Final = 0x0001
BUNDLE_ATOMIC_ORDERED: Final = 0x0001 | 0x0002


class MessageType(IntEnum):
    """§7.1.1, ofp_type."""

    HELLO = 0
    ERROR = 1
    ECHO_REQUEST = 2
    ECHO_REPLY = 3
    SET_CONFIG = 9
    PACKET_IN = 10
    PACKET_OUT = 13
    FLOW_MOD = 14
    MULTIPART_REQUEST = 18
    MULTIPART_REPLY = 19
    BARRIER_REQUEST = 20
    BARRIER_REPLY = 21
    BUNDLE_CONTROL = 33
    BUNDLE_ADD_MESSAGE = 34


class BundleControl(IntEnum):
    """§7.3.9.3, ofp_bundle_ctrl_type: the requests."""

    OPEN = 0
    COMMIT = 4


class FlowCommand(IntEnum):
    """§7.3.4.1, ofp_flow_mod_command."""

    ADD = 0
    DELETE_STRICT = 4


class ActionType(IntEnum):
    """§7.2.5, ofp_action_type."""

    OUTPUT = 0
    PUSH_VLAN = 17
    POP_VLAN = 18
    SET_FIELD = 25
    EXPERIMENTER = 0xFFFF


class InstructionType(IntEnum):
    """§7.2.4, ofp_instruction_type."""

    GOTO_TABLE = 1
    APPLY_ACTIONS = 4


_ERROR = struct.Struct("!HH")


def error_text(body: bytes) -> str:
    """Name an error's type and code, as in "OFPET_BAD_ACTION: OFPBAC_BAD_OUT_PORT" (§7.5.4)."""
    number, code = _ERROR.unpack_from(body)
    type_name, prefix, codes = _ERRORS.get(number, (f"error type {number}", "", ()))
    name = f"{prefix}{codes[code]}" if code < len(codes) else f"code {code}"
    return f"{type_name}: {name}"


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ERRORS: Final = {
    0: ("OFPET_HELLO_FAILED", "OFPHFC_", _codes("INCOMPATIBLE EPERM")),
    1: (
        "OFPET_BAD_REQUEST",
        "OFPBRC_",
        _codes(
            "BAD_VERSION BAD_TYPE BAD_MULTIPART BAD_EXPERIMENTER BAD_EXP_TYPE EPERM BAD_LEN"
            " BUFFER_EMPTY BUFFER_UNKNOWN BAD_TABLE_ID IS_SLAVE BAD_PORT BAD_PACKET"
            " MULTIPART_BUFFER_OVERFLOW MULTIPART_REQUEST_TIMEOUT MULTIPART_REPLY_TIMEOUT"
        ),
    ),
    2: (
        "OFPET_BAD_ACTION",
        "OFPBAC_",
        _codes(
            "BAD_TYPE BAD_LEN BAD_EXPERIMENTER BAD_EXP_TYPE BAD_OUT_PORT BAD_ARGUMENT EPERM"
            " TOO_MANY BAD_QUEUE BAD_OUT_GROUP MATCH_INCONSISTENT UNSUPPORTED_ORDER BAD_TAG"
            " BAD_SET_TYPE BAD_SET_LEN BAD_SET_ARGUMENT"
        ),
    ),
    3: (
        "OFPET_BAD_INSTRUCTION",
        "OFPBIC_",
        _codes(
            "UNKNOWN_INST UNSUP_INST BAD_TABLE_ID UNSUP_METADATA UNSUP_METADATA_MASK"
            " BAD_EXPERIMENTER BAD_EXP_TYPE BAD_LEN EPERM DUP_INST"
        ),
    ),
    4: (
        "OFPET_BAD_MATCH",
        "OFPBMC_",
        _codes(
            "BAD_TYPE BAD_LEN BAD_TAG BAD_DL_ADDR_MASK BAD_NW_ADDR_MASK BAD_WILDCARDS BAD_FIELD"
            " BAD_VALUE BAD_MASK BAD_PREREQ DUP_FIELD EPERM"
        ),
    ),
    5: (
        "OFPET_FLOW_MOD_FAILED",
        "OFPFMFC_",
        _codes(
            "UNKNOWN TABLE_FULL BAD_TABLE_ID OVERLAP EPERM BAD_TIMEOUT BAD_COMMAND BAD_FLAGS"
            " CANT_SYNC BAD_PRIORITY"
        ),
    ),
    17: (
        "OFPET_BUNDLE_FAILED",
        "OFPBFC_",
        _codes(
            "UNKNOWN EPERM BAD_ID BUNDLE_EXIST BUNDLE_CLOSED OUT_OF_BUNDLES BAD_TYPE BAD_FLAGS"
            " MSG_BAD_LEN MSG_BAD_XID MSG_UNSUP MSG_CONFLICT MSG_TOO_MANY MSG_FAILED TIMEOUT"
            " BUNDLE_IN_PROGRESS"
        ),
    ),
}
"""Type → its name, its codes' prefix, its codes in their order: what flows and bundles may meet."""
