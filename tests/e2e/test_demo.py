"""The demo, as its user runs it: it exits 0 only if every claim held, so that is what is asked."""

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


def test_a_preset_without_a_demo_is_refused_with_those_that_have_one() -> None:
    argv = [sys.executable, "-m", "netwright", "demo", "moon"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode != 0
    assert "'moon'" in done.stderr
    assert "vlan, evpn, containers" in done.stderr
