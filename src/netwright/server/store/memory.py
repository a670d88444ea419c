"""Networks, subnets and hosts that this process has read, true up to a place in the event log.

Every change of them is an event. A batch first reads what the log has got since the last one, from
other processes; what that does not name is in the database as it is here, and is not read again.
"""

from collections.abc import Iterable, Sequence

import msgspec

from netwright.db.transaction import Transaction
from netwright.model.resources import Host, Network, Subnet
from netwright.model.wire import Kind
from netwright.server.store.events import events_after, last_seq
from netwright.server.store.writing import EventRow
from netwright.server.world import World

_subnet = msgspec.json.Decoder(Subnet).decode

_KEPT_MAX = 4_096  # of each kind; one more, and they are read anew
_BEHIND_MAX = 2_000  # events; to read more takes longer than to read anew what a batch needs


class Memory:
    """One process's. What a transaction has read belongs to it when the transaction commits."""

    def __init__(self) -> None:
        self._seq = -1
        self.networks: dict[str, tuple[Network, tuple[Subnet, ...]]] = {}
        self.hosts: dict[str, Host] = {}

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
        self.networks.clear()
        self.hosts.clear()

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

    def commit(self, world: World, end: int) -> None:
        """A batch was committed that followed the last event known here, up to the event `end`."""
        self._seq = end
        for network_id, _, _ in world.networks.changed():
            self.networks.pop(network_id, None)
        for _, before, now in world.subnets.changed():
            for subnet in filter(None, (before, now)):
                self.networks.pop(subnet.network_id, None)
        for name, _, _ in world.hosts.changed():
            self.hosts.pop(name, None)

    def _follow(self, events: Iterable[EventRow]) -> None:
        for event in events:
            self._seq = event.seq
            if event.kind is Kind.NETWORK:
                self.networks.pop(event.id, None)
            elif event.kind is Kind.SUBNET:
                self._forget_network_of(event)
            elif event.kind is Kind.HOST:
                self.hosts.pop(event.id, None)

    def _forget_network_of(self, event: EventRow) -> None:
        if event.body is not None:
            self.networks.pop(_subnet(event.body).network_id, None)
        else:  # what is gone does not say of which network it was
            self.networks.clear()
