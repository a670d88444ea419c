"""Instances go between hosts of a fabric; VLANs and VNIs go, rest, and come again."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.lab.evpn import Evpn, evpn_lab

from netwright.lab import faults, probe, services
from netwright.lab.orchestrator import Spawned, Wanted, eventually
from netwright.lab.places import find_instance
from netwright.model.topology import Topology, VlanInterval

pytestmark = pytest.mark.lab

MOVES = (("host1", "host3"), ("host3", "host1"), ("host1", "host4"), ("host4", "host2"),
         ("host2", "host3"))  # fmt: skip
LOST_MAX = 10
SOON_S = 20.0


@pytest.fixture(scope="module")
def evpn(lab_root: Path) -> Iterator[Evpn]:
    with evpn_lab(lab_root, "m") as evpn:
        evpn.create_network("red", "10.150.0.0/24")
        yield evpn


@pytest.mark.parametrize("near", ["host2", "host4"])
def test_a_guest_moves_between_pairs_of_leaves(evpn: Evpn, near: str) -> None:
    """With somebody who speaks to it behind either pair: five moves of five."""
    near_, mover = evpn.spawn("red", near=near, mover="host1")
    lost = []
    for source, to in MOVES:
        assert find_instance(evpn.lab, mover.instance.id).node == source
        with probe.pinging(
            evpn.lab, near_.instance.id, mover.address(), count=200, interval_s=0.01
        ) as run:
            evpn.nova.live_migrate(mover.instance.id, to)
            lost.append(run.finish().lost)
        sys.stdout.write(f"near {near}: {source} to {to}: {lost[-1]} of 200 pings lost\n")
        evpn.nova.await_status([mover])
        assert probe.ping(evpn.lab, near_.instance.id, mover.address()).lost == 0
    evpn.nova.end([near_.instance.id, mover.instance.id])
    evpn.await_well()
    sys.stdout.write(f"LOST {lost}\n")
