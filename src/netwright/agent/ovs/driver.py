"""The driver: reads Open vSwitch's state, applies plans to it. All effects of this layer are here.

    run() ─┬─ OvsdbClient.run           replica, transactions
           ├─ OpenFlowClient.run        one per bridge of the wiring
           ├─ BFD hold                  after each restart of ovs-vswitchd or ovsdb-server
           ├─ management address        likewise
           └─ audit                     every AUDIT_S: are the flows still what they were?

    converge(desired): read → plan → apply, until the plan is empty (at most ROUNDS_MAX)

Nothing here decides what should be: after every step the state is read back and planned anew. A
connection that ends forgets its bridge's flows, so that the next plan starts from what is there.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import structlog

from netwright.agent.ovs import management
from netwright.agent.ovs.actual import Actual, Device, Rows
from netwright.agent.ovs.announce import announcements
from netwright.agent.ovs.bfd_hold import BfdHold
from netwright.agent.ovs.changes import Plan, RowChange, SetColumns
from netwright.agent.ovs.coming import ahead, beside, with_device
from netwright.agent.ovs.errors import (
    OvsProtocolError,
    OvsUnreachableError,
    TransactionRefusedError,
)
from netwright.agent.ovs.heeding import is_idle
from netwright.agent.ovs.moves import arrivals, departures
from netwright.agent.ovs.openflow import OpenFlowClient
from netwright.agent.ovs.operations import cfg_number, operations, taking_up
from netwright.agent.ovs.outcome import Blame, Outcome, outcome, unreachable
from netwright.agent.ovs.ovsdb import OvsdbClient
from netwright.agent.ovs.plan import Planner
from netwright.agent.ovs.plugger import Plugger
from netwright.agent.ovs.plugs import DEAD_PLACE, Place
from netwright.agent.ovs.replica import RowChange as ReplicaChange
from netwright.agent.ovs.rows import PortRow
from netwright.agent.ovs.tables import Tables
from netwright.agent.ovs.wiring import Bond, Desired, Endpoint, HostWiring, Management
from netwright.agent.ovs.witness import UplinkState, uplink_states
from netwright.agent.wiring import NewDevice

ROUNDS_MAX = 8
AUDIT_S = 30.0
FEW = 4
"""A plan that looks at more ports than these is not made ahead: there would be several of them.

So in a burst of devices that are plugged all go into the dead VLAN, and are moved together.
"""

WAIT_FAILED = "timed out"
"""RFC 7047 §5.2.6: how a `wait` whose condition does not hold reports itself."""

log = structlog.get_logger(__name__)


class OvsDriver:
    """Open vSwitch of this host. Start `run()` as a task, then call `converge` as often as needed.

    `ovsdb` is ovsdb-server's unix socket, `rundir` the directory of ovs-vswitchd's `.mgmt` sockets.
    """

    def __init__(
        self, wiring: HostWiring, *, ovsdb: Path, rundir: Path, timeout_s: float = 5.0
    ) -> None:
        self.wiring = wiring
        self._timeout_s = timeout_s
        self._changed = asyncio.Event()
        self._replica_changed = asyncio.Event()
        self._restarted = asyncio.Event()
        self._lock = asyncio.Lock()
        self._management_due = asyncio.Event()
        self._management_problem = "not set yet" if wiring.management else None
        self._complete = False
        self._planner = Planner()
        self._desired: Desired | None = None
        self.awaited: frozenset[str] = frozenset()
        """Ports that nobody has told of yet: of their devices nothing is to be done."""
        self._rows_now, self._rows_stale = Rows(), True
        self._uplinks: tuple[Rows, tuple[UplinkState, ...]] | None = None
        self._ovsdb = OvsdbClient(
            ovsdb, on_change=self._rows_changed, on_sync=self._synced, timeout_s=timeout_s
        )
        self._bfd = BfdHold(rundir, uplinks=self._our_bonds, synced=self._ovsdb.synced)
        self._bridges = {
            name: OpenFlowClient(
                name, rundir / f"{name}.mgmt", on_ready=self._forget(name), timeout_s=timeout_s
            )
            for name in wiring.bridge_names
        }
        self._tables = Tables(self._bridges, wiring.integration_bridge)
        self.plugger = Plugger(
            wiring.integration_bridge,
            self._ovsdb,
            lock=self._lock,
            devices=self.devices,
            place=self._place,
            timeout_s=timeout_s,
        )

    async def run(self) -> None:
        """Keep the connections up and audit the flows, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ovsdb.run(), name="ovsdb")
            for name, client in self._bridges.items():
                group.create_task(client.run(), name=f"openflow {name}")
            group.create_task(self._hold_bfd(), name="bfd hold")
            if self.wiring.management is not None:
                keeping = self._keep_management(self.wiring.management)
                group.create_task(keeping, name="management address")
            group.create_task(self._audit(), name="flow audit")

    async def wait_ready(self, timeout_s: float) -> None:
        """Return once OVSDB's rows are known. Raises OvsUnreachableError after `timeout_s`."""
        await self._ovsdb.wait_synced(timeout_s)

    @property
    def has_changed(self) -> bool:
        """Whether rows, links or flows changed since the last `converge` read them."""
        return self._changed.is_set()

    def note_change(self) -> None:
        """Let `converge` be called: something is to be done that no row tells."""
        self._changed.set()

    async def at_rest(self) -> None:
        """Return when no plan is being carried out."""
        async with self._lock:
            return

    async def wait_changed(self) -> None:
        """Return when rows, links or flows changed since the last `converge` read them."""
        await self._changed.wait()

    def devices(self) -> tuple[Device, ...]:
        """Devices that are plugged into the integration bridge now, by the replica."""
        return self._rows().devices(self.wiring.integration_bridge)

    def uplinks(self) -> tuple[UplinkState, ...]:
        """Return what the uplinks' checks say now, by the replica."""
        rows = self._rows()
        if self._uplinks is None or self._uplinks[0] is not rows:  # asked for often in a pass
            self._uplinks = rows, uplink_states(self.wiring, rows)
        return self._uplinks[1]

    async def announce(self, endpoints: Iterable[Endpoint]) -> None:
        """Let ports that came up make themselves known; OVS being away is no error."""
        ofports = {device.port_id: device.interface.ofport for device in self.devices()}
        frames = [
            (ofport, frame)
            for endpoint in endpoints
            if (ofport := ofports.get(endpoint.port_id)) is not None
            for frame in announcements(endpoint.mac, endpoint.addresses)
        ]
        try:
            await self._bridges[self.wiring.integration_bridge].inject(frames)
        except OvsUnreachableError as error:
            log.info("ovs.unannounced", cause=str(error))

    async def announce_ahead(self, endpoints: Iterable[Endpoint]) -> None:
        """Let the switch know of ports before a packet passes; OVS being away is no error."""
        for bridge, frames in arrivals(self.wiring, self._rows(), endpoints).items():
            try:
                await self._bridges[bridge].send(frames)
            except OvsUnreachableError as error:
                log.info("ovs.arrival_untold", bridge=bridge, cause=str(error))

    async def take_for_outside(self, endpoints: Iterable[Endpoint]) -> None:
        """Let our bridges know that ports which left are not here; OVS being away is no error."""
        for bridge, frames in departures(self.wiring, self._rows(), endpoints).items():
            try:
                await self._bridges[bridge].inject(frames)
            except OvsUnreachableError as error:
                log.info("ovs.departure_untold", bridge=bridge, cause=str(error))

    async def read(self) -> Actual:
        """Return rows and flows as they are; flows only of bridges that are connected now."""
        await self._ovsdb.wait_synced(self._timeout_s)
        for name in self._tables.unread():
            # A restarted vswitchd numbers its ports anew; once it has taken this up, the
            # replica holds the numbers that belong to this connection.
            await self._settle([])
            await self._tables.read(name)
        return self._tables.actual(self._rows())

    async def plan(self, desired: Desired) -> Plan:
        """Return what `converge` would do first; changes nothing (--dry-run)."""
        async with self._lock:
            return self._planner.plan(desired, await self.read())

    async def converge(self, desired: Desired) -> Outcome:
        """Bring OVS to `desired` and verify it by reading back.

        An endpoint that OVS refuses fails alone, with the cause in its state. OVS being away is
        no error: the outcome says so, for every endpoint that is concerned.
        """
        async with self._lock:
            try:
                result = await self._converge(desired)
            except (OvsUnreachableError, OvsProtocolError) as error:
                log.warning("ovs.unreachable", cause=str(error))
                result = unreachable(desired, str(error))
            self._complete = result.complete
            return result

    async def _converge(self, desired: Desired) -> Outcome:
        self._desired = desired
        blame = Blame()
        previous: Plan | None = None
        for _ in range(ROUNDS_MAX):
            self._changed.clear()
            plan = self._planner.plan(desired, await self.read(), blame.barred)
            if plan.empty:
                blame.failures.clear()
                if self._management_problem is not None:
                    blame.failures["management address"] = self._management_problem
                connected = self._bridges.keys() <= self._tables.known
                return outcome(plan, blame, complete=connected and not blame.failures)
            if plan == previous and blame.failures:
                break
            previous = plan
            await self._apply(plan, blame)
            await self._connect(plan)
        cause = "; ".join(blame.failures.values()) or f"OVS does not settle: {previous}"
        log.warning("ovs.unsettled", cause=cause)
        blame.failures.setdefault("Open vSwitch", cause)
        plan = self._planner.plan(desired, await self.read(), blame.barred)
        return outcome(plan, blame, complete=False)

    async def _place(self, device: NewDevice) -> Place:
        """Where the plan would move it at once; what must be closed before that is closed."""
        if device.beside:
            return beside(self.devices(), device.beside)
        desired, bridge = self._desired, self.wiring.integration_bridge
        if desired is None or bridge not in self._tables.known or self._planner.looked_at > FEW:
            return DEAD_PLACE
        actual = with_device(self._tables.actual(self._rows()), bridge, device)
        found = ahead(self._planner.plan(desired, actual), device)
        if found is None:
            return DEAD_PLACE
        if not found.close:
            return found.place
        blame = Blame()
        self._changed.set()  # if the device does not come after all, this is to be taken back
        try:
            await self._tables.apply(found.close, blame)
        except (OvsUnreachableError, OvsProtocolError):
            return DEAD_PLACE
        return DEAD_PLACE if blame.barred or blame.failures else found.place

    def _our_bonds(self) -> tuple[UplinkState, ...]:
        ours = {b.uplink.name for b in self.wiring.physical_bridges if isinstance(b.uplink, Bond)}
        return tuple(uplink for uplink in self.uplinks() if uplink.port in ours)

    # Applying a plan

    async def _apply(self, plan: Plan, blame: Blame) -> None:
        blame.carry_out(plan)
        barred_before = len(blame.barred)
        tables = self._tables
        await tables.apply(plan.close, blame)
        if plan.rows:
            await self._apply_rows(plan.rows, blame)
        await tables.change_meters(plan.meters, blame, add=True)
        if len(blame.barred) > barred_before or blame.failures:
            return
        if not plan.open:
            await tables.change_addresses(plan.addresses, blame, add=True, remove=True)
            await tables.change_meters(plan.meters, blame, add=False)
            return
        # A packet that meets a filter before its addresses are there has its connection marked.
        await tables.change_addresses(plan.addresses, blame, add=True, remove=False)
        await tables.apply(plan.open, blame)
        await tables.change_addresses(plan.addresses, blame, add=False, remove=True)
        await tables.change_meters(plan.meters, blame, add=False)

    async def _apply_rows(self, rows: Sequence[RowChange], blame: Blame) -> None:
        """One transaction for all; if OVSDB refuses it, one for each owner, so each fails alone."""
        for change in rows:
            if isinstance(change, SetColumns) and change.table == "Bridge":
                self._tables.forget(change.name)  # a changed fail_mode flushes the flows
        try:
            await self._settle(rows)
        except TransactionRefusedError:
            grouped: dict[str | None, list[RowChange]] = {}
            for change in rows:
                grouped.setdefault(change.owner, []).append(change)
            for owner, changes in grouped.items():
                try:
                    await self._settle(changes)
                except TransactionRefusedError as error:
                    if error.error != WAIT_FAILED:  # else another writer was first: plan anew
                        blame.port(owner, f"{changes[0].name}: {error}")

    async def _settle(self, rows: Sequence[RowChange]) -> None:
        """Commit rows and wait until ovs-vswitchd has taken them up."""
        made = [*operations(rows), *taking_up()]
        number = cfg_number(await self._ovsdb.transact(made))
        try:
            async with asyncio.timeout(self._timeout_s):
                while (root := self._ovsdb.replica.root) is None or root.cur_cfg < number:
                    self._replica_changed.clear()
                    self._think_ahead()
                    await self._replica_changed.wait()
        except TimeoutError:
            raise OvsUnreachableError(
                f"ovs-vswitchd took no change up within {self._timeout_s} s: is it running?"
            ) from None

    def _think_ahead(self) -> None:
        """While ovs-vswitchd works, plan on the rows so far: the next plan finds most of it done.

        What is planned from is all that counts (`Planner`), so a plan more does no harm.
        """
        if self._rows_stale and self._desired is not None and self._planner.looked_at <= FEW:
            self._planner.plan(self._desired, self._tables.actual(self._rows()))

    async def _connect(self, plan: Plan) -> None:
        """After rows changed, wait for bridges that exist now and are not connected yet."""
        if not plan.rows:
            return
        existing = {bridge.name for bridge in self._ovsdb.replica.bridges.values()}
        for name, client in self._bridges.items():
            if name in existing and not client.ready:
                await client.wait_ready(self._timeout_s)

    # Watching

    def _rows(self) -> Rows:
        """The replica's rows: the same object until one of them changes."""
        if self._rows_stale:
            replica = self._ovsdb.replica
            bridges, ports = dict(replica.bridges), dict(replica.ports)
            self._rows_now = self._rows_now.then(bridges, ports, dict(replica.interfaces))
            self._rows_stale = False
        return self._rows_now

    def _rows_changed(self, changes: tuple[ReplicaChange, ...]) -> None:
        if any(change.table != "Open_vSwitch" for change in changes):
            self._rows_stale = True
        self._replica_changed.set()
        if is_idle(changes, self.awaited):
            return
        if any(_names_another_member(change) for change in changes):
            self._bfd.note()
        self._changed.set()
        self._bfd.changed.set()

    def _synced(self, synced: bool) -> None:  # noqa: FBT001 - the client's callback
        self._changed.set()
        if not synced:
            self._restarted.set()

    def _forget(self, bridge: str) -> Callable[[bool], None]:
        def forget(ready: bool) -> None:  # noqa: FBT001 - the client's callback
            self._tables.forget(bridge)
            self._changed.set()
            if ready and bridge == self.wiring.integration_bridge:
                self._restarted.set()
            if ready and self.wiring.management and bridge == self.wiring.management.bridge:
                self._management_due.set()

        return forget

    async def _hold_bfd(self) -> None:
        """After each restart of OVS; our own start releases what a predecessor held."""
        await self._restarted.wait()
        self._restarted.clear()
        await self._ovsdb.synced()
        await self._bfd.release()
        while True:
            await self._restarted.wait()
            self._restarted.clear()
            await self._bfd.hold()

    async def _keep_management(self, wanted: Management) -> None:
        """Whenever its bridge is new, and at every audit."""
        while True:
            await self._management_due.wait()
            self._management_due.clear()
            problem = await management.ensure(wanted)
            if problem != self._management_problem:
                self._management_problem = problem
                self._changed.set()

    async def _audit(self) -> None:
        """Notice, slowly, what OVS does not tell: flows that somebody else changed.

        What did not come to an end is tried again, whether or not anything was noticed.
        """
        while True:
            await asyncio.sleep(AUDIT_S)
            self._management_due.set()
            if not self._complete:
                self._changed.set()
            async with self._lock:
                try:
                    await self._ovsdb.echo()
                    for name in sorted(self._tables.known):
                        if await self._tables.read(name):
                            self._changed.set()
                except (OvsUnreachableError, OvsProtocolError) as error:
                    log.warning("ovs.audit_failed", cause=str(error))
                    self._changed.set()


def _names_another_member(change: ReplicaChange) -> bool:
    """Whether a bond's member in use is another one now."""
    old, new = change.old, change.new
    before = old.bond_active_slave if isinstance(old, PortRow) else None
    return isinstance(new, PortRow) and new.bond_active_slave != before
