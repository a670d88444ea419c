"""Containers on a fabric network, beside VMs and bare metal: the preset `containers`."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.lab.cni_runtime import Runtime, address_of, build_front_end

from netwright.lab import down, netns, probe, spec, start, up
from netwright.lab.containers import ContainerRefusedError, Pod
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually
from netwright.lab.places import placed
from netwright.model.wire import CONTAINER_OWNER

pytestmark = pytest.mark.lab

NETWORK, SELECTOR = "front", "env=prod,tier in (web)"
ACTIVE = {"waitFor": "active"}
SOON_S = 30.0
IPV6 = 6


@pytest.fixture(scope="module")
def nova(lab_root: Path) -> Iterator[Orchestrator]:
    name = f"c{os.getpid()}"
    try:
        orchestrator = start.start(up.bring_up(spec.preset("containers"), name, root=lab_root))
        start.await_converged(orchestrator)
        orchestrator.create_networks()
        yield orchestrator
    finally:
        down.take_down(name, lab_root)


def containers_ports(nova: Orchestrator) -> list[str]:
    return [str(port["id"]) for port in nova.ports() if port["device_owner"] == CONTAINER_OWNER]


def test_a_container_that_waits_for_active_is_reachable_when_it_is_answered(
    nova: Orchestrator, tmp_path: Path
) -> None:
    """The network comes to both pairs of leaves with its first container there."""
    program = build_front_end(tmp_path)
    near, far = (Runtime(nova.lab, host, program, SELECTOR) for host in ("host1", "host3"))
    try:
        near.begin("a")
        far.begin("b")
        for one in (near, far):
            one.config |= ACTIVE
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


def test_the_three_kinds_reach_each_other_in_one_network(nova: Orchestrator) -> None:
    """In both racks; a container's end leaves neither port nor namespace."""
    machines = nova.spawn([Wanted("vm", "host2", NETWORK), Wanted("metal", "metal2", NETWORK)])
    nova.await_status(machines)
    pods = nova.run(
        Pod(f"pod-{host}", host, SELECTOR, config=ACTIVE) for host in ("host1", "host3")
    )
    assert {one.network for one in pods} == {NETWORK}
    everyone = [*machines, *pods]
    assert len({one.address() for one in everyone}) == len(everyone)
    for source in everyone:
        for target in everyone:
            if source is not target:
                assert eventually(partial(answers, nova, source, target), SOON_S)
    for one, other in ((pods[0], machines[1]), (machines[0], pods[1])):
        probe.tcp(nova.lab, place(nova, one), place(nova, other), other.address(IPV6))
    namespaces = [
        one.namespace for one in placed(nova.lab) if one.instance.device_id.startswith("pod-")
    ]
    assert len(namespaces) == len(pods)
    nova.end([one.instance.id for one in everyone])
    assert placed(nova.lab) == []
    assert not set(namespaces) & set(netns.existing(nova.lab.namespace("ct-")))
    assert eventually(lambda: not containers_ports(nova), SOON_S)


def place(nova: Orchestrator, one: Spawned) -> str:
    return one.host if nova.lab.node(one.host).kind == "baremetal" else one.instance.id


def answers(nova: Orchestrator, source: Spawned, target: Spawned) -> bool:
    return probe.ping(nova.lab, place(nova, source), target.address(), count=1).lost == 0


def test_of_a_container_that_is_refused_nothing_is_left(nova: Orchestrator) -> None:
    with pytest.raises(
        ContainerRefusedError, match=r"host1 does not attach container x.*tier=none"
    ):
        nova.run([Pod("x", "host1", "tier=none")])
    assert placed(nova.lab) == []
    assert netns.existing(nova.lab.namespace("ct-")) == []
