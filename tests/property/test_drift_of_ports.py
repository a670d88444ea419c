"""Any order of silence, claims, fences, their proof and returns: no address speaks from two hosts.

The server decides as its committer does; the controller's planner and its judge of fences, the
agents' desired state and reports are the real ones. Leaves and hosts are a few lines each: a leaf
is as its last pass left it, an agent acts on what it has heard and says what it has done, each as
late as it may be. Silence is declared of anybody, right or wrong.
"""

from typing import Any

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.doubles.store import ADMIN, Store, create, delete, reports, update
from tests.unit.server.overlay_scene import fabric_store, hold_lease, topology

from netwright.agent.desired import Desired, desired
from netwright.agent.placing import FabricUplink
from netwright.agent.reports import silenced, statements
from netwright.agent.wiring import Endpoint, Outcome, Wired, WiringStatus
from netwright.fabric.config import EMPTY, SwitchConfig
from netwright.fabric.drivers.base import Actual
from netwright.fabric.fences import FenceJudge
from netwright.fabric.intent import Intent
from netwright.fabric.plan import plan
from netwright.fabric.told import fences_of
from netwright.fabric.verify import Fabric
from netwright.fabric.views import View
from netwright.model.errors import InternalError
from netwright.model.fabric import FabricReports, SwitchStatus
from netwright.model.resources import Attachment, Host, HostState, Network, Port
from netwright.model.wire import CONTAINER_OWNER, Heartbeat, Kind, Report
from netwright.server.commands import HeartbeatHost, Tick
from netwright.server.fabric_commands import ApplyFabricReports
from netwright.server.store.event_rows import EventRow
from netwright.server.store.upkeep import ports_left_behind

HOSTS = ("h1", "h2", "h3", "h4")
LEAVES = {"h1": ("leaf1", "leaf2"), "h2": ("leaf1", "leaf2")} | dict.fromkeys(
    ("h3", "h4"), ("leaf3", "leaf4")
)
SWITCHES = ("leaf1", "leaf2", "leaf3", "leaf4")
PORTS = ("p1", "p2")
TOPOLOGY = topology()
UPLINK = FabricUplink(bridge="br-bond", physical_network="physnet1")
LONG_S = 100.0
"""Longer than an address rests."""

hosts, leaves, ports = map(st.sampled_from, (HOSTS, SWITCHES, PORTS))

_TYPE: dict[Kind, Any] = {
    Kind.PORT: Port,
    Kind.NETWORK: Network,
    Kind.ATTACHMENT: Attachment,
    Kind.HOST: Host,
}


class Agent:
    """A host's: what it has heard, what it has wired, what it is about to say."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.heard: dict[tuple[Kind, str], Any] = {}
        self.is_complete = True
        self.wired: dict[str, Endpoint] = {}
        self.words: list[Report] = []

    def follow(self, event: EventRow) -> None:
        assert event.kind is not None
        key = (event.kind, event.id)
        if self.host in event.left_hosts:
            self.heard.pop(key, None)
        elif event.kind in _TYPE and (event.hosts is None or self.host in event.hosts):
            if event.body is None:
                self.heard.pop(key, None)
            else:
                self.heard[key] = msgspec.json.decode(event.body, type=_TYPE[event.kind])

    def of(self, kind: Kind) -> dict[str, Any]:
        return {id_: value for (each, id_), value in self.heard.items() if each is kind}

    def act(self) -> None:
        """A pass: wire what is to be, unwire all else, and know what to say of it."""
        if not self.is_complete:
            return
        known, itself = self.of(Kind.PORT), self.of(Kind.HOST).get(self.host)
        fences = itself.port_fences if itself is not None else ()
        attachments = {
            each.network_id: each
            for each in self.of(Kind.ATTACHMENT).values()
            if each.host == self.host
        }
        wanted = desired(
            self.host,
            ["physnet1"],
            known,
            self.of(Kind.NETWORK),
            attachments=attachments,
            fabric=UPLINK,
            fenced=frozenset(one.port_id for one in fences),
        )
        kept = {id_: self.wired[id_] for id_ in self.wired if id_ in wanted.waiting}
        self.wired = {**kept, **wanted.endpoints}
        self.words = self._words(known, wanted, fences)

    def _words(self, known: dict[str, Port], wanted: Desired, fences: Any) -> list[Report]:
        up = Outcome(status=WiringStatus.UP)
        wired = Wired(
            outcomes=dict.fromkeys(wanted.endpoints, up),
            standing=frozenset(self.wired.keys() - wanted.endpoints.keys()),
        )
        stated = statements(self.host, known, wanted, wired).values()
        return [
            *(one.report for one in stated),
            *silenced(fences, wanted, wired).values(),
        ]


class Drift(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.store: Store = fabric_store()
        hold_lease(self.store)
        self.agents = {host: Agent(host) for host in HOSTS}
        self.seen = dict.fromkeys(HOSTS, 0)
        self.actual: dict[str, SwitchConfig] = dict.fromkeys(SWITCHES, EMPTY)
        self.held: set[str] = set()
        self.lost: set[str] = set()
        self.made = 0
        self.new_controller()

    def do(self, *commands: Any) -> list[Any]:
        outcomes = self.store.batch(*commands)
        for outcome in outcomes:
            assert not isinstance(outcome, InternalError), outcome
        return outcomes

    # The orchestrator

    @rule(name=ports, host=hosts)
    def claim(self, name: str, host: str) -> None:
        """The port of this name is made, or moves, to a host that is heard."""
        self.beat(host)
        if (port := self.named(name)) is not None:
            self.do(update(port.id, host=host))
            return
        self.made += 1
        self.do(
            create(
                f"{name}-{self.made}",
                "red",
                unique_name=name,
                host=host,
                device_owner=CONTAINER_OWNER,
                port_security_enabled=False,
            )
        )

    @rule(name=ports, host=hosts, proven=st.booleans(), blind=st.booleans())
    def drift(self, name: str, host: str, *, proven: bool, blind: bool) -> None:
        """Its host works, falls silent, and the port is claimed elsewhere; leaves may prove it."""
        port = self.named(name)
        if port is None or port.active_binding is None or port.active_binding.host == host:
            return
        self.work(port.active_binding.host)
        self.fall_silent(port.active_binding.host)
        if blind:
            self.lose(LEAVES[port.active_binding.host][0])
        self.claim(name, host)
        self.fence()
        if proven:
            self.bring_all()
            self.work(host)

    @rule(name=ports, host=hosts)
    def start(self, name: str, host: str) -> None:
        """It is claimed, and wired if that may be."""
        self.claim(name, host)
        self.work(host)

    @rule(name=ports)
    def end(self, name: str) -> None:
        if (port := self.named(name)) is not None:
            self.do(delete(port.id))

    @rule()
    def wait(self) -> None:
        """Long enough for what rests to be given out again."""
        self.store.now += LONG_S
        self.do(Tick(caller=ADMIN))

    # The server's upkeep

    @rule(host=hosts)
    def fall_silent(self, host: str) -> None:
        self.do(Tick(caller=ADMIN, silent_hosts=(host,)))

    @rule()
    def fence(self) -> None:
        left = self.store.place.run(ports_left_behind(self.store.place.tx, HOSTS))
        self.do(Tick(caller=ADMIN, silent_ports=tuple(left)))

    # Agents

    @rule(host=hosts, events=st.integers(1, 4))
    def hear(self, host: str, events: int) -> None:
        self._hear(host, events)

    @rule(host=hosts)
    def work(self, host: str) -> None:
        """It hears all, acts, says so."""
        self._hear(host, len(self.store.events))
        self.agents[host].act()
        self.speak(host)

    @rule(host=hosts)
    def act(self, host: str) -> None:
        self.agents[host].act()

    @rule(host=hosts)
    def speak(self, host: str) -> None:
        if words := self.agents[host].words:
            self.do(reports(host, *words))

    @rule(host=hosts)
    def beat(self, host: str) -> None:
        self.do(HeartbeatHost(caller=ADMIN, host=host, heartbeat=Heartbeat(epoch="life1")))

    @rule(host=hosts)
    def restart(self, host: str) -> None:
        """Its memory is gone; what it wired stands."""
        agent = self.agents[host]
        agent.heard, agent.is_complete, agent.words = {}, False, []
        self.seen[host] = 0

    def _hear(self, host: str, count: int) -> None:
        agent = self.agents[host]
        if not agent.is_complete:  # a snapshot: all of it, or nothing
            count = len(self.store.events)
            agent.is_complete = True
        start = self.seen[host]
        for event in self.store.events[start : start + count]:
            agent.follow(event)
        self.seen[host] = min(start + count, len(self.store.events))

    # The fabric

    @rule()
    def new_controller(self) -> None:
        self.judge = FenceJudge()
        self.judge.meet(TOPOLOGY)
        self.views: dict[str, View] = {}
        self.intent = Intent(topology=TOPOLOGY)
        self.tell()

    @rule()
    def tell(self) -> None:
        known = [self.store.host(name) for name in HOSTS]
        self.intent = Intent(
            topology=TOPOLOGY,
            fences={host.name: fences for host in known if host and (fences := fences_of(host))},
            port_fences={
                host.name: host.port_fences for host in known if host and host.port_fences
            },
        )
        self.wanted = plan(self.intent).switches
        self.judge.follow(self.intent.port_fences, frozenset())

    @rule(leaf=leaves)
    def bring(self, leaf: str) -> None:
        """A pass of the leaf's keeper."""
        if leaf in self.lost:
            self.views[leaf] = View(name=leaf, status=SwitchStatus.UNREACHABLE, cause="gone")
        else:
            self.actual[leaf] = self.wanted[leaf]
            self.held.discard(leaf)
            actual = Actual(config=self.actual[leaf], links={}, boot_id="b")
            self.views[leaf] = View(name=leaf, status=SwitchStatus.IN_SYNC, actual=actual)
        self.judge.touch_switch(leaf)

    @rule()
    def bring_all(self) -> None:
        self.tell()
        for leaf in SWITCHES:
            self.bring(leaf)
        self.say()

    @rule(leaf=leaves)
    def lose(self, leaf: str) -> None:
        """The controller does not reach it; it goes on forwarding."""
        self.lost.add(leaf)

    @rule(leaf=leaves)
    def find(self, leaf: str) -> None:
        self.lost.discard(leaf)

    @rule(leaf=leaves)
    def reboot(self, leaf: str) -> None:
        """It is empty, and holds its host ports down until it is brought."""
        self.actual[leaf] = EMPTY
        self.held.add(leaf)

    @rule()
    def say(self) -> None:
        fabric = Fabric(wanted=self.wanted, views=self.views, loopbacks={})
        self.judge.judge(fabric, 0.0)
        said = FabricReports(
            token=hold_lease(self.store), fences=tuple(self.judge.statements.values())
        )
        self.do(ApplyFabricReports(caller=ADMIN, reports=said))

    # What must hold

    @invariant()
    def nobody_speaks_from_two_hosts(self) -> None:
        if not hasattr(self, "store"):
            return
        speakers: dict[str, set[str]] = {}
        for host, agent in self.agents.items():
            for endpoint in agent.wired.values():
                for sender in (endpoint.mac_address, *endpoint.addresses):
                    if self.passes(host, endpoint.mac_address, sender):
                        speakers.setdefault(sender, set()).add(host)
        double = {sender: of for sender, of in speakers.items() if len(of) > 1}
        assert not double, double

    def passes(self, host: str, mac: str, sender: str) -> bool:
        """Whether some leaf takes what a host says as this sender."""
        for leaf in LEAVES[host]:
            port = self.actual[leaf].interfaces.get(host)
            dropped = {
                each
                for one in (port.fenced if port else ())
                for each in (one.mac_address, *one.addresses)
            }
            if leaf not in self.held and dropped.isdisjoint({mac, sender}):
                return True
        return False

    def named(self, name: str) -> Port | None:
        live = (port for port in self.store.ports() if port.state != "RELEASING")
        return next((port for port in live if port.unique_name == name), None)

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        self.settle()
        self.store.close()

    def settle(self) -> None:
        """When all is heard and brought, no fence is left, and ports are up where they belong."""
        for leaf in SWITCHES:
            self.find(leaf)
        for host in HOSTS:
            self.beat(host)
        for _ in range(4):
            for host in HOSTS:
                self.work(host)
            self.bring_all()
        for host in HOSTS:
            known = self.store.host(host)
            assert known is not None
            assert (known.state, known.port_fences) == (HostState.UP, ())
        for port in self.store.ports():
            (binding,) = port.bindings
            assert port.id in self.agents[binding.host].wired, port


PHASES = [Phase.generate]
TestDrift = Drift.TestCase
TestDrift.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None, derandomize=True, phases=PHASES
)
