"""Where in a lab was a packet seen? Every interface of every node and instance at once.

One packet socket a namespace hears all its interfaces: no process, and none is forgotten. A packet
is told by a pattern of octets that its sender put into it (`ping -p`).
"""

import secrets
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from msgspec import Struct

from netwright.lab import netns, places, processes
from netwright.lab.errors import LabError
from netwright.lab.probe import ANSWERS_S
from netwright.lab.state import Lab

_ETH_P_ALL = 0x0003
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_RECEIVE_BUFFER = 1 << 22
_PATTERN_OCTETS = 16  # as many as ping takes; a whole one follows its timestamp
_BEFORE_PATTERN = 8 + 16  # ICMP's header and ping's timestamp (struct timeval)
_ECHO_REQUESTS = (8, 128)  # ICMP and ICMPv6
_PING_TIMEOUT_S = 20.0


class Sighting(Struct, frozen=True, order=True):
    """An interface of a node, or of an instance by its id, that the packet crossed."""

    place: str
    interface: str


def ping_sightings(lab: Lab, source: str, target: str, *, count: int = 5) -> dict[Sighting, int]:
    """How many of the echo requests of one ping each interface saw; replies are not counted.

    Raises LabError when replies are missing, or when a socket lost packets and cannot tell.
    """
    pattern = secrets.token_bytes(_PATTERN_OCTETS)
    argv = ["ping", "-n", f"-c{count}", "-i0.05", f"-W{ANSWERS_S}", "-p", pattern.hex(), target]
    with _listening(lab) as sockets:
        processes.run(places.namespace_of(lab, source), argv, timeout_s=_PING_TIMEOUT_S)
        seen: dict[Sighting, int] = {}
        for place, listener in sockets.items():
            for interface in _drain(listener, pattern, place):
                sighting = Sighting(place, interface)
                seen[sighting] = seen.get(sighting, 0) + 1
    return seen


@contextmanager
def _listening(lab: Lab) -> Iterator[dict[str, socket.socket]]:
    """A socket in each namespace; one of a bare-metal instance stands under its node's name."""
    namespaces = {node.name: lab.namespace(node.name) for node in lab.layout.nodes}
    taken = set(namespaces.values())
    namespaces |= {
        one.instance.id: one.namespace for one in places.placed(lab) if one.namespace not in taken
    }
    with ExitStack() as stack:
        yield {
            place: stack.enter_context(netns.run_in(namespace, _open))
            for place, namespace in namespaces.items()
        }


def _open() -> socket.socket:
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    return listener


def _drain(listener: socket.socket, pattern: bytes, place: str) -> Iterator[str]:
    """The interface of each echo request that bears the pattern, among all that was heard."""
    while True:
        try:
            frame, address = listener.recvfrom(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            break
        at = frame.find(pattern)
        if at >= _BEFORE_PATTERN and frame[at - _BEFORE_PATTERN] in _ECHO_REQUESTS:
            yield str(address[0])
    _, dropped = struct.unpack("II", listener.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
    if dropped:
        raise LabError(f"lab: {dropped} packets were not heard on {place}: nothing is shown by it")
