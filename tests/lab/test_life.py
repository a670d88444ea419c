"""What dies and comes back under traffic: agents, OVS, hosts that fall silent (laws 5, 6).

One lab with server and agents for all tests; each heals what it breaks and ends what it made.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netwright.client.networking import Collection, Networking
from netwright.lab import down, faults, instances, links, probe, processes, spec, start, up
from netwright.lab.links import VethEnd
from netwright.lab.nodes import ovs, switch
from netwright.lab.nodes.host import BOND
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually
from netwright.lab.services import AGENT
from netwright.lab.state import Lab
from netwright.model.errors import NetwrightError
from netwright.model.resources import Host, HostState

pytestmark = pytest.mark.lab

PINGS = 500
INTERVAL_S = 0.01
LOST_BY_OVS_RESTART_MAX = 50
SILENT_WITHIN_S = 25.0
SOON_S = 20.0
FOREIGN_COOKIE = "0xf0"
AGENT_OF_HOST2 = f"process:host2/{AGENT}"


@pytest.fixture(scope="module")
def nova(lab_root: Path) -> Iterator[Orchestrator]:
    """The orchestrator's double in the preset `vlan`, with server, agents and networks."""
    name = "life"
    try:
        lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
        orchestrator = start.start(lab)
        orchestrator.create_networks()
        yield orchestrator
    finally:
        down.take_down(name, lab_root)


Make = Callable[..., Spawned]


@pytest.fixture
def make(nova: Orchestrator) -> Iterator[Make]:
    """Makes an instance that is ACTIVE; what is made is ended after the test."""
    made: list[str] = []

    def make(name: str, host: str, *, active: bool = True) -> Spawned:
        (one,) = nova.spawn([Wanted(name, host, "blue")])
        made.append(one.instance.id)
        if active:
            nova.await_status([one])
        return one

    yield make
    there = {str(port["id"]) for port in nova.ports()}
    nova.end([each for each in made if each in there])


def host(nova: Orchestrator, name: str) -> Host:
    return next(each for each in nova.hosts() if each.name == name)


def reaches(lab: Lab, source: Spawned, target: Spawned) -> bool:
    return probe.ping(lab, source.instance.id, target.address(), count=3).lost == 0


def flows(lab: Lab, node: str, bridge: str = "br-int") -> str:
    socket = f"unix:{ovs.run_directory(lab, node)}/{bridge}.mgmt"
    return processes.run(
        lab.namespace(node), ["ovs-ofctl", "-O", "OpenFlow14", "dump-flows", socket]
    )


def add_foreign_things(lab: Lab, node: str) -> None:
    """A flow and a port that bear no mark of ours."""
    socket = f"unix:{ovs.run_directory(lab, node)}/br-int.mgmt"
    rule = f"cookie={FOREIGN_COOKIE},table=99,priority=7,actions=drop"
    argv = ["ovs-ofctl", "-O", "OpenFlow14", "add-flow", socket, rule]
    processes.run(lab.namespace(node), argv)
    namespace = lab.namespace(node)
    links.create_veths([(VethEnd(namespace, "foreign0"), VethEnd(namespace, "foreign1"))])
    ovs.vsctl(lab, node, ["add-port", "br-int", "foreign0"])


def has_foreign_things(lab: Lab, node: str) -> bool:
    ports = ovs.vsctl(lab, node, ["list-ports", "br-int"]).split()
    return "foreign0" in ports and f"cookie={FOREIGN_COOKIE}" in flows(lab, node)


def move(nova: Orchestrator, one: Spawned, to: str) -> None:
    """Cold migration: the device leaves one host and is plugged on another, then the port."""
    instances.kill(nova.lab, [one.instance.id])
    instances.spawn(nova.lab, to, [one.instance])
    nova.bind({one.instance.id: to})


def test_an_agents_death_while_the_world_changes_loses_nothing(
    nova: Orchestrator, make: Make
) -> None:
    """One port new, one deleted, one moved while the agent is away; 0 of 500 pings lost."""
    lab = nova.lab
    near, far = make("near", "host1"), make("far", "host2")
    doomed, mover = make("doomed", "host2"), make("mover", "host2")
    add_foreign_things(lab, "host2")
    with probe.pinging(
        lab, near.instance.id, far.address(), count=PINGS, interval_s=INTERVAL_S
    ) as run:
        faults.fail(lab, AGENT_OF_HOST2)
        new = make("new", "host2", active=False)
        nova.end([doomed.instance.id])
        move(nova, mover, "host3")
        faults.heal(lab, AGENT_OF_HOST2)
        nova.await_status([far, new, mover])
        result = run.finish()
    assert result.lost == 0
    assert reaches(lab, near, new)
    assert reaches(lab, near, mover)
    assert doomed.instance.mac not in flows(lab, "host2")
    assert mover.instance.mac not in flows(lab, "host2")
    gone = eventually(lambda: nova.history(doomed.instance.id)[-1].event == "rested", SOON_S)
    assert gone, nova.history(doomed.instance.id)
    assert has_foreign_things(lab, "host2")


def test_a_moved_port_comes_up_only_after_the_old_host_has_withdrawn_it(
    nova: Orchestrator, make: Make
) -> None:
    lab = nova.lab
    near, mover = make("near", "host1"), make("mover", "host2")
    faults.fail(lab, AGENT_OF_HOST2)
    try:
        move(nova, mover, "host3")
        # host3's agent has it and waits: its instance is plugged, and nobody answers for it.
        seen = eventually(lambda: "device_seen" in _events(nova, mover), SOON_S)
        assert seen, _events(nova, mover)
        assert mover.instance.mac not in flows(lab, "host3")
        assert probe.ping(lab, near.instance.id, mover.address(), count=3).received == 0
        announced = f"arp and arp[14:4] = {int(IPv4Address(mover.address())):#x}"
        with probe.capture(lab, near.instance.id, "eth0", announced) as heard:
            faults.heal(lab, AGENT_OF_HOST2)
            nova.await_status([mover])
            assert reaches(lab, near, mover)
            assert heard.stop() > 0
    finally:
        if not processes.is_alive(processes.find(lab, "host2", AGENT)):
            faults.heal(lab, AGENT_OF_HOST2)


def _events(nova: Orchestrator, one: Spawned) -> list[str]:
    return [each.event for each in nova.history(one.instance.id)]


def test_a_device_that_is_not_wired_yet_hears_nothing(nova: Orchestrator, make: Make) -> None:
    """Plugged into the dead VLAN, that is; as a trunk it hears, which shows that we would see."""
    lab = nova.lab
    near, far = make("near", "host1"), make("far", "host2")
    from_near = f"ether broadcast and ether src {near.instance.mac}"
    nobody = far.address().rpartition(".")[0] + ".250"
    faults.fail(lab, AGENT_OF_HOST2)  # as if it were very slow
    try:
        early = make("early", "host2", active=False)
        assert early.instance.mac not in flows(lab, "host2")
        assert _heard(lab, near, nobody, from_near, [far, early]) == [True, False]
        ovs.vsctl(lab, "host2", ["clear", "Port", early.instance.tap, "tag"])
        assert _heard(lab, near, nobody, from_near, [far, early]) == [True, True]
    finally:
        faults.heal(lab, AGENT_OF_HOST2)
    nova.await_status([early])
    assert reaches(lab, near, early)


def _heard(
    lab: Lab, speaker: Spawned, nobody: str, expression: str, listeners: list[Spawned]
) -> list[bool]:
    """Which of them hear how `speaker` looks for an address that nobody has."""
    with ExitStack() as stack:
        captures = [
            stack.enter_context(probe.capture(lab, each.instance.id, "eth0", expression))
            for each in listeners
        ]
        probe.ping(lab, speaker.instance.id, nobody, count=3)
        return [capture.stop() > 0 for capture in captures]


@pytest.mark.parametrize("in_use", ["eth0", "eth1"])
def test_ovs_restarts_within_half_a_second_of_lost_pings(
    nova: Orchestrator, make: Make, in_use: str
) -> None:
    """Whichever NIC was in use stays so: then no switch has to learn where machines are."""
    lab = nova.lab
    near, far = make("near", "host1"), make("far", "host2")
    ovs.appctl(lab, "host2", "bond/set-active-member", BOND, in_use)
    # ovs-vswitchd says so a tenth of a second later; killed before, nobody would know.
    assert eventually(lambda: switch.active_member(lab, "host2", BOND) == in_use, SOON_S)
    assert eventually(lambda: reaches(lab, near, far), SOON_S)
    with probe.pinging(
        lab, near.instance.id, far.address(), count=PINGS, interval_s=INTERVAL_S
    ) as run:
        faults.fail(lab, "process:host2/ovs-vswitchd")
        faults.heal(lab, "process:host2/ovs-vswitchd")
        result = run.finish()
    assert result.lost < LOST_BY_OVS_RESTART_MAX
    assert switch.active_member(lab, "host2", BOND) == in_use
    nova.await_status([near, far])
    assert reaches(lab, near, far)


def test_a_silent_agent_takes_no_new_ports_and_loses_none(nova: Orchestrator, make: Make) -> None:
    lab = nova.lab
    near, far = make("near", "host1"), make("far", "host2")
    faults.fail(lab, AGENT_OF_HOST2, silent=True)
    try:
        silent = eventually(lambda: host(nova, "host2").state is HostState.UNKNOWN, SILENT_WITHIN_S)
        assert silent
        nova.await_status([near, far])  # silence changes nothing
        assert reaches(lab, near, far)
        refused = make("refused", "host2", active=False)
        (port,) = [each for each in nova.ports() if each["id"] == refused.instance.id]
        assert port["binding:vif_type"] == "binding_failed"
        assert port["status"] == "ERROR"
        assert "host2 is silent" in nova.history(refused.instance.id)[-1].cause
    finally:
        faults.heal(lab, AGENT_OF_HOST2)
    nova.await_status([refused])
    assert host(nova, "host2").state is HostState.UP
    assert reaches(lab, near, refused)


def test_an_address_that_goes_is_nobodys_else_while_its_host_answers_for_it(
    nova: Orchestrator, make: Make
) -> None:
    """What stays of the port loses nothing: an address comes and goes beside it under traffic."""
    lab = nova.lab
    near, far = make("near", "host1"), make("far", "host2")
    old = far.address()
    extra = old.rpartition(".")[0] + ".200"
    with probe.pinging(lab, near.instance.id, old, count=200, interval_s=INTERVAL_S) as run:
        readdress(nova, far, old, extra)
        readdress(nova, far, old)
        assert eventually(lambda: _is_clean_of(nova, far, extra), SOON_S)
        assert run.finish().lost == 0
    faults.fail(lab, AGENT_OF_HOST2, silent=True)
    try:
        readdress(nova, far, extra)
        assert probe.ping(lab, near.instance.id, old, count=3).received == 3
        with pytest.raises(NetwrightError, match=f"{old} .* is in use"):
            readdress(nova, near, old)
        nova.await_status([far])  # Nova is told of nothing
    finally:
        faults.heal(lab, AGENT_OF_HOST2)
    assert eventually(lambda: _is_clean_of(nova, far, old), SOON_S)
    assert probe.ping(lab, near.instance.id, old, count=3).received == 0
    readdress(nova, near, near.address(), old)  # it rests, and its own project may name it


def readdress(nova: Orchestrator, one: Spawned, *addresses: str) -> None:
    wish = {"fixed_ips": [{"ip_address": address} for address in addresses]}
    nova.ask(lambda client: Networking(client).update(Collection.PORTS, one.instance.id, wish))


def _is_clean_of(nova: Orchestrator, one: Spawned, address: str) -> bool:
    """Whether the last that happened is that the host showed it gone, maybe with others."""
    cause = nova.history(one.instance.id)[-1].cause
    _, told, gone = cause.partition("no longer answers for ")
    return bool(told) and address in gone.split(", ")


def test_a_fenced_host_gives_its_ports_up_when_it_returns(nova: Orchestrator, make: Make) -> None:
    lab = nova.lab
    near, mover = make("near", "host1"), make("mover", "host2")
    faults.fail(lab, AGENT_OF_HOST2, silent=True)
    try:
        nova.ask(lambda client: client.fence("host2", "its power is off"))
        move(nova, mover, "host3")
        nova.await_status([mover])
        assert reaches(lab, near, mover)
        refused = make("refused", "host2", active=False)
        assert "host2 is fenced" in nova.history(refused.instance.id)[-1].cause
    finally:
        faults.heal(lab, AGENT_OF_HOST2)
    withdrawn = eventually(lambda: mover.instance.mac not in flows(lab, "host2"), SOON_S)
    assert withdrawn
    assert host(nova, "host2").state is HostState.FENCED
    assert reaches(lab, near, mover)
    nova.ask(lambda client: client.unfence("host2"))
    nova.await_status([refused])
    assert host(nova, "host2").state is HostState.UP
