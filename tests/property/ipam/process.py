"""A server process on the table: decides in memory, then writes, by the procedure of the ipam."""

from dataclasses import dataclass, field

from tests.property.ipam.table import SUBNET, KeyTaken, Table

from netwright.ipam import resting
from netwright.ipam.addresses import Address
from netwright.ipam.ledger import Ledger, NeedsBlocks
from netwright.ipam.resting import AddressTaken, Allocation, Claim, Exhausted
from netwright.ipam.selection import LEASE_S, choose_leases, choose_survey

REST_S = 60.0


@dataclass
class Create:
    port_id: str
    project_id: str
    address: Address | None = None


@dataclass
class Delete:
    port_id: str
    address: Address
    was_bound: bool


Command = Create | Delete


@dataclass
class Decision:
    """What one command does to the table, or the error it is answered with."""

    command: Command
    address: Address
    seen: Allocation | None = None
    error: Exception | None = None


@dataclass
class Process:
    name: str
    table: Table
    clock_offset: float = 0.0
    batch: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.name)

    @property
    def now(self) -> float:
        return self.table.now + self.clock_offset

    def load(self, wanted: int) -> None:
        """Lease, or when nothing can be leased survey, until enough is known of."""
        geometry, table = self.table.geometry, self.table
        for round_ in range(40):
            gaps = self.ledger.shortfall({SUBNET: wanted}, self.now)
            if not gaps:
                return
            table.sweep()
            blocks = choose_leases(
                geometry,
                table.block_table(),
                owner=self.name,
                held=gaps[0].held,
                missing=gaps[0].missing,
                now=self.now,
                round_=round_,
                block_yield=gaps[0].block_yield,
                ahead=gaps[0].ahead,
            )
            if blocks:
                for block in blocks:
                    table.lease(block, self.name, self.now + LEASE_S)
                views = geometry.views(blocks, table.rows)
                self.ledger.lease(SUBNET, geometry, views, self.now + LEASE_S)
                continue
            survey = choose_survey(geometry, table.block_table(), surveyed=gaps[0].surveyed)
            views = geometry.views(survey.blocks, table.rows)
            fullness = table.fullness() if survey.complete else None
            self.ledger.survey(SUBNET, geometry, views, fullness)
        raise AssertionError("loading comes to no end")

    def decide(self, commands: list[Command]) -> None:
        wanted = sum(isinstance(each, Create) and each.address is None for each in commands)
        self.load(wanted)
        self.batch = [self._decide_one(command) for command in commands]

    def _decide_one(self, command: Command) -> Decision:
        if isinstance(command, Delete):
            if not command.was_bound:
                self.ledger.release(SUBNET, command.address)
            return Decision(command, command.address)
        savepoint = self.ledger.savepoint()
        try:
            return self._decide_create(command)
        except (Exhausted, AddressTaken) as error:
            self.ledger.rollback(savepoint)
            return Decision(command, command.address or 0, error=error)

    def _decide_create(self, command: Create) -> Decision:
        if command.address is None:
            for _ in range(20):
                try:
                    return Decision(command, self._allocate())
                except NeedsBlocks as needs:
                    self.load(needs.wanted)
            raise AssertionError("NeedsBlocks comes to no end")
        row = self.table.rows.get(command.address)
        how = resting.claim(row, SUBNET, command.address, command.project_id, self.table.now)
        self.ledger.take(SUBNET, command.address)
        return Decision(command, command.address, row if how is Claim.RECLAIM else None)

    def _allocate(self) -> Address:
        try:
            return self.ledger.allocate(SUBNET, self.now)
        except Exhausted:
            taken = self.ledger._taken.get(SUBNET, set())
            assert not self.table.has_free(apart_from=taken), "a false exhaustion"
            raise

    def write(self) -> None:
        """One transaction; raises KeyTaken with nothing written."""
        before = dict(self.table.rows), dict(self.table.blocks)
        try:
            for each in self.batch:
                if each.error is None:
                    self._write_one(each)
        except KeyTaken:
            self.table.rows, self.table.blocks = before
            raise

    def _write_one(self, decision: Decision) -> None:
        command = decision.command
        if isinstance(command, Create):
            if decision.seen is not None:
                self.table.reclaim(decision.seen, command.port_id, command.project_id)
                return
            row = Allocation(
                subnet_id=SUBNET,
                address=decision.address,
                project_id=command.project_id,
                port_id=command.port_id,
            )
            self.table.insert([row])
            return
        old = self.table.rows[command.address]
        end = resting.rest_end(
            was_bound=command.was_bound, withdrawn_at=self.table.now, rest_s=REST_S
        )
        if end is None:
            self.table.delete(command.address)
        else:
            self.table.rows[command.address] = Allocation(
                subnet_id=SUBNET,
                address=command.address,
                project_id=old.project_id,
                rests_until=end,
            )
