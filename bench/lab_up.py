"""How long a lab of 8 hosts takes to come up and to go."""

import tempfile
import time
from pathlib import Path

from bench.result import Result, at_most
from netwright.lab import down, spec, up

HOSTS = 8
SECONDS_MAX = 15.0


def run() -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="nwl-") as directory:
        root = Path(directory)
        began = time.monotonic()
        described = spec.preset("vlan", hosts=HOSTS)
        try:
            lab = up.bring_up(described, "bench", root=root, stand_in_agents=True)
            up_s = time.monotonic() - began
            pairs = sum(node.has_ovs for node in lab.layout.nodes)
        finally:
            began = time.monotonic()
            down.take_down("bench", root)
    down_s = time.monotonic() - began
    return [
        at_most(f"lab of {HOSTS} hosts, {pairs} Open vSwitches, up", up_s, SECONDS_MAX, "s"),
        Result("  … down", down_s, "s"),
    ]
