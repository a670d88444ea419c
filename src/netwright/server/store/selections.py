"""What a process remembers of selectors: which networks match, and the least filled of them.

    read once ─▶ matching ─▶ counted ─▶ filed by fill ─▶ drawn from, filed anew
        the log tells of one more, one less ─┘ ▲    └─▶ a few of them counted anew each time
        the log tells of a subnet ─────────────┘

So a choice costs the same among a hundred networks and among ten thousand. Which networks match is
true up to the event that the memory is true to; how full they are is a hint: another process fills
them too. A project's own networks and shared ones are remembered apart, so that all projects have
the latter in common.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import NamedTuple

import msgspec

from netwright.ipam.fill import Fill, Spread
from netwright.model.labels import parse_selector
from netwright.model.resources import Network, Pool, Subnet
from netwright.server.ports.network_choice import LabelWish

_SELECTIONS_MAX = 64
_MATCHES_MAX = 50_000  # of all selections: some 20 MB
_FILLS_MAX = 100_000
_LOOKED_AT = 32  # a batch, of each selection, by turns
_FRONT = 8  # and of those that are drawn from next

COUNT_EVERY_S = 5.0
_COUNT_COST_S = 1e-6
"""What an address costs to be counted, about."""

_COST_MAX = 0.005
"""A count may take this part of the time until the next: the fuller, the seldomer."""


class Labelled(msgspec.Struct, frozen=True):
    """Of a network, what a selector looks at, and its name."""

    project_id: str
    name: str = ""
    shared: bool = False
    labels: Mapping[str, str] = {}


_labelled = msgspec.json.Decoder(Labelled).decode


def labelled(network: Network) -> Labelled:
    return Labelled(network.project_id, network.name, network.shared, network.labels)


class Among(NamedTuple):
    """The networks of a project that are not shared, or (None) shared ones, that match."""

    project_id: str | None
    selector: str

    def has(self, network: Labelled) -> bool:
        owner = None if network.shared else network.project_id
        return owner == self.project_id and parse_selector(self.selector).matches(network.labels)


def among(wish: LabelWish) -> tuple[Among, Among]:
    """Where a wish may be fulfilled."""
    return Among(wish.project_id, wish.selector), Among(None, wish.selector)


class Selection:
    """`matches` are the networks' names by id; those that were looked at longest ago come first.

    `uncounted` of them are not in the spread yet.
    """

    def __init__(self, matches: Iterable[tuple[str, str]]) -> None:
        self.matches = OrderedDict(matches)
        self.uncounted = set(self.matches)
        self.spread = Spread()

    def add(self, network_id: str, name: str) -> None:
        if network_id not in self.matches:
            self.uncounted.add(network_id)
        self.matches[network_id] = name

    def drop(self, network_id: str) -> None:
        if self.matches.pop(network_id, None) is not None:
            self.uncounted.discard(network_id)
            self.spread.drop(network_id)

    def file(self, network_id: str, fill: Fill) -> None:
        if network_id in self.matches:
            self.uncounted.discard(network_id)
            self.spread.file(network_id, fill)

    def doubt(self, network_id: str) -> None:
        """How full it is must be counted before it is chosen again."""
        if network_id in self.matches:
            self.uncounted.add(network_id)
            self.spread.drop(network_id)

    def to_look_at(self) -> Iterator[str]:
        """Some networks, others each time, and the least filled."""
        for _ in range(min(_LOOKED_AT, len(self.matches))):
            network_id = next(iter(self.matches))
            self.matches.move_to_end(network_id)
            yield network_id
        yield from self.spread.front(_FRONT)


class Selections:
    """One process's. `fills` are the last counts, with what its commits have drawn since."""

    def __init__(self) -> None:
        self.fills: dict[str, Fill] = {}
        self._counted_at: dict[str, float] = {}
        self._pools: dict[str, tuple[str, tuple[Pool, ...]]] = {}  # by subnet, with its network
        self._kept: OrderedDict[Among, Selection] = OrderedDict()
        self._seen: dict[str, Labelled] = {}
        self._drawn: set[str] = set()

    def forget(self) -> None:
        for each in (self.fills, self._counted_at, self._pools, self._kept, self._seen):
            each.clear()
        self._drawn.clear()

    # what matches

    def get(self, one: Among) -> Selection | None:
        if one in self._kept:
            self._kept.move_to_end(one)
        return self._kept.get(one)

    def keep(self, one: Among, matches: Iterable[tuple[str, str]]) -> Selection:
        """What was just read of the database."""
        kept = self._kept[one] = Selection(matches)
        for network_id in kept.uncounted & self.fills.keys():
            kept.file(network_id, self.fills[network_id])
        return kept

    def trim(self) -> None:
        """Let go of what was not asked for the longest, where there is too much; after use."""
        count = sum(len(each.matches) for each in self._kept.values())
        while len(self._kept) > 1 and (len(self._kept) > _SELECTIONS_MAX or count > _MATCHES_MAX):
            _, gone = self._kept.popitem(last=False)
            count -= len(gone.matches)
        if max(len(self.fills), len(self._pools), len(self._seen)) > _FILLS_MAX:
            self.forget()

    def hear_of_network(self, network_id: str, body: bytes | None) -> None:
        """As `follow_network`, of an event's body."""
        if self._kept:
            self.follow_network(network_id, None if body is None else _labelled(body))

    def follow_network(self, network_id: str, network: Labelled | None) -> None:
        """It is so by now; None: it is gone. Most that the log tells of is as it was."""
        if not self._kept:
            return
        if network is None:
            self._seen.pop(network_id, None)
            self._doubt(network_id)
        elif self._seen.get(network_id) == network:
            return
        else:
            self._seen[network_id] = network
        for one, kept in self._kept.items():
            if network is not None and one.has(network):
                kept.add(network_id, network.name)
            else:
                kept.drop(network_id)

    # how full it is

    def follow_subnet(self, subnet_id: str, subnet: Subnet | None) -> None:
        """A network has more addresses, or fewer; None: the subnet is gone."""
        before = self._pools.pop(subnet_id, None)
        if subnet is None:
            if before is not None:
                self._doubt(before[0])
            return
        if before != (now := (subnet.network_id, subnet.allocation_pools)):
            self._doubt(subnet.network_id)
        else:
            self._pools[subnet_id] = now

    def due(self, selections: Iterable[Selection], now: float) -> set[str]:
        """The networks to be counted now: those that never were, and a few whose count is old."""
        due: set[str] = set()
        for each in selections:
            due |= each.uncounted
            due.update(one for one in each.to_look_at() if self._is_stale(one, now))
        return due

    def counted(self, network_id: str, fill: Fill, subnets: Iterable[Subnet], now: float) -> None:
        self.fills[network_id] = fill
        self._counted_at[network_id] = now
        for subnet in subnets:
            self._pools[subnet.id] = (network_id, subnet.allocation_pools)
        for each in self._kept.values():
            each.file(network_id, fill)

    def undo(self) -> None:
        """What was drawn for a batch that was not committed was not."""
        for network_id in self._drawn & self.fills.keys():
            for each in self._kept.values():
                each.file(network_id, self.fills[network_id])
        self._drawn.clear()

    def draw(
        self,
        selections: Iterable[Selection],
        fills: MutableMapping[str, Fill],
        but: Sequence[str] = (),
    ) -> str | None:
        """The least filled of all, with one address more in `fills`; None when all are full."""
        found = [least for each in selections if (least := each.spread.least(fills, but))]
        if not found:
            return None
        _, network_id = min(found)
        fill = fills[network_id]
        fills[network_id] = fill._replace(held=fill.held + 1)
        self._drawn.add(network_id)
        return network_id

    def commit(self, fills: Mapping[str, Fill]) -> None:
        """Those that a batch has drawn from, or counted."""
        if fills:
            self.fills.update((each, fills[each]) for each in fills.keys() & self.fills.keys())
            self._drawn -= fills.keys()

    def _doubt(self, network_id: str) -> None:
        if self.fills.pop(network_id, None) is not None:
            del self._counted_at[network_id]
            for each in self._kept.values():
                each.doubt(network_id)

    def _is_stale(self, network_id: str, now: float) -> bool:
        fill = self.fills.get(network_id)
        if fill is None:
            return True
        cost_s = (fill.held + fill.resting) * _COUNT_COST_S
        age_s = now - self._counted_at[network_id]
        return not 0.0 <= age_s < max(COUNT_EVERY_S, cost_s / _COST_MAX)
