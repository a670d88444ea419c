"""The fabric's plan: whole, by one attachment, in memory, and by size.

A fabric of 100 leaves in pairs, 2,000 hosts, 2,000 networks (three in four in VPCs of ten, routed
asymmetrically) and 100,000 ports, which are 24,000 attachments. A network's ports are in eight
pairs of leaves; `everywhere` spreads them over all, so that every leaf has nearly every VPC, with
all of its networks. The floor makes the same values again of what the plan holds, and decides
nothing. Times are the process's own (CPU), so that neighbours on the machine do not count; the
garbage collector looks as seldom as in the controller.
"""

import gc
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace
from tests.doubles import fabrics
from tests.doubles.steps import steps

from bench.result import Result, at_most, percentile
from netwright.collector import spare_the_collector
from netwright.fabric.config import SwitchConfig
from netwright.fabric.intent import Intent, changed
from netwright.fabric.plan import Plan, Planner, plan
from netwright.model.resources import Attachment, Network
from netwright.model.routing import Router
from netwright.model.wire import Kind

_SEED = 4
_CHANGES = 300
_TRIES = 7
_PAIRS_OF_A_NETWORK = 8
_NETWORKS_OF_A_VPC = 10

STEPS_MAX = 1.03
GROWTH_MAX = 1.5
"""An attachment is read in twice the time where there are eight times as many, out of caches."""


class Size(NamedTuple):
    """Everything that grows with a fabric."""

    leaves: int
    hosts: int
    networks: int
    attachments: int

    def times(self, factor: float) -> "Size":
        return Size(*(int(each * factor) for each in self))


FULL = Size(leaves=100, hosts=2000, networks=2000, attachments=24_000)


def run() -> list[Result]:
    thresholds = gc.get_threshold()
    spare_the_collector()
    try:
        return _run()
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _run() -> list[Result]:
    results = _whole(synthetic(FULL), "")
    results += _whole(synthetic(FULL, everywhere=True), ", VPCs everywhere")
    results += _one_attachment(synthetic(FULL), "")
    results += _one_attachment(synthetic(FULL, everywhere=True), ", VPCs everywhere")
    results += _by_size()
    return [*results, _memory()]


def _whole(intent: Intent, suffix: str) -> list[Result]:
    planned = plan(intent)
    seconds, floor = _seconds(partial(plan, intent)), _seconds(partial(_copied, planned))
    segments = sum(len(config.segments) for config in planned.switches.values())
    assert not planned.refusals
    return [
        Result(f"segments in the plan{suffix}", segments),
        at_most(f"whole plan{suffix}", seconds, 5, "s"),
        Result(f"the same values made again{suffix}", floor, "s"),
        at_most(f"whole plan to that floor{suffix}", seconds / floor, 40, "times"),
    ]


def _one_attachment(intent: Intent, suffix: str) -> list[Result]:
    """A network comes to a host, or leaves it: the next intent, and the plan of it."""
    planner = Planner(intent)
    chosen = random.Random(_SEED)
    names = sorted(intent.attachments)
    times: list[float] = []
    floors: list[float] = []
    gone: list[tuple[str, Attachment]] = []
    for _ in range(_CHANGES):
        name, value = _next_change(intent, names, gone, chosen)
        began = time.process_time()
        intent = changed(intent, {(Kind.ATTACHMENT, name): value})
        switches = planner.update(intent, [name])
        times.append((time.process_time() - began) * 1000)
        configs = [planner.plan.switches[each] for each in switches]
        began = time.process_time()
        for config in configs:
            replace(config, segments={**config.segments}, interfaces={**config.interfaces})
        floors.append((time.process_time() - began) * 1000)
        assert len(switches) == 2
    assert planner.plan == plan(intent)
    floor = percentile(floors, 50)
    return [
        at_most(f"one attachment, p50{suffix}", percentile(times, 50), 5, "ms"),
        Result(
            f"one attachment, p99{suffix}", percentile(times, 99), "ms", None if suffix else 5.0
        ),
        Result(f"copying the two leaves' mappings{suffix}", floor, "ms"),
        Result(f"one network's MTU, p50{suffix}", percentile(_networks(planner, intent), 50), "ms"),
    ]


def _networks(planner: Planner, intent: Intent) -> list[float]:
    """A change of a network, on all leaves that have it; all other networks are looked at, too."""
    times = []
    for network in list(intent.networks.values())[:20]:
        began = time.process_time()
        intent = changed(intent, {(Kind.NETWORK, network.id): replace(network, mtu=1400)})
        planner.update(intent)
        times.append((time.process_time() - began) * 1000)
    return times


def _next_change(
    intent: Intent,
    names: list[str],
    gone: list[tuple[str, Attachment]],
    chosen: random.Random,
) -> tuple[str, Attachment | None]:
    """In turn: one goes, one that went comes back."""
    if len(gone) > 10:
        return gone.pop(0)
    name = chosen.choice([each for each in chosen.sample(names, 50) if each in intent.attachments])
    gone.append((name, intent.attachments[name]))
    return name, None


def _by_size() -> list[Result]:
    """What each attachment costs, from a quarter of the fabric to twice it.

    In steps of Python's own machine it is to be the same; in time it is so but for caches: what is
    larger is further from the processor, whatever is done with it, as reading it once shows.
    """
    results: list[Result] = []
    taken, counted = [], []
    for factor, word in ((0.25, "a quarter"), (0.5, "half"), (1, "the whole"), (2, "double")):
        size = FULL.times(factor)
        intent = synthetic(size)
        taken.append(min(_seconds(partial(plan, intent)) for _ in range(_TRIES)) / size.attachments)
        counted.append(steps(partial(plan, intent)) / size.attachments)
        reading = min(_seconds(partial(_read, intent)) for _ in range(_TRIES)) / size.attachments
        results += [
            Result(f"for each attachment, {word}", taken[-1] * 1e6, "µs"),
            Result(f"  … steps, {word}", counted[-1]),
            Result(f"  … reading it once, {word}", reading * 1e6, "µs"),
        ]
    return [
        *results,
        at_most("dearest to cheapest of these, in steps", max(counted) / min(counted), STEPS_MAX),
        at_most("dearest to cheapest of these, in time", max(taken) / min(taken), GROWTH_MAX),
    ]


def _read(intent: Intent) -> dict[str, dict[int | None, str]]:
    """What is on each host: every attachment and its network read once, nothing decided."""
    found: dict[str, dict[int | None, str]] = {}
    for attachment in intent.attachments.values():
        network = intent.networks[attachment.network_id]
        found.setdefault(attachment.host, {})[attachment.vlan] = network.id
    return found


def _memory() -> Result:
    """Peak memory of a process that has the intent, its planner, and a second whole plan."""
    command = [sys.executable, "-m", "bench.fabric_plan", "memory"]
    spoken = subprocess.run(command, check=True, capture_output=True, text=True)
    return at_most("peak memory, VPCs everywhere", float(spoken.stdout), 1000, "MB")


def synthetic(size: Size, *, everywhere: bool = False) -> Intent:
    """A fabric of that size; the same one every time."""
    chosen = random.Random(_SEED)
    topology = fabrics.topology(size.leaves, size.hosts)
    networks = [fabrics.network(number) for number in range(1, size.networks + 1)]
    pairs = size.leaves // 2
    per_network = size.attachments // size.networks
    vlans: dict[tuple[int, str], int] = {}
    used = [0] * pairs
    attachments = []
    bases = [chosen.randrange(pairs) for _ in range(0, size.networks, _NETWORKS_OF_A_VPC)]
    spread = pairs if everywhere else _PAIRS_OF_A_NETWORK
    for number, network in enumerate(networks):
        base = bases[number // _NETWORKS_OF_A_VPC]
        hosts: set[int] = set()
        while len(hosts) < per_network:
            pair = (base + chosen.randrange(spread)) % pairs
            hosts.add(pair + pairs * chosen.randrange(size.hosts // pairs))
        for host in sorted(hosts):
            pair = host % pairs
            if (pair, network.id) not in vlans:
                used[pair] += 1
                vlans[pair, network.id] = 1 + used[pair]
            vlan = vlans[pair, network.id]
            attachments.append(fabrics.attachment(network, f"host{host + 1}", vlan))
    routed = networks[: len(networks) * 3 // 4]
    return fabrics.intent(
        topology,
        networks=networks,
        routers=[
            _router(at // _NETWORKS_OF_A_VPC, routed[at : at + _NETWORKS_OF_A_VPC])
            for at in range(0, len(routed), _NETWORKS_OF_A_VPC)
        ],
        attachments=attachments,
    )


def _router(number: int, networks: list[Network]) -> Router:
    return fabrics.router(
        number + 1,
        *(
            fabrics.interface(fabrics.subnet(network, f"10.{at}.0.0/24", None), f"10.{at}.0.1")
            for at, network in enumerate(networks)
        ),
    )


def _copied(planned: Plan) -> Plan:
    return Plan(
        switches={
            name: SwitchConfig(
                vrfs={key: replace(each) for key, each in config.vrfs.items()},
                segments={key: replace(each) for key, each in config.segments.items()},
                interfaces={
                    key: replace(each, tagged={**each.tagged})
                    for key, each in config.interfaces.items()
                },
                gateways=dict(config.gateways),
                routes=frozenset(config.routes),
            )
            for name, config in planned.switches.items()
        }
    )


def _seconds(call: Callable[[], object]) -> float:
    gc.collect()
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    intent = synthetic(FULL, everywhere=True)
    planner = Planner(intent)
    second = plan(intent)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
