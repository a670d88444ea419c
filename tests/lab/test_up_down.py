"""A lab comes up, and goes away whole from whatever state it is in."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netwright.lab import down, links, netns, processes, spec, state, up
from netwright.lab.errors import LabError
from netwright.lab.nodes import ovs
from netwright.lab.state import Lab

pytestmark = pytest.mark.lab

SMALL = """\
management: {vlan: 10, subnet: 10.0.0.0/24, server: core1}
networks:
  blue: {vlan: 101, gateways: [10.101.0.1/24]}
routers:
  core1: {uplinks: [tor1]}
switches:
  tor1: {}
hosts: {count: 2, uplinks: [tor1, tor1]}
"""


def small(name: str, root: Path) -> Lab:
    parsed = spec.parse(SMALL, source="small.yaml")
    return up.bring_up(parsed, name, root=root, stand_in_agents=True)


def assert_nothing_left(name: str, root: Path) -> None:
    assert netns.existing(state.namespace_prefix(name)) == []
    assert not (root / name).exists()
    assert lab_processes(str(root / name)) == set()


def lab_processes(directory: str) -> set[int]:
    """Processes that were started with a path of the lab."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and directory in (entry / "cmdline").read_text():
                found.add(int(entry.name))
        except OSError:
            continue
    return found - {os.getpid()}


def host_interfaces() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir()}


def test_up_and_down(name: str, lab_root: Path) -> None:
    interfaces = host_interfaces()
    steps: list[up.Step] = []
    parsed = spec.parse(SMALL, source="small.yaml")
    lab = up.bring_up(parsed, name, root=lab_root, stand_in_agents=True, progress=steps.append)
    assert state.load(name, lab_root) == lab
    assert name in state.names(lab_root)
    assert [step for step in steps if step.name == "nodes"][-1] == up.Step("nodes", 5, 5)
    assert len(lab_processes(str(lab.directory))) == 8
    for node in ("host1", "host2"):
        assert len(processes.remembered(lab, node)) == 2
        assert "eth1" in links.interfaces_in(lab.namespace(node))
        marks = ovs.vsctl(lab, node, ["get", "Open_vSwitch", ".", "external_ids"])
        assert f'netwright-lab="{name}"' in marks or f"netwright-lab={name}" in marks
    for link in lab.layout.hosts:
        address = link.management_ip.partition("/")[0]
        processes.run(lab.namespace("mgmt"), ["ping", "-c", "2", "-W", "2", address])
    down.take_down(name, lab_root)
    assert_nothing_left(name, lab_root)
    assert host_interfaces() == interfaces
    down.take_down(name, lab_root)


def test_a_rerun_replaces_what_an_earlier_one_left(name: str, lab_root: Path) -> None:
    first = processes.find(small(name, lab_root), "tor1", ovs.SWITCH_DAEMON)
    second = processes.find(small(name, lab_root), "tor1", ovs.SWITCH_DAEMON)
    assert not processes.is_alive(first)
    assert processes.is_alive(second)


def test_a_failed_up_takes_itself_down(
    name: str, lab_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vsctl = ovs.vsctl

    def fail_on_tor(lab: Lab, node: str, arguments: list[str]) -> str:
        if node == "tor1":
            raise LabError("lab: tor1 is broken")
        return vsctl(lab, node, arguments)

    monkeypatch.setattr(ovs, "vsctl", fail_on_tor)
    with pytest.raises(LabError, match="tor1 is broken"):
        small(name, lab_root)
    assert_nothing_left(name, lab_root)


@pytest.mark.parametrize("step", ["namespaces", "cables", "nodes"])
def test_down_removes_what_a_killed_up_left(step: str, name: str, lab_root: Path) -> None:
    """`up` dies by SIGKILL right after its first report of a step."""
    program = f"""
import os, signal
from pathlib import Path
from netwright.lab import spec, up
def die(step):
    if step.name == {step!r}:
        os.kill(os.getpid(), signal.SIGKILL)
up.bring_up(spec.parse({SMALL!r}, source="x"), {name!r}, root=Path({str(lab_root)!r}), progress=die)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert netns.existing(state.namespace_prefix(name)) != []
    down.take_down(name, lab_root)
    assert_nothing_left(name, lab_root)


def test_two_builders_of_one_lab_do_not_mix(name: str, lab_root: Path) -> None:
    with state.exclusive(name), pytest.raises(LabError, match="another process"):
        down.take_down(name, lab_root)


def test_a_reused_pid_is_spared(lab_root: Path) -> None:
    """A record whose start time is not that of the process with its pid names a dead process."""
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        stale = processes.Process("tor1", "x", sleeper.pid, 1, processes.Command(("sleep",)))
        assert not processes.is_alive(stale)
        assert not processes.send(stale, signal.SIGKILL)
        processes.stop(stale, signal.SIGKILL)
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()
