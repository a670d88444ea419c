"""Any sequence of requests and reports keeps the store whole, and every watcher's view true.

The machine drives `batch.run` on an SQLite database in memory, as the committer does, with one
command or several in a batch. After every step it compares the tables with each other, and what
each host has been told by events with what a snapshot would tell it; and a watcher that resumes
anywhere in the stored log comes to the same view.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.doubles.places import PostgresPlace
from tests.doubles.store import (
    ADMIN,
    EPOCH,
    Store,
    delete,
    ipv4_subnet,
    register,
    report,
    reports,
    slaac_subnet,
    update,
)

from netwright.ipam.addresses import from_key, from_text
from netwright.model.errors import InternalError
from netwright.model.planes import needed_planes
from netwright.model.resources import NetworkType, Pool, Port, VnicType
from netwright.model.states import BindingState, PortState
from netwright.model.wire import DevicesSeen, Heartbeat, HostRegistration, Kind, ReportStatus
from netwright.server.commands import (
    ActivateBinding,
    AddressWish,
    ChangeBinding,
    Command,
    CreatePorts,
    CreateSubnets,
    DeleteBinding,
    DeleteNetwork,
    DeleteSubnet,
    FenceHost,
    HeartbeatHost,
    PairWish,
    PortDraft,
    PrepareBinding,
    RegisterHost,
    SeeDevices,
    SubnetDraft,
    Tick,
    UnfenceHost,
    UpdateNetwork,
    UpdatePorts,
    UpdateSubnet,
)
from netwright.server.ports.giving_back import held_addresses
from netwright.server.ports.lifecycle import due_at, was_told
from netwright.server.store.event_rows import EventRow

AGENTS = ("h1", "h2")
HOSTS = (*AGENTS, "h3")  # "h3" never registers: bindings there are refused
VLANS = {"net": 10, "other": 20}
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
ADDRESSES = ("10.0.0.2", "10.0.0.3", "10.0.0.6", "10.1.0.2", "2001:db8::ff:fe00:1")
SUBNETS = ("net-4", "net-6", "net-more", "other-4")
OWNERS = ("", "compute:nova", "network:router_interface")
agents = st.sampled_from(AGENTS)
networks = st.sampled_from(list(VLANS))
picks = st.integers(0, 7)
wishes = st.lists(
    st.one_of(
        st.builds(AddressWish, ip_address=st.sampled_from(ADDRESSES)),
        st.builds(AddressWish, subnet_id=st.sampled_from(SUBNETS)),
    ),
    max_size=2,
).map(tuple)
drafts = st.fixed_dictionaries(
    {"network_id": networks},
    optional={
        "host": st.sampled_from(["", *HOSTS]),
        "fixed_ips": wishes,
        "mac_address": st.sampled_from(MACS),
        "unique_name": st.sampled_from(["web", "db"]),
        "vnic_type": st.sampled_from(list(VnicType)),
        "device_owner": st.sampled_from(OWNERS),
    },
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from(["", *HOSTS]),
        "admin_state_up": st.booleans(),
        "fixed_ips": wishes,
        "mac_address": st.sampled_from(MACS),
        "vnic_type": st.sampled_from(list(VnicType)),
        "device_owner": st.sampled_from(OWNERS),
        "allowed_address_pairs": st.sampled_from([(), (PairWish(ip_address="10.0.0.9"),)]),
        "name": st.just("renamed"),
    },
)
View = dict[tuple[str, str], Any]


class Ports(RuleBasedStateMachine):
    on: ClassVar[PostgresPlace | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(self.on and self.on.emptied())
        self.pending: list[Command] = []
        self.made = 0
        self.views: dict[str | None, View] = {host: {} for host in (*HOSTS, None)}

    @initialize()
    def begin(self) -> None:
        self.make_networks()
        for host in AGENTS:
            self.store.do(register(host))
        self.tell(self.store.events)
        self.create([{"network_id": "net", "host": host} for host in AGENTS], together=False)

    def make_networks(self) -> None:
        """Those that there are not: their ids come back, as no server's would."""
        known = self.ids("network")
        if "net" not in known:
            self.store.make_network(
                "net", VLANS["net"], ipv4_subnet("net", "10.0.0.0/28"), slaac_subnet("net")
            )
        if "other" not in known:
            self.store.make_network("other", VLANS["other"])

    def act(self, *commands: Command, together: bool = False) -> None:
        """Send commands; `together` leaves them to share a batch with those that follow."""
        self.pending += commands
        if together:
            return
        place = len(self.store.events)
        outcomes = self.store.batch(*self.pending)
        self.pending.clear()
        assert not [each for each in outcomes if isinstance(each, InternalError)], outcomes
        self.tell(self.store.events[place:])

    def tell(self, events: Iterable[EventRow]) -> None:
        events = list(events)
        for host, view in self.views.items():
            _apply(view, events, host)

    # orchestrators

    @rule(given=st.lists(drafts, min_size=1, max_size=2), together=st.booleans())
    def create(self, given: list[dict[str, Any]], *, together: bool) -> None:
        made = []
        for attributes in given:
            self.made += 1
            made.append(PortDraft(id=f"port{self.made:04}", project_id="p", **attributes))
        self.act(CreatePorts(caller=ADMIN, drafts=tuple(made)), together=together)

    @rule(pick=picks, host=st.sampled_from(["", *HOSTS]), together=st.booleans())
    def bind(self, pick: int, host: str, *, together: bool) -> None:
        self.change({"host": host}, pick, together=together)

    @rule(pick=picks, change=changes, together=st.booleans())
    def alter(self, pick: int, change: dict[str, Any], *, together: bool) -> None:
        self.change(change, pick, together=together)

    def change(self, change: dict[str, Any], pick: int, *, together: bool) -> None:
        if port := self.some_port(pick):
            self.act(update(port.id, **change), together=together)

    @rule(
        pick=picks,
        host=st.sampled_from(HOSTS),
        what=st.sampled_from(["prepare", "prepare", "activate", "activate", "change", "delete"]),
        vnic_type=st.sampled_from([VnicType.NORMAL, VnicType.NORMAL, VnicType.BAREMETAL]),
        together=st.booleans(),
    )
    def migrate(
        self, pick: int, host: str, what: str, vnic_type: VnicType, *, together: bool
    ) -> None:
        """A step of a live migration, in whatever order; mostly of what is an instance's port."""
        if port := self.some_port(pick):
            named: Any = {"caller": ADMIN, "port_id": port.id, "host": host}
            step: Command
            match what:
                case "prepare":
                    self.act(update(port.id, device_owner=OWNERS[1]), together=True)
                    step = PrepareBinding(**named, vnic_type=vnic_type, profile={"a": pick})
                case "activate":
                    step = ActivateBinding(**named)
                case "change":
                    step = ChangeBinding(**named, vnic_type=vnic_type)
                case _:
                    step = DeleteBinding(**named)
            self.act(step, together=together)

    @rule(one=picks, other=picks)
    def exchange_macs(self, one: int, other: int) -> None:
        first, second = self.some_port(one), self.some_port(other)
        if first and second and first.id != second.id:
            aside = update(first.id, mac_address="02:00:00:00:00:03")
            changed = UpdatePorts(
                caller=ADMIN,
                changes=(
                    *aside.changes,
                    *update(second.id, mac_address=first.mac_address).changes,
                    *update(first.id, mac_address=second.mac_address).changes,
                ),
            )
            self.act(changed)

    @rule(pick=picks, together=st.booleans())
    def delete(self, pick: int, *, together: bool) -> None:
        if port := self.some_port(pick):
            self.act(delete(port.id), together=together)

    @rule(
        network=networks,
        what=st.sampled_from(["rename", "close", "add", "take", "pools", "delete", "remake"]),
        together=st.booleans(),
    )
    def infrastructure(self, network: str, what: str, *, together: bool) -> None:
        if what == "remake":
            self.act()  # what is pending, so that the ids are free or taken
            place = len(self.store.events)
            self.make_networks()
            self.tell(self.store.events[place:])
            return
        self.act(*_infrastructure(network, what), together=together)

    # agents

    @rule(
        host=agents,
        pick=picks,
        status=st.sampled_from(list(ReportStatus)),
        behind=st.integers(0, 2),
        cause=st.sampled_from(["", "unplugged"]),
        together=st.booleans(),
    )
    def report(
        self,
        host: str,
        pick: int,
        status: ReportStatus,
        behind: int,
        cause: str,
        *,
        together: bool,
    ) -> None:
        if port := self.some_port(pick, releasing=True):
            late = msgspec.structs.replace(port, generation=max(port.generation - behind, 0))
            made = report(late, host, status, cause)
            self.act(reports(host, made, epoch=self.epoch(host)), together=together)

    @rule(host=agents, keep=st.integers(0, 3), behind=st.integers(0, 9), together=st.booleans())
    def full_set(self, host: str, keep: int, behind: int, *, together: bool) -> None:
        here = [port for port in self.store.ports() if port.binding_on(host)][:keep]
        made = [report(port, host, ReportStatus.UP) for port in here]
        cursor = f"{EPOCH}-{max(self.last_seq() - behind, 0)}"
        command = reports(host, *made, epoch=self.epoch(host), full_set_at=cursor)
        self.act(command, together=together)

    @rule(host=agents, pick=picks, together=st.booleans())
    def see_device(self, host: str, pick: int, *, together: bool) -> None:
        if port := self.some_port(pick, releasing=True):
            seen = DevicesSeen(epoch=self.epoch(host), port_ids=(port.id,))
            self.act(SeeDevices(caller=ADMIN, host=host, devices=seen), together=together)

    # operators, and time

    @rule(
        host=agents,
        what=st.sampled_from(["register", "other nets", "beat", "silence", "fence", "unfence"]),
        together=st.booleans(),
    )
    def befall(self, host: str, what: str, *, together: bool) -> None:
        self.act(self.event_of(host, what), together=together)

    def event_of(self, host: str, what: str) -> Command:
        match what:
            case "register" | "other nets":
                network = "physnet1" if what == "register" else "physnet2"
                registration = HostRegistration(
                    epoch=f"life{self.made % 2}", driver="ovs", physical_networks={network: "br"}
                )
                return RegisterHost(caller=ADMIN, host=host, registration=registration)
            case "beat":
                beat = Heartbeat(epoch=self.epoch(host))
                return HeartbeatHost(caller=ADMIN, host=host, heartbeat=beat)
            case "silence":
                return Tick(caller=ADMIN, silent_hosts=(host,))
            case "fence":
                return FenceHost(caller=ADMIN, host=host, reason="power is off")
            case _:
                return UnfenceHost(caller=ADMIN, host=host)

    @rule(passes_s=st.sampled_from([-3_600.0, 30.0, 100.0]), together=st.booleans())
    def tick(self, passes_s: float, *, together: bool) -> None:
        self.store.now += passes_s
        overdue = self.store.overdue_ports()
        self.act(Tick(caller=ADMIN, overdue_ports=overdue), together=together)

    # what there is

    def some_port(self, pick: int, *, releasing: bool = False) -> Port | None:
        found = [
            port
            for port in self.store.ports()
            if releasing or port.state is not PortState.RELEASING
        ]
        return found[pick % len(found)] if found else None

    def epoch(self, host: str) -> str:
        known = self.store.host(host)
        return known.epoch if known else "none"

    def last_seq(self) -> int:
        return int(self.store.cursor().removeprefix(f"{EPOCH}-"))

    def ids(self, table: str) -> set[str]:
        rows = self.store.rows(f"SELECT id FROM {table}")
        return {id_ for (id_,) in rows}

    # what always holds

    @invariant()
    def every_address_is_held_by_its_port_or_rests(self) -> None:
        held = {
            (ip.subnet_id, from_text(ip.ip_address)): port.id
            for port in self.store.ports()
            for ip in held_addresses(port)
        }
        rows = self.store.rows("SELECT subnet_id, address, port_id FROM allocation")
        stored = {(subnet, from_key(key)): port for subnet, key, port in rows}
        assert {key: port for key, port in stored.items() if port is not None} == held

    @invariant()
    def nothing_is_left_of_what_is_gone(self) -> None:
        alive = self.ids("subnet")
        for table in ("allocation", "block"):
            rows = self.store.rows(f"SELECT subnet_id FROM {table}")
            assert {subnet_id for (subnet_id,) in rows} <= alive, table
        networks = self.ids("network")
        assert {port.network_id for port in self.store.ports()} <= networks
        rows = self.store.rows("SELECT network_id FROM attachment")
        assert {network_id for (network_id,) in rows} <= networks

    @invariant()
    def attachments_are_counted_by_bindings(self) -> None:
        bound = {(port.network_id, b.host) for port in self.store.ports() for b in port.bindings}
        rows = self.store.rows("SELECT network_id, host FROM attachment")
        assert set(rows) == bound

    @invariant()
    def the_binding_index_is_what_the_ports_say(self) -> None:
        said = {(p.id, b.host, str(b.state)) for p in self.store.ports() for b in p.bindings}
        rows = self.store.rows("SELECT port_id, host, state FROM binding")
        assert set(rows) == said

    @invariant()
    def a_ports_state_follows_from_its_binding(self) -> None:
        for port in self.store.ports():
            active = port.active_binding
            if port.state is PortState.ACTIVE:
                assert active is not None
                needed = needed_planes(NetworkType.VLAN, port.vnic_type, port.device_owner)
                assert active.state is BindingState.UP or not needed
                assert port.admin_state_up
            if port.state is PortState.ALLOCATED:
                assert active is None
            if port.state is PortState.RELEASING:
                assert port.bindings

    @invariant()
    def only_what_an_agent_may_have_wired_withdraws(self) -> None:
        for port in self.store.ports():
            for binding in port.bindings:
                if binding.state is BindingState.WITHDRAWING:
                    assert was_told(binding)
                    assert not binding.active

    @invariant()
    def one_binding_at_most_is_active_and_it_is_not_asked_for_ahead(self) -> None:
        for port in self.store.ports():
            active = [binding for binding in port.bindings if binding.active]
            assert len(active) <= 1
            assert all(binding.prepared is None for binding in active)
            assert port.state is not PortState.RELEASING or not any(
                binding.prepared for binding in port.bindings
            )

    @invariant()
    def a_standby_holds_nothing_and_is_bound_by_no_deadline(self) -> None:
        for port in self.store.ports():
            for binding in port.bindings:
                if binding.is_standby:
                    assert not binding.stale_wiring
                    assert binding.remnant is None
                    assert due_at(binding) is None

    @invariant()
    def names_are_held_by_ports_that_live(self) -> None:
        rows = self.store.rows("SELECT unique_name, mac_address, id FROM port ORDER BY id")
        for (name, mac, _), port in zip(rows, self.store.ports(), strict=True):
            assert name == (None if port.state is PortState.RELEASING else port.unique_name)
            assert mac == port.mac_address

    @invariant()
    def events_tell_each_host_what_a_snapshot_would(self) -> None:
        for host, view in self.views.items():
            assert view == self.snapshot(host), host

    @rule(at=st.integers(0, 1_000), host=st.sampled_from([None, *HOSTS]))
    def resume(self, at: int, host: str | None) -> None:
        """A watcher that had seen all up to some event goes on from the stored log."""
        seen = at % (self.last_seq() + 1)
        view: View = {}
        _apply(view, self.store.events[:seen], host)
        _, events, _ = self.store.picture(seen, frozenset(Kind), host)
        assert events is not None
        _apply(view, events, host)
        assert view == self.snapshot(host)

    def snapshot(self, host: str | None) -> View:
        _, _, snapshot = self.store.picture(-1, frozenset(Kind), host)
        assert snapshot is not None
        return {(kind, each): msgspec.json.decode(body) for kind, each, body in snapshot}

    def teardown(self) -> None:
        self.store.close()


def _infrastructure(network: str, what: str) -> tuple[Command, ...]:
    subnet = SubnetDraft(
        id=f"{network}-more", project_id="p", network_id=network, cidr="10.1.0.0/30", ip_version=4
    )
    narrow = (Pool(start="10.0.0.4", end="10.0.0.5"),)
    match what:
        case "rename":
            return (UpdateNetwork(caller=ADMIN, id=network, name="renamed"),)
        case "close":
            return (UpdateNetwork(caller=ADMIN, id=network, admin_state_up=False),)
        case "add":
            return (CreateSubnets(caller=ADMIN, drafts=(subnet,)),)
        case "take":
            return (DeleteSubnet(caller=ADMIN, id=subnet.id),)
        case "pools":
            return (UpdateSubnet(caller=ADMIN, id=f"{network}-4", allocation_pools=narrow),)
        case _:
            return (DeleteNetwork(caller=ADMIN, id=network),)


def _apply(view: View, events: Iterable[EventRow], host: str | None) -> None:
    """What a watcher of this host makes of the events."""
    for event in events:
        assert event.kind is not None
        key = (event.kind, event.id)
        concerned = host is None or event.hosts is None or host in event.hosts
        if host in event.left_hosts or (concerned and event.body is None):
            view.pop(key, None)
        elif concerned:
            assert event.body is not None
            view[key] = msgspec.json.decode(event.body)


TestPorts = Ports.TestCase
TestPorts.settings = settings(
    max_examples=500, stateful_step_count=50, deadline=None, derandomize=True
)


class PortsOnPostgresql(Ports):
    """The same on the other database: fewer, since each step takes ten times as long there."""


@pytest.fixture(scope="module", autouse=True)
def on_postgresql(postgres_place: PostgresPlace) -> None:
    PortsOnPostgresql.on = postgres_place


TestPortsOnPostgresql = PortsOnPostgresql.TestCase
TestPortsOnPostgresql.settings = settings(
    max_examples=25, stateful_step_count=50, deadline=None, derandomize=True
)
