"""Live migration between two hosts of the VLAN lab: one MAC and address on two devices (law 5)."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netwright.client.networking import Networking
from netwright.lab import down, migration, netns, probe, processes, spec, start, up
from netwright.lab.nodes import ovs
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually
from netwright.lab.places import find_instance
from netwright.lab.state import Lab

pytestmark = pytest.mark.lab

PINGS = 500
INTERVAL_S = 0.01
LOST_MAX = 50
SOON_S = 20.0


@pytest.fixture(scope="module")
def nova(lab_root: Path) -> Iterator[Orchestrator]:
    """The orchestrator's double in the preset `vlan`, with server, agents and networks."""
    name = "migrates"
    try:
        lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
        orchestrator = start.start(lab)
        orchestrator.create_networks()
        yield orchestrator
    finally:
        down.take_down(name, lab_root)


Make = Callable[[str, str], Spawned]


@pytest.fixture
def make(nova: Orchestrator) -> Iterator[Make]:
    """Makes an instance that is ACTIVE; what is made is ended after the test."""
    made: list[str] = []

    def make(name: str, host: str) -> Spawned:
        (one,) = nova.spawn([Wanted(name, host, "blue")])
        made.append(one.instance.id)
        nova.await_status([one])
        return one

    yield make
    nova.end(made)


def answers_for(lab: Lab, node: str, one: Spawned) -> bool:
    """Whether the host lets anything of this port through."""
    socket = f"unix:{ovs.run_directory(lab, node)}/br-int.mgmt"
    argv = ["ovs-ofctl", "-O", "OpenFlow14", "dump-flows", socket]
    return one.instance.mac in processes.run(lab.namespace(node), argv)


def events(nova: Orchestrator, one: Spawned) -> list[tuple[str, str | None]]:
    """What has happened to the port, and on which host."""
    return [(each.event, each.host) for each in nova.history(one.instance.id)]


def test_a_guest_that_moves_loses_few_pings_and_is_never_on_two_hosts(
    nova: Orchestrator, make: Make
) -> None:
    """There and back: what the first host had withdrawn is prepared, and activated, again."""
    lab = nova.lab
    near, mover = make("near", "host1"), make("mover", "host2")
    for source, to in (("host2", "host3"), ("host3", "host2")):
        with probe.pinging(
            lab, near.instance.id, mover.address(), count=PINGS, interval_s=INTERVAL_S
        ) as run:
            nova.live_migrate(mover.instance.id, to)
            result = run.finish()
        sys.stdout.write(f"{source} to {to}: {result.lost} of {result.sent} pings lost\n")
        assert result.lost < LOST_MAX
        nova.await_status([mover])
        assert find_instance(lab, mover.instance.id).node == to
        assert probe.ping(lab, near.instance.id, mover.address(), count=3).lost == 0
        assert probe.ping(lab, mover.instance.id, near.address(), count=3).lost == 0
        assert [answers_for(lab, host, mover) for host in (source, to)] == [False, True]


def test_a_guest_that_runs_ahead_of_its_activation_is_not_heard(
    nova: Orchestrator, make: Make
) -> None:
    """And when it is not to come after all, nothing of the port has been lost by it."""
    lab = nova.lab
    near, mover = make("near", "host1"), make("mover", "host2")
    ear = near.instance.id
    port_id, nobody = mover.instance.id, mover.address().rpartition(".")[0] + ".250"
    asked = f"ether src {mover.instance.mac} and arp[24:4] = {int(IPv4Address(nobody)):#x}"
    with probe.pinging(
        lab, near.instance.id, mover.address(), count=PINGS, interval_s=INTERVAL_S
    ) as run:
        nova.ask(lambda client: Networking(client).prepare_binding(port_id, "host3"))
        migration.receive(lab, "host3", port_id)
        assert eventually(lambda: ("plane_up", "host3") in events(nova, mover), SOON_S)
        with probe.capture(lab, "host3", mover.instance.tap, asked) as paused:
            netns.run_in(migration.arriving(lab, port_id, "host3"), lambda: ask(nobody))
            assert paused.stop() == 0
        runs_in = migration.resume(lab, port_id, "host3")
        with (
            probe.capture(lab, "host3", mover.instance.tap, asked) as said,
            probe.capture(lab, ear, "eth0", asked) as heard,
        ):
            netns.run_in(runs_in, lambda: ask(nobody))
            assert said.stop() > 0
            assert heard.stop() == 0
        assert not answers_for(lab, "host3", mover)
        nova.ask(lambda client: Networking(client).delete_binding(port_id, "host3"))
        migration.abandon(lab, port_id, "host3")
        result = run.finish()
    assert result.lost == 0
    assert {each.to_state for each in nova.history(port_id)[-3:]} == {"ACTIVE"}
    with probe.capture(lab, ear, "eth0", asked) as heard:  # it would have been seen
        netns.run_in(find_instance(lab, port_id).namespace, lambda: ask(nobody))
        assert heard.stop() > 0


def ask(address: str) -> None:
    """Look for an address that nobody has, from the namespace of the calling thread."""
    argv = ["ping", "-n", "-c1", "-W1", address]
    assert subprocess.run(argv, capture_output=True, check=False, timeout=10).returncode
