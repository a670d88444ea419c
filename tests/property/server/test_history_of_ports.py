"""Any sequence of requests and reports keeps the store whole, and every watcher's view true.

The machine drives `batch.run` on an SQLite database in memory, as the committer does, and after
every step compares the tables with each other, and what each host has been told by events with
what a snapshot would tell it.
"""

import sqlite3
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from netwright.ipam.addresses import from_key, from_text
from netwright.ipam.ledger import Ledger
from netwright.model.errors import InternalError
from netwright.model.resources import (
    NetworkType,
    Port,
    Segment,
    VifType,
)
from netwright.model.states import BindingState, Plane, PortState
from netwright.model.wire import (
    DevicesSeen,
    Heartbeat,
    HostRegistration,
    Kind,
    Report,
    ReportBatch,
    ReportStatus,
)
from netwright.server import batch
from netwright.server.commands import (
    ApplyReports,
    Caller,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeletePorts,
    FenceHost,
    HeartbeatHost,
    NetworkDraft,
    PortChange,
    PortDraft,
    RegisterHost,
    SeeDevices,
    SubnetDraft,
    Tick,
    UnfenceHost,
    UpdatePorts,
)
from netwright.server.store.events import picture
from netwright.server.store.schema import sqlite_ddl
from netwright.server.store.upkeep import overdue_ports

ADMIN = Caller(project_id="p", is_admin=True)
HOSTS = ("h1", "h2", "h3")
NETWORKS = {"vlan": 10, "other": 20}
# "h3" never registers: bindings there are refused.
hosts = st.sampled_from(HOSTS)
statuses = st.sampled_from(list(ReportStatus))


class Ports(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        for statement in sqlite_ddl():
            self.connection.execute(statement)
        self.ledger = Ledger("server")
        self.now = 1_000.0
        self.made = 0
        self.views: dict[str | None, dict[tuple[str, str], Any]] = {
            host: {} for host in (*HOSTS, None)
        }

    def commit(self, *commands: Command) -> list[Any]:
        self.connection.execute("BEGIN IMMEDIATE")
        outcomes, events = batch.run(
            self.connection, commands, ledger=self.ledger, now=self.now, epoch="e"
        )
        self.connection.execute("COMMIT")
        self.ledger.commit()
        for event in events:
            for host, view in self.views.items():
                key = (event.kind, event.id)
                concerned = host is None or event.hosts is None or host in event.hosts
                if host in event.left_hosts or (concerned and event.body is None):
                    view.pop(key, None)
                elif concerned:
                    assert event.body is not None
                    view[key] = msgspec.json.decode(event.body)
        for outcome in outcomes:
            assert not isinstance(outcome, InternalError)
        return outcomes

    @initialize()
    def begin(self) -> None:
        for name, vlan in NETWORKS.items():
            segment = Segment(
                network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=vlan
            )
            network = NetworkDraft(id=name, project_id="p", segment=segment)
            subnet = SubnetDraft(
                id=f"{name}-4", project_id="p", network_id=name, cidr="10.0.0.0/29", ip_version=4
            )
            self.commit(CreateNetworks(caller=ADMIN, drafts=(network,)))
            self.commit(CreateSubnets(caller=ADMIN, drafts=(subnet,)))

    @rule(network=st.sampled_from(list(NETWORKS)), host=st.sampled_from(["", *HOSTS]))
    def create(self, network: str, host: str) -> None:
        self.made += 1
        draft = PortDraft(id=f"port{self.made:04}", project_id="p", network_id=network, host=host)
        self.commit(CreatePorts(caller=ADMIN, drafts=(draft,)))

    @rule(pick=st.integers(0), host=st.sampled_from(["", *HOSTS]))
    def bind(self, pick: int, host: str) -> None:
        self.change(pick, host=host)

    @rule(pick=st.integers(0), up=st.booleans())
    def set_admin_state(self, pick: int, *, up: bool) -> None:
        self.change(pick, admin_state_up=up)

    def change(self, pick: int, **changes: Any) -> None:
        alive = [port for port in self.ports() if port.state is not PortState.RELEASING]
        if alive:
            change = PortChange(id=alive[pick % len(alive)].id, **changes)
            self.commit(UpdatePorts(caller=ADMIN, changes=(change,)))

    @rule(pick=st.integers(0))
    def delete(self, pick: int) -> None:
        ports = self.ports()
        if ports:
            self.commit(DeletePorts(caller=ADMIN, ids=(ports[pick % len(ports)].id,)))

    @rule(host=st.sampled_from(HOSTS[:2]), life=st.integers(1, 2))
    def register(self, host: str, life: int) -> None:
        registration = HostRegistration(
            epoch=f"life{life}", driver="ovs", physical_networks={"physnet1": "br-bond"}
        )
        self.commit(RegisterHost(caller=ADMIN, host=host, registration=registration))

    @rule(host=hosts, life=st.integers(1, 2))
    def heartbeat(self, host: str, life: int) -> None:
        beat = Heartbeat(epoch=f"life{life}")
        self.commit(HeartbeatHost(caller=ADMIN, host=host, heartbeat=beat))

    @rule(
        host=hosts,
        pick=st.integers(0),
        status=statuses,
        behind=st.integers(0, 2),
        cause=st.sampled_from(["", "unplugged"]),
    )
    def report(self, host: str, pick: int, status: ReportStatus, behind: int, cause: str) -> None:
        ports = self.ports()
        if not ports:
            return
        port = ports[pick % len(ports)]
        report = Report(
            plane=Plane.UNDERLAY,
            generation=max(port.generation - behind, 0),
            status=status,
            port_id=port.id,
            cause=cause,
        )
        self.report_batch(host, (report,))

    @rule(host=hosts, keep=st.integers(0, 3))
    def full_set(self, host: str, keep: int) -> None:
        here = [port for port in self.ports() if port.binding_on(host)][:keep]
        reports = tuple(
            Report(
                plane=Plane.UNDERLAY,
                generation=port.generation,
                status=ReportStatus.UP,
                port_id=port.id,
            )
            for port in here
        )
        (last,) = self.connection.execute("SELECT max(seq) FROM event").fetchone()
        self.report_batch(host, reports, full_set_at=f"e-{last}")

    def report_batch(
        self, host: str, reports: tuple[Report, ...], full_set_at: str | None = None
    ) -> None:
        rows = self.connection.execute("SELECT body FROM host WHERE name = ?", (host,))
        row = rows.fetchone()
        epoch = msgspec.json.decode(row[0])["epoch"] if row else "none"
        made = ReportBatch(host=host, epoch=epoch, reports=reports, full_set_at=full_set_at)
        self.commit(ApplyReports(caller=ADMIN, batch=made))

    @rule(host=hosts, pick=st.integers(0))
    def see_device(self, host: str, pick: int) -> None:
        ports = self.ports()
        if ports:
            seen = DevicesSeen(epoch="life1", port_ids=(ports[pick % len(ports)].id,))
            self.commit(SeeDevices(caller=ADMIN, host=host, devices=seen))

    @rule(host=hosts)
    def fence(self, host: str) -> None:
        self.commit(FenceHost(caller=ADMIN, host=host, reason="power is off"))

    @rule(host=hosts)
    def unfence(self, host: str) -> None:
        self.commit(UnfenceHost(caller=ADMIN, host=host))

    @rule(passes_s=st.sampled_from([1.0, 30.0, 100.0]), silent=st.sets(hosts))
    def tick(self, passes_s: float, silent: set[str]) -> None:
        self.now += passes_s
        overdue = overdue_ports(self.connection, self.now)
        self.commit(Tick(caller=ADMIN, silent_hosts=tuple(sorted(silent)), overdue_ports=overdue))

    def ports(self) -> list[Port]:
        rows = self.connection.execute("SELECT body FROM port ORDER BY id")
        return [msgspec.json.decode(body, type=Port) for (body,) in rows]

    @invariant()
    def every_address_is_held_by_its_port_or_rests(self) -> None:
        held = {
            (ip.subnet_id, from_text(ip.ip_address)): port.id
            for port in self.ports()
            for ip in port.fixed_ips
        }
        rows = self.connection.execute("SELECT subnet_id, address, port_id FROM allocation")
        stored = {(subnet, from_key(key)): port for subnet, key, port in rows}
        assert {key: port for key, port in stored.items() if port is not None} == held

    @invariant()
    def attachments_are_counted_by_bindings(self) -> None:
        bound = {(port.network_id, b.host) for port in self.ports() for b in port.bindings}
        rows = self.connection.execute("SELECT network_id, host FROM attachment").fetchall()
        assert set(rows) == bound

    @invariant()
    def the_binding_index_is_what_the_ports_say(self) -> None:
        said = {(p.id, b.host, str(b.state)) for p in self.ports() for b in p.bindings}
        rows = self.connection.execute("SELECT port_id, host, state FROM binding").fetchall()
        assert set(rows) == said

    @invariant()
    def a_port_is_active_only_with_its_active_binding_up(self) -> None:
        for port in self.ports():
            active = port.active_binding
            if port.state is PortState.ACTIVE:
                assert active is not None
                assert active.state is BindingState.UP
                assert port.admin_state_up
            if port.state is PortState.ALLOCATED:
                assert active is None
            if port.state is PortState.RELEASING:
                assert port.bindings

    @invariant()
    def only_what_an_agent_may_have_wired_withdraws(self) -> None:
        for port in self.ports():
            for binding in port.bindings:
                if binding.state is BindingState.WITHDRAWING:
                    assert binding.vif_type is VifType.OVS
                    assert not binding.active

    @invariant()
    def events_tell_each_host_what_a_snapshot_would(self) -> None:
        for host, view in self.views.items():
            _, _, snapshot = picture(self.connection, -1, frozenset(Kind), host)
            assert snapshot is not None
            fresh = {(kind, each): msgspec.json.decode(body) for kind, each, body in snapshot}
            assert view == fresh

    def teardown(self) -> None:
        self.connection.close()


TestPorts = Ports.TestCase
TestPorts.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
