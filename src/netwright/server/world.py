"""What a batch of commands is decided on: what was loaded, and what was decided before in it.

A decision reads and puts values here; it sees its own changes and those of the commands before it.
A command that fails is rolled back alone (`World.attempt`). At the end `changed` of each table says
what the store has to write.
"""

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

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
from netwright.server.counted import COUNTED, Counted
from netwright.server.history import HISTORY_KEPT, HistoryKept
from netwright.server.nova.notices import Notice
from netwright.server.overlay.holds import AccessHold, HeldLease, HeldVni
from netwright.server.overlay.inventory import Inventory
from netwright.server.overlay.room import Room
from netwright.server.plain import PLAIN
from netwright.server.quotas import Usage
from netwright.server.tables import Journal, Rows, Table, Tables

Plain = TypeVar("Plain", bound=Value)


class Gap(NamedTuple):
    """A part of a subnet pool that no subnet has, as long as it can be (`ipam.prefixes`)."""

    pool_id: str
    range: AddressRange


class FabricRows(Tables):
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

    vlans = Table[tuple[str, str], int]()
    vlan_holders = Table[str, str]()
    access = Table[tuple[str, str], AccessHold]()
    held_vnis = Table[str, HeldVni]()

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.inventory: Inventory | None = None
        self.has_controller = False
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


class ContainerRows(Tables):
    """What a batch has of containers' names (`containers.slots`).

    `slots` (project, template) say who had which number; `taken` (project, template, container) the
    name that the batch gave, `freed` by their ports' ids those that it took back. `doubted` are
    ports whose claim's row is to be written anew.
    """

    taken = Table[tuple[str, str, str], str]()
    freed = Table[str, tuple[str, str]]()

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.slots: dict[tuple[str, str], SlotTable] = {}
        self.doubted: set[str] = set()


class FloatingRows(Tables):
    """Of which ports and routers all floating IPs are loaded, and of which networks all routers."""

    external_uses = Table[str, int]()

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.of_ports: set[str] = set()
        self.of_routers: set[str] = set()
        self.routed_networks: set[str] = set()


class TouchedTrunks:
    """Trunks of which a port was put since `take` was called: something may follow for them."""

    def __init__(self, ports: Rows[str, Port]) -> None:
        self._ids: set[str] = set()
        ports.watchers += (self._note,)

    def take(self) -> set[str]:
        taken, self._ids = self._ids, set()
        return taken

    def _note(self, before: Port | None, port: Port | None) -> None:
        for one in (before, port):
            if one is not None and one.trunk is not None:
                self._ids.add(one.trunk.trunk_id)


class SharingRows(Tables):
    """With whom security groups are shared that ports and rules name.

    `users` (resource, action) are the projects that use what may come to be shared with fewer.
    """

    groups = Table[str, tuple[Share, ...]]()

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.users: dict[tuple[str, ShareAction], frozenset[str]] = {}


_COUNTED_OF: Mapping[type[Value], Sequence[tuple[str, Counted]]] = {
    type_: [(name, counted) for name, counted in COUNTED.items() if counted.type is type_]
    for type_ in {counted.type for counted in COUNTED.values()}
}


class _PlainRows(dict[type[Value], Rows[str, Any]]):
    """Of each plain type, made when they are first asked for (see `Table`)."""

    def __init__(
        self,
        journal: Journal,
        watchers: Callable[[type[Value]], tuple[Callable[[Any, Any], None], ...]],
    ) -> None:
        self._journal = journal
        self._watchers = watchers

    def __missing__(self, type_: type[Value]) -> Rows[str, Any]:
        if type_ not in PLAIN:
            raise KeyError(type_)
        rows: Rows[str, Any] = Rows(self._journal)
        rows.watchers += self._watchers(type_)
        self[type_] = rows
        return rows


class World(Tables):
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

    `external_uses` counts gateways and floating IPs in networks that may cease to be external.
    `policy_users` are networks and ports that have a QoS policy which may go, some of them.

    `gaps` (pool, first address) are free parts of subnet pools: as many of the first that are large
    enough as the batch may use up, and those beside what it gives back. `pool_uses` (pool, project)
    counts addresses. `whole_scopes` are address scopes all of whose pools are loaded,
    `default_versions` the IP versions whose default pool is, if there is one.
    """

    hosts = Table[str, Host]()
    attachments = Table[tuple[str, str], Attachment]()
    allocations = Table[tuple[str, Address], Allocation]()
    revocations = Table[str, int]()
    topologies = Table[str, Topology]()
    macs = Table[tuple[str, str], str]()
    former_macs = Table[tuple[str, str], FormerMac]()
    unique_names = Table[tuple[str, str], str]()
    segments = Table[str, str]()
    binding_counts = Table[tuple[str, str], int]()
    port_counts = Table[str, int]()
    subnet_uses = Table[str, int]()
    group_projects = Table[str, str]()
    default_groups = Table[str, str]()
    group_uses = Table[str, int]()
    gaps = Table[tuple[str, Address], Gap]()
    pool_uses = Table[tuple[str, str], int]()
    policy_users = Table[str, frozenset[str]]()

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
        super().__init__([])
        self.networks: Rows[str, Network] = Rows(self.journal)
        self.subnets: Rows[str, Subnet] = Rows(self.journal)
        self.ports: Rows[str, Port] = Rows(self.journal)
        self.former_ports: dict[str, int] = {}
        self.fabric = FabricRows(self.journal)
        self.containers = ContainerRows(self.journal)
        self.trunks = TouchedTrunks(self.ports)
        self.floating, self.sharing = FloatingRows(self.journal), SharingRows(self.journal)
        self.usage = Usage(self, Rows(self.journal))
        self._plain = _PlainRows(self.journal, self._watchers)
        self._others: Mapping[type[Value], Rows[str, Any]] = {
            Network: self.networks,
            Subnet: self.subnets,
            Port: self.ports,
        }
        for type_, rows in self._others.items():
            rows.watchers += self._watchers(type_)
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

    def history_of(self, port_id: str) -> int:
        """How many transitions ports of this chosen id had: its next one goes on from there."""
        now = (one.number for one in self.transitions if one.port_id == port_id)
        return max(self.former_ports.get(port_id, 0), *now, 0)

    def attempt(self) -> "Trial":
        """Run one command's decision: what it raises undoes all that it has put."""
        return Trial(self, is_whole=True)

    def trial(self) -> "Trial":
        """Run a part of a decision that something else may follow when it raises."""
        return Trial(self, is_whole=False)

    def of(self, type_: type[Plain]) -> Rows[str, Plain]:
        """The rows of a plain type, by id."""
        return self._plain[type_]

    def values_of(self, type_: type[Plain]) -> Iterable[Plain]:
        """As `rows_of(type_).values()`."""
        rows = self._plain.get(type_, self._others.get(type_))
        return () if rows is None else rows.values()

    def changes_of(self, type_: type[Plain]) -> Sequence[tuple[str, Plain | None, Plain | None]]:
        """As `of(type_).changed()`."""
        return self._plain[type_].changed() if type_ in self._plain else ()

    def touched(self) -> Sequence[type[Value]]:
        """The plain types of which anything may have changed, always in the same order."""
        return [each for each in PLAIN if each in self._plain and self._plain[each].is_touched]

    def rows_of(self, type_: type[Value]) -> Rows[str, Any]:
        """The rows of a resource's type, by id."""
        return self._others[type_] if type_ in self._others else self._plain[type_]

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

    def _watchers(self, type_: type[Value]) -> tuple[Callable[[Any, Any], None], ...]:
        return tuple(partial(self.usage.note, *each) for each in _COUNTED_OF.get(type_, ()))

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
