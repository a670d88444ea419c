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
from pathlib import Path

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


def pods(evpn: Evpn, **hosts: str) -> list[Spawned]:
    """Instances whose ports are containers'."""
    made = evpn.spawn("red", **hosts)

    async def own(api: Networking) -> None:
        for one in made:
            change = {"device_owner": CONTAINER_OWNER}
            await api.update(Collection.PORTS, one.instance.id, change)

    evpn.nova.ask(lambda client: own(Networking(client)))
    return made


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


def drop_of(pod: Spawned) -> Fenced:
    return Fenced(
        port_id=pod.instance.id,
        mac_address=pod.instance.mac,
        addresses=tuple(sorted((pod.address(), pod.address(6)))),
    )


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


def drift(evpn: Evpn, moved: Sequence[Spawned], host: str = NEW) -> None:
    """The pods start on a new node, and their ports with them."""
    for pod in moved:
        migration.receive(evpn.lab, host, pod.instance.id)
    began = time.monotonic()
    evpn.nova.bind({pod.instance.id: host for pod in moved})
    evpn.nova.await_status(moved)
    took_s = time.monotonic() - began
    for pod in moved:
        migration.resume(evpn.lab, pod.instance.id, host)
    left = ", ".join(pod.host for pod in moved)
    print(f"from {left} to {host}: ACTIVE after {took_s:.2f} s")  # noqa: T201 - for who looks


def has_fallen_silent(evpn: Evpn, watcher: Spawned, pod: Spawned, namespace: str) -> bool:
    with heard(evpn, watcher.instance.id, "eth0", words_of(pod)) as words:
        speak(namespace, watcher)
    return words == [0, 0, 0]


def reaches(evpn: Evpn, watcher: Spawned, pod: Spawned) -> bool:
    return probe.ping(evpn.lab, watcher.instance.id, pod.address(), count=PINGS).lost == 0


def bindings(evpn: Evpn, pod: Spawned) -> dict[str, BindingState]:
    port = evpn.told().ports[pod.instance.id]
    return {binding.host: binding.state for binding in port.bindings}


def test_a_pod_leaves_a_host_that_is_alive(evpn: Evpn, watcher: Spawned) -> None:
    """Its agent withdraws it, and no leaf has to drop anything."""
    (pod,) = pods(evpn, alive=FROZEN)
    old = evpn.lab.namespace(f"vm-{pod.instance.id[:11]}")
    assert eventually(lambda: reaches(evpn, watcher, pod), SOON_S)
    with heard(evpn, watcher.instance.id, "eth0", words_of(pod)) as before:
        speak(old, watcher)
    assert all(before), f"the capture hears the old one while it may speak: {before}"
    drift(evpn, [pod])
    assert eventually(lambda: has_fallen_silent(evpn, watcher, pod, old), SOON_S)
    answers = f"ether src {pod.instance.mac} and icmp[icmptype] == icmp-echoreply"
    with heard(evpn, watcher.instance.id, "eth0", (*words_of(pod), answers)) as after:
        speak(old, watcher)
        assert eventually(lambda: reaches(evpn, watcher, pod), SOON_S)
    assert after[:-1] == [0, 0, 0]
    assert after[-1], "the capture hears the new one answer"
    assert bindings(evpn, pod) == {NEW: BindingState.UP}
    assert evpn.host(FROZEN).port_fences == ()
    migration.finish(evpn.lab, pod.instance.id, NEW)


def test_pods_leave_hosts_that_are_silent_and_those_return(evpn: Evpn, watcher: Spawned) -> None:
    moved = pods(evpn, frozen=FROZEN, cut=CUT, dead=DEAD)
    by_host = dict(zip(FAULTS, moved, strict=True))
    old = {one.instance.id: evpn.lab.namespace(f"vm-{one.instance.id[:11]}") for one in moved}
    speaking = [by_host[host] for host in (FROZEN, CUT)]
    leaf_of = {host: evpn.leaf_in_use(host) for host in (FROZEN, CUT)}

    for host_faults in FAULTS.values():
        for what, silent in host_faults:
            faults.fail(evpn.lab, what, silent=silent)
    for host in FAULTS:
        assert eventually(lambda: evpn.host(host).state is HostState.UNKNOWN, SILENT_S), host  # noqa: B023
    for pod in speaking:
        with heard(evpn, watcher.instance.id, "eth0", words_of(pod)) as before:
            speak(old[pod.instance.id], watcher)
        assert all(before), f"silent is not dead, all of it is heard: {before}"

    drift(evpn, moved)
    for host, pod in by_host.items():
        for leaf in LEAVES:
            assert dropped(evpn, leaf, host) == (drop_of(pod),), (host, leaf)
        assert bindings(evpn, pod) == {NEW: BindingState.UP}
        proven = [
            one for one in evpn.nova.history(pod.instance.id) if one.event == Event.HOST_FENCED
        ]
        assert [(one.host, one.actor) for one in proven] == [(host, "fabric")], host

    # The old ones speak on: their leaves hear that, and nobody behind those does.
    for host in (FROZEN, CUT):
        pod, leaf = by_host[host], leaf_of[host]
        answers = f"ether src {pod.instance.mac} and icmp[icmptype] == icmp-echoreply"
        assert eventually(lambda: reaches(evpn, watcher, pod), SOON_S)  # noqa: B023
        with (
            heard(evpn, leaf, port_of(leaf, host), words_of(pod)) as arrived,
            heard(evpn, watcher.instance.id, "eth0", (*words_of(pod), answers)) as after,
            probe.pinging(evpn.lab, watcher.instance.id, pod.address(), count=200) as run,
        ):
            speak(old[pod.instance.id], watcher)
            pings = run.finish()
        assert all(arrived), f"the old one on {host} speaks: {arrived}"
        assert after[:-1] == [0, 0, 0], host
        assert pings.lost == 0, "the address is where it moved to, all the while"
        assert after[-1] <= pings.sent + 1, "each ping is answered once"
        assert after[-1] >= pings.received

    # They return; each gives up what is no longer its own, and then its leaves let it through.
    for host_faults in FAULTS.values():
        for what, _ in reversed(host_faults):
            faults.heal(evpn.lab, what)
    for host in FAULTS:
        assert eventually(lambda: evpn.host(host).state is HostState.UP, SILENT_S), host  # noqa: B023
        assert eventually(lambda: not evpn.host(host).port_fences, SOON_S), (  # noqa: B023
            evpn.host(host).port_fences
        )
        for leaf in LEAVES:
            assert dropped(evpn, leaf, host) == (), (host, leaf)
    for pod in speaking:
        with heard(evpn, watcher.instance.id, "eth0", words_of(pod)) as after:
            speak(old[pod.instance.id], watcher)
            assert eventually(lambda: reaches(evpn, watcher, pod), SOON_S)  # noqa: B023
        assert after == [0, 0, 0], "its host does not let it through any more"

    # One goes back to where it came from, and works there.
    back = by_host[CUT]
    migration.finish(evpn.lab, back.instance.id, NEW)
    drift(evpn, [back], CUT)
    migration.finish(evpn.lab, back.instance.id, CUT)
    assert eventually(lambda: reaches(evpn, watcher, back), SOON_S)
    evpn.await_well()
