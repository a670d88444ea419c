"""What one that moved away still says where it was, and what its leaves drop of that.

For fabrics with one pair of leaves. What leaves drop is read from the switches by a driver of the
test's own.
"""

import asyncio
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from tests.lab.evpn import Evpn

from netwright.fabric.config import Fenced, Interface
from netwright.fabric.drivers.frr.driver import FrrDriver
from netwright.fabric.drivers.linux.node import ProcessNode
from netwright.lab import probe
from netwright.lab.nodes import frr
from netwright.lab.orchestrator import Spawned
from netwright.model.states import BindingState

LEAVES = ("leaf1", "leaf2")
PINGS = 5


def port_of(leaf: str, host: str) -> str:
    return f"{host}-eth{LEAVES.index(leaf)}"


def dropped(evpn: Evpn, leaf: str, host: str) -> tuple[Fenced, ...]:
    """What a leaf drops at the port to a host."""
    loopback = frr.fabric_switch(evpn.lab, leaf).speaker.loopback

    async def read() -> Mapping[str, Interface]:
        driver = FrrDriver(leaf, ProcessNode(evpn.lab.node_directory(leaf)), loopback)
        try:
            return (await driver.read()).config.interfaces
        finally:
            await driver.close()

    port = asyncio.run(read()).get(port_of(leaf, host))
    return port.fenced if port is not None else ()


def words_of(mac: str, nobody: str) -> Sequence[str]:
    """What only one that `speak`s says, by pcap filter: its successor but answers."""
    from_it = f"ether src {mac}"
    return (
        f"{from_it} and icmp[icmptype] == icmp-echo",
        f"{from_it} and icmp6 and ip6[40] == 128",
        f"{from_it} and arp dst host {nobody}",
    )


def speak(namespace: str, watcher: Spawned, nobody: str) -> None:
    """From the namespace at that path: pings of both versions, a question for who is not there."""
    for target in (watcher.address(), watcher.address(6), nobody):
        ping = ["ping", "-n", "-q", f"-c{PINGS}", "-i0.1", "-W1", target]
        argv = ["nsenter", f"--net={namespace}", *ping]
        subprocess.run(argv, check=False, capture_output=True, timeout=20)


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


def reaches(evpn: Evpn, one: Spawned, address: str) -> bool:
    return probe.ping(evpn.lab, one.instance.id, address, count=PINGS).lost == 0


def bindings(evpn: Evpn, port_id: str) -> dict[str, BindingState]:
    port = evpn.told().ports[port_id]
    return {binding.host: binding.state for binding in port.bindings}
