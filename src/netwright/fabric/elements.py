"""A switch's configuration as its elements, by key: what changes, drifts, or is held. Pure.

What somebody else changed is what is not as the switch was brought to, and not on the way to what
is being brought about.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from msgspec.structs import replace

from netwright.fabric.changes import Element, in_order
from netwright.fabric.config import (
    Interface,
    Route,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)


class ElementKey(NamedTuple):
    """What stays the same while an element changes."""

    kind: type[Element]
    name: str

    def __str__(self) -> str:
        return f"{_NAME[self.kind]} {self.name}"


_NAME: Mapping[type[Element], str] = {
    Vrf: "VRF",
    Segment: "segment",
    Interface: "interface",
    VlanGateway: "gateway",
    Route: "route",
}

Elements: TypeAlias = Mapping[ElementKey, Element]


def key_of(element: Element) -> ElementKey:
    match element:
        case Vrf() | Interface():
            return ElementKey(type(element), element.name)
        case Segment():
            return ElementKey(Segment, str(element.vni))
        case VlanGateway():
            return ElementKey(VlanGateway, element.key)
        case Route():
            of = f" of {element.vrf}" if element.vrf else ""
            return ElementKey(Route, f"{element.destination} by {element.nexthop}{of}")


def elements(config: SwitchConfig) -> dict[ElementKey, Element]:
    """By key; an interface without anything of ours is none."""
    interfaces = (replace(one, fenced=in_order(one.fenced)) for one in config.interfaces.values())
    every: Iterable[Element] = (
        *config.vrfs.values(),
        *config.segments.values(),
        *(one for one in interfaces if one != Interface(name=one.name)),
        *config.gateways.values(),
        *config.routes,
    )
    return {key_of(element): element for element in every}


def composed(given: Elements) -> SwitchConfig:
    vrfs: dict[str, Vrf] = {}
    segments: dict[int, Segment] = {}
    interfaces: dict[str, Interface] = {}
    gateways: dict[str, VlanGateway] = {}
    routes: set[Route] = set()
    for element in given.values():
        match element:
            case Vrf():
                vrfs[element.name] = element
            case Segment():
                segments[element.vni] = element
            case Interface():
                interfaces[element.name] = element
            case VlanGateway():
                gateways[element.key] = element
            case Route():
                routes.add(element)
    return SwitchConfig(
        vrfs=vrfs,
        segments=segments,
        interfaces=interfaces,
        gateways=gateways,
        routes=frozenset(routes),
    )


def drifted(
    actual: SwitchConfig, brought: SwitchConfig, goal: SwitchConfig | None
) -> frozenset[ElementKey]:
    """What somebody else changed since the switch was brought to `brought`.

    `goal` is what it was being brought to when that was not seen to end: what differs there may be
    half done, and is nobody else's change.
    """
    is_, was = elements(actual), elements(brought)
    ours = differing(elements(goal), was) if goal is not None else frozenset()
    return differing(is_, was) - ours


def differing(one: Elements, other: Elements) -> frozenset[ElementKey]:
    return frozenset(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def held_down(config: SwitchConfig, names: Iterable[str] | None = None) -> SwitchConfig:
    """The same with these host-facing interfaces down; None: all that have something of ours."""
    every = config.interfaces
    down = {
        name: replace(every.get(name) or Interface(name=name), is_down=True)
        for name in (every if names is None else names)
    }
    return replace(config, interfaces={**every, **down})


def leftovers(actual: SwitchConfig, wanted: SwitchConfig) -> tuple[str, ...]:
    """What is still there of what shall be gone, in words; while there is any, nothing is clear."""
    found = [str(ElementKey(Vrf, name)) for name in actual.vrfs.keys() - wanted.vrfs.keys()]
    found += [f"segment {vni}" for vni in actual.segments.keys() - wanted.segments.keys()]
    for name, one in actual.interfaces.items():
        other = wanted.interfaces.get(name) or Interface(name=name)
        found += [
            f"VLAN {vlan} of interface {name}"
            for vlan, vni in one.tagged.items()
            if other.tagged.get(vlan) != vni
        ]
        if one.untagged is not None and one.untagged != other.untagged:
            found.append(f"untagged VNI {one.untagged} of interface {name}")
    found += [
        str(key)
        for key in elements(actual).keys() - elements(wanted).keys()
        if key.kind in {VlanGateway, Route}
    ]
    return tuple(sorted(found))
