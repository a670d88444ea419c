"""SNAT and floating IPs on the wire: two VPCs with the same subnet behind one border.

    web1, web3 (10.8.0.0/24, of shop and of twin) ─ leaves ─ border1 ─ blue ─ core1 ─ green ─ far

Blue is the external network; `far` is outside, in another network behind the core.
"""

import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.lab.evpn import SETTLED_S, Evpn, broken, evpn_lab

from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.lab import probe, processes
from netwright.lab.nodes import reached
from netwright.lab.orchestrator import Spawned, Wanted, eventually
from netwright.lab.places import namespace_of
from netwright.model.fabric import SwitchState, SwitchStatus
from netwright.model.routing import FloatingIp, FloatingStatus
from netwright.model.wire import Kind

pytestmark = pytest.mark.lab

WAIT_S = 40.0
PINGS = 3
LOST_MAX = 150
"""Of 300 through a restart: none on a quiet machine; what Open vSwitch loses on a busy one is not
what is looked for, which would be all from some moment on.
"""

INSIDE = "10.8.0.0/24"
OUTSIDE_IF = "vlan101"
"""Where the core meets the external network."""

GATEWAYS = {"shop": ("10.8.0.1/24", "fd00:8::1/64"), "twin": ("10.8.0.1/24",)}
PLACES = {
    "web1": ("host1", "shop"),
    "web3": ("host3", "shop"),
    "twin1": ("host1", "twin"),
    "far": ("vhost1", "green"),
    "old": ("vhost1", "blue"),
}


class Floated(NamedTuple):
    """A floating IP: its id and its address."""

    id: str
    address: str


class Scene:
    def __init__(self, evpn: Evpn) -> None:
        self.evpn, self.nova, self.lab = evpn, evpn.nova, evpn.lab
        self.made: dict[str, Spawned] = {}
        self.routers: dict[str, str] = {}

    def populate(self) -> None:
        nova = self.nova
        nova.create_networks()
        for name, gateways in GATEWAYS.items():
            nova.create_fabric_network(name, gateways)
            self.routers[name] = str(nova.create_vpc(name, [name])["id"])
        blue = str(nova.network("blue")["id"])
        external = (Collection.NETWORKS, blue, {"router:external": True})
        nova.ask(lambda client: Networking(client).update(*external))
        for name in GATEWAYS:
            self.set_gateway(name, snat=True)
        made = nova.spawn(Wanted(name, host, net) for name, (host, net) in PLACES.items())
        nova.await_status(made)
        self.made = {one.name: one for one in made}

    def set_gateway(self, vpc: str, *, snat: bool) -> None:
        blue = str(self.nova.network("blue")["id"])
        wish = {"external_gateway_info": {"network_id": blue, "enable_snat": snat}}
        change = (Collection.ROUTERS, self.routers[vpc], wish)
        self.nova.ask(lambda client: Networking(client).update(*change))

    def gateway_address(self, vpc: str) -> str:
        """That of its router outside, of IPv4."""
        show = (Collection.ROUTERS, self.routers[vpc])
        router = self.nova.ask(lambda client: Networking(client).show(*show))
        addresses = router["external_gateway_info"]["external_fixed_ips"]
        return str(next(a["ip_address"] for a in addresses if ":" not in a["ip_address"]))

    def place(self, name: str) -> str:
        return self.made[name].instance.id

    def address(self, name: str, version: int = 4) -> str:
        return self.made[name].address(version)

    def lost(self, source: str, address: str, patience_s: int = probe.ANSWERS_S) -> int:
        """How many of the pings."""
        place = self.place(source)
        return probe.ping(self.lab, place, address, count=PINGS, patience_s=patience_s).lost

    def await_answers(self, source: str, address: str) -> None:
        found = eventually(lambda: self.lost(source, address) == 0, WAIT_S)
        assert found, f"{source} has no answer from {address}"

    def await_silence(self, source: str, address: str) -> None:
        found = eventually(
            lambda: self.lost(source, address, probe.REPLY_TIMEOUT_S) == PINGS, WAIT_S
        )
        assert found, f"{source} still has answers from {address}"

    def float_to(self, name: str) -> Floated:
        """A new floating IP of an instance, once a border translates it."""
        wish = {
            "floating_network_id": self.nova.network("blue")["id"],
            "port_id": self.made[name].port["id"],
        }
        create = (Collection.FLOATING_IPS, wish)
        made = self.nova.ask(lambda client: Networking(client).create(*create))
        floated = Floated(str(made["id"]), str(made["floating_ip_address"]))
        self.await_status(floated, FloatingStatus.ACTIVE)
        return floated

    def lead(self, floated: Floated, name: str | None) -> None:
        """Have it lead to an instance; None: to none."""
        port = None if name is None else self.made[name].port["id"]
        change = (Collection.FLOATING_IPS, floated.id, {"port_id": port})
        self.nova.ask(lambda client: Networking(client).update(*change))
        wanted = FloatingStatus.DOWN if name is None else FloatingStatus.ACTIVE
        self.await_status(floated, wanted)

    def await_status(self, floated: Floated, wanted: FloatingStatus) -> None:
        told: list[FloatingIp] = []

        async def ask(client: Client) -> FloatingIp:
            kept = (await client.snapshot((Kind.FLOATING_IP,))).of(Kind.FLOATING_IP)
            return kept[floated.id]  # type: ignore[no-any-return]

        def is_so() -> bool:
            told[:] = [self.nova.ask(ask)]
            return told[0].status is wanted

        assert eventually(is_so, WAIT_S), (told[0].status, told[0].cause)

    def let_go(self, floated: Floated) -> None:
        gone = (Collection.FLOATING_IPS, floated.id)
        self.nova.ask(lambda client: Networking(client).delete(*gone))

    def tcp(self, client: str, server: str, address: str) -> int:
        ends, own = (self.place(client), self.place(server)), self.address(server)
        timeout_s = float(probe.ANSWERS_S)
        return probe.tcp(self.lab, *ends, address, own_address=own, timeout_s=timeout_s).octets

    def in_vrfs(self, *argv: str) -> dict[str, str]:
        """What a command says in each VRF of the border."""
        first = reached.first_process(self.lab, "border1")
        assert first is not None
        inside = partial(self.evpn.inside, "border1", *reached.in_mounts_of(first), "ip", "netns")
        names = [line.split()[0] for line in inside("list").splitlines()]
        return {name: inside("exec", name, *argv) for name in names}


@pytest.fixture(scope="module")
def scene(lab_root: Path) -> Iterator[Scene]:
    with evpn_lab(lab_root, "n") as evpn:
        scene = Scene(evpn)
        scene.populate()
        yield scene


@pytest.fixture
def floated(scene: Scene) -> Iterator[Floated]:
    """web1's."""
    floated = scene.float_to("web1")
    yield floated
    scene.let_go(floated)


RESET = """
import socket, struct, sys
source, target = sys.argv[1:]
def checksum(octets):
    value = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    value = (value & 0xFFFF) + (value >> 16)
    return ~(value + (value >> 16)) & 0xFFFF
segment = struct.pack("!HHIIBBHHH", 4000, 5000, 1, 1, 5 << 4, 4, 0, 0, 0)
ends = socket.inet_aton(source) + socket.inet_aton(target)
pseudo = ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(segment))
segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
    for _ in range(3):
        raw.sendto(segment, (target, 0))
"""
"""Resets a connection that there is not: connection tracking makes nothing of it (ADR 55)."""


def requests_of(lab_place: str, scene: Scene, interface: str, of: str) -> Any:
    """Echo requests as they are seen at a place."""
    return probe.capture(scene.lab, lab_place, interface, f"icmp[icmptype] = icmp-echo and {of}")


def test_what_leaves_has_the_routers_address(scene: Scene) -> None:
    """Captured outside: none of the inside's addresses in any frame, and no way to them."""
    outer, far = scene.gateway_address("shop"), scene.address("far")
    scene.await_answers("web3", far)
    with (
        requests_of("core1", scene, OUTSIDE_IF, f"src host {outer} and dst host {far}") as ours,
        probe.capture(scene.lab, "core1", OUTSIDE_IF, f"net {INSIDE}") as inner,
        requests_of(scene.place("far"), scene, "eth0", f"src host {outer}") as heard,
    ):
        argv = [sys.executable, "-c", RESET, scene.address("web3"), far]
        processes.run(namespace_of(scene.lab, scene.place("web3")), argv)
        assert scene.lost("web3", far) == 0
        seen = (ours.stop(), inner.stop(), heard.stop())
    assert seen == (PINGS, 0, PINGS)
    assert scene.tcp("web3", "far", far)
    assert scene.lost("far", scene.address("web3"), probe.REPLY_TIMEOUT_S) == PINGS


def test_two_vpcs_with_the_same_addresses_leave_as_two(scene: Scene) -> None:
    far = scene.address("far")
    assert scene.address("web1") == scene.address("twin1")
    for name, vpc in (("web1", "shop"), ("twin1", "twin")):
        scene.await_answers(name, far)
        outer = scene.gateway_address(vpc)
        with requests_of(scene.place("far"), scene, "eth0", f"src host {outer}") as heard:
            assert scene.lost(name, far) == 0
            assert heard.stop() == PINGS, vpc


def test_a_floating_ip_leads_in_and_shows_outside(scene: Scene, floated: Floated) -> None:
    """The instance sees who asks; what it says and asks itself has the floating IP."""
    far, outer = scene.address("far"), floated.address
    scene.await_answers("far", outer)
    replies = f"icmp[icmptype] = icmp-echoreply and src host {outer} and dst host {far}"
    with (
        requests_of(scene.place("web1"), scene, "eth0", f"src host {far}") as asked,
        probe.capture(scene.lab, "core1", OUTSIDE_IF, replies) as replied,
        probe.capture(scene.lab, "core1", OUTSIDE_IF, f"net {INSIDE}") as inner,
    ):
        assert scene.lost("far", outer) == 0
        seen = (asked.stop(), replied.stop(), inner.stop())
    assert seen == (PINGS, PINGS, 0)
    for name, source in (("web1", outer), ("web3", scene.gateway_address("shop"))):
        with requests_of(scene.place("far"), scene, "eth0", f"src host {source}") as heard:
            assert scene.lost(name, far) == 0
            assert heard.stop() == PINGS, name
    assert scene.tcp("far", "web1", outer)
    assert scene.tcp("web1", "far", far)
    for name in ("old", "web3", "twin1"):  # beside it, from within, and from the other VPC
        scene.await_answers(name, outer)


def test_two_vpcs_with_the_same_addresses_have_floating_ips(scene: Scene, floated: Floated) -> None:
    other, from_far = scene.float_to("twin1"), f"src host {scene.address('far')}"
    for one, meant, namesake in ((floated, "web1", "twin1"), (other, "twin1", "web1")):
        scene.await_answers("far", one.address)
        with (
            requests_of(scene.place(meant), scene, "eth0", from_far) as control,
            requests_of(scene.place(namesake), scene, "eth0", from_far) as leaked,
        ):
            assert scene.lost("far", one.address) == 0
            assert (control.stop(), leaked.stop()) == (PINGS, 0)
    scene.let_go(other)


def test_an_address_that_is_led_elsewhere_takes_its_conversations_along(scene: Scene) -> None:
    """Nobody answers for one that leads nowhere; one ping's packets go on to the next instance."""
    floated = scene.float_to("web1")
    scene.await_answers("far", floated.address)
    with probe.pinging(
        scene.lab, scene.place("far"), floated.address, count=10_000, interval_s=0.05
    ):
        for name in ("web3", "twin1"):  # of the same VPC, and of another
            scene.lead(floated, name)
            assert eventually(partial(is_asked, scene, name), WAIT_S), name
        assert not is_asked(scene, "web1")
        scene.lead(floated, None)
        assert eventually(lambda: not is_asked(scene, "twin1"), WAIT_S)
    scene.await_silence("far", floated.address)
    scene.lead(floated, "web1")
    scene.await_answers("far", floated.address)
    scene.let_go(floated)
    scene.await_silence("far", floated.address)


def is_asked(scene: Scene, name: str) -> bool:
    """Whether `far`'s pings reach an instance now."""
    of = f"src host {scene.address('far')}"
    with requests_of(scene.place(name), scene, "eth0", of) as heard:
        time.sleep(0.5)  # ten of them
        return bool(heard.stop())


def test_without_translation_the_inside_is_routed(scene: Scene, floated: Floated) -> None:
    """Both ways, by both versions of IP; floating IPs go on, and the host outside keeps no way."""
    scene.set_gateway("shop", snat=False)
    for version in (4, 6):
        web3, far = scene.address("web3", version), scene.address("far", version)
        for source, target in (("web3", far), ("far", web3), ("old", web3)):
            scene.await_answers(source, target)
    source = f"src host {scene.address('web3')}"

    def is_heard() -> bool:
        with requests_of(scene.place("far"), scene, "eth0", source) as heard:
            return scene.lost("web3", scene.address("far")) == 0 and heard.stop() == PINGS

    assert eventually(is_heard, WAIT_S)
    assert scene.tcp("far", "web3", scene.address("web3"))
    scene.await_answers("far", floated.address)
    told = processes.run(
        namespace_of(scene.lab, scene.place("old")),
        ["ip", "-json", "route", "get", scene.address("web3")],
    )
    assert json.loads(told)[0]["gateway"] == "10.101.0.1"  # no redirect, which would outlive it
    scene.set_gateway("shop", snat=True)
    scene.await_silence("far", scene.address("web3"))


def test_what_somebody_took_from_the_border_is_seen_and_mended(
    scene: Scene, floated: Floated
) -> None:
    """The table as a whole; another's table in the VRF stays as it is."""
    evpn, far = scene.evpn, "far"
    scene.await_answers(far, floated.address)
    (vrf,) = [name for name, text in tables(scene).items() if floated.address in text]
    in_vrf(scene, vrf, "add table ip others; add chain ip others seen")
    with evpn.watching(Kind.SWITCH) as watching:
        (ours,) = [
            words.split()[2] for words in tables(scene)[vrf].splitlines() if "netwright_" in words
        ]
        in_vrf(scene, vrf, f"delete table ip {ours}")
        began = time.monotonic()
        drifted = watching.await_value(SwitchState, is_drifted, SETTLED_S)
        seen_s = time.monotonic() - began
        watching.await_value(
            SwitchState, lambda one: is_mended(one) and one.since >= drifted.since, SETTLED_S
        )
        mended_s = time.monotonic() - began
    sys.stdout.write(f"seen {seen_s:.2f} s, mended {mended_s:.2f} s: {drifted.drift}\n")
    scene.await_answers(far, floated.address)
    found = tables(scene)[vrf]
    assert ours in found
    assert "table ip others" in found
    assert "chain seen" in found
    in_vrf(scene, vrf, "delete table ip others")


def is_drifted(one: SwitchState) -> bool:
    return one.name == "border1" and one.status is SwitchStatus.DRIFTED


def is_mended(one: SwitchState) -> bool:
    return one.name == "border1" and one.status is SwitchStatus.IN_SYNC and "Repaired" in one.cause


def tables(scene: Scene) -> dict[str, str]:
    return scene.in_vrfs("nft", "list", "ruleset")


def in_vrf(scene: Scene, vrf: str, words: str) -> None:
    first = reached.first_process(scene.lab, "border1")
    assert first is not None
    inside = (*reached.in_mounts_of(first), "ip", "netns", "exec", vrf, "nft", words)
    scene.evpn.inside("border1", *inside)


def test_a_controller_that_starts_anew_breaks_no_conversation(
    scene: Scene, floated: Floated
) -> None:
    """Killed and started again: it finds its tables, and writes none of them anew."""
    far, place = scene.address("far"), scene.place
    scene.await_answers("far", floated.address)
    scene.await_answers("web3", far)
    before = scene.in_vrfs("nft", "--handle", "list", "ruleset")
    pinging = partial(probe.pinging, scene.lab, count=300, interval_s=0.02, patience_s=5)
    with (
        pinging(place("far"), floated.address) as inwards,
        pinging(place("web3"), far) as outwards,
    ):
        with broken(scene.evpn, "process:mgmt/fabric"):
            pass
        scene.evpn.await_well()
        lost = [run.finish().lost for run in (inwards, outwards)]
    sys.stdout.write(f"lost of 300 in, 300 out: {lost}\n")
    assert scene.in_vrfs("nft", "--handle", "list", "ruleset") == before
    assert max(lost) < LOST_MAX
    scene.await_status(floated, FloatingStatus.ACTIVE)
