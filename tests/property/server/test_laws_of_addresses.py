"""Laws 1, 2, 3 and 5, seen from the wire: no host answers for an address that is not its port's.

The agents decide as the real ones do and are as late as they like: each acts on what it has heard
of the event log so far, and its reports arrive in order, after any delay, some of them twice. Hosts
fall silent, are fenced and return. The machine knows what is truly wired, which the server does
not. At the end all is mended, and then nothing waits any more.

Hypothesis drives the machine and shrinks what it finds; walks of random steps, told apart by their
seeds, go further in the same time, since they need not be remembered to be changed.
"""

from random import Random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import UNSET
from tests.doubles.agents import AgentDouble, answering
from tests.doubles.places import Place, PostgresPlace
from tests.doubles.store import (
    ADMIN,
    Store,
    delete,
    ipv4_subnet,
    register,
    slaac_subnet,
    update,
)

from netwright.ipam.resting import REST_S
from netwright.model.errors import InternalError
from netwright.model.resources import Port
from netwright.model.states import BindingState, PortState
from netwright.model.wire import Heartbeat
from netwright.server.commands import (
    ActivateBinding,
    AddressWish,
    Command,
    CreatePorts,
    DeleteBinding,
    FenceHost,
    HeartbeatHost,
    PortDraft,
    PrepareBinding,
    Tick,
    UnfenceHost,
)

HOSTS = ("h1", "h2")
PORTS_MAX = 3  # few, so that much befalls each
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03")
ADDRESSES = ("10.0.0.2", "10.0.0.3", "10.0.0.4")
ROUNDS_TO_MEND = 12
WALKS, STEPS = 60, 40
hosts = st.sampled_from(HOSTS)
addresses = st.sampled_from(ADDRESSES)
picks = st.integers(0, PORTS_MAX - 1)
wait = st.sampled_from([False, False, True])
MIGRATION = {"prepare": PrepareBinding, "activate": ActivateBinding, "delete": DeleteBinding}
LIVE = {BindingState.PREPARING, BindingState.UP, BindingState.DOWN, BindingState.REFUSED}


class Addresses(RuleBasedStateMachine):
    def __init__(self, place: Place | None = None) -> None:
        super().__init__()
        self.store = Store(place)
        self.agents = {host: AgentDouble(host) for host in HOSTS}
        self.pending: list[Command] = []
        self.made = 0
        self.projects: dict[str, str] = {}
        self.answered_at: dict[str, tuple[float, str]] = {}

    @initialize(ahead=st.booleans())
    def begin(self, *, ahead: bool) -> None:
        """Two ports wired, each on its host, one maybe ahead: what befalls them is the matter."""
        self.store.make_network("net", 10, ipv4_subnet("net"), slaac_subnet("net"))
        for n, host in enumerate(HOSTS):
            self.start(host, wait=False)
            bound = "" if ahead and n else host
            self.create(bound, ADDRESSES[n], MACS[n], wait=False)
            self.plug(n, host)
            self.keep_up(host)

    def send(self, command: Command, *, wait: bool = False) -> Any:
        """Queue a command; it is committed with those before it unless more are to join it."""
        self.pending.append(command)
        if wait:
            return None
        outcomes = self.store.batch(*self.pending)
        self.pending.clear()
        assert not [each for each in outcomes if isinstance(each, InternalError)], outcomes
        return outcomes[-1]

    def some_port(self, pick: int) -> Port | None:
        alive = [port for port in self.store.ports() if port.state is not PortState.RELEASING]
        return alive[pick % len(alive)] if alive else None

    # the orchestrator

    @rule(
        host=st.sampled_from(["", *HOSTS]),
        address=addresses | st.none(),
        mac=st.sampled_from([None, *MACS]),
        wait=wait,
    )
    def create(self, host: str, address: str | None, mac: str | None, *, wait: bool) -> None:
        """Of another project than the one before, so that what rests is kept from it."""
        if len(self.store.ports()) >= PORTS_MAX:
            return
        self.made += 1
        port_id = f"port{self.made:03}"
        self.projects[port_id] = f"project{self.made % 2}"
        draft = PortDraft(
            id=port_id,
            project_id=self.projects[port_id],
            network_id="net",
            host=host,
            mac_address=mac,
            fixed_ips=UNSET if address is None else (AddressWish(ip_address=address),),
        )
        self.send(CreatePorts(caller=ADMIN, drafts=(draft,)), wait=wait)

    @rule(pick=picks, host=st.sampled_from(["", *HOSTS]), wait=wait)
    def bind(self, pick: int, host: str, *, wait: bool) -> None:
        if port := self.some_port(pick):
            self.send(update(port.id, host=host), wait=wait)

    @rule(pick=picks, host=hosts, what=st.sampled_from(list(MIGRATION)), wait=wait)
    def migrate(self, pick: int, host: str, what: str, *, wait: bool) -> None:
        """A step of a live migration, in whatever order. Only an instance's port takes them."""
        if port := self.some_port(pick):
            self.send(update(port.id, device_owner="compute:nova"), wait=True)
            step = MIGRATION[what](caller=ADMIN, port_id=port.id, host=host)
            self.send(step, wait=True)
            self.send(update(port.id, device_owner=""), wait=wait)

    @rule(
        pick=picks,
        address=addresses,
        mac=st.sampled_from(MACS) | st.none(),
        host=st.sampled_from([None, None, *HOSTS]),
        wait=wait,
    )
    def readdress(
        self, pick: int, address: str, mac: str | None, host: str | None, *, wait: bool
    ) -> None:
        if port := self.some_port(pick):
            given = {"mac_address": mac, "host": host}
            change = {key: value for key, value in given.items() if value is not None}
            wishes = (AddressWish(ip_address=address),)
            self.send(update(port.id, fixed_ips=wishes, **change), wait=wait)

    @rule(pick=picks, wait=wait)
    def delete(self, pick: int, *, wait: bool) -> None:
        if port := self.some_port(pick):
            self.send(delete(port.id), wait=wait)

    @rule(pick=picks, host=hosts)
    def plug(self, pick: int, host: str) -> None:
        """Maybe where the port is not bound, or on two hosts: by mistake, or as a leftover."""
        if port := self.some_port(pick):
            self.agents[host].plugged.add(port.id)

    @rule(pick=picks, host=hosts)
    def unplug(self, pick: int, host: str) -> None:
        if port := self.some_port(pick):
            self.agents[host].unplug(port.id)

    # the agents

    @rule(host=hosts, wait=wait)
    def start(self, host: str, *, wait: bool) -> None:
        self.agents[host].start()
        self.send(register(host, self.agents[host].epoch), wait=wait)

    @rule(
        host=hosts,
        sweeps=st.sampled_from([True, True, False]),
        refuses=st.sampled_from([False, False, False, True]),
        speaks=st.sampled_from([True, True, False]),
    )
    def work(self, host: str, *, sweeps: bool, refuses: bool, speaks: bool) -> None:
        agent = self.agents[host]
        if agent.life:
            agent.work(self.store, sweeps=sweeps, refuses=refuses, speaks=speaks)

    @rule(host=hosts, twice=st.booleans(), wait=wait)
    def deliver(self, host: str, *, twice: bool, wait: bool) -> None:
        agent = self.agents[host]
        if agent.outbox:
            message = agent.outbox.pop(0)
            for _ in range(1 + twice):
                outcome = self.send(message.command, wait=wait)
            if outcome is not None:  # else the answer is lost
                agent.answered(message, outcome, self.store.now)

    @rule(host=hosts)
    def keep_up(self, host: str) -> None:
        """The host is sound, and its agent quick for once: it hears, wires and is heard."""
        self.befall(host, "unfence")
        self.befall(host, "heartbeat")
        self.work(host, sweeps=True, refuses=False, speaks=True)
        while self.agents[host].outbox:
            self.deliver(host, twice=False, wait=False)

    # what befalls them

    @rule(host=hosts, what=st.sampled_from(["silence", "silence", "heartbeat", "fence", "unfence"]))
    def befall(self, host: str, what: str) -> None:
        agent = self.agents[host]
        match what:
            case "silence":
                self.send(Tick(caller=ADMIN, silent_hosts=(host,)))
            case "heartbeat":
                beat = Heartbeat(epoch=agent.epoch)
                self.send(HeartbeatHost(caller=ADMIN, host=host, heartbeat=beat))
            case "fence":  # somebody cuts its power and says so
                agent.die()
                self.send(FenceHost(caller=ADMIN, host=host, reason="power is off"))
                self.start(host, wait=False)
            case "unfence":
                self.send(UnfenceHost(caller=ADMIN, host=host))

    @rule(passes_s=st.sampled_from([1.0, REST_S + 1]), wait=wait)
    def tick(self, passes_s: float, *, wait: bool) -> None:
        self.store.now += passes_s
        overdue = self.store.overdue_ports()
        self.send(Tick(caller=ADMIN, overdue_ports=overdue), wait=wait)

    # the laws

    @invariant()
    def what_is_answered_for_is_held_by_its_port(self) -> None:
        holders = self.holders()
        for host, port_id, name in answering(self.agents.values()):
            assert holders.get(name) == port_id, (host, port_id, name)

    @invariant()
    def nothing_is_answered_for_on_two_hosts(self) -> None:
        names = [name for _, _, name in answering(self.agents.values())]
        assert len(names) == len(set(names)), names

    @invariant()
    def what_was_answered_for_rests_before_another_project_has_it(self) -> None:
        """A MAC likewise when it changes; a deleted port's is free, for its addresses rest."""
        now = self.store.now
        for name, port_id in self.holders().items():
            answered_at, project = self.answered_at.get(name, (0.0, ""))
            if name in MACS or port_id is None or project in {"", self.projects[port_id]}:
                continue
            assert now - answered_at >= REST_S, (name, port_id, now - answered_at)
        for _, port_id, name in answering(self.agents.values()):
            self.answered_at[name] = now, self.projects[port_id]

    def holders(self) -> dict[str, str | None]:
        rows = self.store.rows(
            "SELECT mac_address, port_id FROM former_mac UNION ALL SELECT mac_address, id FROM port"
        )
        return {**self.store.holders(), **dict(rows)}

    def teardown(self) -> None:
        try:
            if self.agents["h1"].life:
                self.mend()
        finally:
            self.store.close()

    def mend(self) -> None:
        """All hosts are sound and all is heard: nothing waits, and what has a device is up."""
        self.tick(1.0, wait=False)
        for _ in range(ROUNDS_TO_MEND):
            for host in HOSTS:
                self.keep_up(host)
            self.tick(REST_S + 1, wait=False)
            self.what_is_answered_for_is_held_by_its_port()
        for port in self.store.ports():
            assert port.state is not PortState.RELEASING, port
            for binding in port.bindings:
                is_here = port.id in self.agents[binding.host].plugged
                assert binding.remnant is None, port
                assert binding.state in LIVE, port
                assert is_here == (binding.state is BindingState.UP), port
        former = self.store.rows("SELECT * FROM former_mac")
        assert not former


TestAddresses = Addresses.TestCase
TestAddresses.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, derandomize=True
)


class Walk:
    """Random steps through the machine's rules; one host may be cut off for most of them."""

    def __init__(self, seed: int, place: Place | None = None) -> None:
        self.random = Random(seed)
        self.machine = Addresses(place)
        self.cut_off = self.random.choice([None, None, *HOSTS])

    def run(self, steps: int) -> None:
        machine = self.machine
        try:
            machine.begin(ahead=self.random.random() < 0.3)
            for _ in range(steps):
                self.step()
                machine.what_is_answered_for_is_held_by_its_port()
                machine.nothing_is_answered_for_on_two_hosts()
                machine.what_was_answered_for_rests_before_another_project_has_it()
        finally:
            machine.teardown()

    def step(self) -> None:
        if self.random.random() < 0.4:
            self.orchestrate()
        else:
            self.live()

    def orchestrate(self) -> None:
        machine, choice = self.machine, self.random.choice
        pick, wait = choice(range(PORTS_MAX)), choice([False, False, True])
        acts = ["create", "bind", "readdress", "readdress", "delete", "plug", "unplug"]
        match choice([*acts, "migrate", "migrate", "migrate"]):
            case "create":
                address, mac = choice([None, *ADDRESSES]), choice([None, *MACS])
                machine.create(choice(["", *HOSTS]), address, mac, wait=wait)
            case "bind":
                machine.bind(pick, choice(["", *HOSTS]), wait=wait)
            case "readdress":
                mac, to = choice([None, *MACS]), choice([None, None, *HOSTS])
                machine.readdress(pick, choice(ADDRESSES), mac, to, wait=wait)
            case "delete":
                machine.delete(pick, wait=wait)
            case "migrate":
                what = choice(["prepare", "activate", "activate", "delete"])
                machine.migrate(pick, choice(HOSTS), what, wait=wait)
            case "plug":
                machine.plug(pick, choice(HOSTS))
            case _:
                machine.unplug(pick, choice(HOSTS))

    def live(self) -> None:
        machine, choice = self.machine, self.random.choice
        host, wait = choice(HOSTS), choice([False, False, True])
        if host == self.cut_off and self.random.random() < 0.9:
            host = HOSTS[1 - HOSTS.index(host)]
        sweeps, speaks = choice([True, False]), choice([True, False])
        match choice(["start", "work", "work", "deliver", "keep up", "keep up", "befall", "tick"]):
            case "start":
                machine.start(host, wait=wait)
            case "work":
                refuses = self.random.random() < 0.3
                machine.work(host, sweeps=sweeps, refuses=refuses, speaks=speaks)
            case "deliver":
                machine.deliver(host, twice=speaks, wait=wait)
            case "keep up":
                machine.keep_up(host)
            case "befall":
                machine.befall(host, choice(["silence", "silence", "heartbeat", "fence"]))
            case _:
                machine.tick(choice([1.0, REST_S + 1]), wait=wait)


@pytest.mark.parametrize("seed", range(10))
def test_the_laws_hold_on_random_walks(seed: int) -> None:
    for walk in range(seed * WALKS, (seed + 1) * WALKS):
        walked(walk)


def test_they_hold_on_postgresql(postgres_place: PostgresPlace) -> None:
    for walk in range(WALKS // 2):
        walked(walk, postgres_place.emptied())


def walked(seed: int, place: Place | None = None) -> None:
    try:
        Walk(seed, place).run(STEPS)
    except AssertionError as error:
        error.add_note(f"walk {seed}")
        raise
