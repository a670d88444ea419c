"""Ports that left the host, and that come to it, as its bridges and its switch should know. Pure.

A bridge knows a MAC where it last spoke; for a port that has just moved to another host that is
still here, and nothing corrects it: a gratuitous ARP is not believed for 5 s after one from here
(OVS, MAC_GRAT_ARP_LOCK_TIME), and does not cross a VXLAN whose ends suppress ARP. Whoever stayed
here would speak to the port's empty place until it happens to speak to them.

So each bridge hears a frame of that MAC from outside, as it would if the port had spoken there. It
is addressed to its own sender, and therefore goes nowhere. A `balance-slb` bond believes no such
frame: there the MAC is forgotten when it ages.

A port that comes is announced to its leaf as soon as it was activated, though it waits for its old
host yet. A reverse ARP request goes first: leaves that suppress ARP let it through to all others,
which learn from it (ADR 38). EVPN needs a tenth of a second to tell them the same.
"""

import struct
from collections.abc import Iterable, Iterator

from netwright.agent.ovs.actual import Rows
from netwright.agent.ovs.announce import announcements, reverse_request
from netwright.agent.ovs.wiring import Endpoint, HostWiring, PhysicalBridge, patch_names
from netwright.agent.ovs.witness import uplink_states

_ETHERTYPE_VLAN = 0x8100
_ETHERTYPE_EXPERIMENTAL = 0x88B5
"""IEEE Std 802, local experimental EtherType 1: no stack listens to it."""

_OCTETS_MIN = 60


def departures(
    wiring: HostWiring, rows: Rows, endpoints: Iterable[Endpoint]
) -> dict[str, list[tuple[int, bytes]]]:
    """What each bridge is to hear of ports that left: (OpenFlow port of the way out, frame)."""
    outward = {bridge.physical_network: dict(_outward(wiring, rows, bridge)) for bridge in
               wiring.physical_bridges}  # fmt: skip
    found: dict[str, list[tuple[int, bytes]]] = {}
    for one in endpoints:
        macs = dict.fromkeys((one.mac, *(pair.mac for pair in one.allowed_pairs if pair.mac)))
        for bridge, ofport in outward.get(one.segment.physical_network, {}).items():
            frames = (departure(mac, one.segment.vlan) for mac in macs)
            found.setdefault(bridge, []).extend((ofport, frame) for frame in frames)
    return found


def arrivals(
    wiring: HostWiring, rows: Rows, endpoints: Iterable[Endpoint]
) -> dict[str, list[tuple[int, bytes]]]:
    """By physical bridge, what its switch is to hear of ports that come: (NIC's port, frame)."""
    ways = {
        bridge.physical_network: (bridge.name, tuple(_nics_in_use(wiring, rows, bridge)))
        for bridge in wiring.physical_bridges
    }
    found: dict[str, list[tuple[int, bytes]]] = {}
    for one in endpoints:
        name, nics = ways.get(one.segment.physical_network, ("", ()))
        said = (reverse_request(one.mac), *announcements(one.mac, one.addresses))
        frames = [tagged(each, one.segment.vlan) for each in said]
        for ofport in nics[:1]:
            found.setdefault(name, []).extend((ofport, frame) for frame in frames)
    return found


def tagged(frame: bytes, vlan: int | None) -> bytes:
    """A frame on the wire, of a VLAN or of none."""
    tag = b"" if vlan is None else struct.pack("!HH", _ETHERTYPE_VLAN, vlan)
    return frame[:12] + tag + frame[12:]


def departure(mac: str, vlan: int | None) -> bytes:
    """A frame from a MAC to itself."""
    octets = bytes.fromhex(mac.replace(":", ""))
    frame = octets + octets + struct.pack("!H", _ETHERTYPE_EXPERIMENTAL)
    return tagged(frame, vlan).ljust(_OCTETS_MIN, b"\0")


def _outward(wiring: HostWiring, rows: Rows, bridge: PhysicalBridge) -> Iterator[tuple[str, int]]:
    """By which OpenFlow port the integration bridge and the physical one hear what is outside."""
    inner, _ = patch_names(bridge)
    if (patch := rows.ofport(wiring.integration_bridge, inner)) is not None:
        yield wiring.integration_bridge, patch
    for ofport in _nics_in_use(wiring, rows, bridge):
        yield bridge.name, ofport


def _nics_in_use(wiring: HostWiring, rows: Rows, bridge: PhysicalBridge) -> Iterator[int]:
    """Their OpenFlow ports."""
    for uplink in uplink_states(wiring, rows):
        if uplink.bridge != bridge.name:
            continue
        in_use = {member.name for member in uplink.members if member.active}
        for row in rows.interfaces.values():
            if row.name in in_use and row.ofport is not None and row.ofport > 0:
                yield row.ofport
