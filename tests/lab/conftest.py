"""Labs for tests. These need root; they say so when they skip, and never skip in CI."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from netwright.lab import down, spec, up
from netwright.lab.state import Lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    reason = "a lab needs root: it makes network namespaces and runs Open vSwitch in them"
    if os.environ.get("CI", "").lower() == "true":
        raise pytest.UsageError(f"CI must not skip lab tests, but {reason}; run CI as root")
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def lab_root() -> Iterator[Path]:
    """A directory of this run; short, since unix sockets are made below it."""
    path = Path(tempfile.mkdtemp(prefix="nwl-"))
    path.chmod(0o711)  # as a lab's own: lldpcli is not root when it comes to its socket
    yield path
    shutil.rmtree(path)


@pytest.fixture
def name(lab_root: Path) -> Iterator[str]:
    """A lab's name that no other test uses; what is up under it is taken down afterwards."""
    unique = _unique("t")
    yield unique
    down.take_down(unique, lab_root)


@pytest.fixture(scope="module")
def vlan(lab_root: Path) -> Iterator[Lab]:
    """The preset `vlan`, hosts wired by the agents' stand-in. Tests heal what they break."""
    unique = _unique("v")
    try:
        yield up.bring_up(spec.preset("vlan"), unique, root=lab_root, stand_in_agents=True)
    finally:
        down.take_down(unique, lab_root)


def _unique(letter: str) -> str:
    return f"{letter}{os.getpid()}"
