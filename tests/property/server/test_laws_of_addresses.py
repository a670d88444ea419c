"""Laws 1, 2, 3 and 5, seen from the wire: no host answers for an address that is not its port's.

The agents here are honest and as late as they like: each acts on what it has heard of the event
log so far, and its reports arrive in order, after any delay, some of them twice. Hosts fall silent,
are fenced and return. The machine knows what is truly wired, which the server does not.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.doubles.store import (
    ADMIN,
    EPOCH,
    Store,
    create,
    delete,
    ipv4_subnet,
    register,
    reports,
    slaac_subnet,
    update,
)

from netwright.ipam.addresses import from_key, to_text
from netwright.model.errors import InternalError
from netwright.model.resources import Port, VifType
from netwright.model.states import BindingState, Plane, PortState
from netwright.model.wire import Heartbeat, Kind, Report, ReportStatus
from netwright.server.commands import (
    Command,
    FenceHost,
    HeartbeatHost,
    Tick,
    UnfenceHost,
)
from netwright.server.store.events import picture
from netwright.server.store.upkeep import overdue_ports

HOSTS = ("h1", "h2")
PORTS_MAX = 2  # few, so that much befalls each
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
LIVE = {BindingState.PREPARING, BindingState.UP, BindingState.DOWN, BindingState.REFUSED}
hosts = st.sampled_from(HOSTS)
together = st.booleans()


@dataclass
class Agent:
    """What a host's agent has heard, has wired, and has yet to say."""

    life: int = 0
    seen: int = -1
    ports: dict[str, Port] = field(default_factory=dict)
    wired: dict[str, Port] = field(default_factory=dict)
    outbox: list[Command] = field(default_factory=list)

    @property
    def epoch(self) -> str:
        return f"life{self.life}"


class Addresses(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.agents = {host: Agent() for host in HOSTS}
        self.pending: list[Command] = []
        self.made = 0

    @initialize()
    def begin(self) -> None:
        self.store.make_network("net", 10, ipv4_subnet("net"), slaac_subnet("net"))
        for host in HOSTS:
            self.start(host, wait=False)

    def send(self, command: Command, *, wait: bool = False) -> None:
        """Queue a command; it is committed with those before it unless more are to join it."""
        self.pending.append(command)
        if not wait:
            outcomes = self.store.batch(*self.pending)
            self.pending.clear()
            assert not [each for each in outcomes if isinstance(each, InternalError)], outcomes

    def some_port(self, pick: int) -> Port | None:
        alive = [port for port in self.store.ports() if port.state is not PortState.RELEASING]
        return alive[pick % len(alive)] if alive else None

    # the orchestrator

    @rule(host=st.sampled_from(["", *HOSTS]), mac=st.sampled_from([None, *MACS]), wait=together)
    def create(self, host: str, mac: str | None, *, wait: bool) -> None:
        if len(self.store.ports()) >= PORTS_MAX:
            return
        self.made += 1
        self.send(create(f"port{self.made:03}", host=host, mac_address=mac), wait=wait)

    @rule(pick=st.integers(0), host=st.sampled_from(["", *HOSTS]), wait=together)
    def bind(self, pick: int, host: str, *, wait: bool) -> None:
        if port := self.some_port(pick):
            self.send(update(port.id, host=host), wait=wait)

    @rule(pick=st.integers(0), wait=together)
    def delete(self, pick: int, *, wait: bool) -> None:
        if port := self.some_port(pick):
            self.send(delete(port.id), wait=wait)

    # the agents

    @rule(host=hosts, wait=together)
    def start(self, host: str, *, wait: bool) -> None:
        """An agent starts, or again: what its earlier life had yet to say is lost."""
        agent = self.agents[host]
        agent.life += 1
        agent.seen, agent.ports, agent.outbox = -1, {}, []
        self.send(register(host, agent.epoch), wait=wait)

    @rule(host=hosts, keeps=st.booleans(), says=st.sampled_from(["nothing", "all", "the whole"]))
    def work(self, host: str, *, keeps: bool, says: str) -> None:
        """The agent hears what has happened, wires what it may, and may speak of it.

        It unwires the rest, or does not come to that yet (`keeps`).
        """
        agent = self.agents[host]
        if agent.life == 0:
            return
        self.hear(host, agent)
        wanted = {port.id: port for port in agent.ports.values() if _may_wire(port, host)}
        agent.wired = {**agent.wired, **wanted} if keeps else wanted
        if says != "nothing":
            truths = {port.id: _truth(port, host, agent.wired) for port in agent.ports.values()}
            is_certain = all(port_id in truths and truths[port_id] for port_id in agent.wired)
            cursor = f"{EPOCH}-{agent.seen}" if says == "the whole" and is_certain else None
            made = [truth for truth in truths.values() if truth is not None]
            agent.outbox.append(reports(host, *made, epoch=agent.epoch, full_set_at=cursor))

    def hear(self, host: str, agent: Agent) -> None:
        kinds = frozenset({Kind.PORT})
        seq, events, snapshot = picture(self.store.connection, agent.seen, kinds, host)
        if snapshot is not None:
            agent.ports = {key: msgspec.json.decode(body, type=Port) for _, key, body in snapshot}
        for event in events or ():
            if event.kind is not Kind.PORT:
                continue
            if event.body is None or host in event.left_hosts:
                agent.ports.pop(event.id, None)
            elif event.hosts is None or host in event.hosts:
                agent.ports[event.id] = msgspec.json.decode(event.body, type=Port)
        agent.seen = seq

    @rule(host=hosts, twice=st.booleans(), wait=together)
    def deliver(self, host: str, *, twice: bool, wait: bool) -> None:
        agent = self.agents[host]
        if agent.outbox:
            command = agent.outbox.pop(0)
            for _ in range(1 + twice):
                self.send(command, wait=wait)

    # what befalls them

    @rule(host=hosts, what=st.sampled_from(["silence", "heartbeat", "fence", "unfence"]))
    def befall(self, host: str, what: str) -> None:
        agent = self.agents[host]
        match what:
            case "silence":
                self.send(Tick(caller=ADMIN, silent_hosts=(host,)))
            case "heartbeat":
                beat = Heartbeat(epoch=agent.epoch)
                self.send(HeartbeatHost(caller=ADMIN, host=host, heartbeat=beat))
            case "fence":  # somebody cuts its power and says so: nothing of it stands any more
                self.agents[host] = Agent(life=agent.life + 1)
                self.send(FenceHost(caller=ADMIN, host=host, reason="power is off"))
            case "unfence":
                self.send(UnfenceHost(caller=ADMIN, host=host))

    @rule(passes_s=st.sampled_from([1.0, 61.0]), wait=together)
    def tick(self, passes_s: float, *, wait: bool) -> None:
        self.store.now += passes_s
        overdue = overdue_ports(self.store.connection, self.store.now)
        self.send(Tick(caller=ADMIN, overdue_ports=overdue), wait=wait)

    # the laws

    @invariant()
    def what_is_wired_is_held_by_its_port(self) -> None:
        rows = self.store.connection.execute("SELECT address, port_id FROM allocation")
        holders = {to_text(from_key(key)): port_id for key, port_id in rows}
        for host, agent in self.agents.items():
            for port in agent.wired.values():
                for ip in port.fixed_ips:
                    assert holders.get(ip.ip_address) == port.id, (host, port.id, ip)

    @invariant()
    def nothing_is_wired_on_two_hosts(self) -> None:
        wired = [port_id for agent in self.agents.values() for port_id in agent.wired]
        assert len(wired) == len(set(wired)), wired

    def teardown(self) -> None:
        self.store.close()


def _may_wire(port: Port, host: str) -> bool:
    binding = port.binding_on(host)
    if binding is None or binding.vif_type is not VifType.OVS or binding.state not in LIVE:
        return False
    return not any(
        other.host != host and other.state is BindingState.WITHDRAWING for other in port.bindings
    )


def _truth(port: Port, host: str, wired: Collection[str]) -> Report | None:
    binding = port.binding_on(host)
    if binding is None:
        return None
    status = ReportStatus.UP if port.id in wired else ReportStatus.DOWN
    if binding.state is BindingState.WITHDRAWING:
        if port.id in wired:
            return None
        status = ReportStatus.WITHDRAWN
    return Report(
        plane=Plane.UNDERLAY, generation=binding.generation, status=status, port_id=port.id
    )


TestAddresses = Addresses.TestCase
TestAddresses.settings = settings(
    max_examples=600, stateful_step_count=50, deadline=None, derandomize=True
)
