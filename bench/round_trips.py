"""Request and response over TCP, straight on br-int and with a Linux bridge per instance between.

The peer is classic OpenStack's wiring (`ovs_hybrid_plug`) in the same lab, on the same host: the
instance's vNIC in a Linux bridge of its own, which a veth pair joins to br-int. The agent wires
both alike. Round trips on both paths take turns; within a VLAN on one host, and between VLANs
through the core router, where the two bridges are a small part of the way. Then they change roles:
where a port stands in its switch's rounds is luck (± 30 µs), and it keeps its place.

The lab and the load share one processor, so that a round trip takes as long as all the work on its
way does, as on a host that is busy. With a second processor idle, bridges work there while the
switch in user space is at other things: the same work takes next to no time.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from statistics import mean
from typing import NamedTuple, TypeAlias

from bench import load
from bench.result import Result, at_most
from bench.rig import running_lab
from netwright.lab import instances, netns, probe
from netwright.lab.orchestrator import Spawned, Wanted, eventually
from netwright.lab.places import Instance, Placed, namespace_of
from netwright.lab.processes import run as run_in
from netwright.lab.state import Lab

HOST = "host1"
PLACES = (("a", "blue"), ("b", "blue"), ("c", "green"))
SETS = 3
SECONDS = 4
FASTER = 1.0
WAIT_S = 20.0


class _Measured(NamedTuple):
    """Medians of a pair, in microseconds; `more` is what the second of two turns took longer."""

    turns: int
    ours: float
    classic: float
    more: float


Set: TypeAlias = Sequence[Spawned]


def run() -> list[Result]:
    with one_processor(), running_lab() as orchestrator:
        wanted = [Wanted(f"{n}{name}", HOST, net) for n in range(2 * SETS) for name, net in PLACES]
        made = orchestrator.spawn(wanted)
        orchestrator.await_status(made)
        each = len(PLACES)
        sets = [made[start : start + each] for start in range(0, len(made), each)]
        found = [*_measured(orchestrator.lab, sets[::2], sets[1::2])]
        found += _measured(orchestrator.lab, sets[1::2], sets[::2])
    return [line for what, turns in _by_kind(found).items() for line in _compared(what, turns)]


def _measured(
    lab: Lab, straight: Sequence[Set], bridged: Sequence[Set]
) -> Iterator[tuple[str, _Measured]]:
    """Sets of instances against others that have a bridge each meanwhile."""
    behind = [one for each in bridged for one in each]
    for one in behind:
        _bridge(lab, one.instance)
    for ours, classic in zip(straight, bridged, strict=True):
        for what, target in (("same host", 1), ("between VLANs", 2)):
            _await_answers(lab, classic[0], classic[target])
            pairs = ((ours[0], ours[target]), (classic[0], classic[target]))
            yield what, _by_turns(lab, *pairs)
    for one in behind:
        _unbridge(lab, one.instance)


def _by_kind(found: Iterable[tuple[str, _Measured]]) -> dict[str, list[_Measured]]:
    kinds: dict[str, list[_Measured]] = {}
    for what, measured in found:
        kinds.setdefault(what, []).append(measured)
    return kinds


def _await_answers(lab: Lab, one: Spawned, other: Spawned) -> None:
    """Until they reach each other: they were wired again."""
    source, target = str(one.port["id"]), other.address()
    if not eventually(lambda: probe.ping(lab, source, target, count=1).lost == 0, WAIT_S):
        raise AssertionError(f"{one.name} does not reach {other.name}")


@contextmanager
def one_processor() -> Iterator[None]:
    """All that is started herein runs on one of this process's processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


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
    """Put a Linux bridge between an instance and its port of br-int, which stays as it is."""
    here, there = lab.namespace(HOST), namespace_of(lab, instance.id)
    bridge, inner, outer = _names(instance)
    _ip(there, f"link set eth0 down\nlink set eth0 name {inner}\nlink set {inner} netns {here}")
    other_mac = f"fe:{instance.mac[3:]}"  # a bridge keeps its ports' own addresses to itself
    commands = [
        f"link add {bridge} type bridge stp_state 0 forward_delay 0",
        f"link add {outer} type veth peer name eth0 netns {there}",
        f"link set {inner} address {other_mac}",
        *(f"link set {each} master {bridge}" for each in (inner, outer)),
        *(f"link set {each} up" for each in (inner, outer, bridge)),
    ]
    _ip(here, "\n".join(commands))
    instances.configure(lab, Placed(instance, HOST, there))


def _unbridge(lab: Lab, instance: Instance) -> None:
    """As it was."""
    here, there = lab.namespace(HOST), namespace_of(lab, instance.id)
    bridge, inner, outer = _names(instance)
    _ip(here, f"link del {outer}\nlink del {bridge}\nlink set {inner} netns {there}")
    _ip(there, f"link set {inner} down\nlink set {inner} name eth0")
    instances.configure(lab, Placed(instance, HOST, there))


def _names(instance: Instance) -> tuple[str, str, str]:
    """Of the bridge, of its port towards br-int, and of that towards the instance."""
    short = instance.tap.removeprefix("tap")
    return f"qbr{short}", f"qvb{short}", f"qvt{short}"


def _ip(namespace: str, commands: str) -> None:
    run_in(namespace, ["ip", "-batch", "-"], stdin=commands)
