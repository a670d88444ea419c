"""What a batch of commands is decided on: what was loaded, and what was decided before in it.

A decision reads and puts values here; it sees its own changes and those of the commands before it.
A command that fails is rolled back alone (`World.attempt`). At the end `changed` of each table says
what the store has to write.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from netwright.ipam.addresses import Address
from netwright.ipam.ledger import Ledger
from netwright.ipam.resting import Allocation, FormerMac
from netwright.model.resources import (
    Attachment,
    Host,
    Network,
    Port,
    Subnet,
    Transition,
)
from netwright.model.segments import VlanRange
from netwright.model.topology import Topology
from netwright.server.history import HISTORY_KEPT, HistoryKept

K = TypeVar("K")
V = TypeVar("V")

Journal = list[Callable[[], None]]


class Rows(Generic[K, V]):
    """A table as the batch sees it: values by key; None is absent, as is what was not loaded."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._loaded: dict[K, V] = {}
        self._now: dict[K, V | None] = {}

    def load(self, key: K, value: V) -> None:
        self._loaded[key] = value

    def unload(self, key: K) -> None:
        """The row is gone from the table since it was loaded."""
        self._loaded.pop(key, None)

    def get(self, key: K) -> V | None:
        if key in self._now:
            return self._now[key]
        return self._loaded.get(key)

    def put(self, key: K, value: V | None) -> None:
        if key in self._now:
            before = self._now[key]
            self._journal.append(lambda: self._now.__setitem__(key, before))
        else:
            self._journal.append(lambda: self._now.__delitem__(key))
        self._now[key] = value

    def __len__(self) -> int:
        """How many rows were loaded."""
        return len(self._loaded)

    def values(self) -> Iterator[V]:
        for key, value in self._loaded.items():
            if key not in self._now:
                yield value
        for changed in self._now.values():
            if changed is not None:
                yield changed

    def loaded(self, key: K) -> V | None:
        return self._loaded.get(key)

    def is_known(self, key: K) -> bool:
        """Whether there was such a row, or the batch makes one."""
        return key in self._loaded or key in self._now

    @property
    def is_touched(self) -> bool:
        """Whether anything may have changed."""
        return bool(self._now)

    def changed(self) -> Iterator[tuple[K, V | None, V | None]]:
        """(key, before the batch, now) of all that the batch has changed."""
        for key, value in self._now.items():
            before = self._loaded.get(key)
            if value != before:
                yield key, before, value


class World:
    """The tables as one batch sees them.

    `macs`, `unique_names` and `segments` are the schema's keys with their holders: a decision finds
    a conflict before the database does. `former_macs` (network, MAC) are those that nobody may
    have yet. `port_counts` and `subnet_uses` count what keeps a network
    or subnet from being deleted; `binding_counts` (network, host) what keeps an attachment,
    as far as the batch's ports could take it away.
    `revocations` counts how often a host's credential was revoked. `port_seqs` are the ports'
    places in the event log. `whole_networks` are those
    all of whose attachments are loaded. `more_macs` (network, MAC) are second choices whose holders
    are loaded. `ledger` hands out addresses.
    """

    def __init__(
        self,
        now: float,
        ledger: Ledger,
        vlan_ranges: Sequence[VlanRange] = (),
        history: HistoryKept = HISTORY_KEPT,
    ) -> None:
        self.now = now
        self.ledger = ledger
        self.vlan_ranges = vlan_ranges
        self.history_kept = history
        self.journal: Journal = []
        self.networks: Rows[str, Network] = Rows(self.journal)
        self.subnets: Rows[str, Subnet] = Rows(self.journal)
        self.ports: Rows[str, Port] = Rows(self.journal)
        self.hosts: Rows[str, Host] = Rows(self.journal)
        self.attachments: Rows[tuple[str, str], Attachment] = Rows(self.journal)
        self.allocations: Rows[tuple[str, Address], Allocation] = Rows(self.journal)
        self.revocations: Rows[str, int] = Rows(self.journal)
        self.topologies: Rows[str, Topology] = Rows(self.journal)
        self.macs: Rows[tuple[str, str], str] = Rows(self.journal)
        self.former_macs: Rows[tuple[str, str], FormerMac] = Rows(self.journal)
        self.unique_names: Rows[tuple[str, str], str] = Rows(self.journal)
        self.segments: Rows[str, str] = Rows(self.journal)
        self.binding_counts: Rows[tuple[str, str], int] = Rows(self.journal)
        self.port_counts: Rows[str, int] = Rows(self.journal)
        self.subnet_uses: Rows[str, int] = Rows(self.journal)
        self.port_seqs: dict[str, int] = {}
        self.transitions: list[Transition] = []
        self.recuts: set[str] = set()
        self.whole_networks: set[str] = set()
        self.more_macs: set[tuple[str, str]] = set()
        self._subnets_of: dict[str, list[Subnet]] = {}  # of `_subnets_known` that were loaded
        self._subnets_known = 0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Run one command's decision: what it raises undoes all that it has put."""
        self.journal.clear()
        transitions = len(self.transitions)
        savepoint = self.ledger.savepoint()
        try:
            yield
        except BaseException:
            for undo in reversed(self.journal):
                undo()
            del self.transitions[transitions:]
            self.ledger.rollback(savepoint)
            raise
        finally:
            self.journal.clear()

    def recut(self, subnet_id: str) -> None:
        """A subnet's pools change: what is known of its blocks, here and in the table, is void."""
        self.ledger.drop(subnet_id)
        if subnet_id not in self.recuts:
            self.recuts.add(subnet_id)
            self.journal.append(lambda: self.recuts.discard(subnet_id))

    def subnets_of(self, network_id: str) -> list[Subnet]:
        """The network's subnets, oldest first."""
        if self.subnets.is_touched:
            return self._find_subnets(network_id)
        if len(self.subnets) != self._subnets_known:
            self._subnets_known = len(self.subnets)
            self._subnets_of.clear()
        if network_id not in self._subnets_of:
            self._subnets_of[network_id] = self._find_subnets(network_id)
        return self._subnets_of[network_id]

    def _find_subnets(self, network_id: str) -> list[Subnet]:
        found = [subnet for subnet in self.subnets.values() if subnet.network_id == network_id]
        return sorted(found, key=lambda subnet: (subnet.created_at, subnet.id))
