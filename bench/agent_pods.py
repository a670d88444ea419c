"""An agent with 500 containers on its host: memory, idle, and how soon it is in sync after a start.

All as on a real host, in a lab: namespaces, veths on br-int, records, all made by the front end.
The agent is killed and started again; it is in sync when CHECK finds a container as it was made,
for which it must have the whole snapshot, have read back rows and flows, and found all wired.
"""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.cni_add import pods_on, programs
from bench.result import Result, at_most
from bench.rig import agent_pid, running_lab
from bench.usage import cpu_seconds, resident_megabytes
from netwright.lab import faults, netns, services
from netwright.lab.orchestrator import Orchestrator, eventually

HOST = "host1"
AGENT = f"process:{HOST}/{services.AGENT}"
PODS = 500
AT_ONCE = 20
SETTLE_S = 10.0
IDLE_S = 20.0
SOON_S = 60.0
MEGABYTES_MAX = 150.0
CPU_PERCENT_MAX = 2.0
IN_SYNC_S_MAX = 5.0
RESTARTS = 3


def run() -> list[Result]:
    with programs() as (front_end, _), running_lab() as orchestrator:
        lab = orchestrator.lab
        plugin = _Plugin(front_end, pods_on(orchestrator, HOST, ["blue", "green"]))
        names = [lab.namespace(f"ct-{n}") for n in range(PODS)]
        netns.create(names)
        try:
            return [*_measured(orchestrator, plugin, names)]
        finally:
            netns.delete(names)


def _measured(
    orchestrator: Orchestrator, plugin: "_Plugin", names: Sequence[str]
) -> Sequence[Result]:
    lab = orchestrator.lab
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(plugin.add, names))
    wired = resident_megabytes(agent_pid(lab, HOST))
    took_s = []
    for _ in range(RESTARTS):
        faults.fail(lab, AGENT)
        began = time.perf_counter()
        faults.heal(lab, AGENT)
        is_found = eventually(lambda: plugin.is_as(names[-1], made[-1]), SOON_S)
        assert is_found, f"the agent is not in sync within {SOON_S:.0f} s"
        took_s.append(time.perf_counter() - began)
    time.sleep(SETTLE_S)
    pid = agent_pid(lab, HOST)
    before = cpu_seconds(pid)
    time.sleep(IDLE_S)
    percent = (cpu_seconds(pid) - before) / IDLE_S * 100
    what = f"agent with {PODS} containers"
    return [
        at_most(f"{what}, resident, as it made them", wired, MEGABYTES_MAX, "MB"),
        at_most("  … restarted since", resident_megabytes(pid), MEGABYTES_MAX, "MB"),
        at_most("  … idle, of one core", percent, CPU_PERCENT_MAX, "%"),
        at_most("  … in sync after its start, the slowest", max(took_s), IN_SYNC_S_MAX, "s"),
    ]


class _Plugin:
    """The front end on the host; what it says counts here, not how long it takes."""

    def __init__(self, program: Path, config: Mapping[str, Any]) -> None:
        self._program = program
        self._config = config

    def add(self, namespace: str) -> Any:
        done = self._run("ADD", namespace, self._config)
        assert done.returncode == 0, done.stdout
        return json.loads(done.stdout)

    def is_as(self, namespace: str, made: Any) -> bool:
        config = {**self._config, "prevResult": made}
        return self._run("CHECK", namespace, config).returncode == 0

    def _run(
        self, verb: str, namespace: str, config: Mapping[str, Any]
    ) -> "subprocess.CompletedProcess[bytes]":
        variables = {"CNI_COMMAND": verb, "CNI_CONTAINERID": namespace, "CNI_IFNAME": "eth0"}
        return subprocess.run(
            [self._program],
            input=json.dumps(config).encode(),
            env={**variables, "CNI_NETNS": str(netns.FOLDER / namespace)},
            stdout=subprocess.PIPE,
            timeout=SOON_S * 2,
            check=False,
        )
