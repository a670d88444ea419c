"""Request and response over TCP, straight on br-int and with a Linux bridge per instance between.

The peer is classic OpenStack's wiring (`ovs_hybrid_plug`) in the same lab, on the same host: the
instance's tap in a Linux bridge of its own, which a veth pair joins to br-int. The agent wires both
alike. Round trips on both paths take turns; within a VLAN on one host, and between VLANs through
the core router, where the two bridges are a small part of the way.

The lab and the load share one processor, so that a round trip takes as long as all the work on its
way does, as on a host that is busy. With a second processor idle, bridges work there while the
switch in user space is at other things: the same work takes next to no time.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import mean
from typing import NamedTuple

from bench import load
from bench.result import Result, at_most
from bench.rig import running_lab
from netwright.lab import instances, netns, probe
from netwright.lab.nodes import ovs
from netwright.lab.orchestrator import Spawned, Wanted, eventually
from netwright.lab.places import Instance, namespace_of
from netwright.lab.state import Lab

HOST = "host1"
PLACES = (("a", "blue"), ("b", "blue"), ("c", "green"))
PAIRS = 8  # where a port stands in its switch's rounds is luck: ± 30 µs between VLANs
SECONDS = 3
FASTER = 1.0
WAIT_S = 20.0


def run() -> list[Result]:
    with one_processor(), running_lab() as orchestrator:
        wanted = [(f"{n}{name}", net) for n in range(PAIRS) for name, net in PLACES]
        straight = orchestrator.spawn(Wanted(f"s{name}", HOST, net) for name, net in wanted)
        bridged = orchestrator.spawn(Wanted(f"l{name}", HOST, net) for name, net in wanted)
        orchestrator.await_status([*straight, *bridged])
        for one in bridged:
            _bridge(orchestrator.lab, one.instance)
        results = []
        for what, target in (("same host", 1), ("between VLANs", 2)):
            measured = []
            for n in range(0, len(wanted), len(PLACES)):
                pairs = ((straight[n], straight[n + target]), (bridged[n], bridged[n + target]))
                _await_answers(orchestrator.lab, pairs[1])
                measured.append(_by_turns(orchestrator.lab, *pairs))
            results += _compared(what, measured)
    return results


def _await_answers(lab: Lab, pair: tuple[Spawned, Spawned]) -> None:
    """Until the first reaches the second: they were wired again, behind their bridges."""
    source, target = str(pair[0].port["id"]), pair[1].address()
    if not eventually(lambda: probe.ping(lab, source, target, count=1).lost == 0, WAIT_S):
        raise AssertionError(f"{pair[0].name} does not reach {pair[1].name}")


@contextmanager
def one_processor() -> Iterator[None]:
    """All that is started herein runs on one of this process's processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _Measured(NamedTuple):
    """Medians of a pair, in microseconds; `more` is what the second of two turns took longer."""

    turns: int
    ours: float
    classic: float
    more: float


def _compared(what: str, measured: Sequence[_Measured]) -> list[Result]:
    ours = mean(each.ours for each in measured)
    classic = mean(each.classic for each in measured)
    return [
        Result(f"{what}, straight on br-int, p50", ours, "µs"),
        Result(f"{what}, Linux bridge between, p50", classic, "µs"),
        Result("  … faster than with a bridge", mean(each.more for each in measured), "µs"),
        at_most("  … straight / with a bridge", ours / classic, FASTER),
    ]


def _by_turns(lab: Lab, *pairs: tuple[Spawned, Spawned]) -> _Measured:
    places = [
        place
        for source, target in pairs
        for place in (_namespace(lab, source), _namespace(lab, target), target.address())
    ]
    said = subprocess.run(
        [load.built("round_trips"), str(SECONDS), *places],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS + 30,
    ).stdout
    turns, *medians = said.split()
    return _Measured(int(turns), *map(float, medians))


def _namespace(lab: Lab, one: Spawned) -> str:
    return str(netns.FOLDER / namespace_of(lab, str(one.port["id"])))


def _bridge(lab: Lab, instance: Instance) -> None:
    """Put a Linux bridge of its own between an instance and br-int, joined to it by a veth."""
    short = instance.tap.removeprefix("tap")
    bridge, inner, outer = f"qbr{short}", f"qvb{short}", f"qvo{short}"
    commands = [
        f"link add {bridge} type bridge stp_state 0 forward_delay 0",
        f"link add {inner} type veth peer name {outer}",
        f"link set {inner} master {bridge}",
        f"link set {instance.tap} master {bridge}",
        *(f"link set {each} up" for each in (inner, outer, instance.tap, bridge)),
    ]
    batch = ["nsenter", f"--net={netns.FOLDER / lab.namespace(HOST)}", "ip", "-batch", "-"]
    instances.unplug(lab, HOST, [instance])
    subprocess.run(batch, input="\n".join(commands), text=True, check=True, timeout=30)
    arguments = instances.plug_arguments(lab.name, instance)[1:]
    ovs.vsctl(lab, HOST, [outer if each == instance.tap else each for each in arguments])
