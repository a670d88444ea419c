"""A lab of its own for a benchmark, with server and agents, and what /proc says of an agent."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netwright.lab import down, processes, services, spec, start, up
from netwright.lab.orchestrator import Orchestrator
from netwright.lab.state import Lab

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@contextmanager
def running_lab(hosts: int = 1) -> Iterator[Orchestrator]:
    """The preset `vlan` with its networks made; gone when this ends. Needs root."""
    name = f"b{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="nwl-") as directory:
        root = Path(directory)
        try:
            lab = up.bring_up(spec.preset("vlan", hosts=hosts), name, root=root)
            orchestrator = start.start(lab)
            orchestrator.create_networks()
            yield orchestrator
        finally:
            down.take_down(name, root)


def agent_pid(lab: Lab, host: str) -> int:
    return processes.find(lab, host, services.AGENT).pid


def cpu_seconds(pid: int) -> float:
    """What the process has used so far, in user and kernel mode."""
    user, kernel = _stat(pid)[11:13]
    return (int(user) + int(kernel)) / TICKS_PER_SECOND


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kibibytes) * 1024 / 1e6


def page_faults_of_children(pid: int) -> int:
    """Minor faults of all children that ended: any child at all adds to it (proc(5), cminflt)."""
    return int(_stat(pid)[8])


def living_children(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(len((task / "children").read_text().split()) for task in tasks)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
