"""Server and agents as they run, on the lab's Open vSwitch: what only they can show together."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from netwright.client.networking import Collection, Networking
from netwright.lab import down, faults, instances, probe, processes, services, spec, start, up
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually
from netwright.lab.processes import Process
from netwright.lab.state import Lab
from netwright.model.resources import Host
from netwright.model.wire import HostRegistration

pytestmark = pytest.mark.lab

MEGABYTES_MAX = 80.0
WAIT_S = 20.0


@pytest.fixture(scope="module")
def orchestrator(lab_root: Path) -> Iterator[Orchestrator]:
    lab_name = f"a{os.getpid()}"  # two runs at once do not meet
    try:
        lab = up.bring_up(spec.preset("vlan"), lab_name, root=lab_root)
        made = start.start(lab)
        made.create_networks()
        yield made
    finally:
        down.take_down(lab_name, lab_root)


def spawn(orchestrator: Orchestrator, **hosts: str) -> list[Spawned]:
    made = orchestrator.spawn(Wanted(name, host, "blue") for name, host in hosts.items())
    orchestrator.await_status(made)
    return made


def agent_of(lab: Lab, host: str) -> Process:
    return processes.find(lab, host, services.AGENT)


def pings(lab: Lab, source: Spawned, target: Spawned, count: int = 3) -> probe.Pings:
    return probe.ping(lab, str(source.port["id"]), target.address(), count=count)


def events(orchestrator: Orchestrator, one: Spawned) -> list[str]:
    return [each.event for each in orchestrator.history(str(one.port["id"]))]


def is_gone(orchestrator: Orchestrator, one: Spawned) -> bool:
    """Whether its withdrawal is confirmed, so that its address rests."""
    return "rested" in events(orchestrator, one)


def test_an_agent_is_small_also_with_open_vswitch(orchestrator: Orchestrator) -> None:
    spawn(orchestrator, small="host1")
    status = Path(f"/proc/{agent_of(orchestrator.lab, 'host1').pid}/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    assert int(kibibytes) * 1024 / 1e6 < MEGABYTES_MAX


def test_a_device_plugged_before_its_port_is_bound_is_wired_ahead(
    orchestrator: Orchestrator,
) -> None:
    """Nova may plug first: the underlay stands when the binding comes, and confirms at once."""
    lab = orchestrator.lab
    (there,) = spawn(orchestrator, there="host2")
    draft = {"name": "ahead", "network_id": orchestrator.network("blue")["id"]}
    port = orchestrator.ask(lambda client: Networking(client).create(Collection.PORTS, draft))
    ahead = Spawned("ahead", "host1", "blue", port, orchestrator._instance(port))
    instances.spawn(lab, "host1", [ahead.instance])
    assert eventually(lambda: pings(lab, ahead, there, 1).lost == 0, WAIT_S)
    assert {each["id"]: each["status"] for each in orchestrator.ports()}[port["id"]] == "DOWN"
    orchestrator.bind({str(port["id"]): "host1"})
    orchestrator.await_status([ahead])
    orchestrator.bind({str(port["id"]): ""})
    # Unbound, its device still plugged: it was bound before, so it is not wired ahead again.
    assert eventually(lambda: "withdrawn" in events(orchestrator, ahead), WAIT_S)
    assert pings(lab, ahead, there).received == 0


def test_a_killed_agent_comes_back_to_another_world_and_no_packet_is_lost(
    orchestrator: Orchestrator,
) -> None:
    """After kill -9; meanwhile one port is made, one deleted, one moved away; then all is right."""
    lab = orchestrator.lab
    stays, goes, moves, far = spawn(
        orchestrator, stays="host1", goes="host1", moves="host1", far="host2"
    )
    with probe.pinging(lab, str(far.port["id"]), stays.address()) as run:
        processes.stop(agent_of(lab, "host1"), signal.SIGKILL)
        orchestrator.end([str(goes.port["id"])])
        (comes,) = orchestrator.spawn([Wanted("comes", "host1", "blue")])
        instances.kill(lab, [moves.instance.id])
        instances.spawn(lab, "host3", [moves.instance])
        orchestrator.bind({str(moves.port["id"]): "host3"})
        processes.restart(lab, "host1", services.AGENT)
        orchestrator.await_status([stays, comes, moves, far])
        assert run.finish().lost == 0
    for one in (comes, moves):
        assert pings(lab, far, one).lost == 0
    assert eventually(lambda: is_gone(orchestrator, goes), WAIT_S)


def test_devices_are_wired_and_kept_while_the_server_is_away(orchestrator: Orchestrator) -> None:
    lab = orchestrator.lab
    one, two = spawn(orchestrator, one="host1", two="host2")
    server = next(
        process for process in processes.remembered(lab, "mgmt") if process.name == services.SERVER
    )
    processes.halt(server)
    instances.kill(lab, [one.instance.id])
    instances.spawn(lab, "host1", [one.instance])
    assert eventually(lambda: pings(lab, one, two, 1).lost == 0, WAIT_S)
    processes.send(server, signal.SIGCONT)
    orchestrator.await_status([one, two])


def test_a_killed_server_is_not_noticed_by_traffic_and_found_again(
    orchestrator: Orchestrator,
) -> None:
    """Nothing is judged by the server's absence (law 5); what happened meanwhile is reported."""
    lab = orchestrator.lab
    one, two, gone = spawn(orchestrator, kept1="host1", kept2="host2", gone="host1")
    server = processes.find(lab, "mgmt", services.SERVER)
    with probe.pinging(lab, str(one.port["id"]), two.address()) as run:
        processes.stop(server, signal.SIGKILL)
        instances.kill(lab, [str(gone.port["id"])])
        processes.restart(lab, "mgmt", services.SERVER)
        assert eventually(orchestrator.is_served, WAIT_S)
        assert run.finish().lost == 0
    orchestrator.await_status([gone], "DOWN")
    orchestrator.await_status([one, two])
    assert not {"unplugged", "plane_down", "withdrawn"} & set(events(orchestrator, one))


def test_an_unplugged_device_is_named_and_comes_back(orchestrator: Orchestrator) -> None:
    lab = orchestrator.lab
    (one,) = spawn(orchestrator, plug="host1")
    instances.kill(lab, [one.instance.id])
    orchestrator.await_status([one], "DOWN")
    assert events(orchestrator, one)[-1] == "unplugged"
    instances.spawn(lab, "host1", [one.instance])
    orchestrator.await_status([one])


def test_a_second_agent_of_a_host_is_refused(orchestrator: Orchestrator) -> None:
    lab = orchestrator.lab
    first = agent_of(lab, "host3")
    second = processes.start(lab, "host3", "second-agent", first.command)
    assert eventually(lambda: not processes.is_alive(second), WAIT_S)
    assert processes.is_alive(first)
    assert "runs on this machine already" in processes.log_path(lab, second).read_text()


def test_an_older_life_of_an_agent_ends_by_itself(orchestrator: Orchestrator) -> None:
    """A clone of the machine, elsewhere, has registered as this host."""
    lab = orchestrator.lab
    older = agent_of(lab, "host3")
    clone = HostRegistration(
        epoch="elsewhere", driver="ovs", physical_networks={"physnet1": "br-bond"}
    )
    orchestrator.ask(lambda client: client.register_host("host3", clone))
    assert eventually(lambda: not processes.is_alive(older), WAIT_S)
    log = processes.log_path(lab, older).read_text()
    assert "registered anew" in log.splitlines()[-2]
    assert "end one" in log.splitlines()[-1], "the last words say what to do"
    processes.restart(lab, "host3", services.AGENT)
    start.await_hosts(orchestrator, ["host3"])


def test_a_lost_nic_is_a_condition_with_a_name(orchestrator: Orchestrator) -> None:
    def host1() -> Host:
        return next(host for host in orchestrator.hosts() if host.name == "host1")

    faults.fail(orchestrator.lab, "nic:host1/eth1")
    try:
        assert eventually(lambda: "redundancy lost" in host1().conditions, WAIT_S)
        assert "eth1" in host1().conditions["redundancy lost"]
        (nic,) = (nic for nic in host1().nics if nic.name == "eth1")
        assert not nic.forwarding
    finally:
        faults.heal(orchestrator.lab, "nic:host1/eth1")
    assert eventually(lambda: "redundancy lost" not in host1().conditions, WAIT_S)
