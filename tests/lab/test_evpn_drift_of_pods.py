"""A pod's port leaves its host: alive, frozen, partitioned while it forwards, dead; all return.

The smallest fabric that can show it: a spine, a pair of leaves, five hosts on both. Pods are played
by namespaces; their ports are containers', and bound anew as an orchestrator does when its node is
lost. What leaves drop is read from the switches by a driver of the test's own.
"""

import asyncio
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, product
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace
from tests.lab.evpn import Evpn, evpn_lab

from netwright.client.networking import Collection, Networking
from netwright.fabric.config import Fenced, Interface
from netwright.fabric.drivers.frr.driver import FrrDriver
from netwright.fabric.drivers.linux.node import ProcessNode
from netwright.lab import faults, migration, probe, spec
from netwright.lab.nodes import frr
from netwright.lab.orchestrator import Spawned, eventually
from netwright.lab.places import ID_LENGTH
from netwright.model.resources import HostState
from netwright.model.states import BindingState, Event
from netwright.model.wire import CONTAINER_OWNER

pytestmark = pytest.mark.lab

LEAVES = ("leaf1", "leaf2")
NOBODY = "10.160.0.250"
SILENT_S = 60.0
SOON_S = 45.0
PINGS = 5

FROZEN, CUT, DEAD, WATCHER, NEW = (f"host{number}" for number in range(1, 6))
FAULTS: Mapping[str, Sequence[tuple[str, bool]]] = {
    FROZEN: ((f"process:{FROZEN}/agent", True),),
    CUT: ((f"link:mgmt-{CUT}", True),),
    DEAD: (
        (f"process:{DEAD}/agent", False),
        (f"nic:{DEAD}/eth0", False),
        (f"nic:{DEAD}/eth1", False),
    ),
}
"""What befalls each host, and whether silently: as SIGSTOP, or frames that just vanish."""


@pytest.fixture(scope="module")
def evpn(lab_root: Path) -> Iterator[Evpn]:
    whole = spec.preset("evpn", hosts=5)
    assert whole.fabric is not None
    small = replace(
        whole,
        fabric=replace(whole.fabric, spines=1, leaf_pairs=1, borders={}),
        **{part: {} for part in ("networks", "routers", "switches", "provider_hosts", "baremetal")},
    )
    with evpn_lab(lab_root, "d", small) as evpn:
        evpn.create_network("red", "10.160.0.0/24", "fd00:160::/64")
        yield evpn


@pytest.fixture(scope="module")
def watcher(evpn: Evpn) -> Spawned:
    (watcher,) = evpn.spawn("red", watcher=WATCHER)
    return watcher


def dropped(evpn: Evpn, leaf: str, host: str) -> tuple[Fenced, ...]:
    """What a leaf drops at the port to a host, read back from the switch."""
    loopback = frr.fabric_switch(evpn.lab, leaf).speaker.loopback

    async def read() -> Mapping[str, Interface]:
        driver = FrrDriver(leaf, ProcessNode(evpn.lab.node_directory(leaf)), loopback)
        try:
            return (await driver.read()).config.interfaces
        finally:
            await driver.close()

    port = asyncio.run(read()).get(port_of(leaf, host))
    return port.fenced if port is not None else ()


def port_of(leaf: str, host: str) -> str:
    return f"{host}-eth{LEAVES.index(leaf)}"


def speak(namespace: str, watcher: Spawned) -> None:
    """Pings of both versions to somebody who is there, and a question for somebody who is not."""
    for target in (watcher.address(), watcher.address(6), NOBODY):
        ping = ["ping", "-n", "-q", f"-c{PINGS}", "-i0.1", "-W1", target]
        argv = ["nsenter", f"--net=/run/netns/{namespace}", *ping]
        subprocess.run(argv, check=False, capture_output=True, timeout=20)


def words_of(pod: Spawned) -> Sequence[str]:
    """What only the one that pings says, by pcap filter: its successor but answers."""
    from_it = f"ether src {pod.instance.mac}"
    return (
        f"{from_it} and icmp[icmptype] == icmp-echo",
        f"{from_it} and icmp6 and ip6[40] == 128",
        f"{from_it} and arp dst host {NOBODY}",
    )


@contextmanager
def heard(evpn: Evpn, place: str, interface: str, filters: Iterable[str]) -> Iterator[list[int]]:
    """How many frames of each filter an interface saw while the block lasted."""
    counts: list[int] = []
    with ExitStack() as stack:
        captures = [
            stack.enter_context(probe.capture(evpn.lab, place, interface, one)) for one in filters
        ]
        yield counts
        counts += [one.stop() for one in captures]


class Pod(NamedTuple):
    """One that has moved, or is about to, while its old process may run on."""

    spawned: Spawned
    host: str
    old: str
    """The namespace where it ran first."""

    def says(self, evpn: Evpn, watcher: Spawned) -> list[int]:
        """What the watcher hears of the old one, which speaks."""
        with heard(evpn, watcher.instance.id, "eth0", words_of(self.spawned)) as words:
            speak(self.old, watcher)
        return words

    def await_silence(self, evpn: Evpn, watcher: Spawned) -> None:
        """A data path may forward by what it has cached until it looks at its rules again."""
        began = time.monotonic()
        assert eventually(lambda: self.says(evpn, watcher) == [0, 0, 0], SOON_S)
        took_s = time.monotonic() - began
        print(f"silent on {self.host} within {took_s:.2f} s")  # noqa: T201 - for who looks


def pods(evpn: Evpn, **hosts: str) -> list[Pod]:
    """Instances whose ports are containers'."""
    made = evpn.spawn("red", **hosts)

    async def own(api: Networking) -> None:
        for one in made:
            change = {"device_owner": CONTAINER_OWNER}
            await api.update(Collection.PORTS, one.instance.id, change)

    evpn.nova.ask(lambda client: own(Networking(client)))
    return [
        Pod(one, one.host, evpn.lab.namespace(f"vm-{one.instance.id[:ID_LENGTH]}")) for one in made
    ]


def drift(evpn: Evpn, moved: Sequence[Pod], host: str = NEW) -> None:
    """The pods start on a new node, and their ports with them."""
    spawned = [pod.spawned for pod in moved]
    for one in spawned:
        migration.receive(evpn.lab, host, one.instance.id)
    began = time.monotonic()
    evpn.nova.bind({one.instance.id: host for one in spawned})
    evpn.nova.await_status(spawned)
    took_s = time.monotonic() - began
    for one in spawned:
        migration.resume(evpn.lab, one.instance.id, host)
    left = ", ".join(pod.host for pod in moved)
    print(f"from {left} to {host}: ACTIVE after {took_s:.2f} s")  # noqa: T201 - for who looks


def test_a_pod_leaves_a_host_that_is_alive(evpn: Evpn, watcher: Spawned) -> None:
    """Its agent withdraws it, and no leaf has to drop anything."""
    (pod,) = pods(evpn, alive=FROZEN)
    assert eventually(lambda: reaches(evpn, watcher, pod), SOON_S)
    assert all(pod.says(evpn, watcher)), "the capture hears the old one while it may speak"
    drift(evpn, [pod])
    pod.await_silence(evpn, watcher)
    assert_answered_once(evpn, watcher, pod)
    assert bindings(evpn, pod) == {NEW: BindingState.UP}
    assert evpn.host(FROZEN).port_fences == ()
    migration.finish(evpn.lab, pod.spawned.instance.id, NEW)


def test_pods_leave_hosts_that_are_silent_and_those_return(evpn: Evpn, watcher: Spawned) -> None:
    moved = pods(evpn, frozen=FROZEN, cut=CUT, dead=DEAD)
    speaking = [pod for pod in moved if pod.host != DEAD]
    leaf_of = {pod.host: evpn.leaf_in_use(pod.host) for pod in speaking}
    for what, silent in chain.from_iterable(FAULTS.values()):
        faults.fail(evpn.lab, what, silent=silent)
    assert eventually(lambda: states(evpn) == {HostState.UNKNOWN}, SILENT_S)
    for pod in speaking:
        assert all(pod.says(evpn, watcher)), "silent is not dead: all of it is heard"

    drift(evpn, moved)
    for pod in moved:
        assert_dropped(evpn, pod)
        assert bindings(evpn, pod) == {NEW: BindingState.UP}
        history = evpn.nova.history(pod.spawned.instance.id)
        proofs = [one for one in history if one.event == Event.HOST_FENCED]
        assert [(one.host, one.actor) for one in proofs] == [(pod.host, "fabric")]
    for pod in speaking:
        leaf = leaf_of[pod.host]
        with heard(evpn, leaf, port_of(leaf, pod.host), words_of(pod.spawned)) as arrived:
            assert_answered_once(evpn, watcher, pod)
        assert all(arrived), f"the old one on {pod.host} speaks, as its leaf's port shows"

    for what, _ in reversed(list(chain.from_iterable(FAULTS.values()))):
        faults.heal(evpn.lab, what)
    assert eventually(lambda: states(evpn) == {HostState.UP}, SILENT_S)
    assert eventually(lambda: not any(evpn.host(host).port_fences for host in FAULTS), SOON_S)
    for host, leaf in product(FAULTS, LEAVES):
        assert dropped(evpn, leaf, host) == (), (host, leaf)
    for pod in speaking:
        pod.await_silence(evpn, watcher)
        assert_answered_once(evpn, watcher, pod)
    evpn.await_well()

    # One goes back to where it came from, and works there.
    back = next(pod for pod in moved if pod.host == CUT)
    migration.finish(evpn.lab, back.spawned.instance.id, NEW)
    drift(evpn, [back], CUT)
    migration.finish(evpn.lab, back.spawned.instance.id, CUT)
    assert eventually(lambda: reaches(evpn, watcher, back), SOON_S)


def assert_answered_once(evpn: Evpn, watcher: Spawned, pod: Pod) -> None:
    """While the old one speaks, nobody hears it, and each ping is answered, by one."""
    one = pod.spawned
    assert eventually(lambda: reaches(evpn, watcher, pod), SOON_S)
    answers = f"ether src {one.instance.mac} and icmp[icmptype] == icmp-echoreply"
    with (
        heard(evpn, watcher.instance.id, "eth0", (*words_of(one), answers)) as said,
        probe.pinging(
            evpn.lab,
            watcher.instance.id,
            one.address(),
            count=200,
            patience_s=probe.ANSWERS_S,
        ) as run,
    ):
        speak(pod.old, watcher)
        pings = run.finish()
    *old, answered = said
    assert old == [0, 0, 0], pod.host
    assert 0 < answered <= pings.sent, "none is answered twice"
    assert answered >= pings.received, "the capture sees the answers"
    print(f"from {pod.host}: {pings.lost} of {pings.sent} pings lost")  # noqa: T201 - for who looks


def assert_dropped(evpn: Evpn, pod: Pod) -> None:
    one = pod.spawned
    drop = Fenced(
        port_id=one.instance.id,
        mac_address=one.instance.mac,
        addresses=tuple(sorted((one.address(), one.address(6)))),
    )
    for leaf in LEAVES:
        assert dropped(evpn, leaf, pod.host) == (drop,), (pod.host, leaf)


def states(evpn: Evpn) -> set[HostState]:
    """Of the hosts that something befalls."""
    return {evpn.host(host).state for host in FAULTS}


def reaches(evpn: Evpn, watcher: Spawned, pod: Pod) -> bool:
    target = pod.spawned.address()
    return probe.ping(evpn.lab, watcher.instance.id, target, count=PINGS).lost == 0


def bindings(evpn: Evpn, pod: Pod) -> dict[str, BindingState]:
    port = evpn.told().ports[pod.spawned.instance.id]
    return {binding.host: binding.state for binding in port.bindings}
