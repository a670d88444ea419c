"""Somebody changes a leaf by hand: seen, shown, put back or alarmed; what is not ours stays."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.lab.evpn import Evpn, evpn_lab

from netwright.fabric.keeper import POLL_S
from netwright.lab import fabric_state, links, networks, probe
from netwright.lab.nodes import frr, reached
from netwright.lab.orchestrator import Spawned, eventually
from netwright.model.fabric import SwitchState, SwitchStatus
from netwright.model.topology import DriftPolicy
from netwright.model.wire import Kind

pytestmark = pytest.mark.lab

SEEN_S = 5.0
GATEWAY = "10.150.0.1"


@pytest.fixture(scope="module")
def evpn(lab_root: Path) -> Iterator[Evpn]:
    """`red` in a VPC, with instances behind both pairs of leaves."""
    with evpn_lab(lab_root, "d") as evpn:
        evpn.nova.create_fabric_network("red", [f"{GATEWAY}/24"])
        evpn.nova.create_vpc("vpc1", ["red"])
        yield evpn


@pytest.fixture(scope="module")
def pair(evpn: Evpn) -> list[Spawned]:
    return evpn.spawn("red", near="host1", far="host3")


def on_leaf(evpn: Evpn, leaf: str, *argv: str) -> str:
    """A command in the switch's VRF, as an operator at its console runs it."""
    pid = reached.first_process(evpn.lab, leaf)
    assert pid is not None
    vrf = vrf_of(evpn, leaf)
    return evpn.inside(leaf, *reached.in_mounts_of(pid), "ip", "netns", "exec", vrf, *argv)


def vrf_of(evpn: Evpn, leaf: str) -> str:
    pid = reached.first_process(evpn.lab, leaf)
    assert pid is not None
    (vrf,) = evpn.inside(leaf, *reached.in_mounts_of(pid), "ip", "netns", "list").split()[:1]
    return vrf


def wrong_target(evpn: Evpn) -> None:
    fabric_state.export_wrongly(evpn.lab, "leaf1", evpn.vni("red"), "9:9")


def gateway_gone(evpn: Evpn) -> None:
    bridge = f"br{evpn.vni('red')}"
    on_leaf(evpn, "leaf1", "ip", "addr", "del", f"{GATEWAY}/24", "dev", bridge)


def gateway_moved(evpn: Evpn) -> None:
    bridge = f"br{evpn.vni('red')}"
    on_leaf(evpn, "leaf1", "ip", "link", "set", bridge, "address", "02:00:00:00:00:99")


def tunnel_gone(evpn: Evpn) -> None:
    on_leaf(evpn, "leaf1", "ip", "link", "del", f"vni{evpn.vni('red')}")


def learning_off(evpn: Evpn) -> None:
    name = f"vni{evpn.vni('red')}"
    on_leaf(evpn, "leaf1", "bridge", "link", "set", "dev", name, "learning", "off")


def speaks_as_all(evpn: Evpn) -> None:
    """The program that gives the gateway a MAC of this leaf's own."""
    on_leaf(evpn, "leaf1", "tc", "qdisc", "del", "dev", f"vni{evpn.vni('red')}", "clsact")


def vlan_unmapped(evpn: Evpn) -> None:
    """The way of the VLAN from the host's port into the network."""
    vlan = evpn.vlan("red", "host1")
    (outer,) = [
        name
        for name in links.interfaces_in(evpn.lab.namespace("leaf1"))
        if name.startswith("nw") and name.endswith(f".{vlan}")
    ]
    links.remove(evpn.lab.namespace("leaf1"), [outer])


def programs_gone(evpn: Evpn) -> None:
    evpn.inside("leaf1", "tc", "qdisc", "del", "dev", "host1-eth0", "clsact")


def segment_wiped(evpn: Evpn) -> None:
    vni = evpn.vni("red")
    each = f"ip link del vni{vni}; ip link del br{vni}"
    on_leaf(evpn, "leaf1", "sh", "-ec", each)


def all_wiped(evpn: Evpn) -> None:
    """The VRF with all that is in it, and every end of ours outside."""
    pid = reached.first_process(evpn.lab, "leaf1")
    assert pid is not None
    vrf = vrf_of(evpn, "leaf1")
    evpn.inside("leaf1", *reached.in_mounts_of(pid), "ip", "netns", "del", vrf)
    asn = frr.fabric_switch(evpn.lab, "leaf1").speaker.asn
    lines = (f"router bgp {asn}", "address-family l2vpn evpn", f"no vni {evpn.vni('red')}")
    fabric_state.tell(evpn.lab, "leaf1", "bgpd", *lines)
    programs_gone(evpn)


@pytest.mark.parametrize(
    "change",
    [
        wrong_target,
        gateway_gone,
        gateway_moved,
        tunnel_gone,
        learning_off,
        speaks_as_all,
        vlan_unmapped,
        programs_gone,
        segment_wiped,
        all_wiped,
    ],
)
def test_what_somebody_changed_is_seen_shown_and_repaired(
    evpn: Evpn, pair: list[Spawned], change: Callable[[Evpn], None]
) -> None:
    near, far = pair
    with evpn.watching(Kind.SWITCH) as watching:
        change(evpn)
        began = time.monotonic()
        drifted = watching.await_value(
            SwitchState,
            lambda one: one.name == "leaf1" and one.status is SwitchStatus.DRIFTED,
            SEEN_S,
        )
        seen_s = time.monotonic() - began
        watching.await_value(
            SwitchState,
            lambda one: (
                one.name == "leaf1"
                and one.status is SwitchStatus.IN_SYNC
                and one.since >= drifted.since
                and "Repaired" in one.cause
            ),
            15.0,
        )
        mended_s = time.monotonic() - began
    sys.stdout.write(
        f"{change.__name__}: seen {seen_s:.2f} s, mended {mended_s:.2f} s: {drifted.drift[0]}\n"
    )
    assert drifted.drift
    evpn.await_well()
    # A change in several steps may be mended between them; the rest is drift that is not yet seen.
    for address in (far.address(), GATEWAY):
        assert eventually(partial(answers_all, evpn, near, address), SEEN_S), address


def test_a_router_mac_that_leads_nowhere_is_seen_shown_and_put_back(evpn: Evpn) -> None:
    """In a VPC with a way out, which has a transit VNI."""
    evpn.nova.create_fabric_network("yellow", ["10.151.0.1/24"])
    evpn.nova.ask(lambda client: networks.create_described(client, evpn.lab.spec, "blue"))
    evpn.nova.create_vpc("vpc2", ["yellow"], ["blue"])
    leaves = [one.speaker.loopback for one in evpn.lab.layout.fabric if one.speaker.kind != "spine"]

    def led_to() -> int:
        told = evpn.inside("leaf1", "ip", "nexthop", "list", "protocol", "119")
        return sum(f"via {leaf} " in told for leaf in leaves)

    (one,) = evpn.spawn("yellow", one="host1")  # ACTIVE: its leaf was read back as planned
    evpn.await_well()
    assert led_to() == len(leaves)
    with evpn.watching(Kind.SWITCH) as watching:
        evpn.inside("leaf1", "ip", "nexthop", "flush", "protocol", "119")
        drifted = watching.await_value(
            SwitchState,
            lambda one: one.name == "leaf1" and one.status is SwitchStatus.DRIFTED,
            SEEN_S,
        )
        gone = f"router MAC of {leaves[0]} goes"
        assert any(gone in line for line in drifted.drift), drifted.drift
        assert eventually(lambda: led_to() == len(leaves), 15.0)
    evpn.nova.end([one.instance.id])
    evpn.await_well()


def answers_all(evpn: Evpn, one: Spawned, address: str) -> bool:
    return probe.ping(evpn.lab, one.instance.id, address).lost == 0


@pytest.fixture
def alarmed(evpn: Evpn) -> Iterator[None]:
    def policy(which: DriftPolicy) -> None:
        evpn.set_topology(lambda is_: replace(is_, fabric=replace(is_.fabric, drift=which)))

    policy(DriftPolicy.ALARM)
    yield
    policy(DriftPolicy.REPAIR)
    evpn.await_well()


@pytest.mark.usefixtures("alarmed", "pair")
def test_where_drift_is_to_alarm_it_is_shown_and_left_until_somebody_applies(evpn: Evpn) -> None:
    wrong_target(evpn)
    began = time.monotonic()
    assert eventually(lambda: evpn.switch("leaf1")["status"] == "drifted", SEEN_S)
    sys.stdout.write(f"alarm: shown after {time.monotonic() - began:.2f} s\n")
    shown = evpn.switch("leaf1")
    assert any("9:9" in line for line in shown["drift"]), shown
    diff = evpn.cli("fabric", "diff", "leaf1")
    assert diff.returncode == 0, diff.stderr
    assert "9:9" in diff.stdout, diff.stdout
    time.sleep(POLL_S)  # the controller looks again, and leaves it
    assert evpn.switch("leaf1")["status"] == "drifted"
    assert "9:9" in evpn.vty("leaf1", "bgpd", "show running-config")
    applied = evpn.cli("fabric", "apply", "leaf1")
    assert applied.returncode == 0, applied.stderr
    assert "9:9" not in evpn.vty("leaf1", "bgpd", "show running-config")
    evpn.await_well()


@pytest.mark.usefixtures("pair")
def test_what_somebody_else_made_stays_as_it_is(evpn: Evpn) -> None:
    """Also while everything of ours is wiped and made anew around it."""
    asn = frr.fabric_switch(evpn.lab, "leaf1").speaker.asn
    evpn.inside("leaf1", "ip", "link", "add", "br-theirs", "type", "bridge")
    evpn.inside(
        "leaf1", "ip", "link", "add", "vx-theirs", "type", "vxlan", "id", "77", "dstport", "4789"
    )
    evpn.inside("leaf1", "ip", "link", "set", "vx-theirs", "master", "br-theirs")
    evpn.inside("leaf1", "ip", "addr", "add", "198.51.100.1/24", "dev", "br-theirs")
    evpn.inside("leaf1", "ip", "route", "add", "blackhole", "203.0.113.0/24")
    for lines in (
        ("route-map theirs permit 10", "set metric 7"),
        (f"router bgp {asn}", "bgp bestpath med confed"),
    ):
        fabric_state.tell(evpn.lab, "leaf1", "bgpd", *lines)

    def theirs() -> list[object]:
        made = ("br-theirs", "vx-theirs")
        found = json.loads(evpn.inside("leaf1", "ip", "-json", "addr"))
        running = evpn.vty("leaf1", "bgpd", "show running-config").splitlines()
        return [
            sorted(one["ifname"] for one in found if one["ifname"] in made),
            [
                each["local"]
                for one in found
                for each in one["addr_info"]
                if each["local"].startswith("198.")
            ],
            "203.0.113.0/24" in evpn.inside("leaf1", "ip", "route"),
            [
                line.strip()
                for line in running
                if "theirs" in line or "metric 7" in line or "confed" in line
            ],
        ]

    before = theirs()
    assert [len(one) if isinstance(one, list) else one for one in before] == [2, 1, True, 3], before
    all_wiped(evpn)
    assert eventually(lambda: "Repaired" in evpn.switch("leaf1")["cause"], 15.0)
    evpn.await_well()
    assert theirs() == before
