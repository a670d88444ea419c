"""Networks, subnets, hosts and quotas that this process has read, true up to a place in the log.

Every change of them is an event. As long as the log's last event is one that this process knows of,
they are in the database as they are here, and a batch need not read them again. On SQLite that is
always; where other processes write, only until the next of their commits.
"""

from collections.abc import Mapping

from netwright.model.quotas import Quota
from netwright.model.resources import Host, Network, Subnet
from netwright.server.world import World

_KEPT_MAX = 4_096  # of each kind; one more, and they are read anew


class Memory:
    """One process's. What a transaction has read belongs to it when the transaction commits."""

    def __init__(self) -> None:
        self._seq = -1
        self.networks: dict[str, tuple[Network, tuple[Subnet, ...]]] = {}
        self.hosts: dict[str, Host] = {}
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

    def learn_quotas(self, quotas: Mapping[str, Quota | None]) -> None:
        """What was just read; None: the project has none."""
        if len(self.quotas) + len(quotas) > _KEPT_MAX:
            self.quotas.clear()
            self.usage.clear()
        self.quotas.update(quotas)

    def commit(self, world: World, last: int, end: int) -> None:
        """A batch that followed the event `last` was committed, up to the event `end`."""
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
        for project_id, _, quota in world.of(Quota).changed():
            self.quotas[project_id] = quota
            self.usage.pop(project_id, None)
        for (project_id, resource), _, used in world.usage.rows.changed():
            known = self.usage.get(project_id)
            if known is not None and used is not None:
                known[resource] = used
