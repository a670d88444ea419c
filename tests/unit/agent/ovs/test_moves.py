"""What bridges and switches hear of ports that leave and come."""

import struct

import pytest
from msgspec.structs import replace
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.ovs.moves import arrivals, departure, departures, tagged
from netwright.agent.ovs.wiring import (
    AddressPair,
    Bond,
    Desired,
    Endpoint,
    HostWiring,
    NetworkSegment,
    PhysicalBridge,
)

BRIDGE = PhysicalBridge("br-bond", "physnet1", Bond(("nic0", "nic1"), bfd_interval_ms=None))
WIRING = HostWiring((BRIDGE,))
MAC = "fa:16:3e:00:00:01"
OCTETS = bytes.fromhex("fa163e000001")
ENDPOINT = Endpoint("p1", NetworkSegment("physnet1", 101), MAC, ("10.0.0.1",))


@pytest.fixture
def switch() -> SimSwitch:
    switch = SimSwitch()
    switch.converge(Desired(WIRING))
    return switch


def ofport(switch: SimSwitch, name: str) -> int:
    (found,) = (one.ofport for one in switch.rows().interfaces.values() if one.name == name)
    assert found is not None
    return found


def active(switch: SimSwitch) -> set[int]:
    return {ofport(switch, name) for name in ("nic0", "nic1")}


def test_a_departure_goes_from_a_mac_to_itself_in_its_vlan() -> None:
    frame = departure(MAC, 101)
    assert frame[:12] == OCTETS + OCTETS
    assert struct.unpack("!HHH", frame[12:18]) == (0x8100, 101, 0x88B5)
    assert len(frame) == 60
    assert departure(MAC, None)[12:14] == b"\x88\xb5"


def test_a_tag_stands_behind_the_addresses() -> None:
    assert tagged(b"d" * 6 + b"s" * 6 + b"rest", 7) == b"d" * 6 + b"s" * 6 + b"\x81\0\0\x07rest"


def test_both_bridges_hear_of_a_departure_from_outside(switch: SimSwitch) -> None:
    heard = departures(WIRING, switch.rows(), [ENDPOINT])
    assert heard["br-int"] == [(ofport(switch, "int-br-bond"), departure(MAC, 101))]
    assert {port for port, _ in heard["br-bond"]} <= active(switch)
    assert {frame for _, frame in heard["br-bond"]} == {departure(MAC, 101)}


def test_all_macs_that_a_port_may_use_leave_with_it(switch: SimSwitch) -> None:
    pair = AddressPair("10.9.0.0/16", "fa:16:3e:00:00:02")
    (heard,) = (
        each
        for bridge, each in departures(
            WIRING, switch.rows(), [replace(ENDPOINT, allowed_pairs=(pair,))]
        ).items()
        if bridge == "br-int"
    )
    assert [frame[6:12].hex(":") for _, frame in heard] == [MAC, "fa:16:3e:00:00:02"]


def test_an_arrival_is_announced_by_a_nic_in_use_in_its_vlan(switch: SimSwitch) -> None:
    """First by what crosses leaves that suppress ARP, then by its addresses."""
    heard = arrivals(WIRING, switch.rows(), [ENDPOINT])
    assert heard.keys() == {"br-bond"}
    ports, frames = zip(*heard["br-bond"], strict=True)
    assert len(set(ports)) == 1
    assert set(ports) <= active(switch)
    assert {frame[:12] for frame in frames} == {b"\xff" * 6 + OCTETS}
    tags = [struct.unpack("!HHH", frame[12:18]) for frame in frames]
    assert tags == [(0x8100, 101, 0x8035), (0x8100, 101, 0x0806)]


def test_of_a_network_that_is_not_here_nobody_hears(switch: SimSwitch) -> None:
    stranger = replace(ENDPOINT, segment=NetworkSegment("physnet9", 1))
    assert departures(WIRING, switch.rows(), [stranger]) == {}
    assert arrivals(WIRING, switch.rows(), [stranger]) == {}
