"""What an agent uses while nothing happens, with instances on its host, connected to its server."""

import time

from bench.result import Result, at_most
from bench.rig import agent_pid, running_lab
from bench.usage import cpu_seconds, resident_megabytes
from netwright.lab.orchestrator import Wanted

INSTANCES = 20
IDLE_S = 20.0
SETTLE_S = 3.0
CPU_PERCENT_MAX = 1.0
MEGABYTES_MAX = 80.0


def run() -> list[Result]:
    with running_lab() as orchestrator:
        made = orchestrator.spawn(Wanted(f"i{n}", "host1", "blue") for n in range(INSTANCES))
        orchestrator.await_status(made)
        time.sleep(SETTLE_S)
        pid = agent_pid(orchestrator.lab, "host1")
        before = cpu_seconds(pid)
        time.sleep(IDLE_S)
        percent = (cpu_seconds(pid) - before) / IDLE_S * 100
        megabytes = resident_megabytes(pid)
    what = f"agent with {INSTANCES} instances"
    return [
        at_most(f"{what}, {IDLE_S:.0f} s idle, of one core", percent, CPU_PERCENT_MAX, "%"),
        at_most(f"{what}, resident", megabytes, MEGABYTES_MAX, "MB"),
    ]
