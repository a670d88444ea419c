"""Agent and Open vSwitch come and go under running containers, while others begin and end (law 6).

One lab of two hosts for all tests. Container `a` of host1 pings `b` of host2 every 10 ms; what is
restarted is host2's.
"""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.lab.cni_runtime import Answer, Runtime, address_of
from tests.lab.test_cni import containers_ports, devices, is_empty

from netwright.client.networking import Collection, Networking
from netwright.lab import down, faults, processes, spec, start, up
from netwright.lab.orchestrator import Orchestrator, eventually
from netwright.lab.probe import parse_ping
from netwright.lab.services import AGENT

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
HOST, AGENT_OF_HOST = "host2", f"process:host2/{AGENT}"
SOON_S = 60.0
PINGS = 100  # of a run; the next one begins at once
LOST_BY_OVS_MAX = 100
COMERS = 3
ROUNDS_MAX = 60
TRY_AGAIN = 11


class Scene(NamedTuple):
    """Containers `a` on the near host and `b` on the far one, whose ADD answered `result`."""

    nova: Orchestrator
    near: Runtime
    far: Runtime
    result: Any

    def is_whole(self) -> bool:
        return self.far.run("CHECK", "b", config={"prevResult": self.result}).code == 0


@pytest.fixture(scope="module")
def nova(lab_root: Path) -> Iterator[Orchestrator]:
    name = "cnir"
    try:
        lab = up.bring_up(spec.preset("vlan", hosts=2), name, root=lab_root)
        orchestrator = start.start(lab)
        orchestrator.create_networks()

        async def label(client: Networking) -> None:
            network = await client.find(Collection.NETWORKS, "blue")
            labels = {"labels": {"app": "pods"}}
            await client.update(Collection.NETWORKS, str(network["id"]), labels)

        orchestrator.ask(lambda client: label(Networking(client)))
        yield orchestrator
    finally:
        down.take_down(name, lab_root)


@pytest.fixture
def scene(nova: Orchestrator, tmp_path: Path) -> Iterator[Scene]:
    program = tmp_path / "netwright"
    subprocess.run([ROOT / "scripts/build-cni", program], check=True, timeout=60)
    near, far = (Runtime(nova.lab, host, program) for host in ("host1", HOST))
    try:
        near.begin("a")
        far.begin("b")
        near.add("a")
        result = far.add("b")
        yield Scene(nova, near, far, result)
    finally:
        near.end()
        far.end()
    assert eventually(lambda: is_empty(nova, "host1", HOST), SOON_S)


class Pinger:
    """Pings every 10 ms from when it is made, until `end`; each run waits for its last reply."""

    def __init__(self, near: Runtime, container: str, address: str) -> None:
        self.sent = self.lost = 0
        argv = ["ping", "-n", "-q", "-c", str(PINGS), "-i", "0.01", "-W", "2", address]
        self._command = ["sh", "-c", f"{' '.join(argv)} || true"]
        self._near = near
        self._container = container
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._running = self._pool.submit(self._run)

    def end(self) -> int:
        """How many were lost; raises what went wrong."""
        self._over.set()
        self._running.result(SOON_S)
        self._pool.shutdown()
        return self.lost

    def _run(self) -> None:
        while not self._over.is_set():
            found = parse_ping(self._near.inside(self._container, self._command))
            self.sent += found.sent
            self.lost += found.lost


@pytest.fixture
def pinger(scene: Scene) -> Iterator[Pinger]:
    """From `a` to `b`, which has answered by now."""
    pinger = Pinger(scene.near, "a", address_of(scene.result))
    try:
        assert eventually(lambda: pinger.sent > 0, SOON_S)
        assert pinger.lost == 0
        yield pinger
    finally:
        pinger.end()


class Comers:
    """Containers that begin and end again and again, as a kubelet does it.

    What fails is ended and begun anew; `strange` is what a runtime should never be answered.
    """

    def __init__(self, far: Runtime) -> None:
        self.strange: list[Answer] = []
        self.refused = self.begun = 0
        self._far = far
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(COMERS)
        self._names = [f"comer{n}" for n in range(COMERS)]
        far.begin(*self._names)
        self._lives = [self._pool.submit(self._live, name) for name in self._names]

    def end(self) -> None:
        """All have ended; raises what went wrong."""
        self._over.set()
        for life in self._lives:
            life.result(SOON_S * 2)
        self._pool.shutdown()

    def _live(self, name: str) -> None:
        for _ in range(ROUNDS_MAX):
            if self._asked("ADD", name):
                self.begun += 1
            while not self._asked("DEL", name):
                self._over.wait(0.1)
            if self._over.is_set():
                return

    def _asked(self, verb: str, name: str) -> bool:
        answer = self._far.run(verb, name)
        if answer.code != 0:
            self.refused += 1
            if answer.out["code"] != TRY_AGAIN:
                self.strange.append(answer)
            self._over.wait(0.1)  # kubelets wait longer
        return answer.code == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "upgraded"])
def test_the_agent_is_replaced_while_containers_come_and_go(
    scene: Scene, pinger: Pinger, how: signal.Signals
) -> None:
    """Another process takes over what it finds: no ping of a running container is lost."""
    lab = scene.nova.lab
    comers = Comers(scene.far)
    try:
        assert eventually(lambda: comers.begun >= COMERS, SOON_S)
        processes.stop(processes.find(lab, HOST, AGENT), how)
        assert eventually(lambda: comers.refused >= COMERS, SOON_S)
        faults.heal(lab, AGENT_OF_HOST)
        before = comers.begun
        assert eventually(lambda: comers.begun >= before + COMERS, SOON_S)
    finally:
        comers.end()
    assert pinger.end() == 0, f"of {pinger.sent} pings"
    assert comers.strange == []
    assert eventually(scene.is_whole, SOON_S)
    assert eventually(lambda: len(containers_ports(scene.nova)) == 2, SOON_S)
    assert len(devices(scene.nova, HOST)) == 1
    (record,) = (lab.node_directory(HOST) / "cni").iterdir()
    kept = json.loads(record.read_bytes())
    assert (kept["stage"], kept["container_id"]) == ("attached", f"{lab.name}-{HOST}-b")


def test_open_vswitch_is_restarted_under_containers(scene: Scene, pinger: Pinger) -> None:
    before = pinger.sent
    faults.fail(scene.nova.lab, f"process:{HOST}/ovs-vswitchd")
    faults.heal(scene.nova.lab, f"process:{HOST}/ovs-vswitchd")
    assert eventually(lambda: pinger.sent > before + PINGS, SOON_S)
    lost = pinger.end()
    sys.stdout.write(f"ovs-vswitchd restarted: {lost} of {pinger.sent} pings lost\n")
    assert lost < LOST_BY_OVS_MAX
    assert eventually(scene.is_whole, SOON_S)
