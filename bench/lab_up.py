"""How long labs take to come up and to go: a classic tree of 8 hosts; a fabric, until converged."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from bench.result import Result, at_most
from netwright.lab import down, faults, netns, probe, spec, up
from netwright.lab.layout import Layout
from netwright.lab.nodes.frr_config import BFD_INTERVAL_MS, BFD_MULTIPLIER, daemons
from netwright.lab.state import Lab

HOSTS = 8
SECONDS_MAX = 15.0
FABRIC_SECONDS_MAX = 10.0
LOSS_SECONDS_MAX = 0.5
PING_S = 0.01

_FLOOR = "nwl-benchfloor-"
# $0 is a namespace, $1 a directory for /run/frr, the rest are daemons.
_BARE_SWITCH = """\
directory=$1; shift
ip netns add "$0"
exec ip netns exec "$0" unshare --mount sh -ec '
  umount -R -l /run/netns; mount -t tmpfs none /run/netns; mount --bind "$0" /run/frr
  for daemon; do
    netns=; [ $daemon = zebra ] && netns=-n
    /usr/lib/frr/$daemon -d -F datacenter -A 127.0.0.1 -P 0 -f /dev/null $netns
  done' "$directory" "$@"
"""


def run() -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="nwl-") as directory:
        root = Path(directory)
        return [*_classic(root), *_fabric(root)]


def _classic(root: Path) -> list[Result]:
    described = spec.preset("vlan", hosts=HOSTS)
    began = time.monotonic()
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


def _fabric(root: Path) -> list[Result]:
    """The floor is what remains without us: the same namespaces and daemons, with nothing to do."""
    described = spec.preset("evpn")
    began = time.monotonic()
    try:
        lab = up.bring_up(described, "benchevpn", root=root)
        up_s = time.monotonic() - began
        lost = _lost_with_a_silent_spine(lab)
        spines, leaves = len(lab.nodes("spine")), len(lab.nodes("leaf"))
    finally:
        began = time.monotonic()
        down.take_down("benchevpn", root)
    down_s = time.monotonic() - began
    floor_s = _bare_daemons(lab.layout, root)
    what = f"fabric of {spines} spines and {leaves} leaves up and converged"
    return [
        at_most(what, up_s, FABRIC_SECONDS_MAX, "s"),
        Result("  … bare: its switches' namespaces and daemons, no neighbours", floor_s, "s"),
        Result("  … as a multiple of that", up_s / floor_s),
        Result("  … down", down_s, "s"),
        at_most("a spine silently dead: not carried", lost * PING_S, LOSS_SECONDS_MAX, "s"),
        Result("  … bare: BFD's time", BFD_INTERVAL_MS * BFD_MULTIPLIER / 1000, "s"),
    ]


def _lost_with_a_silent_spine(lab: Lab) -> int:
    """Pings from one leaf's loopback to another's, by the spine that dies."""
    (leaf, *_, other) = (one.speaker for one in lab.layout.fabric if one.speaker.kind == "leaf")
    with probe.pinging(lab, leaf.node, other.loopback, count=200, interval_s=PING_S) as run:
        interface = probe.interface_of_pings(lab, leaf.node, other.loopback)
        cable = lab.layout.cable_at(leaf.node, interface)
        assert cable is not None
        faults.fail(lab, f"node:{cable.upper.node}", silent=True)
        lost = run.finish().lost
    if lost == 0:
        raise RuntimeError("lab_up: no ping was lost, so none went by the spine that died")
    return lost


def _bare_daemons(layout: Layout, root: Path) -> float:
    namespaces = [f"{_FLOOR}{one.speaker.node}" for one in layout.fabric]
    began = time.monotonic()
    try:
        starting = []
        for namespace, one in zip(namespaces, layout.fabric, strict=True):
            directory = root / namespace
            directory.mkdir()
            shutil.chown(directory, "frr", "frr")
            argv = ["sh", "-ec", _BARE_SWITCH, namespace, str(directory), *daemons(one)]
            starting.append(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
        codes = [each.wait(timeout=60) for each in starting]
        took_s = time.monotonic() - began
    finally:
        netns.kill_processes_in(namespaces)
        netns.delete(namespaces)
    if any(codes):
        raise RuntimeError(f"lab_up: bare switches did not start: exit codes {codes}")
    return took_s
