"""What to bring a switch to: the plan, but for what is held or left as it is. Pure.

    kept     held: a device refused to change it · left: drift that is only alarmed
             and what those need: a segment its VRF, an interface its segments
    wanted   all the rest of the plan that fits beside what is kept: a VLAN, VNI or RD is one
             segment's; what needs an element that is not there waits for it

So a goal can always be carried out, and what is kept delays nothing but what needs it.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from netwright.fabric.changes import Element
from netwright.fabric.config import EMPTY, Interface, Route, Segment, SwitchConfig, VlanGateway, Vrf
from netwright.fabric.elements import ElementKey, Elements, composed, elements, key_of


def goal(
    wanted: SwitchConfig,
    actual: SwitchConfig,
    *,
    held: Iterable[ElementKey] = (),
    before: SwitchConfig = EMPTY,
    left: Iterable[ElementKey] = (),
) -> SwitchConfig:
    """The goal of a switch that is `actual`.

    Elements that are `held` stay as they were `before`, or are not made; those that are `left` stay
    as they are.
    """
    kept = {**dict.fromkeys(held, before), **dict.fromkeys(left, actual)}
    if not kept:
        return wanted
    goal = _Goal(wanted, {id(one): elements(one) for one in (before, actual)})
    for key in sorted(kept, key=_order):
        source = goal.sources[id(kept[key])]
        goal.shut.add(key)
        if (element := source.get(key)) is not None:
            goal.keep(element, source)
    for key, element in sorted(goal.wanted.items(), key=lambda item: _order(item[0])):
        if key not in goal.shut:
            goal.put(element)
    return composed(goal.placed)


_ORDER: Mapping[type[Element], int] = {Vrf: 0, Segment: 1, VlanGateway: 2, Interface: 3, Route: 4}


def _order(key: ElementKey) -> tuple[int, str]:
    return _ORDER[key.kind], key.name


class _Goal:
    """A goal in the making. `shut` are keys that the plan has no say in."""

    def __init__(self, wanted: SwitchConfig, sources: Mapping[int, Elements]) -> None:
        self.wanted = elements(wanted)
        self.sources = sources
        self.shut: set[ElementKey] = set()
        self.placed: dict[ElementKey, Element] = {}
        self._vlans: dict[int, int] = {}
        self._rds: dict[str, int] = {}

    def keep(self, element: Element, source: Elements) -> None:
        """Put an element of a source, after what it needs."""
        match element:
            case Interface():
                for vlan, vni in (*element.tagged.items(), (None, element.untagged)):
                    segment = source.get(ElementKey(Segment, str(vni)))
                    if isinstance(segment, Segment):
                        self._need(self._as_wanted(segment, vlan), source)
            case Segment(vrf=name) | VlanGateway(vrf=name) | Route(vrf=name) if name is not None:
                vrf = source.get(ElementKey(Vrf, name))
                if isinstance(vrf, Vrf):
                    self._need(self._as_wanted(vrf), source)
            case _:
                pass
        self.put(element)

    def put(self, element: Element) -> None:
        """Place an element if it fits; an interface, as far as it does."""
        key = key_of(element)
        if key in self.placed:
            return
        match element:
            case Vrf():
                taken = element.l3vni is not None and self._is_taken(element.l3vni)
                self._place(
                    key, replace(element, l3vni=None, rd="", vteps=()) if taken else element
                )
            case Segment() if self._fits(element):
                self._place(key, element)
                if element.vlan is not None:
                    self._vlans[element.vlan] = element.vni
                self._rds[element.rd] = element.vni
            case Interface():
                self._place(key, self._within(element))
            case VlanGateway() | Route() if self._has_vrf(element.vrf):
                self._place(key, element)
            case _:
                pass  # it waits

    def _need(self, element: Element, source: Elements) -> None:
        if key_of(element) not in self.placed:
            self.keep(element, source)

    def _as_wanted(self, element: Vrf | Segment, vlan: int | None = None) -> Vrf | Segment:
        """The plan's own of that key, if it is still the same thing and the plan may say."""
        key = key_of(element)
        planned = None if key in self.shut else self.wanted.get(key)
        match element, planned:
            case Vrf(), Vrf() if planned.router_id == element.router_id:
                return planned
            case Segment(), Segment() if planned.network_id == element.network_id:
                keeps_vlan = vlan is None or planned.vlan == vlan
                return planned if keeps_vlan and self._could_have(planned.vrf) else element
        return element

    def _could_have(self, vrf: str | None) -> bool:
        return vrf is None or ElementKey(Vrf, vrf) in self.placed

    def _has_vrf(self, name: str | None) -> bool:
        return name is None or ElementKey(Vrf, name) in self.placed

    def _fits(self, segment: Segment) -> bool:
        transit = {one.l3vni for one in self.placed.values() if isinstance(one, Vrf)}
        return (
            self._has_vrf(segment.vrf)
            and segment.vni not in transit
            and (segment.vlan is None or self._vlans.get(segment.vlan, segment.vni) == segment.vni)
            and self._rds.get(segment.rd, segment.vni) == segment.vni
        )

    def _is_taken(self, vni: int) -> bool:
        return any(
            (isinstance(one, Vrf) and one.l3vni == vni)
            or (isinstance(one, Segment) and one.vni == vni)
            for one in self.placed.values()
        )

    def _within(self, interface: Interface) -> Interface:
        """What of it leads to segments that are there."""
        segments = {one.vni: one for one in self.placed.values() if isinstance(one, Segment)}
        tagged = {
            vlan: vni
            for vlan, vni in interface.tagged.items()
            if vni in segments and segments[vni].vlan == vlan
        }
        untagged = interface.untagged if interface.untagged in segments else None
        return replace(interface, tagged=tagged, untagged=untagged)

    def _place(self, key: ElementKey, element: Element) -> None:
        self.placed[key] = element
