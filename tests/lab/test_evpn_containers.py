"""Containers on a fabric network: ADD waits until leaves carry it, where it is told to."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.cni_runtime import Runtime, address_of

from netwright.client.networking import Collection, Networking
from netwright.lab import down, spec, start, up
from netwright.lab.orchestrator import Orchestrator
from netwright.model.wire import CONTAINER_OWNER

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
NETWORK, LABELS, SELECTOR = "red", {"kind": "fabric"}, "kind=fabric"


@pytest.fixture
def nova(name: str, lab_root: Path) -> Iterator[Orchestrator]:
    lab = up.bring_up(spec.preset("evpn"), name, root=lab_root)
    orchestrator = start.start(lab)
    orchestrator.create_networks()
    network = str(orchestrator.network(NETWORK)["id"])
    orchestrator.ask(
        lambda client: Networking(client).update(Collection.NETWORKS, network, {"labels": LABELS})
    )
    yield orchestrator
    down.take_down(name, lab_root)


def test_a_container_that_waits_for_active_is_reachable_when_it_is_answered(
    nova: Orchestrator, tmp_path: Path
) -> None:
    """The network comes to both pairs of leaves with its first container there."""
    program = tmp_path / "netwright"
    subprocess.run([ROOT / "scripts/build-cni", program], check=True, timeout=60)
    near, far = (Runtime(nova.lab, host, program, SELECTOR) for host in ("host1", "host3"))
    try:
        near.begin("a")
        far.begin("b")
        for one in (near, far):
            one.config["waitFor"] = "active"
        near.add("a")
        result = far.add("b")
        statuses = {
            str(port["status"]) for port in nova.ports() if port["device_owner"] == CONTAINER_OWNER
        }
        assert statuses == {"ACTIVE"}
        argv = ["ping", "-c", "3", "-W", "3", address_of(result)]
        assert " 0% packet loss" in near.inside("a", argv)
    finally:
        near.end()
        far.end()
