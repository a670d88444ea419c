"""A host that nobody can reach is fenced, and its address moves on: its leaves drop what it says.

The smallest fabric that can show it: a spine, a pair of leaves, three hosts on both.
"""

import asyncio
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.lab.evpn import Evpn, evpn_lab, small

from netwright.fabric.config import Fenced, Interface
from netwright.fabric.drivers.frr.driver import FrrDriver
from netwright.fabric.drivers.linux.node import ProcessNode
from netwright.lab import faults, migration, probe
from netwright.lab.nodes import frr
from netwright.lab.orchestrator import Spawned, eventually
from netwright.model.resources import HostState
from netwright.model.states import BindingState

pytestmark = pytest.mark.lab

LEAVES = ("leaf1", "leaf2")
CONTROL = "link:mgmt-host1"
NOBODY = "10.150.0.77"
SILENT_S = 40.0
SOON_S = 20.0
PINGS = 5


@pytest.fixture(scope="module")
def evpn(lab_root: Path) -> Iterator[Evpn]:
    with evpn_lab(lab_root, "f", small(hosts=3)) as evpn:
        evpn.create_network("red", "10.150.0.0/24", "fd00:150::/64")
        yield evpn


def speak(namespace: str, watcher: Spawned) -> None:
    """Pings of both versions to somebody who is there, and a question for somebody who is not."""
    for target in (watcher.address(), watcher.address(6), NOBODY):
        ping = ["ping", "-n", "-q", f"-c{PINGS}", "-i0.1", "-W1", target]
        argv = ["nsenter", f"--net=/run/netns/{namespace}", *ping]
        subprocess.run(argv, check=False, capture_output=True, timeout=20)


def words_of(moved: Spawned) -> Sequence[str]:
    """What only the one that pings says, by pcap filter: its successor but answers."""
    from_it = f"ether src {moved.instance.mac}"
    return (
        f"{from_it} and icmp[icmptype] == icmp-echo",
        f"{from_it} and icmp6 and ip6[40] == 128",
        f"{from_it} and arp dst host {NOBODY}",
    )


@contextmanager
def heard(evpn: Evpn, place: str, interface: str, moved: Spawned) -> Iterator[list[int]]:
    """How many frames of each of `words_of` an interface saw while the block lasted."""
    counts: list[int] = []
    with ExitStack() as stack:
        captures = [
            stack.enter_context(probe.capture(evpn.lab, place, interface, one))
            for one in words_of(moved)
        ]
        yield counts
        counts += [one.stop() for one in captures]


def dropped(evpn: Evpn, leaf: str) -> tuple[Fenced, ...]:
    """What a leaf drops at the port to host1, read back from the switch by a driver of our own."""
    loopback = frr.fabric_switch(evpn.lab, leaf).speaker.loopback

    async def read() -> Mapping[str, Interface]:
        driver = FrrDriver(leaf, ProcessNode(evpn.lab.node_directory(leaf)), loopback)
        try:
            return (await driver.read()).config.interfaces
        finally:
            await driver.close()

    port = asyncio.run(read()).get(port_of(leaf))
    return port.fenced if port is not None else ()


def port_of(leaf: str) -> str:
    return f"host1-eth{LEAVES.index(leaf)}"


def test_leaves_drop_what_a_fenced_host_still_says_until_it_is_clean(evpn: Evpn) -> None:
    moved, watcher = evpn.spawn("red", moved="host1", watcher="host3")
    old = evpn.lab.namespace(f"vm-{moved.instance.id[:11]}")
    leaf = evpn.leaf_in_use("host1")

    # Its control is cut, and its data plane lives: silent is not dead, and all of it is heard.
    faults.fail(evpn.lab, CONTROL, silent=True)
    assert eventually(lambda: evpn.host("host1").state is HostState.UNKNOWN, SILENT_S)
    with heard(evpn, watcher.instance.id, "eth0", moved) as before:
        speak(old, watcher)
    assert all(before), f"the watcher hears it while it is not fenced: {before}"
    assert not any(dropped(evpn, one) for one in LEAVES)

    fenced = evpn.cli("host", "fence", "host1", "--reason", "nobody reaches it")
    assert fenced.returncode == 0, fenced.stderr
    drop = Fenced(
        port_id=moved.instance.id,
        mac_address=moved.instance.mac,
        addresses=tuple(sorted((moved.address(), moved.address(6)))),
    )
    migration.receive(evpn.lab, "host2", moved.instance.id)
    evpn.nova.bind({moved.instance.id: "host2"})
    evpn.nova.await_status([moved])
    migration.resume(evpn.lab, moved.instance.id, "host2")
    for one in LEAVES:
        assert dropped(evpn, one) == (drop,), one

    # The old host speaks on: its leaf's port hears that, and nobody behind it does.
    with (
        heard(evpn, leaf, port_of(leaf), moved) as arrived,
        heard(evpn, watcher.instance.id, "eth0", moved) as after,
        probe.pinging(evpn.lab, watcher.instance.id, moved.address(), count=100) as run,
    ):
        speak(old, watcher)
        lost = run.finish().lost
    assert all(arrived), f"the old host speaks: {arrived}"
    assert after == [0, 0, 0]
    assert lost == 0, "the address is where it moved to, all the while"

    # It comes back, and gives up what is no longer its own; what it is told last is that it may.
    faults.heal(evpn.lab, CONTROL)
    migration.finish(evpn.lab, moved.instance.id, "host2")
    assert eventually(lambda: bindings(evpn, moved) == {"host2": BindingState.UP}, SOON_S)
    for one in LEAVES:
        assert dropped(evpn, one) == (drop,), "clean is what an operator says"
    unfenced = evpn.cli("host", "unfence", "host1")
    assert unfenced.returncode == 0, unfenced.stderr
    evpn.await_well()
    for one in LEAVES:
        assert dropped(evpn, one) == (), one
    evpn.nova.live_migrate(moved.instance.id, "host1")
    evpn.nova.await_status([moved])
    assert eventually(lambda: reaches(evpn, watcher, moved), SOON_S)  # a move costs a few pings


def bindings(evpn: Evpn, one: Spawned) -> dict[str, BindingState]:
    port = evpn.told().ports[one.instance.id]
    return {binding.host: binding.state for binding in port.bindings}


def reaches(evpn: Evpn, one: Spawned, other: Spawned) -> bool:
    return probe.ping(evpn.lab, one.instance.id, other.address(), count=PINGS).lost == 0
