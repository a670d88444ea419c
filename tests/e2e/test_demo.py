"""The demo, as its user runs it: it exits 0 only if every claim held, so that is what is asked."""

import subprocess
import sys

import pytest
from netwright.lab.demo.claims import CLAIMS

from netwright.lab import netns
from netwright.lab.state import namespace_prefix

pytestmark = pytest.mark.lab

DEMO_S_MAX = 240


def test_every_claim_of_the_demo_holds_and_nothing_is_left() -> None:
    argv = [sys.executable, "-m", "netwright", "demo"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=DEMO_S_MAX)
    assert done.returncode == 0, done.stdout + done.stderr
    for claim in CLAIMS:
        assert f"✓ {claim.title}" in done.stdout
    assert netns.existing(namespace_prefix("demo")) == []
