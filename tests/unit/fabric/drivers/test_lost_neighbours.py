"""What bgpd has forgotten and zebra knows: when an interface is taken down and up."""

import json
import struct
from itertools import pairwise
from typing import Any, cast

import pytest

from netwright.fabric.drivers.frr import lost_neighbours, shows
from netwright.fabric.drivers.frr.session import Session
from netwright.linux.links import Link

CABLE, OTHER = "leaf1-up0", "leaf2-up0"
THERE = "fe80::c43:45ff:fe6d:5a48"


class Frr:
    """A session's double: what FRR 8.4.4's daemons answer for two cables, in the parts read.

    As recorded on a spine whose session by `CABLE` had stayed down since its cable came back.
    """

    def __init__(self) -> None:
        self.states = {CABLE: "Idle", OTHER: "Established", "10.0.0.2": "Active"}
        self.address = "none"
        self.known = [f"{THERE}/128"]
        self.is_up = True
        self.is_there = True
        self.told: list[str] = []

    def vty(self, _daemon: str) -> "Frr":
        return self

    def netlink(self, space: str) -> "Frr":
        assert space == ""
        return self

    def ask(self, line: str) -> str:
        peers = {
            name: {"state": state, "idType": "ipv4" if name[0].isdecimal() else "interface"}
            for name, state in self.states.items()
        }
        interface: dict[str, Any] = {"operationalStatus": "up" if self.is_up else "down"}
        if self.known:
            interface["neighborIpAddresses"] = self.known
        answers: dict[str, Any] = {
            shows.SHOW_SESSIONS: {"peers": peers},
            f"show bgp neighbors {CABLE} json": {CABLE: {"bgpNeighborAddr": self.address}},
            f"show interface {CABLE} json": {CABLE: interface},
        }
        return json.dumps(answers[line])  # nothing else is asked

    def link(self, _space: str, name: str) -> Link | None:
        return Link(index=7, name=name, is_up=True) if self.is_there else None

    def tell(self, requests: list[Any]) -> None:
        for request in requests:
            _, _, _, index, flags, mask = struct.unpack_from("=BBHiII", request.body)
            assert (index, mask) == (7, 1)
            self.told.append("up" if flags else "down")


class Looker:
    """Looks each half second, as when the kernel has news."""

    def __init__(self, frr: Frr) -> None:
        self._now = 0.0
        self._frr = frr
        self._healer = lost_neighbours.Healer(lambda: self._now)

    def look(self) -> list[str]:
        self._now += 0.5
        return self._healer.look(cast("Session", self._frr))


def test_what_has_been_lost_for_a_second_is_taken_down_and_up_once() -> None:
    frr = Frr()
    looker = Looker(frr)
    assert [looker.look() for _ in range(2)] == [[], []]
    assert frr.told == []
    assert looker.look() == [CABLE]
    assert frr.told == ["down", "up"]


def test_what_is_lost_again_is_repaired_after_twice_the_time_and_at_last_each_minute() -> None:
    looker = Looker(Frr())
    repaired = [count for count in range(1, 700) if looker.look()]
    waits = [(later - one - 1) / 2 for one, later in pairwise([0, *repaired])]  # lost a look later
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]


def test_what_is_lost_after_a_session_was_there_is_repaired_as_soon_as_at_first() -> None:
    frr = Frr()
    looker = Looker(frr)
    assert [looker.look() for _ in range(8)] == [[], [], [CABLE], [], [], [], [], [CABLE]]
    frr.states[CABLE] = "Established"
    assert looker.look() == []
    frr.states[CABLE] = "Idle"
    assert [looker.look() for _ in range(3)] == [[], [], [CABLE]]


def test_a_session_that_comes_on_its_way_keeps_its_patience() -> None:
    """It tried, and lost its neighbour again before it was established."""
    frr = Frr()
    looker = Looker(frr)
    assert [looker.look() for _ in range(3)] == [[], [], [CABLE]]
    frr.states[CABLE], frr.address = "Active", THERE
    assert looker.look() == []
    frr.states[CABLE], frr.address = "Idle", "none"
    assert [looker.look() for _ in range(5)] == [[], [], [], [], [CABLE]]


@pytest.mark.parametrize("what", ["address", "known", "is_up", "session"])
def test_a_session_that_is_down_for_another_reason_is_left_alone(what: str) -> None:
    """It tries; nobody is there; no carrier; it is established."""
    frr = Frr()
    match what:
        case "address":
            frr.address = THERE
        case "known":
            frr.known = []
        case "is_up":
            frr.is_up = False
        case "session":
            frr.states[CABLE] = "Established"
    looker = Looker(frr)
    assert [looker.look() for _ in range(4)] == [[], [], [], []]
    assert frr.told == []


def test_another_neighbour_than_before_gets_its_time() -> None:
    frr = Frr()
    looker = Looker(frr)
    looker.look()
    looker.look()
    frr.known = ["fe80::1/128"]
    assert [looker.look() for _ in range(3)] == [[], [], [CABLE]]


def test_an_interface_that_has_gone_meanwhile() -> None:
    frr = Frr()
    frr.is_there = False
    looker = Looker(frr)
    assert [looker.look() for _ in range(4)] == [[], [], [], []]
    assert frr.told == []
