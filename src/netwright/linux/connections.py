"""Connections that the kernel tracks, as ctnetlink (nf_conntrack_netlink) tells of them. Pure.

A connection that was translated, or was not, goes on so when the rules have long changed: what
contradicts them must be forgotten, to begin anew with its next packet.
"""

import socket
import struct
from typing import NamedTuple

from netwright.linux import codec
from netwright.linux.codec import Request

_CONNTRACK, _GET, _DELETE = 0x100, 1, 2
_ORIGINAL, _IP, _SOURCE = 1, 1, 1
_HEADER = bytes((socket.AF_INET, 0, 0, 0))  # struct nfgenmsg
_LENGTH = struct.Struct("=H")
_BEGINNING = struct.pack("=HHHH", 20, _IP | codec.NESTED, 8, _SOURCE)
"""Of a tuple of IPv4: its addresses' attribute, 20 octets with both, and the source's header."""


class Ends(NamedTuple):
    """Addresses as four octets each."""

    source: bytes
    destination: bytes


class Connection(NamedTuple):
    """How its first packet came, and what answers it, both before translation.

    Without translation the one is the other turned round. `key` is the kernel's name for it.
    """

    began: Ends
    answered: Ends
    key: bytes


def dump_connections() -> Request:
    """Those of IPv4."""
    return Request(_CONNTRACK | _GET, _HEADER, what="tracked connections")


def parse_connection(body: bytes) -> Connection:
    """By the places where the kernel writes all of them: there may be hundred thousands.

    Raises ValueError when they are elsewhere.
    """
    (length,) = _LENGTH.unpack_from(body, len(_HEADER))
    key = body[8 : 4 + length]
    answer = body[8 + ((length + 3) & ~3) :]
    if not (key.startswith(_BEGINNING) and answer.startswith(_BEGINNING)):
        msg = "a tracked connection is written in another form than is known here"
        raise ValueError(msg)
    return Connection(Ends(key[8:12], key[16:20]), Ends(answer[8:12], answer[16:20]), key)


def forget(connection: Connection) -> Request:
    body = _HEADER + codec.nested(_ORIGINAL, connection.key)
    return Request(_CONNTRACK | _DELETE, body, what="forgetting a connection")
