"""A pod that drifts, in a lab, by CNI: until its address answers. Those of a rack are `rack`'s.

A pod's container starts on another host, and a neighbour pings its address all the
while: from the ADD's start to the first reply of the new one, with the old host alive, and fenced.
The old container's link is down before, so that no reply is its.
"""

import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.cni_runtime import Runtime, address_of, build_front_end

from bench.result import Result, at_most
from bench.rig import running_lab
from netwright.client.networking import Collection, Networking
from netwright.lab import links
from netwright.lab.orchestrator import Orchestrator

FIRST_REPLY_S_MAX = 1.5
MOVES = 6
REPLY_S = 120.0
"""For the first reply of all the fabric has to be brought, and its switches to converge."""

ONE, OTHER, PINGER = "host1", "host3", "host2"
PAUSE_S = 1.0
"""Between two moves: what the one before left to do is done."""


def run() -> list[Result]:
    with running_lab("evpn", 4) as orchestrator:
        alive, fenced = _in_the_lab(orchestrator)
    return [
        at_most("first reply after ADD, old host alive, p50", _p50(alive), FIRST_REPLY_S_MAX, "s"),
        Result("  the longest", max(alive), "s"),
        at_most("first reply after ADD, old host fenced", fenced, FIRST_REPLY_S_MAX, "s"),
    ]


def _p50(values: list[float]) -> float:
    return statistics.median(values)


def _in_the_lab(orchestrator: Orchestrator) -> tuple[list[float], float]:
    """Seconds from an ADD's start to the first reply: moves from live hosts, one from a fenced."""
    network = str(orchestrator.network("red")["id"])
    change = {"labels": {"app": "pods"}}
    orchestrator.ask(lambda client: Networking(client).update(Collection.NETWORKS, network, change))
    with tempfile.TemporaryDirectory(prefix="nwb-") as directory:
        program = build_front_end(Path(directory))
        one, other, pinger = (
            Runtime(orchestrator.lab, host, program) for host in (ONE, OTHER, PINGER)
        )
        try:
            pinger.begin("pinger")
            pinger.add("pinger")
            address = _add(one, "c0")
            places = (one, other)
            alive = []
            for number in range(MOVES):
                old, new = places[number % 2], places[(number + 1) % 2]
                alive.append(_move(pinger, address, old, new, number))
            old, new = places[MOVES % 2], places[(MOVES + 1) % 2]

            def fence() -> None:
                orchestrator.ask(lambda client: client.fence(old.host, "measured"))

            fenced = _move(pinger, address, old, new, MOVES, before=fence)
            orchestrator.ask(lambda client: client.unfence(old.host))
            return alive, fenced
        finally:
            for each in (one, other, pinger):
                each.end()


def _add(runtime: Runtime, container: str) -> str:
    """The pod's container there; its address."""
    config = {"portName": "bench/{pod}", "keep": "1h"}
    runtime.begin(container)
    answer = runtime.run("ADD", container, config=config, CNI_ARGS="K8S_POD_NAME=pod")
    assert answer.code == 0, answer
    return address_of(answer.out)


def _move(
    pinger: Runtime,
    address: str,
    old: Runtime,
    new: Runtime,
    number: int,
    *,
    before: Callable[[], None] = lambda: None,
) -> float:
    """Seconds from an ADD's start to the first reply; `before` is done before the ADD."""
    with _pinged(pinger, address) as (first_reply, _):
        first_reply()  # the pod is where it was, and whoever pings knows it
    before()
    links.set_state(old.namespace(f"c{number}"), "eth0", up=False)
    with _pinged(pinger, address) as (first_reply, began):
        _add(new, f"c{number + 1}")
        took_s = first_reply() - began
    time.sleep(PAUSE_S)
    return took_s


@contextmanager
def _pinged(pinger: Runtime, address: str) -> Iterator[tuple[Callable[[], float], float]]:
    """Pings of 10 ms from the pinger's container; when the first reply came, and when all began.

    Replies are stamped by ping itself, whenever they are read. It is ended from here: with a
    deadline of its own it would end at the first `unreachable`.
    """
    inside = ["nsenter", f"--net={pinger.netns('pinger')}"]
    argv = [*inside, "ping", "-n", "-D", "-i0.01", address]
    began = time.time()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(REPLY_S, process.kill)
        watchdog.start()

        def first_reply() -> float:
            assert process.stdout is not None
            for line in process.stdout:
                if "bytes from" in line:
                    return float(line[1 : line.index("]")])
            raise AssertionError(f"no reply within {REPLY_S:.0f} s")

        try:
            yield first_reply, began
        finally:
            watchdog.cancel()
            process.kill()
