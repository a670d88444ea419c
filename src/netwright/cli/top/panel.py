"""The port panel's figures, kept up to date by what the watch says. Pure: `now` is passed in.

    a port before ─▶ taken off its counts
    a port after  ─▶ counted, and what became of it ─▶ rates, last errors

A change costs the same however many ports there are.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from heapq import nsmallest

from netwright.cli.top.glance import HostGlance, PortGlance
from netwright.model.planes import has_device
from netwright.model.resources import HostState, Value
from netwright.model.states import PortState
from netwright.model.topology import Topology

RATE_S = 60
"""Rates are of the last minute."""
ERRORS_MAX = 100
WAITING = frozenset(
    {PortState.WIRING, PortState.MOVING, PortState.DEGRADED, PortState.ERROR, PortState.RELEASING}
)
"""The states that a port is to leave by itself, or with somebody's help."""
NOWHERE = "-"
"""Ports without host, hosts without leaf, leaves without zone."""


class Happening(StrEnum):
    """What rates are counted of."""

    CREATED = "created"
    ACTIVE = "became ACTIVE"
    FAILED = "became ERROR or DEGRADED"
    DELETED = "deleted"


class Failure(Value, frozen=True, kw_only=True):
    """A port that became ERROR or DEGRADED, at Unix second `at`."""

    at: float
    port: PortGlance


class Rates:
    """Happenings a second over the last minute, in boxes of a second each."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._boxes: dict[int, Counter[Happening]] = {}

    def add(self, happening: Happening, now: float) -> None:
        self._drop(now)
        self._boxes.setdefault(int(now), Counter())[happening] += 1

    def per_second(self, now: float) -> Mapping[Happening, float]:
        """The mean since the panel began, or of the last minute when it began before that."""
        self._drop(now)
        seconds = max(1.0, min(float(RATE_S), now - self._began))
        total: Counter[Happening] = Counter()
        for box in self._boxes.values():
            total.update(box)
        return {happening: total[happening] / seconds for happening in Happening}

    def _drop(self, now: float) -> None:
        oldest = int(now) - RATE_S
        for second in [second for second in self._boxes if second <= oldest]:
            del self._boxes[second]


class Panel:
    """All that is shown. Ports count where their active binding is.

    Those that stand for an address alone, as routers' interfaces do, never get a host or come to
    another state: they are left out.
    """

    def __init__(self, now: float) -> None:
        self.rates = Rates(now)
        self.failures: deque[Failure] = deque(maxlen=ERRORS_MAX)
        self._ports: dict[str, PortGlance] = {}
        self._hosts: dict[str, HostGlance] = {}
        self._by_state: Counter[PortState] = Counter()
        self._by_host: dict[str, Counter[PortState]] = {}
        self._waiting: dict[str, PortGlance] = {}
        self._leaves: Mapping[str, tuple[str, ...]] = {}
        self._zones: Mapping[str, str] = {}

    @property
    def ports(self) -> int:
        return len(self._ports)

    @property
    def by_state(self) -> Mapping[PortState, int]:
        return self._by_state

    @property
    def hosts_by_state(self) -> Mapping[HostState, int]:
        return Counter(host.state for host in self._hosts.values())

    def put(self, port: PortGlance, now: float, *, is_news: bool) -> None:
        """A port as it now is. `is_news`: it happened now; not so what a snapshot says."""
        before = self._ports.pop(port.id, None)
        self._take_off(before)
        if not has_device(port.device_owner):
            return
        self._ports[port.id] = port
        self._by_state[port.state] += 1
        self._by_host.setdefault(port.host or NOWHERE, Counter())[port.state] += 1
        if port.state in WAITING:
            self._waiting[port.id] = port
        if is_news:
            self._note(before, port, now)

    def drop(self, port_id: str, now: float, *, is_news: bool) -> None:
        before = self._ports.pop(port_id, None)
        self._take_off(before)
        if before is not None and is_news:
            self.rates.add(Happening.DELETED, now)

    def put_host(self, host: HostGlance) -> None:
        self._hosts[host.name] = host

    def drop_host(self, name: str) -> None:
        self._hosts.pop(name, None)

    def place(self, topology: Topology) -> None:
        """Where hosts and leaves stand, by the inventory."""
        switches = {switch.name: switch for switch in topology.switches}
        leaves: dict[str, list[str]] = {}
        for link in topology.links:
            if link.lower.node not in switches and link.upper.node in switches:
                leaves.setdefault(link.lower.node, []).append(link.upper.node)
        self._leaves = {host: tuple(dict.fromkeys(names)) for host, names in leaves.items()}
        self._zones = {
            host: next((switches[name].zone for name in names if switches[name].zone), NOWHERE)
            for host, names in self._leaves.items()
        }

    def oldest_waiting(self, count: int) -> list[PortGlance]:
        return nsmallest(count, self._waiting.values(), key=lambda port: port.state_since)

    def hosts(self) -> dict[str, Counter[PortState]]:
        """Ports by state, of each host that has some or is registered."""
        counts = {name: Counter[PortState]() for name in self._hosts}
        return counts | self._by_host

    def leaves(self) -> dict[str, Counter[PortState]]:
        """A port counts at each leaf of its host."""
        return self._summed(lambda host: self._leaves.get(host, (NOWHERE,)))

    def zones(self) -> dict[str, Counter[PortState]]:
        return self._summed(lambda host: (self._zones.get(host, NOWHERE),))

    def state_of(self, host: str) -> HostState | None:
        known = self._hosts.get(host)
        return None if known is None else known.state

    def _summed(self, places: Callable[[str], Sequence[str]]) -> dict[str, Counter[PortState]]:
        total: dict[str, Counter[PortState]] = {}
        for host, counts in self.hosts().items():
            for place in places(host):
                total.setdefault(place, Counter()).update(counts)
        return total

    def _take_off(self, port: PortGlance | None) -> None:
        if port is None:
            return
        self._by_state[port.state] -= 1
        host = port.host or NOWHERE
        counts = self._by_host[host]
        counts[port.state] -= 1
        if not any(counts.values()):
            del self._by_host[host]
        self._waiting.pop(port.id, None)

    def _note(self, before: PortGlance | None, port: PortGlance, now: float) -> None:
        if before is None:
            self.rates.add(Happening.CREATED, now)
        if before is not None and before.state is port.state:
            return
        if port.state is PortState.ACTIVE:
            self.rates.add(Happening.ACTIVE, now)
        elif port.state in {PortState.ERROR, PortState.DEGRADED}:
            self.rates.add(Happening.FAILED, now)
            self.failures.append(Failure(at=now, port=port))
