"""Several server processes on one table, at every interleaving that hypothesis finds.

`Table` stands for the database: its transactions are atomic, its unique key is a dict. `Process` is
a server process: its committer follows the procedure of `netwright.ipam`, may fail or die between
deciding and writing or between writing and replying, and its clock may jump. Checked:

- never two holders: every port that was acknowledged has exactly its address's row;
- never a false exhaustion: when a process says Exhausted, the table has no free address;
- never a short rest: what was bound goes to no other project before its rest has ended;
- never a lost address: in the end every free address can be allocated, before and after the leases
  of the dead have ended.
"""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from tests.property.ipam.process import REST_S, Command, Create, Delete, Process
from tests.property.ipam.table import SUBNET, KeyTaken, Table

from netwright.ipam.addresses import Address, AddressRange
from netwright.ipam.blocks import Geometry
from netwright.ipam.pools import default_pools
from netwright.ipam.selection import LEASE_S

PROCESSES = 3


def _sixteen(bits: int) -> Geometry:
    return Geometry(default_pools("10.0.0.16/28", "10.0.0.17"), bits)


def _endless() -> Geometry:
    (pool,) = default_pools("2001:db8::/64", "2001:db8::1")
    return Geometry((AddressRange(pool.first, pool.first + 4), pool_after(pool, 9)), 2)


def pool_after(pool: AddressRange, gap: int) -> AddressRange:
    return AddressRange(pool.first + gap, pool.last)


GEOMETRIES = {
    "a /28 in one block": _sixteen(6),
    "a /28 in blocks of four": _sixteen(2),
    "a /28 in blocks of one": _sixteen(0),
    "two pools that share a block": Geometry(default_pools("10.0.0.0/28", "10.0.0.9"), 3),
    "a /64 with a hole": _endless(),
}


projects = st.sampled_from(["ours", "theirs"])


class Processes(RuleBasedStateMachine):
    """The model: `acknowledged` are the ports that callers know of, with their addresses."""

    @initialize(name=st.sampled_from(sorted(GEOMETRIES)), filled=st.integers(0, 13))
    def start(self, name: str, filled: int) -> None:
        self.table = Table(GEOMETRIES[name])
        self.lives = 0
        self.ports_made = 0
        self.acknowledged: dict[str, Address] = {}
        self.deleting: set[str] = set()
        self.rests: dict[Address, tuple[float, str]] = {}  # until when, and whose it was
        self.queues: list[list[Command]] = [[] for _ in range(PROCESSES)]
        self.processes = [self._new_process() for _ in range(PROCESSES)]
        for each in range(filled):
            self.create(each % PROCESSES, 1, "ours")
            self.write(each % PROCESSES, 1)

    def _new_process(self) -> Process:
        self.lives += 1
        return Process(f"process-{self.lives}", self.table)

    # What callers ask

    @rule(at=st.integers(0, PROCESSES - 1), count=st.integers(1, 6), project=projects)
    def create(self, at: int, count: int, project: str) -> None:
        made = range(self.ports_made + 1, self.ports_made + 1 + count)
        self.ports_made += count
        self._ask(at, *(Create(f"port-{number}", project) for number in made))

    @rule(at=st.integers(0, PROCESSES - 1), offset=st.integers(0, 14), project=projects)
    def create_by_name(self, at: int, offset: int, project: str) -> None:
        self.ports_made += 1
        address = self.table.geometry.pools[0].first + offset
        self._ask(at, Create(f"port-{self.ports_made}", project, address))

    @precondition(lambda self: any(row.is_resting for row in self.table.rows.values()))
    @rule(at=st.integers(0, PROCESSES - 1), project=projects, data=st.data())
    def create_by_a_resting_name(self, at: int, project: str, data: st.DataObject) -> None:
        rests = sorted(row.address for row in self.table.rows.values() if row.is_resting)
        self.ports_made += 1
        address = data.draw(st.sampled_from(rests))
        self._ask(at, Create(f"port-{self.ports_made}", project, address))

    @precondition(lambda self: self.acknowledged.keys() - self.deleting)
    @rule(at=st.integers(0, PROCESSES - 1), was_bound=st.booleans(), data=st.data())
    def delete(self, at: int, was_bound: bool, data: st.DataObject) -> None:  # noqa: FBT001
        port_id = data.draw(st.sampled_from(sorted(self.acknowledged.keys() - self.deleting)))
        self.deleting.add(port_id)
        self._ask(at, Delete(port_id, self.acknowledged[port_id], was_bound))

    def _ask(self, at: int, *commands: Command) -> None:
        """A request waits for the batch under way, or begins one."""
        self.queues[at] += commands
        self.decide(at)

    # What processes do

    @rule(at=st.integers(0, PROCESSES - 1))
    def decide(self, at: int) -> None:
        process = self.processes[at]
        if not process.batch:
            commands, self.queues[at] = self.queues[at], []
            process.decide(commands)

    @rule(at=st.integers(0, PROCESSES - 1), retries=st.integers(0, 3))
    def write(self, at: int, retries: int) -> None:
        """Write what was decided; on a conflict decide anew, at once or (retries used up) later."""
        process = self.processes[at]
        for attempt in range(retries + 1):
            try:
                process.write()
            except KeyTaken:
                process.ledger.abort([SUBNET])
                # Decided anew with nobody in between, nothing can be in the way.
                assert attempt == 0
                if retries:
                    process.decide([each.command for each in process.batch])
            else:
                self._check_rests(process)
                process.ledger.commit()
                self._acknowledge(process)
                return
        self._requeue(at)

    @rule(at=st.integers(0, PROCESSES - 1))
    def fail_to_write(self, at: int) -> None:
        self.processes[at].ledger.abort()
        self._requeue(at)

    @rule(at=st.integers(0, PROCESSES - 1), is_written=st.booleans())
    def lose_the_connection_in_commit(self, at: int, is_written: bool) -> None:  # noqa: FBT001
        """The process does not learn whether it wrote; its callers get an error."""
        process = self.processes[at]
        if is_written:
            self._write_unacknowledged(process)
        process.ledger.forget()
        self._disown(process)

    @rule(at=st.integers(0, PROCESSES - 1), is_written=st.booleans())
    def die(self, at: int, is_written: bool) -> None:  # noqa: FBT001
        """Its memory is lost, before or after its transaction; its leases stay in the table."""
        if is_written:
            self._write_unacknowledged(self.processes[at])
        self._disown(self.processes[at])
        for command in self.queues[at]:
            if isinstance(command, Delete):
                self.deleting.discard(command.port_id)
        self.queues[at] = []
        self.processes[at] = self._new_process()

    @rule(at=st.integers(0, PROCESSES - 1), is_asked=st.booleans())
    def renew_leases(self, at: int, is_asked: bool) -> None:  # noqa: FBT001
        process = self.processes[at]
        due = process.ledger.renewals(process.now, within_s=LEASE_S, idle_s=120)
        for subnet_id, blocks in due.items():
            still_ours = [each for each in blocks if self.table.blocks[each].owner == process.name]
            for block in still_ours if is_asked else ():
                self.table._set(block, lease_expires_at=process.now + LEASE_S)
                process.ledger.renew(subnet_id, [block], process.now + LEASE_S)

    @rule(at=st.integers(0, PROCESSES - 1))
    def stop_and_start(self, at: int) -> None:
        """A graceful stop: the batch is finished and the leases are given back."""
        if not self.processes[at].batch:
            for blocks in self.processes[at].ledger.leased().values():
                for block in blocks:
                    if self.table.blocks[block].owner == self.processes[at].name:
                        self.table._set(block, owner=None)
            self.processes[at] = self._new_process()

    # What time does

    @rule(seconds=st.sampled_from([1.0, 25.0, 55.0, 61.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.table.now += seconds

    @rule(
        at=st.integers(0, PROCESSES - 1),
        offset=st.sampled_from([-100_000.0, -70.0, -15.0, 0.0, 15.0, 70.0, 100_000.0]),
    )
    def jump(self, at: int, offset: float) -> None:
        self.processes[at].clock_offset = offset

    @rule()
    def sweep(self) -> None:
        self.table.sweep()

    # What must be so

    @invariant()
    def every_acknowledged_port_holds_its_address_alone(self) -> None:
        holders = {row.port_id: address for address, row in self.table.rows.items()}
        for port_id, address in self.acknowledged.items():
            if port_id not in self.deleting:
                assert holders[port_id] == address
        held = [row for row in self.table.rows.values() if row.port_id is not None]
        assert len({row.port_id for row in held}) == len(held)

    @invariant()
    def a_block_flagged_full_is_full(self) -> None:
        for block, row in self.table.blocks.items():
            if row.is_full:
                assert self.table.geometry.view(block, self.table.rows).is_full

    def teardown(self) -> None:
        """Nothing is lost: one process that goes on can have every free address, now and later."""
        if not hasattr(self, "table"):
            return
        for process in self.processes:
            process.ledger.abort()
            process.batch = []
        self._allocate_all(self.processes[0])
        self.table.now += 10 * LEASE_S
        self._allocate_all(self._new_process())

    def _allocate_all(self, process: Process) -> None:
        for address in [each for each, row in self.table.rows.items() if row.port_id == "last"]:
            self.table.delete(address)
        endless = self.table.geometry.capacity > 1000
        want = 40 if endless else self.table.free_count()
        got: list[Address] = []
        for _ in range(20):
            process.decide([Create("last", "ours") for _ in range(want - len(got) + 1)])
            try:
                process.write()
            except KeyTaken:
                process.ledger.abort([SUBNET])
                continue
            process.ledger.commit()
            got = [each.address for each in process.batch if each.error is None]
            break
        process.batch = []
        assert len(set(got)) == want + endless

    # Helpers

    def _acknowledge(self, process: Process) -> None:
        for each in process.batch:
            command = each.command
            if isinstance(command, Delete):
                self.acknowledged.pop(command.port_id)
                self.deleting.discard(command.port_id)
            elif each.error is None:
                self.acknowledged[command.port_id] = each.address
        process.batch = []

    def _check_rests(self, process: Process) -> None:
        for each in process.batch:
            command = each.command
            if isinstance(command, Delete) and command.was_bound:
                project = self.table.rows[command.address].project_id
                self.rests[command.address] = self.table.now + REST_S, project
            elif isinstance(command, Create) and each.error is None:
                until, project = self.rests.pop(each.address, (0.0, ""))
                by_name = command.address is not None and command.project_id == project
                assert until <= self.table.now or by_name

    def _requeue(self, at: int) -> None:
        process = self.processes[at]
        self.queues[at] = [each.command for each in process.batch] + self.queues[at]
        process.batch = []

    def _write_unacknowledged(self, process: Process) -> None:
        try:
            process.write()
        except KeyTaken:
            return
        self._check_rests(process)
        for each in process.batch:
            if isinstance(each.command, Delete):
                self.acknowledged.pop(each.command.port_id)

    def _disown(self, process: Process) -> None:
        for each in process.batch:
            if isinstance(each.command, Delete):
                self.deleting.discard(each.command.port_id)
        process.batch = []


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(
    max_examples=400, stateful_step_count=40, deadline=None, derandomize=True
)
