"""What a batch of commands is decided on: what was loaded, and what was decided before in it.

A decision reads and puts values here; it sees its own changes and those of the commands before it.
A command that fails is rolled back alone (`World.attempt`). At the end `changed` of each table says
what the store has to write.
"""

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from netwright.ipam.addresses import Address, AddressRange
from netwright.ipam.fill import Fill
from netwright.ipam.ledger import Ledger
from netwright.ipam.resting import Allocation, FormerMac
from netwright.model.quotas import NO_LIMITS
from netwright.model.resources import (
    Attachment,
    Host,
    Network,
    Port,
    Share,
    ShareAction,
    Subnet,
    Transition,
    Value,
)
from netwright.model.routing import NO_PROJECT
from netwright.model.segments import SEGMENT_RULES, SegmentRules
from netwright.model.topology import Topology
from netwright.server.containers.slot_table import SlotTable
from netwright.server.counted import COUNTED
from netwright.server.history import HISTORY_KEPT, HistoryKept
from netwright.server.nova.notices import Notice
from netwright.server.overlay.holds import AccessHold, HeldLease, HeldVni
from netwright.server.overlay.inventory import Inventory
from netwright.server.overlay.room import Room
from netwright.server.plain import PLAIN
from netwright.server.quotas import Usage

K = TypeVar("K")
V = TypeVar("V")
Plain = TypeVar("Plain", bound=Value)

Journal = list[tuple[Any, ...]]
"""What undoes each change: a function, and what to call it with."""


class Gap(NamedTuple):
    """A part of a subnet pool that no subnet has, as long as it can be (`ipam.prefixes`)."""

    pool_id: str
    range: AddressRange


class Rows(Generic[K, V]):
    """A table as the batch sees it: values by key; None is absent, as is what was not loaded.

    `get` is a dict's own: a port's creation asks a dozen times.
    """

    get: Callable[[K], V | None]

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._loaded: dict[K, V] = {}
        self._now: dict[K, V | None] = {}
        self._seen: dict[K, V | None] = {}  # what was loaded, under what the batch has changed
        self._changes: list[tuple[K, V | None, V | None]] | None = None
        self.get = self._seen.get
        self.watchers: list[Callable[[V | None, V | None], None]] = []

    def load(self, key: K, value: V) -> None:
        """What the table holds. What the batch has changed stays as it was read before that.

        Else another process's row that came meanwhile would be changed in place of the batch's own.
        """
        if key not in self._now:
            self._loaded[key] = self._seen[key] = value

    def rebase(self, key: K, value: V, now: V) -> None:
        """The table holds another value by now: the batch's change begins there, and ends so."""
        self._loaded[key] = value
        self.put(key, now)

    def unload(self, key: K) -> None:
        """The row is gone from the table since it was loaded."""
        self._loaded.pop(key, None)
        self._changes = None
        if key not in self._now:
            self._seen.pop(key, None)

    def put(self, key: K, value: V | None) -> None:
        """Change a row. What a watcher raises keeps it as it was."""
        for watcher in self.watchers:
            watcher(self.get(key), value)
        if key in self._now:
            self._journal.append((self._set, key, self._now[key]))
        else:
            self._journal.append((self._unset, key))
        self._now[key] = self._seen[key] = value
        self._changes = None

    def items(self) -> list[tuple[K, V]]:
        """The rows that there are, as the batch has changed them."""
        kept = {**self._loaded, **self._now}
        return [(key, value) for key, value in kept.items() if value is not None]

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

    def changed(self) -> Sequence[tuple[K, V | None, V | None]]:
        """(key, before the batch, now) of all that the batch has changed."""
        if self._changes is None:
            loaded = self._loaded.get
            self._changes = [
                (key, before, value)
                for key, value in self._now.items()
                if value != (before := loaded(key))
            ]
        return self._changes

    def _set(self, key: K, value: V | None) -> None:
        self._now[key] = self._seen[key] = value
        self._changes = None

    def _unset(self, key: K) -> None:
        del self._now[key]
        self._changes = None
        if key in self._loaded:
            self._seen[key] = self._loaded[key]
        else:
            del self._seen[key]


class FabricRows:
    """What a batch has of the fabric.

    `inventory` is there once it was needed; `vlans` (domain, network) are those given, and
    `vlan_holders` whose each is (`overlay.vlans.place_of`), all of those in `whole_domains`.
    `access` (leaf, interface) is bare metal's, of those `named_access` is asked for. `held_vnis` by
    key are routers' or rest; `free_vnis` are such for routers, as `World.free_vnis` are for
    networks. `read_attachments` were looked for to see whether one is there; `ending` go with their
    host; `networks_on` are those attached over a leaf, where its VNIs are counted; `room` is what
    leaves have left of MACs and ARP entries by the last count, with what the batch took; `ports_on`
    (network, host) are the ids of the ports that are bound where the controller has reported
    something new. `has_controller`: one has once held its lease, which is `lease`, if that was
    needed. What the log said up to `clear_up_to` to be gone is off every switch.
    """

    def __init__(self, journal: Journal) -> None:
        self.inventory: Inventory | None = None
        self.has_controller = False
        self.vlans: Rows[tuple[str, str], int] = Rows(journal)
        self.vlan_holders: Rows[str, str] = Rows(journal)
        self.access: Rows[tuple[str, str], AccessHold] = Rows(journal)
        self.held_vnis: Rows[str, HeldVni] = Rows(journal)
        self.free_vnis: list[int | None] = []
        self.whole_domains: set[str] = set()
        self.read_attachments: set[tuple[str, str]] = set()
        self.ending: set[tuple[str, str]] = set()
        self.named_access: set[tuple[str, str]] = set()
        self.networks_on: dict[str, set[str]] = {}
        self.room: Room | None = None
        self.ports_on: dict[tuple[str, str], set[str]] = {}
        self.lease: HeldLease | None = None
        self.clear_up_to = -1


class ContainerRows:
    """What a batch has of containers' names (`containers.slots`).

    `slots` (project, template) say who had which number; `taken` (project, template, container) the
    name that the batch gave, `freed` by their ports' ids those that it took back. `doubted` are
    ports whose claim's row is to be written anew.
    """

    def __init__(self, journal: Journal) -> None:
        self.slots: dict[tuple[str, str], SlotTable] = {}
        self.taken: Rows[tuple[str, str, str], str] = Rows(journal)
        self.freed: Rows[str, tuple[str, str]] = Rows(journal)
        self.doubted: set[str] = set()


class FloatingRows:
    """Of which ports and routers all floating IPs are loaded, and of which networks all routers.

    `external_uses` counts gateways and floating IPs in networks that may cease to be external.
    """

    def __init__(self, journal: Journal) -> None:
        self.external_uses: Rows[str, int] = Rows(journal)
        self.of_ports: set[str] = set()
        self.of_routers: set[str] = set()
        self.routed_networks: set[str] = set()


class SharingRows:
    """With whom security groups are shared that ports and rules name.

    `users` (resource, action) are the projects that use what may come to be shared with fewer.
    """

    def __init__(self, journal: Journal) -> None:
        self.groups: Rows[str, tuple[Share, ...]] = Rows(journal)
        self.users: dict[tuple[str, ShareAction], frozenset[str]] = {}


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
    are loaded. `free_vnis` are VNIs of the ranges that no network has, as far as they were looked
    for; the last is None when there are no others. `notices` are what Nova is told of the batch as
    a whole, once all is decided. `ledger` hands out addresses.

    Of ports that name labels: `matches` are the networks, with their names, that match a project's
    selector; `fills` how full they are by the last count and what was drawn since, by this batch in
    the first of its maps; `recounted` are the wishes whose fills were counted in this batch;
    `choices` the networks that a draft tries, in order; `unplaced` drafts have no others.

    `group_projects` says whose the security groups are that ports and rules name, and
    `default_groups` which is a project's own; `group_uses` counts the ports in those that may go,
    as far as the batch's ports could take them out. `usage` is what projects have of their quotas.

    `gaps` (pool, first address) are free parts of subnet pools: as many of the first that are large
    enough as the batch may use up, and those beside what it gives back. `pool_uses` (pool, project)
    counts addresses. `whole_scopes` are address scopes all of whose pools are loaded,
    `default_versions` the IP versions whose default pool is, if there is one.
    """

    def __init__(
        self,
        now: float,
        ledger: Ledger,
        segment_rules: SegmentRules = SEGMENT_RULES,
        history: HistoryKept = HISTORY_KEPT,
        quota_defaults: Mapping[str, int] = NO_LIMITS,
    ) -> None:
        self.now = now
        self.ledger = ledger
        self.segment_rules = segment_rules
        self.history_kept = history
        self.quota_defaults = quota_defaults
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
        self.group_projects: Rows[str, str] = Rows(self.journal)
        self.default_groups: Rows[str, str] = Rows(self.journal)
        self.group_uses: Rows[str, int] = Rows(self.journal)
        self.fabric = FabricRows(self.journal)
        self.containers = ContainerRows(self.journal)
        self.floating = FloatingRows(self.journal)
        self.sharing = SharingRows(self.journal)
        self.gaps: Rows[tuple[str, Address], Gap] = Rows(self.journal)
        self.pool_uses: Rows[tuple[str, str], int] = Rows(self.journal)
        self._plain: dict[type[Value], Rows[str, Any]] = {
            each: Rows(self.journal) for each in PLAIN
        }
        self.usage = Usage(self, Rows(self.journal))
        for resource, counted in COUNTED.items():
            self.rows_of(counted.type).watchers.append(partial(self.usage.note, resource, counted))
        self.port_seqs: dict[str, int] = {}
        self.transitions: list[Transition] = []
        self.notices: list[Notice] = []
        self.recuts: set[str] = set()
        self.whole_networks: set[str] = set()
        self.more_macs: set[tuple[str, str]] = set()
        self.matches: dict[tuple[str, str], Mapping[str, str]] = {}
        self.fills: ChainMap[str, Fill] = ChainMap()
        self.recounted: set[tuple[str, str]] = set()
        self.choices: dict[str, tuple[str, ...]] = {}
        self.unplaced: set[str] = set()
        self.free_vnis: list[int | None] = []
        self.whole_scopes: set[str] = set()
        self.default_versions: set[int] = set()
        self._subnets_of: dict[str, list[Subnet]] = {}  # of `_subnets_known` that were loaded
        self._by_version: dict[str, list[list[Subnet]]] = {}
        self._subnets_known = 0

    def attempt(self) -> "Trial":
        """Run one command's decision: what it raises undoes all that it has put."""
        return Trial(self, is_whole=True)

    def trial(self) -> "Trial":
        """Run a part of a decision that something else may follow when it raises."""
        return Trial(self, is_whole=False)

    def of(self, type_: type[Plain]) -> Rows[str, Plain]:
        """The rows of a plain type, by id."""
        return self._plain[type_]

    def rows_of(self, type_: type[Value]) -> Rows[str, Any]:
        """The rows of a resource's type, by id."""
        kept: Mapping[type[Value], Rows[str, Any]] = {
            Network: self.networks,
            Subnet: self.subnets,
            Port: self.ports,
        }
        return kept[type_] if type_ in kept else self._plain[type_]

    def projects(self) -> set[str]:
        """The projects whose resources were loaded."""
        rows = {id(kept): kept for kept in (self.rows_of(one.type) for one in COUNTED.values())}
        found = {value.project_id for kept in rows.values() for value in kept.values()}
        return found - {NO_PROJECT}

    def recut(self, subnet_id: str) -> None:
        """A subnet's pools change: what is known of its blocks, here and in the table, is void."""
        self.ledger.drop(subnet_id)
        if subnet_id not in self.recuts:
            self.recuts.add(subnet_id)
            self.journal.append((self.recuts.discard, subnet_id))

    def subnets_of(self, network_id: str) -> list[Subnet]:
        """The network's subnets, oldest first."""
        if self.subnets.is_touched:
            return self._find_subnets(network_id)
        if len(self.subnets) != self._subnets_known:
            self._subnets_known = len(self.subnets)
            self._subnets_of.clear()
            self._by_version.clear()
        if network_id not in self._subnets_of:
            self._subnets_of[network_id] = self._find_subnets(network_id)
        return self._subnets_of[network_id]

    def subnets_by_version(self, network_id: str) -> list[list[Subnet]]:
        """The network's subnets, oldest first: those of IPv4, then those of IPv6."""
        subnets = self.subnets_of(network_id)
        found = None if self.subnets.is_touched else self._by_version.get(network_id)
        if found is None:
            of_versions = ([each for each in subnets if each.ip_version == n] for n in (4, 6))
            found = self._by_version[network_id] = [each for each in of_versions if each]
        return found

    def _find_subnets(self, network_id: str) -> list[Subnet]:
        found = [subnet for subnet in self.subnets.values() if subnet.network_id == network_id]
        return sorted(found, key=lambda subnet: (subnet.created_at, subnet.id))


class Trial:
    """What is raised within undoes what was put within; the journal of the whole ends with it."""

    __slots__ = ("_is_whole", "_mark", "_savepoint", "_transitions", "_world")

    def __init__(self, world: World, *, is_whole: bool) -> None:
        self._world = world
        self._is_whole = is_whole

    def __enter__(self) -> None:
        self._mark = len(self._world.journal)
        self._transitions = len(self._world.transitions)
        self._savepoint = self._world.ledger.savepoint()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        world = self._world
        if error is not None:
            for undo, *changed in reversed(world.journal[self._mark :]):
                undo(*changed)
            del world.journal[self._mark :]
            del world.transitions[self._transitions :]
            world.ledger.rollback(self._savepoint)
        if self._is_whole:
            world.journal.clear()
