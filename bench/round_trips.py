"""Request and response over TCP, straight on br-int and with a Linux bridge per instance between.

The peer is classic OpenStack's wiring (`ovs_hybrid_plug`) in the same lab, on the same host: the
instance's tap in a Linux bridge of its own, which a veth pair joins to br-int. The agent wires both
alike. Rounds alternate; within a VLAN on one host, and between VLANs through the core router.
"""

import statistics
import subprocess
from collections.abc import Sequence

from bench import load
from bench.result import Result, at_most
from bench.rig import running_lab
from netwright.lab import instances, netns, probe
from netwright.lab.nodes import ovs
from netwright.lab.orchestrator import Spawned, Wanted, eventually
from netwright.lab.places import Instance, namespace_of
from netwright.lab.state import Lab

HOST = "host1"
ROUNDS = 40  # many and short: what others do on the machine bends both of a round alike
SECONDS = 0.25
FASTER = 1.0
WAIT_S = 20.0


def run() -> list[Result]:
    with running_lab() as orchestrator:
        wanted = [("a", "blue"), ("b", "blue"), ("c", "green")]
        straight = orchestrator.spawn(Wanted(f"s{name}", HOST, net) for name, net in wanted)
        bridged = orchestrator.spawn(Wanted(f"l{name}", HOST, net) for name, net in wanted)
        orchestrator.await_status([*straight, *bridged])
        for one in bridged:
            _bridge(orchestrator.lab, one.instance)
        _await_answers(orchestrator.lab, bridged)
        results = []
        for what, target in (("same host", 1), ("between VLANs", 2)):
            ours: list[float] = []
            classic: list[float] = []
            for _ in range(ROUNDS):
                ours.append(_median_us(orchestrator.lab, straight[0], straight[target]))
                classic.append(_median_us(orchestrator.lab, bridged[0], bridged[target]))
            results += _compared(what, ours, classic)
    return results


def _await_answers(lab: Lab, made: Sequence[Spawned]) -> None:
    """Until the first reaches the others: it was wired again, behind its bridge."""
    source = str(made[0].port["id"])
    for each in made[1:]:
        address = each.address()
        if not eventually(lambda a=address: probe.ping(lab, source, a, count=1).lost == 0, WAIT_S):  # type: ignore[misc]
            raise AssertionError(f"{made[0].name} does not reach {each.name}")


def _compared(what: str, ours: Sequence[float], classic: Sequence[float]) -> list[Result]:
    ratio = statistics.median(a / b for a, b in zip(ours, classic, strict=True))
    return [
        Result(f"{what}, straight on br-int, p50", statistics.median(ours), "µs"),
        Result(f"{what}, Linux bridge between, p50", statistics.median(classic), "µs"),
        at_most("  … straight / with a bridge", ratio, FASTER),
    ]


def _median_us(lab: Lab, source: Spawned, target: Spawned) -> float:
    places = [
        str(netns.FOLDER / namespace_of(lab, str(each.port["id"]))) for each in (source, target)
    ]
    said = subprocess.run(
        [load.built("round_trips"), *places, target.address(), str(SECONDS)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
    ).stdout
    return float(said.split()[1])


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
