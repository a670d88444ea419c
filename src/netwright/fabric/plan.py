"""The plan: what every switch shall be. Pure; `Planner` keeps it up to date change by change.

    Intent ─▶ FabricIndex (the inventory)  ─┐
           ─▶ Overlays (networks, VPCs)    ─┼─▶ places of attachments ─▶ Site of each leaf ─▶ config
           ─▶ Edges (borders, cores)       ─┘

A planner plans anew the leaves whose `Site` has changed, and no other: with a change it finds out
which those are. What it keeps between changes are values that follow from the intent, so its plan
always equals `plan(intent)`, which the property tests assert.
"""

from collections.abc import Collection, Iterable, Mapping

from netwright.fabric import edges, overlays
from netwright.fabric.config import SwitchConfig
from netwright.fabric.drops import Drops
from netwright.fabric.edges import NO_EDGE, Edge, Edges
from netwright.fabric.intent import Intent, is_live
from netwright.fabric.leaves import Planned, Segments, Site, plan_leaf
from netwright.fabric.placing import NOWHERE, Place, place
from netwright.fabric.refusals import Refusal, RefusalCode
from netwright.fabric.topology import FabricIndex
from netwright.model.resources import Value


class Plan(Value, frozen=True, kw_only=True):
    """By switch: all leaves, borders, and cores with a driver, but for those that are refused.

    A switch that is not in it is to be left as it is. `refusals` are sorted.
    """

    switches: Mapping[str, SwitchConfig]
    refusals: tuple[Refusal, ...] = ()


def plan(intent: Intent) -> Plan:
    """The whole plan of an intent."""
    return Planner(intent).plan


class Planner:
    """The plan of the latest intent. `update` costs what the changed leaves have, not the fabric.

    A change of networks, subnets or routers also costs all networks and VPCs once, without leaves;
    a change of the topology is a whole plan.
    """

    def __init__(self, intent: Intent | None = None) -> None:
        self._intent = Intent()
        self._fabric = FabricIndex(self._intent.topology)
        self._overlays = overlays.overlays(self._intent)
        self._edges = Edges({}, ())
        self._places: dict[str, dict[str, Place]] = {}
        self._leaves_of: dict[str, tuple[str, ...]] = {}
        self._refused: dict[str, tuple[Refusal, ...]] = {}
        self._segments: dict[str, Segments] = {}
        self._drops: dict[str, Drops] = {}
        self._planned: dict[str, Planned] = {}
        self._cores: dict[str, SwitchConfig] = {}
        self.plan = Plan(switches={})
        if intent is not None:
            self.update(intent)

    def update(self, intent: Intent, attachments: Iterable[str] | None = None) -> frozenset[str]:
        """Plan for this intent; the switches whose configuration has changed, come or gone.

        `attachments` are those that may differ from the intent before, when the caller knows; all
        are compared otherwise. What else differs is seen by itself.
        """
        before, self._intent = self._intent, intent
        if intent.topology != before.topology:
            dirty = self._rebuild()
        else:
            moved = self._follow_networks(before)
            dirty = self._carrying(moved) | self._follow_edges(before)
            dirty |= self._follow_attachments(self._differing(before, attachments, moved))
            dirty |= self._fenced_anew(before) | (intent.drained ^ before.drained)
        for leaf in dirty & self._fabric.leaves.keys():
            segments = self._segments.setdefault(leaf, Segments())
            drops = self._drops.setdefault(leaf, Drops())
            self._planned[leaf] = plan_leaf(self._site(leaf), segments, drops)
        return self._publish()

    def _rebuild(self) -> set[str]:
        """Begin anew: another inventory."""
        self._fabric = FabricIndex(self._intent.topology)
        self._overlays = overlays.overlays(self._intent)
        self._plan_edges()
        self._places = {leaf: {} for leaf in self._fabric.leaves}
        self._leaves_of, self._refused, self._planned = {}, {}, {}
        self._segments, self._drops = {}, {}
        self._place_all()
        return set(self._fabric.leaves)

    def _place_all(self) -> None:
        """As `_follow_attachments` does where nothing is placed yet, in a third of the time."""
        for name, attachment in self._intent.attachments.items():
            if not is_live(attachment):
                continue
            places, refusals = place(attachment, self._fabric, self._overlays)
            if refusals:
                self._refused[name] = refusals
            if places:
                self._leaves_of[name] = tuple(places)
            for leaf, own in places.items():
                self._places[leaf][name] = own

    def _follow_networks(self, before: Intent) -> frozenset[str]:
        """The fabric networks that are no more what they were, or whose VPC is not."""
        if not _is_other(self._intent, before, *_ROUTED):
            return frozenset()
        old, new = self._overlays, overlays.overlays(self._intent)
        kept = {
            network_id: held
            for network_id, each in new.networks.items()
            if (held := old.networks.get(network_id)) == each and held is not None
        }
        self._overlays = new._replace(networks={**new.networks, **kept})
        every = old.networks.keys() | old.broken.keys() | new.networks.keys() | new.broken.keys()
        return frozenset(
            network_id
            for network_id in every - kept.keys()
            if network_id in new.networks
            or network_id in old.networks
            or new.broken.get(network_id) != old.broken.get(network_id)
        )

    def _carrying(self, moved: frozenset[str]) -> set[str]:
        """The leaves that have one of these networks, attached or because of a VPC."""
        return {leaf for leaf in self._places if moved and not moved.isdisjoint(self._on(leaf))}

    def _on(self, leaf: str) -> set[str]:
        found = {each.network_id for each in self._places[leaf].values()}
        of = (self._overlays.networks.get(network_id) for network_id in found)
        vpcs = {each.vpc.router_id: each.vpc for each in of if each and each.vpc}
        vpcs |= {vpc.router_id: vpc for vpc in self._edge(leaf).vpcs}
        return found.union(*(vpc.network_ids for vpc in vpcs.values()))

    def _follow_edges(self, before: Intent) -> set[str]:
        if not _is_other(self._intent, before, *_ROUTED, "drained"):
            return set()
        old = self._edges
        self._plan_edges()
        return {
            name
            for name, edge in self._edges.switches.items()
            if edge != old.switches.get(name, NO_EDGE)
        }

    def _plan_edges(self) -> None:
        self._edges = edges.edges(self._intent, self._fabric, self._overlays)
        self._cores = {
            core: SwitchConfig(gateways=edge.gateways, routes=edge.routes)
            for core in self._fabric.cores
            for edge in (self._edge(core),)
        }

    def _differing(
        self, before: Intent, attachments: Iterable[str] | None, moved: frozenset[str]
    ) -> set[str]:
        """The attachments to place anew."""
        old, new = before.attachments, self._intent.attachments
        if new is old:
            found = set()
        elif attachments is not None:
            found = set(attachments)
        else:
            found = {name for name, each in new.items() if each is not old.get(name)}
            found |= old.keys() - new.keys()
        if moved:
            found |= {name for name, each in new.items() if each.network_id in moved}
        return found

    def _follow_attachments(self, attachments: Iterable[str]) -> set[str]:
        """Place them anew; the leaves where that made a difference."""
        dirty: set[str] = set()
        for name in attachments:
            attachment = self._intent.attachments.get(name)
            places, refusals = NOWHERE
            if attachment is not None and is_live(attachment):
                places, refusals = place(attachment, self._fabric, self._overlays)
            self._refused.pop(name, None)
            if refusals:
                self._refused[name] = refusals
            for leaf in self._leaves_of.pop(name, ()):
                if leaf not in places:
                    del self._places[leaf][name]
                    dirty.add(leaf)
            for leaf, own in places.items():
                if self._places[leaf].get(name) != own:
                    self._places[leaf][name] = own
                    dirty.add(leaf)
            if places:
                self._leaves_of[name] = tuple(places)
        return dirty

    def _fenced_anew(self, before: Intent) -> set[str]:
        old, new = before.fences, self._intent.fences
        if new is old:
            return set()
        hosts = {host for host in old.keys() | new.keys() if old.get(host) != new.get(host)}
        return {leaf for leaves in self._reached(hosts).values() for leaf in leaves}

    def _reached(self, hosts: Collection[str]) -> dict[str, set[str]]:
        """The leaves that these hosts are on: by their links, or as bare metal."""
        found = {host: self._linked(host) for host in hosts}
        for name, leaves in self._leaves_of.items():
            if (host := name.partition("@")[2]) in found:
                found[host].update(leaves)
        return found

    def _linked(self, host: str) -> set[str]:
        return {leaf for leaf in self._fabric.hosts.get(host, ()) if leaf in self._places}

    def _site(self, leaf: str) -> Site:
        return Site(
            switch=self._fabric.leaves[leaf],
            vteps=self._fabric.vteps,
            below=self._fabric.below.get(leaf, {}),
            places=self._places[leaf],
            overlays=self._overlays.networks,
            edge=self._edge(leaf),
            fences=self._intent.fences,
            is_drained=leaf in self._intent.drained,
        )

    def _edge(self, switch: str) -> Edge:
        return self._edges.switches.get(switch, NO_EDGE)

    def _publish(self) -> frozenset[str]:
        switches = {leaf: planned.config for leaf, planned in self._planned.items()} | self._cores
        old = self.plan.switches
        self.plan = Plan(switches=switches, refusals=self._refusals())
        return frozenset(
            name
            for name in old.keys() | switches.keys()
            if old.get(name) is not switches.get(name) and old.get(name) != switches.get(name)
        )

    def _refusals(self) -> tuple[Refusal, ...]:
        found = [*self._fabric.refusals, *self._overlays.refusals, *self._edges.refusals]
        for refused in self._refused.values():
            found += refused
        for planned in self._planned.values():
            found += planned.refusals
        unlinked = [host for host in self._intent.fences if not self._linked(host)]
        reached = self._reached(unlinked) if unlinked else {}
        found += [_unfenced(host) for host, leaves in reached.items() if not leaves]
        return tuple(sorted(found, key=_by_words))


_ROUTED = ("networks", "subnets", "routers", "floating")
"""The parts of an intent that networks, VPCs and their ways out are made of."""


def _is_other(now: Intent, before: Intent, *parts: str) -> bool:
    return any(getattr(now, part) is not getattr(before, part) for part in parts)


def _unfenced(host: str) -> Refusal:
    return Refusal(
        code=RefusalCode.NO_LINK,
        host=host,
        words=f"Host {host} cannot be fenced by the fabric: the inventory has no link of it to a "
        "leaf. Fence it otherwise, or add its links to the topology.",
    )


def _by_words(refusal: Refusal) -> tuple[str, str]:
    return refusal.words, refusal.code
