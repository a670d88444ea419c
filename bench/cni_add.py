"""What a container's ADD takes, warm, and the front end of it against a program that does nothing.

The front end is run against an agent that answers at once, in turns with a static program that
returns at once: what is above that is its own. ADDs are run in a lab on one host as a runtime does,
one by one after a pause, ended one by one, in turns with their floor (`cni_floor`), while which the
agent is halted. An ADD counts from its process's start to its end.

The host is warm: containers of the network run on it all the while, first a single one, then as
many as a busy small node has (`PODS`): ovs-vswitchd takes longer for a port the more there are
(ADR 58). The limit is for both. The first of a network is a case of its own, and stands beside.
With the single one there, a hundred are added at once as well.

Twice: with the server reached by a management network of its own, which the limit is for, and
through the lab's classic tree, where four switches and the host's own br-bond are programs on the
processors that are measured, and forward what agent and server say to each other (ADR 53).
"""

import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from tests.doubles.cni_agent import answer, cni_agent

from bench.cni_floor import PAUSE_S, Floor, floors
from bench.device_up import halted
from bench.result import Result, at_most
from bench.rig import agent_pid, running_lab
from bench.sqlite_alone import Replay, creations
from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.lab import netns
from netwright.lab.nodes.host import cni_socket_path
from netwright.lab.orchestrator import Orchestrator
from netwright.lab.processes import find, log_path
from netwright.lab.services import AGENT

ROOT = Path(__file__).parents[1]
HOST = "host1"
RUNS = 200
TURNS = 8
EACH_TURN = 5
IN_A_ROW = 20
AT_ONCE = 100
PODS = 30
FRONT_END_MS_MAX = 2.0
FLOORS_MAX = 2.0
EACH_MS_MAX = 15.0
_STAGES = {
    "port": "port made, bound, answered; its device made and plugged meanwhile",
    "up": "wired, read back; its end up",
}
SETTLE_S = 0.5
"""For what the host still does about the turn before."""
RESULT = {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.5/24"}] * 2}


class Turns(NamedTuple):
    """Seconds of each ADD and DEL by turns, and of the floor just before them.

    `stages` are the agent's own milliseconds of the ADDs, p50.
    """

    adds: list[Sequence[float]]
    ends: list[Sequence[float]]
    floors: list[Sequence[Floor]]
    stages: Mapping[str, float]

    @property
    def add_ms(self) -> float:
        return _p50_ms(chain(*self.adds))

    @property
    def floor_ms(self) -> float:
        return _p50_ms(one.all_s for one in chain(*self.floors))

    @property
    def ratio(self) -> float:
        """Turns are compared with those just before them: they met the same machine."""
        return statistics.median(
            statistics.median(adds) / statistics.median(one.all_s for one in floors)
            for adds, floors in zip(self.adds, self.floors, strict=True)
        )


class Took(NamedTuple):
    """Seconds of ADDs beside a single container, and beside `PODS` of them; in a row; of many.

    `firsts` are of ADDs that found no other container of their network.
    """

    firsts: Sequence[float]
    beside_one: Turns
    beside_many: Turns
    row: Sequence[float]
    many_s: float


def run() -> list[Result]:
    with programs() as (front_end, nothing):
        alone, trivial = _front_end(front_end, nothing)
        with _commits() as commits, running_lab(out_of_band=True) as orchestrator:
            took = _adds(orchestrator, front_end, commits)
        with _commits() as commits, running_lab() as orchestrator:
            in_band = _adds(orchestrator, front_end, commits)
    return [
        Result("a static program that returns at once, p50", trivial * 1e3, "ms"),
        at_most("  the front end above it, p50", (alone - trivial) * 1e3, FRONT_END_MS_MAX, "ms"),
        *_beside(took.beside_one, "a single pod"),
        Result("  one after the other without a pause, p50", _p50_ms(took.row), "ms"),
        Result("  the first of its network on the host, p50", _p50_ms(took.firsts), "ms"),
        at_most(f"  {AT_ONCE} ADDs at once, each", took.many_s / AT_ONCE * 1e3, EACH_MS_MAX, "ms"),
        *_beside(took.beside_many, f"{PODS} pods"),
        *_in_band(in_band),
    ]


def _beside(turns: Turns, pods: str) -> Iterator[Result]:
    every = [*chain(*turns.floors)]

    def floor(part: Callable[[Floor], float]) -> float:
        return _p50_ms(map(part, every))

    yield Result(f"on a host of {pods}: an ADD's floor, p50", turns.floor_ms, "ms")
    yield Result("  a durable commit of a bound port", floor(lambda one: one.commit_s), "ms")
    yield Result("  a veth, furnished by netlink", floor(lambda one: one.links_s), "ms")
    yield Result("  an OVSDB transaction, carried out", floor(lambda one: one.rows_s), "ms")
    yield Result("  a flow bundle and its barrier", floor(lambda one: one.flows_s), "ms")
    yield Result("  ADD, warm, p50", turns.add_ms, "ms")
    yield at_most("  … / its floor, median of turns", turns.ratio, FLOORS_MAX)
    for stage, said in _STAGES.items():
        yield Result(f"  of it, by the agent's log: {said}", turns.stages[stage], "ms")
    yield Result("  DEL, p50", _p50_ms(chain(*turns.ends)), "ms")


def _in_band(took: Took) -> Iterator[Result]:
    """What the same is where the lab's own switches carry what agent and server say."""
    for turns, where in ((took.beside_one, "a single pod"), (took.beside_many, f"{PODS} pods")):
        yield Result(f"management in band, {where}: an ADD's floor, p50", turns.floor_ms, "ms")
        yield Result("  ADD, warm, p50", turns.add_ms, "ms")
        yield Result("  … / its floor, median of turns", turns.ratio)
    many_ms = took.many_s / AT_ONCE * 1e3
    yield at_most(f"  {AT_ONCE} ADDs at once, each", many_ms, EACH_MS_MAX, "ms")


def _p50_ms(seconds: Iterable[float]) -> float:
    return statistics.median(seconds) * 1e3


@contextmanager
def _commits() -> Iterator[Replay]:
    with tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory:
        made = creations(batches=2 * TURNS * EACH_TURN, ports=1, host=HOST)
        replay = Replay(Path(directory) / "ports.db", made)
        try:
            yield replay
        finally:
            replay.close()


@contextmanager
def programs() -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(prefix="nwb-") as directory:
        front_end, nothing = Path(directory, "netwright"), Path(directory, "nothing")
        subprocess.run([ROOT / "scripts/build-cni", front_end], check=True, timeout=60)
        compiler = ["gcc", "-static", "-Os", "-s", "-x", "c", "-o", str(nothing), "-"]
        subprocess.run(compiler, input=b"int main(void) { return 0; }", check=True, timeout=60)
        yield front_end, nothing


def _front_end(front_end: Path, nothing: Path) -> tuple[float, float]:
    """Seconds of a run of each, from its start to its end, p50."""
    socket = front_end.with_name("cni.sock")
    config = {"cniVersion": "1.0.0", "name": "pods", "agentSocket": str(socket)}
    took: Mapping[Path, list[float]] = {front_end: [], nothing: []}
    with cni_agent(socket, answer(200, RESULT)):
        for _ in range(RUNS):
            for program, found in took.items():
                found.append(run_plugin(program, "ADD", "c", "/netns", config))
    return statistics.median(took[front_end]), statistics.median(took[nothing])


def _adds(orchestrator: Orchestrator, front_end: Path, commits: Replay) -> Took:
    lab = orchestrator.lab
    config = pods_on(orchestrator, HOST, ["blue"])
    names = [lab.namespace(f"ct-{n}") for n in range(AT_ONCE)]
    residents = [lab.namespace(f"ct-resident{n}") for n in range(PODS)]
    netns.create([*names, *residents])

    def ask(verb: str, name: str, pause_s: float = 0.0) -> float:
        time.sleep(pause_s)
        return run_plugin(front_end, verb, name, str(netns.FOLDER / name), config)

    def turns() -> Turns:
        return _turns(orchestrator, ask, names, commits)

    try:
        firsts = []
        for _ in range(1 + EACH_TURN):
            firsts.append(ask("ADD", names[0], PAUSE_S))
            ask("DEL", names[0], PAUSE_S)
        ask("ADD", residents[0])
        beside_one = turns()
        row = [ask("ADD", name) for name in names[:IN_A_ROW]]
        for name in names[:IN_A_ROW]:
            ask("DEL", name)
        time.sleep(SETTLE_S)
        began = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: ask("ADD", name), names))
        many_s = time.perf_counter() - began
        for name in names:
            ask("DEL", name)
        for name in residents[1:]:
            ask("ADD", name)
        time.sleep(SETTLE_S)
        beside_many = turns()
        for name in residents:
            ask("DEL", name)
    finally:
        netns.delete([*names, *residents])
    # The first of all is not warm.
    return Took(firsts[1:], beside_one, beside_many, row, many_s)


def _turns(
    orchestrator: Orchestrator,
    ask: Callable[[str, str, float], float],
    names: Sequence[str],
    commits: Replay,
) -> Turns:
    lab = orchestrator.lab
    agent, log = agent_pid(lab, HOST), log_path(lab, find(lab, HOST, AGENT))
    seen = log.stat().st_size
    took = Turns([], [], [], {})
    for turn in (names[at : at + EACH_TURN] for at in range(0, TURNS * EACH_TURN, EACH_TURN)):
        with halted(agent):
            bare = partial(floors, lab, HOST, turn, commits)
            took.floors.append(orchestrator.ask(bare))
        time.sleep(SETTLE_S)
        took.adds.append([ask("ADD", name, PAUSE_S) for name in turn])
        took.ends.append([ask("DEL", name, PAUSE_S) for name in turn])
        time.sleep(SETTLE_S)
    return took._replace(stages=_stages(log, seen))


def _stages(log: Path, seen: int) -> Mapping[str, float]:
    """Milliseconds of the stages of ADDs, p50, as the agent logged them after `seen` octets."""
    text = log.read_bytes()[seen:].decode("utf-8")
    told = re.findall(r'event="container attached".* ms="([^"]+)"', text)
    found: dict[str, list[float]] = {}
    for line in told:
        for stage, _, ms in (part.partition(":") for part in line.split()):
            found.setdefault(stage, []).append(float(ms))
    return {stage: statistics.median(each) for stage, each in found.items()}


def pods_on(orchestrator: Orchestrator, host: str, networks: Sequence[str]) -> Mapping[str, Any]:
    """The plugin's configuration on a host, for pods in these networks, which get their label."""
    for name in networks:
        orchestrator.ask(partial(_label, str(orchestrator.network(name)["id"])))
    socket = str(cni_socket_path(orchestrator.lab, host))
    return {"cniVersion": "1.0.0", "name": "pods", "labels": "app=pods", "agentSocket": socket}


async def _label(network: str, client: Client) -> None:
    labels = {"labels": {"app": "pods"}}
    await Networking(client).update(Collection.NETWORKS, network, labels)


def run_plugin(
    program: Path, verb: str, container: str, namespace: str, config: Mapping[str, Any]
) -> float:
    variables = {"CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": namespace}
    stdin_read, stdin_write = os.pipe()
    os.write(stdin_write, json.dumps(config).encode())
    os.close(stdin_write)
    actions = [
        (os.POSIX_SPAWN_DUP2, stdin_read, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ]
    began = time.perf_counter()
    try:
        environment = {**variables, "CNI_IFNAME": "eth0"}
        pid = os.posix_spawn(program, [program.name], environment, file_actions=actions)
    finally:
        os.close(stdin_read)
    _, status = os.waitpid(pid, 0)
    took_s = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    assert code == 0, f"{verb} of {container} failed: run it by hand"
    return took_s
