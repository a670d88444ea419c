"""Whether leaves drop what single ports' fences say, by what they say themselves. Pure.

asked     read back at each of the host's interfaces, on every leaf of it,
          or that the interface is held down                                ─▶ up
          a leaf lacks it, refuses it or does not answer                    ─▶ down, which and why
verified  a leaf that answers has lost it                                   ─▶ down
lifting   no leaf of the host has it any more                               ─▶ withdrawn

A leaf that does not answer counts as dead when nothing that answers has a link to it: no switch,
and no host that is heard. What it may still do reaches nobody then.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from netwright.fabric.config import EMPTY, Fenced, Interface
from netwright.fabric.elements import ElementKey
from netwright.fabric.judging import TIMER_S
from netwright.fabric.topology import FabricIndex
from netwright.fabric.verify import Fabric
from netwright.fabric.views import View
from netwright.model.fabric import FenceReport
from netwright.model.resources import FenceState, PortFence
from netwright.model.topology import Topology
from netwright.model.wire import ReportStatus

NOT_YET_S = 2.0
"""What is not read back after so long is said to be missing, with the leaf that lacks it."""

Key: TypeAlias = tuple[str, str]
"""(host, port)."""

Place: TypeAlias = tuple[str, str]
"""(leaf, interface)."""

Seen: TypeAlias = tuple[object, ...]
"""What a host's leaves show, to be compared."""

NOBODY = frozenset[str]()


class FenceJudge:
    """One tenure's. `statements` are what the server does not hold yet, by (host, port).

    A host is judged anew when its fences are others, or what is seen of them, or when it is time: a
    rack's leaves have tens of thousands of drops, of which a pass changes a few hundred.
    """

    def __init__(self) -> None:
        self.statements: dict[Key, FenceReport] = {}
        self._stated: dict[str, list[Key]] = {}
        """The statements of each host."""
        self._fences: Mapping[str, tuple[PortFence, ...]] = {}
        self._lit: frozenset[str] = frozenset()
        self._lifting: frozenset[str] = frozenset()
        self._paths = LeafPaths(Topology())
        self._drops = _Drops()
        self._dirty: set[str] = set()
        self._judged: dict[str, tuple[tuple[PortFence, ...], Seen]] = {}
        self._since: dict[str, dict[tuple[str, int], float]] = {}
        """By host, since when a fence (port, generation) is seen not to be as it shall be."""

    def meet(self, topology: Topology) -> None:
        self._paths = LeafPaths(topology)
        self._dirty |= self._fences.keys()

    def follow(self, fences: Mapping[str, tuple[PortFence, ...]], lit: frozenset[str]) -> None:
        """What the server holds of fences by now."""
        if lit != self._lit:
            self._lit = lit
            self._dirty |= fences.keys()
        if fences is self._fences:
            return
        old, self._fences = self._fences, fences
        self._dirty |= {
            host for host in old.keys() | fences.keys() if old.get(host) != fences.get(host)
        }
        self._lifting = frozenset(
            one.port_id for each in fences.values() for one in each if not one.is_wanted
        )

    def touch_switch(self, name: str) -> None:
        """There is another view of a switch, which may be a leaf or show that one is dead."""
        if self._fences:
            self._dirty |= self._fences.keys() & self._paths.concerned(name)

    def lifting(self) -> frozenset[str]:
        """The ports of fences that are being lifted."""
        return self._lifting

    def judge(self, fabric: Fabric, now: float) -> None:
        """Bring `statements` up to date."""
        dirty, self._dirty = self._dirty, set()
        late = {
            host
            for host, since in self._since.items()
            if now - min(since.values()) >= NOT_YET_S - TIMER_S
        }
        for host in dirty | late:
            fences = self._fences.get(host, ())
            sight = _Sight(host, self._paths, fabric, self._lit, self._drops)
            judged = fences, sight.seen
            if host in late or self._judged.get(host) != judged:
                self._judged[host] = judged
                self._judge_host(host, fences, sight, now)
        for host in dirty - self._fences.keys():
            self._judged.pop(host, None)

    def next_at(self) -> float | None:
        """When to judge again though nothing moved."""
        return min(
            (min(since.values()) + NOT_YET_S for since in self._since.values()), default=None
        )

    def _judge_host(
        self, host: str, fences: Iterable[PortFence], sight: "_Sight", now: float
    ) -> None:
        for key in self._stated.pop(host, ()):
            del self.statements[key]
        before, since = self._since.pop(host, {}), dict[tuple[str, int], float]()
        for fence in fences:
            of = fence.port_id, fence.generation
            at = self._judge(host, fence, sight, before.get(of, now), now)
            if at is not None:
                since[of] = at
        if since:
            self._since[host] = since

    def _judge(
        self, host: str, fence: PortFence, sight: "_Sight", since: float, now: float
    ) -> float | None:
        """State what is to be stated of a fence; since when it is awaited, when it is."""
        if fence.state is FenceState.LIFTING:
            if sight.is_off(fence):
                self._state(host, fence, ReportStatus.WITHDRAWN)
            return None
        cause = sight.missing(fence)
        if not cause:
            if fence.state is FenceState.ASKED:
                self._state(host, fence, ReportStatus.UP)
            return None
        if fence.state is FenceState.ASKED and cause == fence.cause:
            return None
        if now - since < NOT_YET_S - TIMER_S:
            return since
        self._state(host, fence, ReportStatus.DOWN, cause)
        return None

    def _state(self, host: str, fence: PortFence, status: ReportStatus, cause: str = "") -> None:
        self.statements[host, fence.port_id] = FenceReport(
            host=host,
            port_id=fence.port_id,
            generation=fence.generation,
            status=status,
            cause=cause,
        )
        self._stated.setdefault(host, []).append((host, fence.port_id))


class LeafPaths:
    """Where hosts hang on leaves, and which ends of other switches lead to a leaf."""

    def __init__(self, topology: Topology) -> None:
        self._index = FabricIndex(topology)
        self._ends: dict[str, set[tuple[str, str]]] = {}
        for link in topology.links:
            ends = (link.lower, link.upper)
            if all(end.node in self._index.switches for end in ends):
                for own, other in (ends, ends[::-1]):
                    self._ends.setdefault(own.node, set()).add((other.node, other.interface))

    def leaves(self, host: str) -> Mapping[str, tuple[str, ...]]:
        """Leaf → its interfaces that the host is on."""
        return self._index.hosts.get(host, {})

    def ends(self, leaf: str) -> Iterable[tuple[str, str]]:
        """(switch, interface) of others that lead to it."""
        return self._ends.get(leaf, ())

    def concerned(self, switch: str) -> frozenset[str]:
        """The hosts on this leaf, or on one that the switch has a link to."""
        leaves = {switch} | {other for other, _ in self._ends.get(switch, ())}
        return frozenset(
            host
            for leaf in leaves
            for hosts in self._index.below.get(leaf, {}).values()
            for host in hosts
        )


class _Sight:
    """What a host's leaves drop at its interfaces, for all of its fences at once."""

    def __init__(
        self,
        host: str,
        paths: LeafPaths,
        fabric: Fabric,
        lit: frozenset[str],
        senders: "_Drops",
    ) -> None:
        self._host = host
        self._fabric = fabric
        self._senders = senders
        self._blind: list[str] = []
        """Why leaves do not say, in words."""
        self._unverified: list[str] = []
        """As `_blind`, but for those that are dead."""
        self._drops: dict[Place, frozenset[str]] = {}
        self._gets: dict[Place, frozenset[str] | None] = {}
        self._wanted: dict[Place, frozenset[str]] = {}
        self._shut: set[Place] = set()
        self._refusals: dict[str, str] = {}
        leaves = paths.leaves(host)
        if not leaves:
            self._unverified.append(f"the inventory has no link of host {host} to a leaf")
        for leaf, interfaces in leaves.items():
            self._look(leaf, interfaces, paths, lit)
        gets = (each for each in self._gets.values() if each is not None)
        sets = (*self._drops.values(), *gets)
        self._everywhere = frozenset.intersection(*sets) if sets else NOBODY
        """What all of them drop, and go on dropping."""

    @property
    def seen(self) -> Seen:
        """All that is concluded from: while that is the same, so is every word of it."""
        return (
            self._blind,
            self._unverified,
            self._drops,
            self._gets,
            self._wanted,
            self._shut,
            self._refusals,
        )

    def missing(self, fence: PortFence) -> str:
        """Where the fence is not read back, or not proven to be; "" when it is everywhere."""
        senders = _senders(fence)
        unread = self._unverified if fence.state is FenceState.ASKED else ()
        if not unread and senders <= self._everywhere:
            return ""
        lacking = [
            f"{leaf}/{interface} lets it through"
            + (f": {self._refusals[leaf]}" if leaf in self._refusals else "")
            for (leaf, interface), drops in self._drops.items()
            if not self._stays(leaf, interface, drops, senders)
        ]
        return "; ".join((*unread, *lacking))

    def is_off(self, fence: PortFence) -> bool:
        """Whether no leaf drops anything because of this fence, nor may come to."""
        if self._blind:
            return False
        senders = _senders(fence)
        return all(
            (drops | (self._gets[place] or frozenset())).isdisjoint(senders - self._wanted[place])
            for place, drops in self._drops.items()
        )

    def _stays(
        self, leaf: str, interface: str, drops: frozenset[str], senders: frozenset[str]
    ) -> bool:
        """Whether it is there or nothing passes, and no pass that is under way changes that.

        Drivers let nothing pass at a port that they open before all is in place.
        """
        gets = self._gets[leaf, interface]
        is_shut = (leaf, interface) in self._shut
        return (is_shut or senders <= drops) and (gets is None or senders <= gets)

    def _look(
        self, leaf: str, interfaces: Iterable[str], paths: LeafPaths, lit: frozenset[str]
    ) -> None:
        view = self._fabric.views.get(leaf)
        if view is None or view.actual is None:
            why = self._silence(leaf, view)
            self._blind.append(why)
            if view is None or not self._is_dead(leaf, paths, lit):
                self._unverified.append(why)
            return
        for interface in interfaces:
            place = (leaf, interface)
            port = view.actual.config.interfaces.get(interface)
            self._drops[place] = self._senders.of("is", place, port)
            if port is not None and port.is_down and not view.actual.links.get(interface, True):
                self._shut.add(place)
            self._gets[place] = self._brought(view, place)
            wanted = self._fabric.wanted.get(leaf, EMPTY).interfaces.get(interface)
            self._wanted[place] = self._senders.of("wanted", place, wanted)
            refusal = view.refusals.get(ElementKey(Interface, interface))
            if refusal is not None:
                self._refusals[leaf] = refusal

    def _brought(self, view: View, place: Place) -> frozenset[str] | None:
        """What it drops after the pass that is under way; None: the same, or there is none."""
        if view.bringing is None:
            return None
        gets = self._senders.of("gets", place, view.bringing.interfaces.get(place[1]))
        is_same = gets == self._drops[place] and place not in self._shut
        return None if is_same else gets

    def _silence(self, leaf: str, view: View | None) -> str:
        if view is not None:
            return f"switch {leaf} does not answer: {view.cause}"
        if leaf in self._fabric.wanted:
            return f"switch {leaf} was not read yet"
        return f"switch {leaf} is not configured from here"

    def _is_dead(self, leaf: str, paths: LeafPaths, lit: frozenset[str]) -> bool:
        ends = tuple(paths.ends(leaf))
        return leaf not in lit and bool(ends) and all(self._is_dark(*end) for end in ends)

    def _is_dark(self, switch: str, interface: str) -> bool:
        """Whether a switch that answers has no link at this interface."""
        view = self._fabric.views.get(switch)
        return (
            view is not None
            and view.actual is not None
            and not view.actual.links.get(interface, True)
        )


class _Drops:
    """What interfaces drop, as senders: made again only where it is another."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, Place], tuple[tuple[Fenced, ...], frozenset[str]]] = {}

    def of(self, role: str, place: Place, interface: Interface | None) -> frozenset[str]:
        """Of the interface at the place, as it is in this role: what it is, gets, or shall be."""
        fenced = interface.fenced if interface is not None else ()
        made, senders = self._made.get((role, place), (None, NOBODY))
        if made is not fenced and made != fenced:
            senders = frozenset(
                sender for one in fenced for sender in (one.mac_address, *one.addresses) if sender
            )
        self._made[role, place] = fenced, senders
        return senders


def _senders(fence: PortFence) -> frozenset[str]:
    return frozenset((*fence.macs, *fence.addresses))
