"""The demo, as its user runs it: it exits 0 only if every claim held, so that is what is asked."""

import json
import os
import subprocess
import sys

import pytest

from netwright.lab import netns
from netwright.lab.demo.scenes import SCENES, lab_name
from netwright.lab.state import namespace_prefix

pytestmark = pytest.mark.lab

DEMO_S_MAX = 300


@pytest.mark.parametrize("preset", SCENES)
def test_every_claim_of_the_demo_holds_and_nothing_is_left(preset: str) -> None:
    argv = [sys.executable, "-m", "netwright", "demo", preset]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=DEMO_S_MAX)
    assert done.returncode == 0, done.stdout + done.stderr
    for claim in SCENES[preset].claims:
        assert f"✓ {claim.title}" in done.stdout
    assert netns.existing(namespace_prefix(lab_name(preset))) == []


def test_a_container_is_run_in_a_lab_beside_a_machine_and_keeps_its_address() -> None:
    name = f"p{os.getpid()}"
    spawn = ("lab", "spawn", name)
    pod = (
        *("--container", "--name", "web-0", "--label", "app=web", "--network-labels", "tier=web"),
        *("--port-name", "{namespace}/{labels.app}", "--keep", "10m", "--output", "json"),
    )
    try:
        said = netwright("lab", "up", "containers", "--name", name).stderr
        assert f"lab {name} is up and has converged" in said
        netwright(*spawn, "host1", "--network", "front", "--name", "vm")
        addresses = []
        for host in ("host2", "host3"):
            made = json.loads(netwright(*spawn, host, *pod).stdout)
            addresses.append([one["ip_address"] for one in made["port"]["fixed_ips"]])
            assert made["network"] == "front"
            inside = ("lab", "exec", name, "vm", "--", "ping", "-c1", "-w20")
            netwright(*inside, addresses[-1][0])
            assert "web-0" in netwright("lab", "status").stdout
            netwright("lab", "kill", name, "web-0")
            assert "web-0" not in netwright("lab", "status").stdout
        assert addresses[0] == addresses[1]
    finally:
        netwright("lab", "down", name)


def netwright(*arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "netwright", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=DEMO_S_MAX)
    assert done.returncode == 0, (arguments, done.stdout + done.stderr)
    return done


def test_a_preset_without_a_demo_is_refused_with_those_that_have_one() -> None:
    argv = [sys.executable, "-m", "netwright", "demo", "moon"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode != 0
    assert "'moon'" in done.stderr
    assert "vlan, evpn, containers" in done.stderr
