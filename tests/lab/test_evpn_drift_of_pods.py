"""A pod's port leaves its host: alive, frozen, partitioned while it forwards, dead; all return.

The smallest fabric that can show it: a spine, a pair of leaves, five hosts on both. A pod is a
container whose port bears a name; it is started on another node by CNI while the old one runs on,
as when a node is lost.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.lab.cni_runtime import Runtime, build_front_end
from tests.lab.evpn import Evpn, evpn_lab, small
from tests.lab.fenced import (
    LEAVES,
    PINGS,
    bindings,
    dropped,
    heard,
    port_of,
    reaches,
    speak,
    words_of,
)

from netwright.fabric.config import Fenced
from netwright.lab import faults, probe
from netwright.lab.orchestrator import Spawned, eventually
from netwright.model.resources import HostState
from netwright.model.states import BindingState, Event

pytestmark = pytest.mark.lab

NOBODY = "10.160.0.250"
SILENT_S = 60.0
SOON_S = 45.0

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
    with evpn_lab(lab_root, "d", small(hosts=5)) as evpn:
        labels = {"app": "pods"}
        evpn.create_network("red", "10.160.0.0/24", "fd00:160::/64", labels=labels)
        yield evpn


@pytest.fixture(scope="module")
def watcher(evpn: Evpn) -> Spawned:
    (watcher,) = evpn.spawn("red", watcher=WATCHER)
    return watcher


class Pod(NamedTuple):
    """One that has moved, or is about to, while its old container may run on.

    `words` are what only who pings says, by pcap filter: its successor but answers.
    """

    name: str
    home: Runtime
    port_id: str
    mac: str
    addresses: tuple[str, ...]

    @property
    def words(self) -> Sequence[str]:
        return words_of(self.mac, NOBODY)

    @property
    def answers(self) -> str:
        return f"ether src {self.mac} and icmp[icmptype] == icmp-echoreply"

    def speak(self, watcher: Spawned) -> None:
        """The old one: pings of both versions to who is there, a question for who is not."""
        speak(self.home.netns(self.name), watcher, NOBODY)

    def says(self, evpn: Evpn, watcher: Spawned) -> list[int]:
        """What the watcher hears of the old one, which speaks."""
        with heard(evpn, watcher.instance.id, "eth0", self.words) as words:
            self.speak(watcher)
        return words

    def await_silence(self, evpn: Evpn, watcher: Spawned) -> None:
        """A data path may forward by what it has cached until it looks at its rules again."""
        began = time.monotonic()
        assert eventually(lambda: self.says(evpn, watcher) == [0, 0, 0], SOON_S)
        took_s = time.monotonic() - began
        print(f"silent on {self.home.host} within {took_s:.2f} s")  # noqa: T201 - for who looks


@pytest.fixture(scope="module")
def runtimes(
    evpn: Evpn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Runtime]]:
    program = build_front_end(tmp_path_factory.mktemp("cni"))
    hosts = (FROZEN, CUT, DEAD, NEW)
    runtimes = {host: Runtime(evpn.lab, host, program) for host in hosts}
    yield runtimes
    for one in runtimes.values():
        one.end()


def add(runtime: Runtime, name: str, container: str) -> Any:
    """The pod's container starts there; its port comes with it."""
    runtime.begin(container)
    config = {"portName": "drift/{pod}", "keep": "1h"}
    answer = runtime.run("ADD", container, config=config, CNI_ARGS=f"K8S_POD_NAME={name}")
    assert answer.code == 0, answer
    print(f"{name} on {runtime.host}: ADD took {answer.took_s:.2f} s")  # noqa: T201 - for who looks
    return answer.out


def started(evpn: Evpn, home: Runtime, name: str) -> Pod:
    result = add(home, name, name)
    (port_id,) = (
        str(port["id"]) for port in evpn.nova.ports() if port["unique_name"] == f"drift/{name}"
    )
    (mac,) = {one["mac"] for one in result["interfaces"] if one.get("sandbox")}
    addresses = tuple(str(one["address"]).partition("/")[0] for one in result["ips"])
    return Pod(name, home, port_id, str(mac), addresses)


def test_a_pod_leaves_a_host_that_is_alive(
    evpn: Evpn, watcher: Spawned, runtimes: Mapping[str, Runtime]
) -> None:
    """Its agent withdraws it, and no leaf has to drop anything."""
    pod = started(evpn, runtimes[FROZEN], "alive")
    assert eventually(lambda: reaches(evpn, watcher, pod.addresses[0]), SOON_S)
    assert all(pod.says(evpn, watcher)), "the capture hears the old one while it may speak"
    add(runtimes[NEW], pod.name, pod.name)
    pod.await_silence(evpn, watcher)
    assert_answered_once(evpn, watcher, pod)
    assert bindings(evpn, pod.port_id) == {NEW: BindingState.UP}
    assert evpn.host(FROZEN).port_fences == ()


def test_pods_leave_hosts_that_are_silent_and_those_return(
    evpn: Evpn, watcher: Spawned, runtimes: Mapping[str, Runtime]
) -> None:
    moved = [started(evpn, runtimes[host], f"of-{host}") for host in FAULTS]
    speaking = [pod for pod in moved if pod.home.host != DEAD]
    for pod in moved:
        assert eventually(lambda: reaches(evpn, watcher, pod.addresses[0]), SOON_S)  # noqa: B023 - called here
    leaf_of = {pod.home.host: evpn.leaf_in_use(pod.home.host) for pod in speaking}
    for what, silent in chain.from_iterable(FAULTS.values()):
        faults.fail(evpn.lab, what, silent=silent)
    assert eventually(lambda: states(evpn) == {HostState.UNKNOWN}, SILENT_S)
    for pod in speaking:
        assert all(pod.says(evpn, watcher)), "silent is not dead: all of it is heard"

    for pod in moved:
        add(runtimes[NEW], pod.name, pod.name)
        assert_dropped(evpn, pod)
        assert bindings(evpn, pod.port_id).keys() == {NEW}
        history = evpn.nova.history(pod.port_id)
        proofs = [one for one in history if one.event == Event.HOST_FENCED]
        assert [(one.host, one.actor) for one in proofs] == [(pod.home.host, "fabric")]
    for pod in speaking:
        leaf = leaf_of[pod.home.host]
        with heard(evpn, leaf, port_of(leaf, pod.home.host), pod.words) as arrived:
            assert_answered_once(evpn, watcher, pod)
        assert all(arrived), f"the old one on {pod.home.host} speaks, as its leaf's port shows"

    for what, _ in reversed(list(chain.from_iterable(FAULTS.values()))):
        faults.heal(evpn.lab, what)
    assert eventually(lambda: states(evpn) == {HostState.UP}, SILENT_S)
    assert eventually(lambda: not any(evpn.host(host).port_fences for host in FAULTS), SOON_S)
    for host, leaf in product(FAULTS, LEAVES):
        assert dropped(evpn, leaf, host) == (), (host, leaf)
    for pod in speaking:
        pod.await_silence(evpn, watcher)
        assert_answered_once(evpn, watcher, pod)

    # One goes back to where it came from, and works there.
    back = next(pod for pod in moved if pod.home.host == CUT)
    add(runtimes[CUT], back.name, "back")
    assert eventually(lambda: reaches(evpn, watcher, back.addresses[0]), SOON_S)
    assert eventually(lambda: bindings(evpn, back.port_id) == {CUT: BindingState.UP}, SOON_S)


def assert_answered_once(evpn: Evpn, watcher: Spawned, pod: Pod) -> None:
    """While the old one speaks, nobody hears it, and each ping is answered, by one."""
    assert eventually(lambda: reaches(evpn, watcher, pod.addresses[0]), SOON_S)
    with (
        heard(evpn, watcher.instance.id, "eth0", (*pod.words, pod.answers)) as said,
        probe.pinging(
            evpn.lab,
            watcher.instance.id,
            pod.addresses[0],
            count=200,
            patience_s=probe.ANSWERS_S,
        ) as run,
    ):
        pod.speak(watcher)
        pings = run.finish()
    *old, answered = said
    host = pod.home.host
    assert old == [0, 0, 0], host
    assert answered >= pings.received > 0, "the capture sees the answers"
    assert answered <= pings.sent + PINGS, (
        "none is answered twice; some of those before may be late"
    )
    print(f"from {host}: {pings.lost} of {pings.sent} pings lost")  # noqa: T201 - for who looks


def assert_dropped(evpn: Evpn, pod: Pod) -> None:
    addresses = tuple(sorted(pod.addresses))
    drop = Fenced(port_id=pod.port_id, mac_address=pod.mac, addresses=addresses)
    for leaf in LEAVES:
        assert dropped(evpn, leaf, pod.home.host) == (drop,), (pod.home.host, leaf)


def states(evpn: Evpn) -> set[HostState]:
    """Of the hosts that something befalls."""
    return {evpn.host(host).state for host in FAULTS}
