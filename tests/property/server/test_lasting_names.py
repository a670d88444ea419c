"""Laws 1 to 5 for containers' names: whatever containers claim, end, move, and whatever befalls.

Three hosts with two containers each claim a name, one of two slots, or a name that they take from
each other; claims are read late, when nobody waits for them any more; ends come late, twice, from
containers that have lost the name; hosts fall silent, are
fenced and return; time passes, by leaps too. The agents are those of `test_laws_of_addresses`.
"""

from random import Random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace
from tests.doubles.agents import AgentDouble, answering
from tests.doubles.places import Place, PostgresPlace
from tests.doubles.store import ADMIN, Store, delete, ipv4_subnet, register, update
from tests.unit.server.containers.scene import claim, end, pod

from netwright.ipam.resting import REST_S
from netwright.model.container_errors import NameHeld
from netwright.model.errors import InternalError, NetwrightError, UniqueNameConflict
from netwright.model.resources import Port
from netwright.model.states import BindingState, PortState
from netwright.model.wire import Heartbeat
from netwright.server.commands import (
    Command,
    FenceHost,
    HeartbeatHost,
    Tick,
    UnfenceHost,
    UpdateNetwork,
)
from netwright.server.containers.commands import ClaimPort, LetGoOfOwners
from netwright.server.store.claims import claim_row, expired_claims, ports_of_owners

HOSTS = ("h1", "h2", "h3")
NAMES = ("db", "web/{slot}")
KEEPS = ("", "90s", "90s", "while-owner-exists")
LEAPS_S = (1.0, 91.0, REST_S + 1, 1e6)
ROUNDS_TO_MEND = 12
WALKS, STEPS = 40, 50
LIVE = {BindingState.PREPARING, BindingState.UP, BindingState.DOWN, BindingState.REFUSED}

hosts = st.sampled_from(HOSTS)
numbers = st.integers(0, 1)
wait = st.sampled_from([False, False, True])


class Names(RuleBasedStateMachine):
    def __init__(self, place: Place | None = None) -> None:
        super().__init__()
        self.store = Store(place)
        self.agents = {host: AgentDouble(host) for host in HOSTS}
        self.pending: list[Command] = []
        self.held: dict[str, Port] = {}  # by container: the port that it was answered
        self.answered_at: dict[str, tuple[float, str]] = {}
        self.asked = 0
        self.answered: list[ClaimPort] = []
        """The claims that say from whom they take a name, and that were given it."""

    @initialize()
    def begin(self) -> None:
        self.store.make_network("net", 10, ipv4_subnet("net", "10.0.0.0/27"))
        self.store.do(UpdateNetwork(caller=ADMIN, id="net", labels={"env": "prod"}))
        for host in HOSTS:
            self.start(host, wait=False)

    def send(self, command: Command, *, wait: bool = False) -> Any:
        """Queue a command; it is committed with those before it unless more are to join it."""
        self.pending.append(command)
        if wait:
            return None
        outcomes = self.store.batch(*self.pending)
        for asked, outcome in zip(self.pending, outcomes, strict=True):
            assert not isinstance(outcome, InternalError), (asked, outcome)
        self.pending.clear()
        return outcomes[-1]

    def alive(self) -> list[Port]:
        return [port for port in self.store.ports() if port.state is not PortState.RELEASING]

    def living(self) -> set[str]:
        return {port.id for port in self.alive() if port.active_binding is not None}

    # containers

    @rule(
        host=hosts,
        number=numbers,
        name=st.sampled_from(NAMES),
        keep=st.sampled_from(KEEPS),
        replaces=st.booleans(),
        says=st.booleans(),
        wait=wait,
    )
    def claim(
        self,
        host: str,
        number: int,
        name: str,
        keep: str,
        *,
        replaces: bool,
        says: bool,
        wait: bool,
    ) -> None:
        container = f"{host}-{number}"
        older = f"{host}-{1 - number}" if replaces else ""
        command = claim(
            host,
            name,
            container,
            keep=keep,
            slots=2 if "{slot}" in name else 0,
            pod=pod(container),
            replaces=older,
            attempt=self.asked + 1,
            takes="" if says else None,
        )
        self.asked += 1
        draft = replace(command.draft, id=f"port{self.asked}")
        command = replace(command, draft=draft, epoch=self.agents[host].epoch)
        rival = None if self.pending else self.rival(host, name, {container, older})
        newer = None if self.pending else self.newer(name, container)
        outcome = self.send(command, wait=wait)
        if isinstance(outcome, NameHeld):
            command = replace(command, takes=outcome.held_by)
            outcome = self.send(command, wait=wait)
            assert wait or not isinstance(outcome, NameHeld), outcome
        assert rival is None or wait or isinstance(outcome, UniqueNameConflict), rival
        assert newer is None or wait or isinstance(outcome, UniqueNameConflict), newer
        if isinstance(outcome, Port):
            self.held[container] = outcome
            self.agents[host].plugged.add(outcome.id)
            again = self.send(command)
            assert (again.id, again.generation) == (outcome.id, outcome.generation)
            if says:
                self.answered.append(command)

    @rule(pick=st.integers(0, 99))
    def read_late(self, pick: int) -> None:
        """A second copy of a claim: it takes nothing from whoever lives by now."""
        if self.pending or not self.answered:
            return
        command = self.answered[-1 - pick % len(self.answered)]
        self.asked += 1
        draft = replace(command.draft, id=f"port{self.asked}")  # as the edge gives one
        before = self.holders()
        self.send(replace(command, draft=draft))
        assert before.items() <= self.holders().items(), command

    def holders(self) -> dict[str, tuple[str, str]]:
        """Who lives, and where, by port; a fenced host's containers do not."""
        return {
            port.id: (port.device_id, active.host)
            for port in self.alive()
            if (active := port.active_binding) is not None
            and active.state is not BindingState.FENCED
        }

    def newer(self, name: str, container: str) -> Port | None:
        """Whoever has claimed the name from the container since, and has not ended."""
        for port in self.alive():
            claim = port.claim
            if port.unique_name == name and claim is not None and container in claim.lost_by:
                assert not claim.is_ended
                return port
        return None

    def rival(self, host: str, name: str, but: set[str]) -> Port | None:
        """Whoever lives on the host by this very name."""
        for port in self.alive():
            active = port.active_binding
            if port.unique_name != name or active is None or active.host != host:
                continue
            if active.state is not BindingState.FENCED and port.device_id not in but:
                return port
        return None

    @rule(host=hosts, number=numbers, name=st.sampled_from(("db", "web/0", "web/1")), wait=wait)
    def end(self, host: str, number: int, name: str, *, wait: bool) -> None:
        """Of a container that may have the name, have lost it, or have never had it."""
        container = f"{host}-{number}"
        self.unplug(host, container)
        before = self.alive() if not self.pending else None
        outcome = self.send(end(host, name, container), wait=wait)
        if wait or before is None:
            return
        holders = {port.unique_name: port for port in before}
        port = holders.get(name)
        holder = None if port is None else port.claim
        if holder is None or (holder.container_id, holder.host) != (container, host):
            has_lost = holder is not None and container in holder.lost_by
            assert has_lost or isinstance(outcome, NetwrightError)
            assert [bare(each) for each in self.alive()] == [bare(each) for each in before]

    def unplug(self, host: str, container: str) -> None:
        port = self.held.pop(container, None)
        others = [each.id for key, each in self.held.items() if key.startswith(host)]
        if port is not None and port.id not in others:
            self.agents[host].unplug(port.id)

    @rule(wait=wait)
    def owners_go(self, *, wait: bool) -> None:
        uids = ["u-set"]
        found = self.store.place.run(ports_of_owners(self.store.place.tx, "blue", uids, 10))
        living, alone = self.living(), not self.pending
        command = LetGoOfOwners(
            caller=ADMIN, cluster="blue", owners=frozenset(uids), port_ids=tuple(found)
        )
        self.send(command, wait=wait)
        assert wait or not alone or living <= self.living()

    @rule(pick=numbers, unbinds=st.booleans(), wait=wait)
    def interfere(self, pick: int, *, unbinds: bool, wait: bool) -> None:
        """An operator unbinds a port, or deletes it."""
        if alive := self.alive():
            port = alive[pick % len(alive)]
            self.send(update(port.id, host="") if unbinds else delete(port.id), wait=wait)

    @rule(leap_s=st.sampled_from(LEAPS_S), wait=wait)
    def tick(self, leap_s: float, *, wait: bool) -> None:
        """Nothing that lives goes by time, however far the clock jumps."""
        self.store.now += leap_s
        overdue = self.store.overdue_ports()
        expired = self.store.place.run(expired_claims(self.store.place.tx, self.store.now))
        living, alone = self.living(), not self.pending
        self.send(Tick(caller=ADMIN, overdue_ports=overdue, expired_claims=expired), wait=wait)
        assert wait or not alone or living <= self.living()

    # the agents, and what befalls their hosts

    @rule(host=hosts, wait=wait)
    def start(self, host: str, *, wait: bool) -> None:
        self.agents[host].start()
        self.send(register(host, self.agents[host].epoch), wait=wait)

    @rule(host=hosts, sweeps=st.booleans(), speaks=st.booleans())
    def work(self, host: str, *, sweeps: bool, speaks: bool) -> None:
        self.agents[host].work(self.store, sweeps=sweeps, refuses=False, speaks=speaks)

    @rule(host=hosts, twice=st.booleans(), wait=wait)
    def deliver(self, host: str, *, twice: bool, wait: bool) -> None:
        agent = self.agents[host]
        if agent.outbox:
            message = agent.outbox.pop(0)
            for _ in range(1 + twice):
                outcome = self.send(message.command, wait=wait)
            if outcome is not None:
                agent.answered(message, outcome, self.store.now)

    @rule(host=hosts)
    def keep_up(self, host: str) -> None:
        self.befall(host, "unfence")
        self.befall(host, "heartbeat")
        self.work(host, sweeps=True, speaks=True)
        while self.agents[host].outbox:
            self.deliver(host, twice=False, wait=False)

    @rule(host=hosts, what=st.sampled_from(["silence", "heartbeat", "fence", "unfence"]))
    def befall(self, host: str, what: str) -> None:
        agent = self.agents[host]
        match what:
            case "silence":
                self.send(Tick(caller=ADMIN, silent_hosts=(host,)))
            case "heartbeat":
                beat = Heartbeat(epoch=agent.epoch)
                self.send(HeartbeatHost(caller=ADMIN, host=host, heartbeat=beat))
            case "fence":
                agent.die()
                for number in (0, 1):
                    self.held.pop(f"{host}-{number}", None)
                self.send(FenceHost(caller=ADMIN, host=host, reason="power is off"))
                self.start(host, wait=False)
            case "unfence":
                self.send(UnfenceHost(caller=ADMIN, host=host))

    # the laws

    @invariant()
    def a_name_has_one_live_holder(self) -> None:
        names = [port.unique_name for port in self.alive()]
        assert len(names) == len(set(names))
        for port in self.alive():
            active = [binding.host for binding in port.bindings if binding.active]
            assert len(active) <= 1
            assert port.claim is not None
            assert port.device_id == port.claim.container_id
            if active:
                assert not port.claim.is_ended
                assert active == [port.claim.host]
            if port.claim.is_ended:
                assert port.claim.keep

    @invariant()
    def an_address_is_answered_for_once_and_for_its_port(self) -> None:
        holders = {**self.store.holders(), **self.macs()}
        names = []
        for host, port_id, name in answering(self.agents.values()):
            assert holders.get(name) == port_id, (host, port_id, name)
            names.append(name)
        assert len(names) == len(set(names)), names

    @invariant()
    def what_was_answered_for_rests_before_another_port_has_it(self) -> None:
        now = self.store.now
        for name, port_id in self.store.holders().items():
            answered_at, last = self.answered_at.get(name, (0.0, port_id))
            assert port_id in {None, last} or now - answered_at >= REST_S, (name, port_id)
        for _, port_id, name in answering(self.agents.values()):
            self.answered_at[name] = now, port_id

    @invariant()
    def the_rows_of_claims_are_what_the_ports_say(self) -> None:
        said = [row for port in self.alive() if (row := claim_row(port)) is not None]
        assert sorted(self.store.rows("SELECT * FROM container_claim"), key=str) == sorted(
            said, key=str
        )

    def macs(self) -> dict[str, str | None]:
        rows = self.store.rows(
            "SELECT mac_address, port_id FROM former_mac UNION ALL SELECT mac_address, id FROM port"
        )
        return dict(rows)

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
        for port in self.store.ports():
            assert port.state is not PortState.RELEASING, port
            for binding in port.bindings:
                is_here = port.id in self.agents[binding.host].plugged
                assert binding.state in LIVE, port
                assert is_here == (binding.state is BindingState.UP), port


def bare(port: Port) -> Port:
    """Without what is noted of containers that have lost it, and when."""
    assert port.claim is not None
    claim = replace(port.claim, lost_by=())
    return replace(port, claim=claim, revision_number=0, updated_at=0.0)


TestNames = Names.TestCase
TestNames.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, derandomize=True
)


class Walk:
    """Random steps through the machine's rules; one host may be cut off for most of them."""

    def __init__(self, seed: int, place: Place | None = None) -> None:
        self.random = Random(seed)
        self.machine = Names(place)
        self.cut_off = self.random.choice([None, None, *HOSTS])

    def run(self, steps: int) -> None:
        machine = self.machine
        try:
            machine.begin()
            for _ in range(steps):
                self.step()
                machine.a_name_has_one_live_holder()
                machine.an_address_is_answered_for_once_and_for_its_port()
                machine.what_was_answered_for_rests_before_another_port_has_it()
                machine.the_rows_of_claims_are_what_the_ports_say()
        finally:
            machine.teardown()

    def step(self) -> None:
        if self.random.random() < 0.5:
            self.containers()
        else:
            self.live()

    def containers(self) -> None:
        machine, choice = self.machine, self.random.choice
        host, number, wait = choice(HOSTS), choice([0, 1]), choice([False, False, True])
        match choice(["claim", "claim", "claim", "late", "end", "end", "owners", "interfere"]):
            case "claim":
                replaces = self.random.random() < 0.3
                says, keep = self.random.random() < 0.7, choice(KEEPS)
                machine.claim(
                    host, number, choice(NAMES), keep, replaces=replaces, says=says, wait=wait
                )
            case "late":
                machine.read_late(self.random.randrange(100))
            case "end":
                name = choice(["db", "web/0", "web/1"])
                machine.end(host, number, name, wait=wait)
            case "owners":
                machine.owners_go(wait=wait)
            case _:
                machine.interfere(number, unbinds=self.random.random() < 0.5, wait=wait)

    def live(self) -> None:
        machine, choice = self.machine, self.random.choice
        host, wait = choice(HOSTS), choice([False, False, True])
        if host == self.cut_off and self.random.random() < 0.9:
            host = choice([each for each in HOSTS if each != host])
        match choice(["start", "work", "work", "deliver", "keep up", "keep up", "befall", "tick"]):
            case "start":
                machine.start(host, wait=wait)
            case "work":
                machine.work(host, sweeps=choice([True, False]), speaks=choice([True, False]))
            case "deliver":
                machine.deliver(host, twice=choice([True, False]), wait=wait)
            case "keep up":
                machine.keep_up(host)
            case "befall":
                machine.befall(host, choice(["silence", "silence", "heartbeat", "fence"]))
            case _:
                machine.tick(choice(LEAPS_S), wait=wait)


@pytest.mark.parametrize("seed", range(5))
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
