"""What a container's ADD takes, warm, and the front end of it against a program that does nothing.

The front end is run against an agent that answers at once, in turns with a static program that
returns at once: what is above that is its own. ADDs are run in a lab on one host as a runtime does,
one by one, ended one by one, and then many at once.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.doubles.cni_agent import answer, cni_agent

from bench.result import Result, at_most
from bench.rig import running_lab
from netwright.client.networking import Collection, Networking
from netwright.lab import netns
from netwright.lab.nodes.host import cni_socket_path
from netwright.lab.orchestrator import Orchestrator

ROOT = Path(__file__).parents[1]
HOST = "host1"
RUNS = 200
ADDS = 40
AT_ONCE = 20
FRONT_END_MS_MAX = 2.0
SETTLE_S = 1.0
"""For what the host still does about the ends."""
RESULT = {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.5/24"}] * 2}


def run() -> list[Result]:
    with _programs() as (front_end, nothing):
        alone, trivial = _front_end(front_end, nothing)
        with running_lab() as orchestrator:
            one, ended, many = _adds(orchestrator, front_end)
    return [
        Result("a static program that returns at once, p50", trivial * 1e3, "ms"),
        at_most("  the front end above it, p50", (alone - trivial) * 1e3, FRONT_END_MS_MAX, "ms"),
        Result("ADD, warm, p50", one * 1e3, "ms"),
        Result("  DEL, p50", ended * 1e3, "ms"),
        Result(f"  {AT_ONCE} ADDs at once, each", many / AT_ONCE * 1e3, "ms"),
    ]


@contextmanager
def _programs() -> Iterator[tuple[Path, Path]]:
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
                found.append(_run(program, "ADD", "c", "/netns", config))
    return statistics.median(took[front_end]), statistics.median(took[nothing])


def _adds(orchestrator: Orchestrator, front_end: Path) -> tuple[float, float, float]:
    """Seconds of one ADD and one DEL, p50, and of many ADDs at once, all together."""
    lab = orchestrator.lab
    network = str(orchestrator.network("blue")["id"])
    labels = {"labels": {"app": "pods"}}
    orchestrator.ask(lambda client: Networking(client).update(Collection.NETWORKS, network, labels))
    socket = str(cni_socket_path(lab, HOST))
    config = {"cniVersion": "1.0.0", "name": "pods", "labels": "app=pods", "agentSocket": socket}
    names = [lab.namespace(f"ct-{n}") for n in range(ADDS + AT_ONCE)]
    netns.create(names)

    def ask(verb: str, name: str) -> float:
        return _run(front_end, verb, name, str(netns.FOLDER / name), config)

    try:
        adds = [ask("ADD", name) for name in names[:ADDS]]
        ends = [ask("DEL", name) for name in names[:ADDS]]
        time.sleep(SETTLE_S)
        began = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: ask("ADD", name), names[ADDS:]))
        together = time.perf_counter() - began
        for name in names[ADDS:]:
            ask("DEL", name)
    finally:
        netns.delete(names)
    return statistics.median(adds), statistics.median(ends), together


def _run(
    program: Path, verb: str, container: str, namespace: str, config: Mapping[str, str]
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
