"""A lab of its own for a benchmark, with server and agents."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from netwright.lab import down, processes, services, spec, start, up
from netwright.lab.orchestrator import Orchestrator
from netwright.lab.spec import Management
from netwright.lab.state import Lab


@contextmanager
def running_lab(
    preset: str = "vlan", hosts: int = 1, *, out_of_band: bool = False
) -> Iterator[Orchestrator]:
    """A preset with its networks made; gone when this ends. Needs root.

    `out_of_band`: the hosts reach the server by a network of its own, whatever the preset says.
    """
    name = f"b{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="nwl-") as directory:
        root = Path(directory)
        try:
            wanted = spec.preset(preset, hosts=hosts)
            if out_of_band:
                management = Management(subnet=wanted.management.subnet)
                wanted = msgspec.structs.replace(wanted, management=management)
            lab = up.bring_up(wanted, name, root=root)
            orchestrator = start.start(lab)
            orchestrator.create_networks()
            yield orchestrator
        finally:
            down.take_down(name, root)


def agent_pid(lab: Lab, host: str) -> int:
    return processes.find(lab, host, services.AGENT).pid
