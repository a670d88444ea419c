"""Changes of a switch in words, a line each, for people: `+ VNI 5001: VLAN 100, VRF …`. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from netwright.fabric.changes import Change, Element
from netwright.fabric.config import Interface, Route, Segment, VlanGateway, Vrf
from netwright.fabric.elements import key_of


def lines(changes: Sequence[Change]) -> tuple[str, ...]:
    return tuple(line(change) for change in changes)


def line(change: Change) -> str:
    """`+` comes, `-` goes, `~` becomes another: only what differs."""
    if change.after is None:
        assert change.before is not None
        return f"- {key_of(change.before)}"
    if change.before is None:
        return f"+ {key_of(change.after)}: {', '.join(_said(change.after))}".rstrip(": ")
    before, after = dict(_parts(change.before)), dict(_parts(change.after))
    differing = [
        f"{name} {before.get(name, 'none')} → {after.get(name, 'none')}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]
    return f"~ {key_of(change.after)}: {', '.join(differing) or 'made anew'}"


def _said(element: Element) -> Iterator[str]:
    for name, value in _parts(element):
        yield f"{name} {value}"


def _parts(element: Element) -> Iterator[tuple[str, str]]:
    """(what, its value) of all that is said of an element; what it has none of is left out."""
    match element:
        case Vrf():
            yield from _given(("L3VNI", element.l3vni), ("RD", element.rd or None))
            yield from _targets(element)
        case Segment():
            yield from _segment(element)
        case Interface():
            yield from _interface(element)
        case VlanGateway():
            yield "addresses", " ".join(element.addresses)
            yield from _given(("MAC", element.mac_address), ("VRF", element.vrf))
        case Route():
            return


def _segment(segment: Segment) -> Iterator[tuple[str, str]]:
    yield from _given(("VLAN", segment.vlan), ("VRF", segment.vrf))
    if segment.gateway is not None:
        addresses = " ".join(segment.gateway.addresses)
        yield "gateway", f"{addresses} at {segment.gateway.mac_address}"
    yield from _given(("RD", segment.rd), ("MTU", segment.mtu))
    yield from _targets(segment)


def _interface(interface: Interface) -> Iterator[tuple[str, str]]:
    for vlan, vni in sorted(interface.tagged.items()):
        yield f"VLAN {vlan}", f"in VNI {vni}"
    if interface.untagged is not None:
        yield "untagged", f"in VNI {interface.untagged}"
    for fenced in interface.fenced:
        yield f"port {fenced.port_id}", f"fenced, {fenced.mac_address}"
    if interface.is_down:
        yield "held", "down"


def _targets(element: Vrf | Segment) -> Iterator[tuple[str, str]]:
    yield "imports", " ".join(element.route_targets.imports)
    yield "exports", " ".join(element.route_targets.exports)


def _given(*parts: tuple[str, Any]) -> Iterator[tuple[str, str]]:
    return ((name, str(value)) for name, value in parts if value is not None)
