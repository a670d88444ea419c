"""Networks, subnets, hosts, quotas, whose which security group is: true up to a place in the log.

Every change of them is an event. As long as the log's last event is one that this process knows of,
they are in the database as they are here, and a batch need not read them again. On SQLite that is
always; where other processes write, only until the next of their commits.
"""

from collections.abc import Mapping
from typing import NamedTuple

from netwright.ipam.fill import Fill
from netwright.model.quotas import Quota
from netwright.model.resources import Host, Network, Subnet
from netwright.model.security import SecurityGroup
from netwright.server.world import World

_KEPT_MAX = 4_096  # of each kind; one more, and they are read anew


class CountedFill(NamedTuple):
    """How full a network was at Unix second `counted_at`, and what this process drew since."""

    fill: Fill
    counted_at: float


class Memory:
    """One process's. What a transaction has read belongs to it when the transaction commits."""

    def __init__(self) -> None:
        self._seq = -1
        self.networks: dict[str, tuple[Network, tuple[Subnet, ...]]] = {}
        self.hosts: dict[str, Host] = {}
        self.fills: dict[str, CountedFill] = {}  # hints, which need not be true
        self.group_projects: dict[str, str] = {}
        self.default_groups: dict[str, str] = {}
        self.quotas: dict[str, Quota | None] = {}
        self.usage: dict[str, dict[str, int]] = {}

    def begin(self, seq: int) -> None:
        """A transaction sees the log up to `seq`: forget what may have changed since."""
        if seq != self._seq:
            self.forget()
            self._seq = seq

    def forget(self) -> None:
        self._seq = -1
        self.networks.clear()
        self.hosts.clear()
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
        for project_id in project_ids:
            group_id = world.default_groups.loaded(project_id)
            if group_id is not None:
                self.default_groups[project_id] = group_id

    def _forget_groups(self) -> None:
        self.group_projects.clear()
        self.default_groups.clear()

    def learn_quotas(self, quotas: Mapping[str, Quota | None]) -> None:
        """What was just read; None: the project has none."""
        if len(self.quotas) + len(quotas) > _KEPT_MAX:
            self.quotas.clear()
            self.usage.clear()
        self.quotas.update(quotas)

    def commit(self, world: World, last: int, end: int) -> None:
        """A batch that followed the event `last` was committed, up to the event `end`."""
        for network_id, fill in world.fills.items():
            if network_id in self.fills:
                self.fills[network_id] = self.fills[network_id]._replace(fill=fill)
        if last != self._seq:  # others committed in between
            self.forget()
            return
        self._seq = end
        for network_id, _, _ in world.networks.changed():
            self.networks.pop(network_id, None)
        for _, before, now in world.subnets.changed():
            for subnet in filter(None, (before, now)):
                self.networks.pop(subnet.network_id, None)
        for name, _, _ in world.hosts.changed():
            self.hosts.pop(name, None)
        self._commit_groups(world)
        self._commit_quotas(world)

    def _commit_groups(self, world: World) -> None:
        for group_id, old, new in world.of(SecurityGroup).changed():
            known = old or new
            if known is not None and (old is None or new is None):  # else it stays whose it is
                self.group_projects.pop(group_id, None)
                self.default_groups.pop(known.project_id, None)

    def _commit_quotas(self, world: World) -> None:
        for project_id, _, quota in world.of(Quota).changed():
            self.quotas[project_id] = quota
            self.usage.pop(project_id, None)
        for (project_id, resource), _, used in world.usage.rows.changed():
            known = self.usage.get(project_id)
            if known is not None and used is not None:
                known[resource] = used
