"""One leaf: of what is attached there, what it shall be. Pure.

    places ─▶ networks of the leaf ─▶ VRFs of the leaf ─▶ what else those need (asymmetric routing)
                                  └──────────────┬───────────────┘
                                            fits capacity?
                                                 ▼
                                     VRFs, segments, interfaces

The leaf's result is a function of its `Site` alone; the planner plans a leaf anew when that
changes. `Segments` only remembers values that were made before, so that a thousand need not be made
for one that is new.

Of two that want the same VLAN, interface or last free place, the older network has it, whoever came
to this leaf first: so any controller decides alike, and who is new takes nothing away.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from netwright.fabric import naming
from netwright.fabric.config import Fenced, Interface, Segment, SwitchConfig, Vrf
from netwright.fabric.drops import Drops
from netwright.fabric.edges import Edge
from netwright.fabric.overlays import Overlay
from netwright.fabric.placing import Place
from netwright.fabric.refusals import Refusal, RefusalCode
from netwright.fabric.vpcs import Vpc
from netwright.model.topology import Switch


class Site(NamedTuple):
    """All that a leaf's configuration depends on. `overlays`, `vteps` are of the whole fabric."""

    switch: Switch
    vteps: tuple[str, ...]
    below: Mapping[str, tuple[str, ...]]
    places: Mapping[str, Place]
    overlays: Mapping[str, Overlay]
    edge: Edge
    fences: Mapping[str, tuple[Fenced, ...]]
    is_drained: bool


class Planned(NamedTuple):
    config: SwitchConfig
    refusals: tuple[Refusal, ...] = ()


class _Made(NamedTuple):
    """A segment, and all that it was made of beside the leaf."""

    overlay: Overlay
    vlan: int | None
    is_routed: bool
    segment: Segment


class Segments:
    """The segments of one leaf that were made, by network: taken again when nothing differs."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}
        self._overlays: Mapping[str, Overlay] = {}
        self._vpcs: frozenset[str] = frozenset()
        self._wanted: Mapping[str, int | None] = {}
        self._segments: Mapping[int, Segment] = {}

    def of(
        self, site: Site, wanted: Mapping[str, int | None], vpcs: Iterable[str]
    ) -> Mapping[int, Segment]:
        """Those of the leaf's networks (with their VLANs), by VNI, in the VRFs of these VPCs."""
        routers = frozenset(vpcs)
        if site.overlays is self._overlays and routers == self._vpcs:
            old = self._wanted
            segments = {**self._segments}
            differing = dict(wanted.items() - old.items())
            for network_id in old.keys() - wanted.keys():
                del segments[site.overlays[network_id].vni]
        else:
            segments = {}
            differing = {**wanted}
        for network_id, vlan in differing.items():
            segment = self._of(site, site.overlays[network_id], vlan, routers)
            segments[segment.vni] = segment
        if len(self._made) > 2 * len(wanted):
            self._made = {network_id: self._made[network_id] for network_id in wanted}
        self._overlays, self._vpcs = site.overlays, routers
        self._wanted, self._segments = wanted, segments
        return segments

    def _of(
        self, site: Site, overlay: Overlay, vlan: int | None, routers: frozenset[str]
    ) -> Segment:
        is_routed = overlay.vpc is not None and overlay.vpc.router_id in routers
        made = self._made.get(overlay.network_id)
        if (
            made is None
            or made.overlay is not overlay
            or made.vlan != vlan
            or made.is_routed is not is_routed
        ):
            segment = _segment(site.switch.loopback, overlay, vlan, is_routed=is_routed)
            made = self._made[overlay.network_id] = _Made(overlay, vlan, is_routed, segment)
        return made.segment


def plan_leaf(site: Site, segments: Segments, drops: Drops) -> Planned:
    """The leaf's whole configuration."""
    return _Leaf(site, drops).planned(segments)


class _Leaf:
    def __init__(self, site: Site, drops: Drops) -> None:
        self._site = site
        self._drops = drops
        self._overlays = site.overlays
        self._refusals: list[Refusal] = []
        self._places: Iterable[Place] = site.places.values()
        self._vlan_of: dict[str, int | None] = {}
        self._vpcs: dict[str, Vpc] = {}

    def planned(self, segments: Segments) -> Planned:
        if not self._is_consistent():
            self._settle()
        self._find_vpcs()
        wanted = self._wanted()
        routes = {
            route
            for vpc in self._vpcs.values()
            for network_id, route in vpc.routes
            if network_id in wanted
        }
        kept = {vpc.name for vpc in self._vpcs.values()}
        edge = self._site.edge
        config = SwitchConfig(
            vrfs={vpc.name: _vrf(vpc, self._site) for vpc in self._vpcs.values()},
            segments=segments.of(self._site, wanted, self._vpcs),
            interfaces=self._interfaces(wanted),
            gateways={key: each for key, each in edge.gateways.items() if each.vrf in kept},
            routes=frozenset(routes | {each for each in edge.routes if each.vrf in kept}),
        )
        return Planned(config, tuple(self._refusals))

    def _is_consistent(self) -> bool:
        """Whether each VLAN and untagged interface is one network's, and each network's VLAN one.

        Notes the VLAN of each network on the way.
        """
        vlan_of = self._vlan_of
        network_of: dict[int, str] = {}
        untagged: dict[str, str] = {}
        for network_id, _, vlan, _, access in self._places:
            if vlan is None:
                vlan_of.setdefault(network_id, None)
            elif (
                network_of.setdefault(vlan, network_id) != network_id
                or (vlan_of.get(network_id) or vlan) != vlan
            ):
                return False
            else:
                vlan_of[network_id] = vlan
            for interface in access:
                if untagged.setdefault(interface, network_id) != network_id:
                    return False
        return True

    def _settle(self) -> None:
        """Give what several want to the oldest network, and refuse the others."""
        network_of: dict[int, str] = {}
        vlan_of: dict[str, int | None] = {}
        untagged: dict[str, str] = {}
        settled: list[Place] = []
        for place in sorted(
            self._places, key=lambda each: (self._overlays[each.network_id].age, each.host)
        ):
            network_id, kept = place.network_id, place
            if place.vlan is not None:
                holder = network_of.setdefault(place.vlan, network_id)
                own = vlan_of.get(network_id) or place.vlan
                if holder != network_id or own != place.vlan:
                    self._refuse_vlan(place, holder, own)
                    if network_of[place.vlan] == network_id:
                        del network_of[place.vlan]
                    kept = kept._replace(vlan=None, tagged=())
                else:
                    vlan_of[network_id] = place.vlan
            free = []
            for interface in place.untagged:
                holder = untagged.setdefault(interface, network_id)
                if holder == network_id:
                    free.append(interface)
                else:
                    self._refuse_untagged(place, interface, holder)
            kept = kept._replace(untagged=tuple(free))
            if kept.tagged or kept.untagged:
                vlan_of.setdefault(network_id, None)
                settled.append(kept)
        self._places, self._vlan_of = settled, vlan_of

    def _find_vpcs(self) -> None:
        found = {vpc.router_id: vpc for vpc in self._site.edge.vpcs}
        for network_id in self._vlan_of:
            vpc = self._overlays[network_id].vpc
            if vpc is not None:
                found[vpc.router_id] = vpc
        room = self._site.switch.capacities.vrfs
        if room is not None and len(found) > room:
            oldest = sorted(found.values(), key=lambda vpc: vpc.age)
            for vpc in oldest[room:]:
                self._refuse_vpc(vpc, room)
            found = {vpc.router_id: vpc for vpc in oldest[:room]}
        self._vpcs = found

    def _wanted(self) -> dict[str, int | None]:
        """The leaf's networks with their VLANs: those that are attached, and those of its VPCs."""
        wanted = dict(self._vlan_of)
        for vpc in self._vpcs.values():
            for network_id in vpc.network_ids:
                wanted.setdefault(network_id, None)
        vnis = self._site.switch.capacities.vnis
        if vnis is None:
            return wanted
        room = vnis - sum(1 for vpc in self._vpcs.values() if vpc.l3vni is not None)
        if len(wanted) <= room:
            return wanted
        oldest = sorted(
            wanted, key=lambda each: (each not in self._vlan_of, self._overlays[each].age)
        )
        self._refuse_networks(oldest[max(room, 0) :], vnis)
        return {network_id: wanted[network_id] for network_id in oldest[: max(room, 0)]}

    def _interfaces(self, wanted: Mapping[str, int | None]) -> dict[str, Interface]:
        tagged: dict[str, dict[int, int]] = {}
        untagged: dict[str, int] = {}
        for network_id, _, vlan, interfaces, access in self._places:
            if network_id not in wanted:
                continue
            vni = self._overlays[network_id].vni
            if vlan is not None:
                for name in interfaces:
                    tagged.setdefault(name, {})[vlan] = vni
            for name in access:
                untagged[name] = vni
        fenced = self._fenced()
        down = self._site.is_drained
        names = tagged.keys() | untagged.keys() | fenced.keys()
        if down:
            names |= self._site.below.keys()
        return {
            name: Interface(
                name=name,
                tagged=tagged.get(name, {}),
                untagged=untagged.get(name),
                fenced=fenced.get(name, ()),
                is_down=down,
            )
            for name in names
        }

    def _fenced(self) -> dict[str, tuple[Fenced, ...]]:
        fences = self._site.fences
        if not fences:
            return {}
        hosts = {name: dict.fromkeys(below) for name, below in self._site.below.items()}
        for place in self._site.places.values():
            for interface in place.untagged:
                hosts.setdefault(interface, {})[place.host] = None
        found = {
            interface: tuple(fences[host] for host in of if host in fences)
            for interface, of in hosts.items()
        }
        return self._drops.of({interface: each for interface, each in found.items() if each})

    def _refuse_vlan(self, place: Place, holder: str, own: int) -> None:
        switch, called = self._site.switch.name, self._overlays[place.network_id].called
        if holder != place.network_id:
            why = f"VLAN {place.vlan} there is that of {self._overlays[holder].called}"
        else:
            why = f"it has VLAN {own} there for another host, and VLAN {place.vlan} for this one"
        self._refuse_place(
            place,
            RefusalCode.VLAN_TAKEN,
            f"Interface {', '.join(place.tagged)} of switch {switch} does not get {called} for "
            f"host {place.host}: {why}.",
            place.tagged[0] if place.tagged else None,
        )

    def _refuse_untagged(self, place: Place, interface: str, holder: str) -> None:
        self._refuse_place(
            place,
            RefusalCode.INTERFACE_TAKEN,
            f"Interface {interface} of switch {self._site.switch.name} does not get "
            f"{self._overlays[place.network_id].called} for {place.host}: it has "
            f"{self._overlays[holder].called}, untagged as well.",
            interface,
        )

    def _refuse_networks(self, network_ids: list[str], room: int) -> None:
        left_out = set(network_ids)
        name = self._site.switch.name
        for place in self._places:
            if place.network_id in left_out:
                self._refuse_place(
                    place,
                    RefusalCode.CAPACITY,
                    f"Switch {name} holds {room} VNIs, and has no room for "
                    f"{self._overlays[place.network_id].called} of host {place.host}, on "
                    f"interface {', '.join(place.tagged + place.untagged)}: move the host's "
                    "instances, or correct the switch's capacities.",
                )
        for network_id in sorted(left_out - self._vlan_of.keys()):
            vpc = self._overlays[network_id].vpc
            self._refusals.append(
                Refusal(
                    code=RefusalCode.CAPACITY,
                    router_id=None if vpc is None else vpc.router_id,
                    network_id=network_id,
                    switch=name,
                    words=f"Switch {name} holds {room} VNIs, and has no room for "
                    f"{self._overlays[network_id].called}: those of its VPC are not routed to it "
                    "from there.",
                )
            )

    def _refuse_vpc(self, vpc: Vpc, room: int) -> None:
        name = self._site.switch.name
        self._refusals.append(
            Refusal(
                code=RefusalCode.CAPACITY,
                router_id=vpc.router_id,
                switch=name,
                words=f"Switch {name} holds {room} VRFs, and has no room for that of {vpc.called}: "
                "its networks have no gateway there.",
            )
        )

    def _refuse_place(
        self, place: Place, code: RefusalCode, words: str, interface: str | None = None
    ) -> None:
        self._refusals.append(
            Refusal(
                code=code,
                words=words,
                network_id=place.network_id,
                host=place.host,
                switch=self._site.switch.name,
                interface=interface,
            )
        )


def _segment(loopback: str, overlay: Overlay, vlan: int | None, *, is_routed: bool) -> Segment:
    return Segment(
        vni=overlay.vni,
        network_id=overlay.network_id,
        vlan=vlan,
        vrf=overlay.vpc.name if is_routed and overlay.vpc else None,
        gateway=overlay.gateway if is_routed else None,
        rd=naming.distinguisher(loopback, overlay.vni),
        route_targets=overlay.route_targets,
        mtu=overlay.mtu,
    )


def _vrf(vpc: Vpc, site: Site) -> Vrf:
    return Vrf(
        name=vpc.name,
        router_id=vpc.router_id,
        l3vni=vpc.l3vni,
        rd="" if vpc.l3vni is None else naming.distinguisher(site.switch.loopback, vpc.l3vni),
        route_targets=vpc.route_targets,
        vteps=() if vpc.l3vni is None else site.vteps,
    )
