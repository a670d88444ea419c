"""Two labs side by side; a larger one; processes of the lab; entering a node; captures."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from netwright.lab import down, faults, netns, probe, processes, services, spec, state, status, up
from netwright.lab.errors import LabError, UnknownLabObjectError
from netwright.lab.processes import Command
from netwright.lab.state import Lab
from netwright.lab.status import Liveness

pytestmark = pytest.mark.lab

BUILD_TIME_S_MAX = 60
"""Generous: the machine is shared. What it takes is measured by bench/lab_up.py."""


@pytest.fixture
def other_name(name: str, lab_root: Path) -> Iterator[str]:
    yield f"{name}b"
    down.take_down(f"{name}b", lab_root)


def test_two_labs_do_not_see_each_other(name: str, other_name: str, lab_root: Path) -> None:
    """Same addresses in both; taking one down leaves the other whole."""
    one, other = (
        up.bring_up(spec.preset("vlan", hosts=1), each, root=lab_root, stand_in_agents=True)
        for each in (name, other_name)
    )
    with probe.capture(other, "mgmt", "eth0", "icmp") as seen:
        assert probe.ping(one, "mgmt", "10.0.0.11").lost == 0
        assert probe.ping(one, "host1", "10.0.0.2").lost == 0
        assert seen.stop() == 0
    assert state.names(lab_root) == [name, other_name]
    down.take_down(name, lab_root)
    assert state.names(lab_root) == [other_name]
    assert netns.existing(state.namespace_prefix(name)) == []
    assert probe.ping(other, "mgmt", "10.0.0.11").lost == 0


def test_eight_hosts(name: str, lab_root: Path) -> None:
    began = time.monotonic()
    described = spec.preset("vlan", hosts=8)
    lab = up.bring_up(described, name, root=lab_root, stand_in_agents=True)
    assert time.monotonic() - began < BUILD_TIME_S_MAX
    for link in lab.layout.hosts:
        assert probe.ping(lab, "mgmt", link.management_ip.partition("/")[0]).received > 0


@pytest.fixture(scope="module")
def bare(lab_root: Path) -> Iterator[Lab]:
    """One host, left to an agent that never comes."""
    name = f"b{os.getpid()}"
    try:
        yield up.bring_up(spec.preset("vlan", hosts=1), name, root=lab_root)
    finally:
        down.take_down(name, lab_root)


def test_a_host_is_left_to_its_agent(bare: Lab) -> None:
    """The installer made no bridge, but the configuration says all that an agent needs."""
    directory = bare.node_directory("host1")
    assert "members" in (directory / "agent.toml").read_text()
    seen = status.status(bare.name, bare.root)
    host = next(node for node in seen.nodes if node.name == "host1")
    assert host.namespace_exists
    assert host.processes == {
        "ovs-vswitchd": Liveness.RUNNING,
        "ovsdb-server": Liveness.RUNNING,
    }


def test_a_process_of_a_node(bare: Lab) -> None:
    """Starts in the node, is seen, halted, killed, started again the same way."""
    command = Command(("sh", "-c", "echo $GREETING; exec sleep 60"), {"GREETING": "hello"})
    process = processes.start(bare, "mgmt", "sleeper", command)
    with pytest.raises(LabError, match="sleeper runs on mgmt already"):
        processes.start(bare, "mgmt", "sleeper", command)
    assert process.pid in netns.processes_in([bare.namespace("mgmt")])
    what = "process:mgmt/sleeper"
    for silent, expected in ((True, Liveness.HALTED), (False, Liveness.DEAD)):
        faults.fail(bare, what, silent=silent)
        nodes = {node.name: node for node in status.status(bare.name, bare.root).nodes}
        assert nodes["mgmt"].processes == {"sleeper": expected}
    faults.heal(bare, what)
    assert processes.is_alive(processes.find(bare, "mgmt", "sleeper"))
    faults.fail(bare, what)


def test_a_program_is_run_in_a_node(bare: Lab) -> None:
    """What `netwright lab exec` does; ovs-* programs find the node's own OVS."""
    done = execute(bare, "tor1", "ovs-vsctl list-ports br0")
    assert "host1-eth0" in done.stdout.split()
    assert "inet 10.0.0.2/24" in execute(bare, "mgmt", "ip -4 addr show eth0").stdout
    failed = execute(bare, "mgmt", "no-such-program")
    assert "no-such-program cannot be run on mgmt: No such file" in failed.stderr


def execute(lab: Lab, node: str, command: str) -> subprocess.CompletedProcess[str]:
    program = f"""
from pathlib import Path
from netwright.lab import places, state
places.execute(state.load({lab.name!r}, Path({str(lab.root)!r})), {node!r}, {command.split()!r})
"""
    return subprocess.run(
        [sys.executable, "-c", program], text=True, capture_output=True, check=False, timeout=30
    )


def test_a_capture_counts_only_what_its_filter_matches(bare: Lab) -> None:
    """Also of what comes while it begins, before the filter is there."""
    with flooded(bare.namespace("mgmt")), ExitStack() as stack:
        captures = [
            stack.enter_context(probe.capture(bare, "mgmt", "lo", "udp or tcp")) for _ in range(4)
        ]
        assert [capture.stop() for capture in captures] == [0] * len(captures)
    with probe.capture(bare, "mgmt", "lo", "icmp") as capture:
        probe.ping(bare, "mgmt", "127.0.0.1", count=1)
        assert capture.stop() > 0


@contextmanager
def flooded(namespace: str) -> Iterator[None]:
    """Pings without a pause, by two: one goes on while a capture has the other's processor."""
    argv = ["ping", "-f", "-q", "127.0.0.1"]
    floods = netns.run_in(
        namespace, lambda: [subprocess.Popen(argv, stdout=subprocess.DEVNULL) for _ in range(2)]
    )
    try:
        yield
    finally:
        for flood in floods:
            with flood:
                flood.kill()


def test_an_unknown_lab_names_those_there_are(bare: Lab) -> None:
    with pytest.raises(UnknownLabObjectError, match=f"no lab 'nolab'; there are: .*{bare.name}"):
        state.load("nolab", bare.root)


def test_the_servers_configuration(bare: Lab) -> None:
    text = services.server_configuration(bare, "token")
    assert 'listen = "10.0.0.2:9696"' in text
    assert f'lab = "{bare.name}"' in text
