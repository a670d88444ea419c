"""Connections that the kernel tracks, as ctnetlink (nf_conntrack_netlink) tells of them. Pure.

A connection that was translated, or was not, goes on so when the rules have long changed: what
contradicts them must be forgotten, to begin anew with its next packet.
"""

import socket
from typing import NamedTuple

from netwright.linux import codec
from netwright.linux.codec import Request

_CONNTRACK, _GET, _DELETE = 0x100, 1, 2
_ORIGINAL, _REPLY = 1, 2
_IP, _SOURCE, _DESTINATION = 1, 1, 2
_HEADER = bytes((socket.AF_INET, 0, 0, 0))  # struct nfgenmsg
_NOBODY = bytes(4)


class Ends(NamedTuple):
    source: str
    destination: str


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
    values = codec.attributes(body, len(_HEADER))
    key = values.get(_ORIGINAL, b"")
    return Connection(_ends(key), _ends(values.get(_REPLY, b"")), key)


def forget(connection: Connection) -> Request:
    body = _HEADER + codec.nested(_ORIGINAL, connection.key)
    return Request(_CONNTRACK | _DELETE, body, what=f"forgetting connection {connection.began}")


def _ends(tuple_: bytes) -> Ends:
    addresses = codec.attributes(codec.attributes(tuple_).get(_IP, b""))
    source, destination = (addresses.get(each, _NOBODY) for each in (_SOURCE, _DESTINATION))
    return Ends(socket.inet_ntoa(source), socket.inet_ntoa(destination))
