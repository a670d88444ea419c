"""Networks, subnets, hosts, the inventory, quotas, whose group which is: true up to an event.

Every change of them is an event. A batch first reads what the log has got since the last one, from
other processes; what that does not name is in the database as it is here, and is not read again.
"""

from collections.abc import Mapping, Sequence

import msgspec

from netwright.db.transaction import Transaction
from netwright.model.quotas import Quota
from netwright.model.resources import Host, Network, Share, Subnet
from netwright.model.security import SecurityGroup
from netwright.model.wire import Kind
from netwright.server.overlay.inventory import Inventory
from netwright.server.overlay.room import Room
from netwright.server.store.event_rows import EventRow
from netwright.server.store.events import events_after, last_seq
from netwright.server.store.selections import Selections, labelled
from netwright.server.world import World

_subnet = msgspec.json.Decoder(Subnet).decode

_REMEMBERED = frozenset(
    (Kind.NETWORK, Kind.SUBNET, Kind.HOST, Kind.SECURITY_GROUP, Kind.QUOTA, Kind.TOPOLOGY)
)
_KEPT_MAX = 4_096  # of each kind; one more, and they are read anew
_BEHIND_MAX = 2_000  # events; to read more takes longer than to read anew what a batch needs


class Memory:
    """One process's. What a transaction has read belongs to it when the transaction commits."""

    def __init__(self) -> None:
        self._seq = -1
        self.networks: dict[str, tuple[Network, tuple[Subnet, ...]]] = {}
        self.hosts: dict[str, Host] = {}
        self.selections = Selections()
        self.group_projects: dict[str, str] = {}
        self.group_shares: dict[str, tuple[Share, ...]] = {}
        self.default_groups: dict[str, str] = {}
        self.quotas: dict[str, Quota | None] = {}
        self.usage: dict[str, dict[str, int]] = {}
        self.inventory: Inventory | None = None
        self.has_controller = False  # once True, it stays so
        self.room: Room | None = None  # a hint, which need not be true

    @property
    def seq(self) -> int:
        """The place in the log up to which all that is remembered is true; -1: nothing is."""
        return self._seq

    async def catch_up(self, tx: Transaction) -> list[EventRow] | None:
        """The events that others have added to the log; what they change is forgotten.

        None: there may be more than were read, and everything was forgotten.
        """
        if self._seq >= 0:
            events = await events_after(tx, self._seq, _BEHIND_MAX)
            if len(events) < _BEHIND_MAX and (not events or events[0].seq == self._seq + 1):
                self._follow(events)
                return events
        self.forget()
        self._seq = await last_seq(tx)
        return None

    def follow(self, events: Sequence[EventRow]) -> None:
        """Events next to each other in the log, read by somebody else: no batch need read them.

        Not while a batch is decided: that must see itself what others did meanwhile.
        """
        if self._seq < 0 or not events or events[-1].seq <= self._seq:
            return
        new = [event for event in events if event.seq > self._seq]
        if new[0].seq == self._seq + 1:
            self._follow(new)

    def forget(self) -> None:
        self._seq = -1
        self.inventory = None
        self.networks.clear()
        self.hosts.clear()
        self.selections.forget()
        self._forget_groups()
        self.quotas.clear()
        self.usage.clear()

    def learn(self, world: World, network_ids: set[str], names: set[str]) -> None:
        """What was just read: whole networks, and hosts; what is not there is not remembered."""
        if len(self.networks) + len(network_ids) > _KEPT_MAX:
            self.networks.clear()
        if len(self.hosts) + len(names) > _KEPT_MAX:
            self.hosts.clear()
        for network_id in network_ids:
            network = world.networks.loaded(network_id)
            if network is not None:
                self.networks[network_id] = (network, tuple(world.subnets_of(network_id)))
        for name in names:
            host = world.hosts.loaded(name)
            if host is not None:
                self.hosts[name] = host

    def learn_groups(self, world: World, ids: set[str], project_ids: set[str]) -> None:
        """Whose groups these are, and projects' default ones, as they were just read."""
        if len(self.group_projects) + len(ids) + len(project_ids) > _KEPT_MAX:
            self._forget_groups()
        for id_ in ids:
            project_id = world.group_projects.loaded(id_)
            if project_id is not None:
                self.group_projects[id_] = project_id
                self.group_shares[id_] = world.sharing.groups.loaded(id_) or ()
        for project_id in project_ids:
            group_id = world.default_groups.loaded(project_id)
            if group_id is not None:
                self.default_groups[project_id] = group_id

    def _forget_inventory(self) -> None:
        self.inventory = None
        self.room = None  # its leaves may be others, or hold less

    def _forget_groups(self) -> None:
        self.group_projects.clear()
        self.group_shares.clear()
        self.default_groups.clear()

    def learn_quotas(self, quotas: Mapping[str, Quota | None]) -> None:
        """What was just read; None: the project has none."""
        if len(self.quotas) + len(quotas) > _KEPT_MAX:
            self.quotas.clear()
            self.usage.clear()
        self.quotas.update(quotas)

    def commit(self, world: World, end: int) -> None:
        """A batch was committed that followed the last event known here, up to the event `end`."""
        self.selections.commit(world.fills.maps[0])
        self._seq = end
        for network_id, _, network in world.networks.changed():
            self.networks.pop(network_id, None)
            self.selections.follow_network(network_id, labelled(network) if network else None)
        for subnet_id, before, now in world.subnets.changed():
            self.selections.follow_subnet(subnet_id, now)
            for subnet in filter(None, (before, now)):
                self.networks.pop(subnet.network_id, None)
        for name, _, _ in world.hosts.changed():
            self.hosts.pop(name, None)
        room = world.fabric.room
        if room is not None and room.base is self.room:  # else it was counted anew meanwhile
            self.room = room
        if world.topologies.is_touched:
            self._forget_inventory()
        self._commit_groups(world)
        self._commit_quotas(world)

    def _commit_groups(self, world: World) -> None:
        for group_id, old, new in world.changes_of(SecurityGroup):
            known = old or new
            if old is not None and new is not None and old.shares == new.shares:
                continue  # it stays whose it is
            self.group_projects.pop(group_id, None)
            self.group_shares.pop(group_id, None)
            if known is not None:
                self.default_groups.pop(known.project_id, None)

    def _commit_quotas(self, world: World) -> None:
        for project_id, _, quota in world.changes_of(Quota):
            self.quotas[project_id] = quota
            self.usage.pop(project_id, None)
        rows = world.usage.rows
        for project_id, resource in world.usage.fresh.union(key for key, _, _ in rows.changed()):
            known, used = self.usage.get(project_id), rows.get((project_id, resource))
            if known is not None and used is not None:
                known[resource] = used

    def _follow(self, events: Sequence[EventRow]) -> None:
        if not events:
            return
        self._seq = events[-1].seq
        self.usage.clear()  # they may have made or deleted what is counted
        for event in events:
            if event.kind in _REMEMBERED:  # most are ports
                self._forget(event)

    def _forget(self, event: EventRow) -> None:
        if event.kind is Kind.NETWORK:
            self.networks.pop(event.id, None)
            self.selections.hear_of_network(event.id, event.body)
        elif event.kind is Kind.SUBNET:
            self._forget_network_of(event)
        elif event.kind is Kind.HOST:
            self.hosts.pop(event.id, None)
        elif event.kind is Kind.SECURITY_GROUP:
            self._forget_groups()  # what is gone does not say whose default one it was
        elif event.kind is Kind.TOPOLOGY:
            self._forget_inventory()
        elif event.kind is Kind.QUOTA:
            self.quotas.pop(event.id, None)

    def _forget_network_of(self, event: EventRow) -> None:
        subnet = None if event.body is None else _subnet(event.body)
        self.selections.follow_subnet(event.id, subnet)
        if subnet is not None:
            self.networks.pop(subnet.network_id, None)
        else:  # what is gone does not say of which network it was
            self.networks.clear()
