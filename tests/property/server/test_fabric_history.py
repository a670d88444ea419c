"""Any sequence of bindings, reports and inventories keeps what is held of the fabric whole.

The machine drives `batch.run` as the committer does. After every step: VLANs are given to just the
networks that have an attachment in a domain, one each; every port stands as its planes say; bare
metal's interfaces are those of the attachments; what hosts and watchers of everything were told by
events is what a snapshot would tell them.
"""

from typing import Any

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.doubles.store import ADMIN, Store, create, delete, register, report, reports, update
from tests.unit.server.overlay_scene import (
    HOSTS,
    LEAVES,
    attachments,
    bonded,
    fabric_network,
    fabric_store,
    hold_lease,
    leaf,
    replaced,
    topology,
    vlans,
)

from netwright.model.errors import InternalError
from netwright.model.fabric import (
    AttachmentReport,
    FabricReports,
    LinkReport,
    SwitchReport,
    SwitchStatus,
)
from netwright.model.resources import Network, Port, VnicType
from netwright.model.states import AttachmentState, PortState
from netwright.model.topology import Capacities, End, Irb, Topology
from netwright.model.wire import Heartbeat, Kind, ReportStatus
from netwright.server.commands import (
    ActivateBinding,
    Command,
    DeleteBinding,
    DeleteHost,
    DeleteNetwork,
    FenceHost,
    HeartbeatHost,
    PrepareBinding,
    Tick,
    UnfenceHost,
)
from netwright.server.fabric_commands import ApplyFabricReports
from netwright.server.overlay.inventory import Inventory
from netwright.server.ports.lifecycle import port_state
from netwright.server.store.event_rows import EventRow

NAMES = ("h1", "h2", "h3", "h4")
MACHINES = ("m1", "m2")
NETWORKS = ("red", "blue", "green")
L3VNIS = ((9000, 9002),)
TWO = ((100, 101),)
TOPOLOGIES = (
    topology(vlans=TWO, l3vnis=L3VNIS),
    topology(vlans=((102, 102),), l3vnis=L3VNIS),
    topology(vlans=TWO, links=(*HOSTS, *bonded("h5", 2, 3)), l3vnis=L3VNIS),
    topology(vlans=TWO, links=(*bonded("h1", 1, 2), *bonded("h2", 2, 3), *bonded("h3", 3, 4))),
    topology(vlans=TWO, links=(*bonded("h1", 1, 3), *bonded("h4", 2, 4))),
    topology(vlans=TWO, switches=(leaf(1, capacities=Capacities(vnis=1)), *LEAVES[1:])),
    topology(vlans=TWO, switches=(leaf(1, capacities=Capacities(macs=2)), *LEAVES[1:])),
    topology(vlans=TWO, switches=(*LEAVES, leaf(0)), links=(*HOSTS, *bonded("h5", 0, 1))),
    topology(vlans=TWO, irb=Irb.SYMMETRIC, l3vnis=L3VNIS),
    Topology(),
)
hosts = st.sampled_from(NAMES)
networks = st.sampled_from(NETWORKS)
picks = st.integers(0, 7)
statuses = st.sampled_from(list(ReportStatus))

View = dict[tuple[Kind, str], Any]


class Fabric(RuleBasedStateMachine):
    @initialize(led=st.booleans())
    def begin(self, *, led: bool) -> None:
        """With a controller, or without one for now."""
        self.store: Store = fabric_store(vlans=TWO, l3vnis=L3VNIS)
        self.do(fabric_network("green", 5002))
        self.token = hold_lease(self.store) if led else 0
        self.made = 0
        self.views: dict[str | None, View] = {None: {}, **{name: {} for name in NAMES}}
        self.seen = 0

    def do(self, *commands: Command) -> None:
        for outcome in self.store.batch(*commands):
            assert not isinstance(outcome, InternalError), outcome

    @rule(network=networks, host=hosts)
    def bind(self, network: str, host: str) -> None:
        self.made += 1
        owner = "compute:nova"
        self.do(create(f"p{self.made}", network, fixed_ips=(), host=host, device_owner=owner))

    @rule(network=networks, one=hosts, other=hosts)
    def bind_two_at_once(self, network: str, one: str, other: str) -> None:
        self.made += 2
        self.do(
            create(f"p{self.made - 1}", network, fixed_ips=(), host=one),
            create(f"p{self.made}", "red", fixed_ips=(), host=other),
        )

    @rule(network=networks, machine=st.sampled_from(MACHINES), number=st.integers(1, 2))
    def bind_metal(self, network: str, machine: str, number: int) -> None:
        self.made += 1
        self.do(
            create(
                f"p{self.made}",
                network,
                fixed_ips=(),
                host=machine,
                vnic_type=VnicType.BAREMETAL,
                profile=at(number),
            )
        )

    @rule(pick=picks, number=st.integers(1, 2))
    def change_profile(self, pick: int, number: int) -> None:
        if port := self.pick(pick):
            self.do(update(port.id, profile=at(number)))

    @rule(pick=picks, host=st.sampled_from((*NAMES, "")))
    def move(self, pick: int, host: str) -> None:
        if port := self.pick(pick):
            self.do(update(port.id, host=host))

    @rule(pick=picks, host=hosts)
    def prepare(self, pick: int, host: str) -> None:
        if port := self.pick(pick):
            self.do(PrepareBinding(caller=ADMIN, port_id=port.id, host=host))

    @rule(pick=picks, host=hosts)
    def activate(self, pick: int, host: str) -> None:
        if port := self.pick(pick):
            self.do(ActivateBinding(caller=ADMIN, port_id=port.id, host=host))

    @rule(pick=picks, host=hosts)
    def let_go(self, pick: int, host: str) -> None:
        if port := self.pick(pick):
            self.do(DeleteBinding(caller=ADMIN, port_id=port.id, host=host))

    @rule(pick=picks)
    def delete_port(self, pick: int) -> None:
        if port := self.pick(pick):
            self.do(delete(port.id))

    @rule(network=st.sampled_from(("blue", "green")))
    def delete_network(self, network: str) -> None:
        self.do(DeleteNetwork(caller=ADMIN, id=network))

    @rule(number=st.integers(0, 1))
    def make_network(self, number: int) -> None:
        self.do(fabric_network(("blue", "green")[number], 5001 + number))

    @rule(pick=picks, which=picks, status=statuses)
    def agent_reports(self, pick: int, which: int, status: ReportStatus) -> None:
        port = self.pick(pick, releasing=True)
        if port is None or not port.bindings:
            return
        binding = port.bindings[which % len(port.bindings)]
        if binding.host in NAMES:
            said = msgspec.structs.replace(
                report(port, binding.host, status), generation=binding.generation
            )
            self.do(reports(binding.host, said))

    @rule(host=hosts)
    def agent_has_nothing(self, host: str) -> None:
        self.do(reports(host, full_set_at=self.store.cursor()))

    @rule(pick=picks, more=picks, status=statuses, older=st.integers(0, 1), whole=st.booleans())
    def controller_reports(
        self, pick: int, more: int, status: ReportStatus, older: int, *, whole: bool
    ) -> None:
        fabric = sorted(key for key, one in attachments(self.store).items() if one.generation)
        if not fabric or not self.token:
            return
        keys = fabric if whole else {fabric[pick % len(fabric)], fabric[more % len(fabric)]}
        now = attachments(self.store)
        said = tuple(
            AttachmentReport(
                network_id=network,
                host=host,
                generation=now[network, host].generation - older,
                status=status,
                cause="" if status is ReportStatus.UP else "a word",
            )
            for network, host in sorted(keys)
        )
        link = LinkReport(end=End(node="leaf1", interface="h1"), is_up=bool(more % 2))
        whole_report = FabricReports(
            token=self.token,
            attachments=said,
            links=(link,),
            clear_at=self.store.cursor() if whole else None,
        )
        self.do(ApplyFabricReports(caller=ADMIN, reports=whole_report))

    @rule()
    def a_controller_comes(self) -> None:
        self.token = hold_lease(self.store)

    @rule(chosen=st.sampled_from(TOPOLOGIES))
    def another_inventory(self, chosen: Topology) -> None:
        self.do(replaced(chosen))

    @rule(status=st.sampled_from((SwitchStatus.UNREACHABLE, SwitchStatus.IN_SYNC)))
    def a_leaf_goes_or_comes(self, status: SwitchStatus) -> None:
        if self.token:
            said = SwitchReport(switch="leaf2", status=status)
            whole = FabricReports(token=self.token, switches=(said,))
            self.do(ApplyFabricReports(caller=ADMIN, reports=whole))

    @rule()
    def time_passes(self) -> None:
        self.store.now += 61
        self.store.count_room()
        keys = tuple(key for key, one in attachments(self.store).items() if one.generation)
        self.do(Tick(caller=ADMIN, overdue_attachments=keys))
        self.store.retry_refused()

    @rule(host=hosts, what=st.integers(0, 4))
    def of_a_host(self, host: str, what: int) -> None:
        heard = Heartbeat(epoch="life1", neighbours={"eth0": "leaf3/swp1"})
        self.do(
            (
                Tick(caller=ADMIN, silent_hosts=(host,)),
                FenceHost(caller=ADMIN, host=host, reason="power is off"),
                UnfenceHost(caller=ADMIN, host=host),
                HeartbeatHost(caller=ADMIN, host=host, heartbeat=heard),
                register(host),
            )[what]
        )

    @rule(host=hosts)
    def delete_host(self, host: str) -> None:
        self.do(Tick(caller=ADMIN, silent_hosts=(host,)), DeleteHost(caller=ADMIN, host=host))

    @invariant()
    def vlans_are_those_of_attachments(self) -> None:
        inventory = self.inventory()
        wanted: dict[tuple[str, str], int] = {}
        for (network, host), one in attachments(self.store).items():
            if one.vlan is not None:
                domain = inventory.domain_of(host)
                assert domain is not None, (network, host)
                assert wanted.setdefault((domain.name, network), one.vlan) == one.vlan
        assert vlans(self.store) == wanted
        places = {(domain, vlan) for (domain, _), vlan in wanted.items()}
        assert len(places) == len(wanted), "one VLAN of a domain is two networks'"

    @invariant()
    def ports_stand_as_their_planes_say(self) -> None:
        rows = self.store.rows("SELECT id, body FROM network")
        known = dict(rows)
        stored = attachments(self.store)
        for port in self.store.ports():
            active = port.active_binding
            network = msgspec.json.decode(known[port.network_id], type=Network)
            attachment = stored.get((port.network_id, active.host)) if active else None
            if attachment is not None and attachment.access:
                continue  # beside another port of the machine it stands as last reported
            assert (port.state, port.cause) == port_state(port, network, attachment), port
            if port.state is PortState.ACTIVE:
                assert attachment is not None
                assert attachment.state is AttachmentState.UP

    @invariant()
    def every_binding_that_is_served_is_attached(self) -> None:
        stored = attachments(self.store)
        bound: set[tuple[str, str]] = set()
        for port in self.store.ports():
            for binding in port.bindings:
                key = (port.network_id, binding.host)
                bound.add(key)
                if binding.state not in {"refused", "withdrawing", "fenced"}:
                    assert stored[key].state is not AttachmentState.WITHDRAWING, (port, key)
        for key, one in stored.items():
            assert key in bound or one.state is AttachmentState.WITHDRAWING, one

    @invariant()
    def interfaces_are_those_of_attachments(self) -> None:
        rows = self.store.rows("SELECT network_id, host, switch, interface FROM access_port")
        held = {tuple(row) for row in rows}
        wanted = {
            (network, host, each.switch, each.interface)
            for (network, host), one in attachments(self.store).items()
            if one.state is not AttachmentState.WITHDRAWING
            for each in one.access
        }
        assert held == wanted

    @invariant()
    def deadlines_are_those_of_what_is_wanted(self) -> None:
        due = {tuple(row) for row in self.store.rows("SELECT network_id, host FROM attachment_due")}
        wanted = {
            key
            for key, one in attachments(self.store).items()
            if one.state is AttachmentState.WANTED
        }
        assert due == wanted

    @invariant()
    def events_tell_what_a_snapshot_would(self) -> None:
        for event in self.store.events[self.seen :]:
            for host, view in self.views.items():
                follow(view, event, host)
        self.seen = len(self.store.events)
        for host, view in self.views.items():
            _, _, snapshot = self.store.picture(-1, frozenset(Kind), host)
            assert snapshot is not None
            told = {(kind, id_): msgspec.json.decode(body) for kind, id_, body in snapshot}
            assert view == told, host

    def pick(self, number: int, *, releasing: bool = False) -> Port | None:
        found = [
            port
            for port in self.store.ports()
            if releasing or port.state is not PortState.RELEASING
        ]
        return found[number % len(found)] if found else None

    def inventory(self) -> Inventory:
        ((body,),) = self.store.rows("SELECT body FROM topology")
        return Inventory(msgspec.json.decode(body, type=Topology))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()


def at(number: int) -> dict[str, Any]:
    return {"local_link_information": [{"switch_info": "leaf1", "port_id": f"swp{number}"}]}


def follow(view: View, event: EventRow, host: str | None) -> None:
    """What the hub would tell a watcher of the host, or of everything."""
    assert event.kind is not None
    key = (event.kind, event.id)
    if host is not None and host in event.left_hosts:
        view.pop(key, None)
    elif host is None or event.hosts is None or host in event.hosts:
        if event.body is None:
            view.pop(key, None)
        else:
            view[key] = msgspec.json.decode(event.body)


PHASES = [Phase.generate]
TestFabric = Fabric.TestCase
TestFabric.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, derandomize=True, phases=PHASES
)
