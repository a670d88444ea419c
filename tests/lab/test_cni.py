"""Containers by CNI, with namespaces for containers and the front end run as a runtime runs it.

One lab for all tests; each ends what it made.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.cni_runtime import Runtime, address_of

from netwright.client.networking import Collection, Networking
from netwright.lab import down, spec, start, up
from netwright.lab.orchestrator import Orchestrator

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
NETWORK = "blue"
LABELS = {"app": "pods"}


@pytest.fixture(scope="module")
def nova(lab_root: Path) -> Iterator[Orchestrator]:
    """The preset `vlan`, with server and agents; network blue is labelled for containers."""
    name = "cni"
    try:
        lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
        orchestrator = start.start(lab)
        orchestrator.create_networks()

        async def label(client: Networking) -> None:
            network = await client.find(Collection.NETWORKS, NETWORK)
            await client.update(Collection.NETWORKS, str(network["id"]), {"labels": LABELS})

        orchestrator.ask(lambda client: label(Networking(client)))
        yield orchestrator
    finally:
        down.take_down(name, lab_root)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cni") / "netwright"
    subprocess.run([ROOT / "scripts/build-cni", path], check=True, timeout=60)
    return path


@pytest.fixture
def hosts(nova: Orchestrator, program: Path) -> Iterator[tuple[Runtime, Runtime]]:
    runtimes = Runtime(nova.lab, "host1", program), Runtime(nova.lab, "host2", program)
    yield runtimes
    for one in runtimes:
        one.end()


def test_containers_of_two_hosts_reach_each_other(hosts: tuple[Runtime, Runtime]) -> None:
    near, far = hosts
    near.begin("a")
    far.begin("b")
    near.add("a")
    result = far.add("b")
    said = near.inside("a", ["ping", "-c", "3", "-i", "0.1", "-W", "2", address_of(result)])
    assert " 0% packet loss" in said
