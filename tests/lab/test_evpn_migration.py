"""Instances go between hosts of a fabric; VLANs and VNIs go, rest, and come again."""

import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.lab.evpn import Evpn, broken, evpn_lab

from netwright.lab import links, networks, probe, start
from netwright.lab.nodes import frr
from netwright.lab.orchestrator import Spawned, Wanted, eventually
from netwright.lab.places import find_instance
from netwright.model.errors import NetworkInUse
from netwright.model.resources import HostState
from netwright.model.topology import Topology, VlanInterval

pytestmark = pytest.mark.lab

MOVES = (("host1", "host3"), ("host3", "host1"), ("host1", "host4"), ("host4", "host2"),
         ("host2", "host3"))  # fmt: skip
THERE_AND_BACK = (*MOVES, ("host3", "host1"), ("host1", "host4"), ("host4", "host2"))
"""Each pair of leaves is left twice, also by who has a peer behind it."""
LEAVES = ("leaf1", "leaf2", "leaf3", "leaf4")
LOST_MAX = 10
"""Of pings that are sent each 10 ms indeed."""
DUPLICATE_MOVES_MAX = 8
SOON_S = 20.0


@pytest.fixture(scope="module")
def evpn(lab_root: Path) -> Iterator[Evpn]:
    with evpn_lab(lab_root, "m") as evpn:
        evpn.create_network("red", "10.150.0.0/24")
        yield evpn


@pytest.fixture(scope="module")
def guests(evpn: Evpn) -> tuple[list[Spawned], Spawned]:
    """Somebody behind either pair of leaves who speaks to the one that moves, and that one."""
    *near, mover = evpn.spawn("red", near="host2", far="host4", mover="host1")
    return near, mover


def test_a_guest_moves_between_pairs_of_leaves(
    evpn: Evpn, guests: tuple[list[Spawned], Spawned]
) -> None:
    near, mover = guests
    assert_few_are_lost(evpn, near, mover)


def test_a_guest_moves_between_leaves_that_are_its_gateway(evpn: Evpn) -> None:
    """To peers in its own network, and to those whom a leaf routes from another one of its VPC."""
    for name, gateway in (("shop", "10.154.0.1/24"), ("store", "10.155.0.1/24")):
        evpn.nova.create_fabric_network(name, [gateway])
    evpn.nova.create_vpc("vpc", ["shop", "store"])
    *near, mover = evpn.spawn("shop", near="host2", far="host4", mover="host1")
    routed = evpn.spawn("store", near_routed="host2", far_routed="host4")
    evpn.await_well()
    assert_few_are_lost(evpn, [*near, *routed], mover)
    evpn.nova.end([one.instance.id for one in (*near, *routed, mover)])
    evpn.await_well()


def test_a_guest_moves_within_a_vpc_that_has_a_transit_vni(evpn: Evpn) -> None:
    """It has a way out, so leaves route by host routes to each other, of IPv4 and of IPv6.

    As leaves tell of the guest and no more, FRR's next hops of either family come and go, and with
    one family's it takes the router MAC away that the other's need.
    """
    for name, gateways in (
        ("desk", ("10.156.0.1/24", "fd00:156::1/64")),
        ("shelf", ("10.157.0.1/24", "fd00:157::1/64")),
    ):
        evpn.nova.create_fabric_network(name, gateways)
    evpn.nova.ask(lambda client: networks.create_described(client, evpn.lab.spec, "blue"))
    evpn.nova.create_vpc("out", ["desk", "shelf"], ["blue"])
    *near, mover = evpn.spawn("desk", near="host2", far="host4", mover="host1")
    routed = evpn.spawn("shelf", near_routed="host2", far_routed="host4")
    evpn.await_well()
    assert_few_are_lost(evpn, [*near, *routed], mover, THERE_AND_BACK)
    evpn.nova.end([one.instance.id for one in (*near, *routed, mover)])
    evpn.await_well()


def assert_few_are_lost(
    evpn: Evpn, peers: list[Spawned], mover: Spawned, moves: Sequence[tuple[str, str]] = MOVES
) -> None:
    """By each move, for each peer."""
    lost: dict[str, list[int]] = {one.name: [] for one in peers}
    silence_ms: dict[str, list[int]] = {one.name: [] for one in peers}
    for source, to in moves:
        assert find_instance(evpn.lab, mover.instance.id).node == source
        with ExitStack() as pinging:
            runs = {
                one.name: pinging.enter_context(
                    probe.pinging_steadily(evpn.lab, one.instance.id, mover.address())
                )
                for one in peers
            }
            evpn.nova.live_migrate(mover.instance.id, to)
            limit = lost_max()
            for name, run in runs.items():
                result = run.finish()
                lost[name].append(result.lost)
                silence_ms[name].append(round(1000 * result.silence_s))
        evpn.nova.await_status([mover])
        for one in peers:
            assert probe.ping(evpn.lab, mover.instance.id, one.address()).lost == 0
        assert max(each[-1] for each in lost.values()) < limit, (lost, silence_ms)
    said = f"pings lost: {lost}; longest silence, ms: {silence_ms}; load {os.getloadavg()[0]:.1f}"
    sys.stdout.write(f"{len(moves)} moves, {said}\n")


def lost_max() -> float:
    """Ten, and as many times more where the machine's others have its cores.

    What a move takes is one process after another that waits for its turn. A lab on its own makes
    no more than a load of two on two cores.
    """
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    return LOST_MAX * max(1.0, waiting / 2)


def test_a_mac_that_frr_takes_for_a_duplicate_is_forwarded_all_the_same(
    evpn: Evpn, guests: tuple[list[Spawned], Spawned]
) -> None:
    """Five moves in 180 s are FRR's default; it warns then, and freezes nothing.

    Which host has a MAC, the server knows: that it moves often is no error of the network's. A move
    does not count where the old leaf has withdrawn the MAC before the new one tells of it, so a
    quick machine may reach the last move without FRR's warning: it forwards then as well.
    """
    near, mover = guests
    for to in itertools.islice(itertools.cycle(("host1", "host3")), DUPLICATE_MOVES_MAX):
        if is_duplicate(evpn, mover):
            break
        evpn.nova.live_migrate(mover.instance.id, to)
        assert eventually(lambda: is_known_everywhere(evpn, mover), SOON_S)
    sys.stdout.write(f"taken for a duplicate: {is_duplicate(evpn, mover)}\n")
    evpn.nova.live_migrate(mover.instance.id, "host4")
    assert eventually(lambda: is_known_everywhere(evpn, mover), SOON_S)
    assert probe.ping(evpn.lab, near[0].instance.id, mover.address(), count=5).lost == 0
    evpn.nova.end([one.instance.id for one in (*near, mover)])
    evpn.await_well()


def is_known_everywhere(evpn: Evpn, one: Spawned) -> bool:
    """Whether each leaf that has `red` knows behind which leaf the MAC is now."""
    leaf = evpn.leaf_in_use(find_instance(evpn.lab, one.instance.id).node)
    there = frr.fabric_switch(evpn.lab, leaf).speaker.loopback
    vni = evpn.vni("red")
    others = [each for each in LEAVES if each != leaf and evpn.has_vni(each, vni)]
    return all(evpn.vtep_of(each, "red", one) == there for each in others)


def is_duplicate(evpn: Evpn, one: Spawned) -> bool:
    """Whether a leaf takes its MAC for one that two machines have."""
    show = f"show evpn mac vni {evpn.vni('red')} duplicate"
    return any(one.instance.mac in evpn.vty(leaf, "zebra", show) for leaf in LEAVES)


ONLY = 1999
"""The one VLAN that is left for new networks in these tests."""


@pytest.fixture
def one_vlan(evpn: Evpn) -> Iterator[None]:
    before = evpn.nova.ask(lambda client: client.topology())
    interval = VlanInterval(first=ONLY, last=ONLY)
    evpn.set_topology(lambda is_: replace(is_, fabric=replace(is_.fabric, vlans=(interval,))))
    yield
    evpn.set_topology(lambda _: before)
    evpn.await_well()


def carries(evpn: Evpn, leaf: str) -> bool:
    names = links.interfaces_in(evpn.lab.namespace(leaf))
    return any(name.startswith("nw") and name.endswith(f".{ONLY}") for name in names)


def spawn_waiting(evpn: Evpn, network: str, host: str) -> Spawned:
    """An instance whose network finds no VLAN, and says so."""
    (one,) = evpn.nova.spawn([Wanted(network, host, network)])
    assert f"pool {ONLY}" in evpn.nova.refusal(one)
    return one


def empty(evpn: Evpn, one: Spawned, network: str) -> None:
    """The instance ends, and its network goes as soon as its port is withdrawn."""
    evpn.nova.end([one.instance.id])

    def is_gone() -> bool:
        with suppress(NetworkInUse):
            evpn.delete_network(network)
            return True
        return False

    assert eventually(is_gone, SOON_S)


@pytest.mark.usefixtures("one_vlan")
def test_a_vlan_is_given_again_once_no_leaf_has_it_or_the_leaf_is_decommissioned(
    evpn: Evpn,
) -> None:
    for name, cidr in (("n1", "10.161.0.0/24"), ("n2", "10.162.0.0/24"), ("n3", "10.163.0.0/24")):
        evpn.create_network(name, cidr)
    (one,) = evpn.spawn("n1", one="host1")
    assert evpn.vlan("n1", "host1") == ONLY
    assert carries(evpn, "leaf2")

    # leaf2 forwards on, and nobody can ask it whether it has let go.
    with broken(evpn, "link:mgmt-leaf2"):
        assert eventually(lambda: evpn.switch("leaf2")["status"] == "unreachable", SOON_S)
        empty(evpn, one, "n1")
        assert eventually(lambda: not carries(evpn, "leaf1"), SOON_S)
        two = spawn_waiting(evpn, "n2", "host1")
        assert carries(evpn, "leaf2")
    evpn.nova.await_status([two])
    assert evpn.vlan("n2", "host1") == ONLY

    with broken(evpn, "link:mgmt-leaf2"):
        assert eventually(lambda: evpn.switch("leaf2")["status"] == "unreachable", SOON_S)
        empty(evpn, two, "n2")
        three = spawn_waiting(evpn, "n3", "host1")
        evpn.set_topology(lambda is_: without(is_, "leaf2"))
        evpn.nova.await_status([three])
        assert evpn.vlan("n3", "host1") == ONLY
    empty(evpn, three, "n3")


def without(topology: Topology, leaf: str) -> Topology:
    return replace(
        topology,
        switches=tuple(one for one in topology.switches if one.name != leaf),
        links=tuple(one for one in topology.links if leaf not in (one.lower.node, one.upper.node)),
    )


@pytest.mark.usefixtures("one_vlan")
def test_a_host_that_is_silent_is_watched_by_its_leaves_and_once_deleted_holds_no_vlan(
    evpn: Evpn,
) -> None:
    for name, cidr in (("n4", "10.164.0.0/24"), ("n5", "10.165.0.0/24")):
        evpn.create_network(name, cidr)
    (one,) = evpn.spawn("n4", one="host2")
    with broken(evpn, "process:host2/agent"):
        evpn.nova.end([one.instance.id])  # its agent does not hear of it
        two = spawn_waiting(evpn, "n5", "host1")
        assert eventually(lambda: evpn.host("host2").state is HostState.UNKNOWN, 40.0)
        # Silent is not dead (law 5): its leaves are the other witness.
        assert eventually(lambda: "see 2 of 2 links up" in shown(evpn, "host2"), SOON_S)
        with broken(evpn, "link:leaf1-host2", "link:leaf2-host2"):
            assert eventually(lambda: "see no link of it" in shown(evpn, "host2"), SOON_S)
            assert evpn.host("host2").state is HostState.UNKNOWN
        assert evpn.status(two) == "ERROR"
        evpn.nova.ask(lambda client: client.fence("host2", "its rack burnt down"))
        evpn.nova.ask(lambda client: client.delete_host("host2"))
        evpn.nova.await_status([two])
        assert evpn.vlan("n5", "host1") == ONLY
        # Another machine takes its place.
        credential = evpn.nova.host_credential("host2")
        (evpn.lab.node_directory("host2") / "agent.token").write_text(credential)
    start.await_hosts(evpn.nova, ["host2"])
    evpn.delete_network("n4")
    empty(evpn, two, "n5")


def shown(evpn: Evpn, host: str) -> str:
    done = evpn.cli("host", "show", host)
    return done.stdout + done.stderr
