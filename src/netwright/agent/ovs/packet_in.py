"""Packets that a bridge hands to the agent (OpenFlow 1.4.1, 7.4.1). Pure.

ovs-vswitchd sends none to a connection of this kind that has not said how long it takes them
(ovs-vswitchd's `topics/design`, asynchronous messages). It queues no more than a hundred: a guest
that floods loses its own, and others', but never costs memory.
"""

import struct
from typing import NamedTuple

from netwright.agent.ovs.errors import OvsProtocolError
from netwright.agent.ovs.openflow_wire import HEADER, VERSION, WHOLE_PACKET, MessageType
from netwright.agent.ovs.oxm import read_match

_SET_CONFIG = struct.Struct("!HH")
_PACKET_IN = struct.Struct("!IHBBQ")
_PADDING = 2


class PacketIn(NamedTuple):
    """A frame, the port that it came in by, and the cookie of the flow that had it for us."""

    cookie: int
    ofport: int
    frame: bytes


def packets_wanted(xid: int) -> bytes:
    """Ask the bridge for packets, whole."""
    body = _SET_CONFIG.pack(0, WHOLE_PACKET)
    return HEADER.pack(VERSION, MessageType.SET_CONFIG, HEADER.size + len(body), xid) + body


def read_packet_in(body: bytes) -> PacketIn:
    """Raises OvsProtocolError for what cannot be a packet."""
    try:
        _, _, _, _, cookie = _PACKET_IN.unpack_from(body)
        match, at = read_match(body, _PACKET_IN.size)
        ofport = dict(match)["in_port"]
    except (struct.error, IndexError, ValueError, KeyError) as error:
        raise OvsProtocolError(f"a packet that cannot be read ({error}): {body.hex()}") from error
    if not isinstance(ofport, int):
        raise OvsProtocolError(f"a packet that came in by {ofport!r}")
    return PacketIn(cookie, ofport, body[at + _PADDING :])
