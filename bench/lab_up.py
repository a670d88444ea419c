"""How long a lab of 8 hosts takes to come up and go; the product's bound is 15 s."""

import tempfile
import time
from pathlib import Path

from netwright.lab import down, spec, up

HOSTS = 8
SECONDS_MAX = 15.0


def main() -> None:
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
    print(f"lab of {HOSTS} hosts, {pairs} OVS: up in {up_s:.1f} s, down in {down_s:.2f} s")
    assert up_s < SECONDS_MAX, f"took {up_s:.1f} s, the bound is {SECONDS_MAX:g} s"


if __name__ == "__main__":
    main()
