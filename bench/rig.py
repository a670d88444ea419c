"""A lab of its own for a benchmark, with server and agents."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netwright.lab import down, processes, services, spec, start, up
from netwright.lab.orchestrator import Orchestrator
from netwright.lab.state import Lab


@contextmanager
def running_lab(preset: str = "vlan", hosts: int = 1) -> Iterator[Orchestrator]:
    """A preset with its networks made; gone when this ends. Needs root."""
    name = f"b{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="nwl-") as directory:
        root = Path(directory)
        try:
            lab = up.bring_up(spec.preset(preset, hosts=hosts), name, root=root)
            orchestrator = start.start(lab)
            orchestrator.create_networks()
            yield orchestrator
        finally:
            down.take_down(name, root)


def agent_pid(lab: Lab, host: str) -> int:
    return processes.find(lab, host, services.AGENT).pid
