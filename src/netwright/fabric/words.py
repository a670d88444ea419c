"""Changes in words, one line each, for people; and as JSON. Pure.

+ segment 1001: network net-1, VLAN 10, VRF vpc-00000001aaa, gateway 10.8.0.1/24 (fa:16:…), …
~ interface swp7: VLAN 10 → VNI 1001 comes; VLAN 11 → VNI 1002 goes
- route 10.8.0.0/24 by 192.0.2.9
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from netwright.fabric.changes import Change, Element, Verb
from netwright.fabric.config import (
    AnycastGateway,
    Fenced,
    Interface,
    Nat,
    Route,
    RouteTargets,
    Segment,
    VlanGateway,
    Vrf,
)

_SIGN: Mapping[Verb, str] = {Verb.ADD: "+", Verb.REPLACE: "~", Verb.REMOVE: "-"}
_KIND: Mapping[type[Element], str] = {
    Vrf: "vrf",
    Segment: "segment",
    Interface: "interface",
    VlanGateway: "gateway",
    Route: "route",
}


def words(change: Change) -> str:
    """One line: `+` comes, `~` changes and into what, `-` goes."""
    head = f"{_SIGN[change.verb]} {title(change.element)}"
    if change.verb is Verb.REPLACE:
        assert change.before is not None
        assert change.after is not None
        return f"{head}: {'; '.join(_altered(change.before, change.after))}"
    traits = [f"{name} {text}" if text else name for name, text in _traits(change.element)]
    return f"{head}: {', '.join(traits)}" if traits else head


def contrast(actual: Element, planned: Element) -> str:
    """What an element has otherwise than planned: `no RD, VLAN 11 instead of 10`."""
    is_, shall = dict(_traits(actual)), dict(_traits(planned))
    missing = [f"no {name}" for name in shall if name not in is_]
    other = [
        f"{name} {text} instead of {shall[name]}"
        for name, text in is_.items()
        if name in shall and text != shall[name]
    ]
    surplus = [f"{name} {text}".rstrip() for name, text in is_.items() if name not in shall]
    return ", ".join((*missing, *other, *(f"{one}, which is not planned" for one in surplus)))


def title(element: Element) -> str:
    """What kind of element it is, and which."""
    match element:
        case Vrf():
            return f"VRF {element.name}"
        case Segment():
            return f"segment {element.vni}"
        case Interface():
            return f"interface {element.name}"
        case VlanGateway():
            within = f" in VRF {element.vrf}" if element.vrf else ""
            return f"gateway on {element.interface}{within}"
        case Route():
            within = f" in VRF {element.vrf}" if element.vrf else ""
            return f"route {element.destination}{within}"


def document(change: Change) -> dict[str, Any]:
    """For JSON: `verb`, `element` (its kind), `before` and `after`, null where there is nothing."""
    return {
        "verb": change.verb.value,
        "element": _KIND[type(change.element)],
        "before": msgspec.to_builtins(change.before, str_keys=True),
        "after": msgspec.to_builtins(change.after, str_keys=True),
    }


def _traits(element: Element) -> Iterator[tuple[str, str]]:
    """What an element is, as names with texts. A trait that several may be has them as names."""
    match element:
        case Vrf():
            yield from _maybe("router", element.router_id)
            yield from _maybe("transit VNI", element.l3vni)
            yield from _maybe("RD", element.rd)
            yield from _targets(element.route_targets)
            yield from dict.fromkeys(
                (f"router MAC of {each}" for each in element.vteps), ""
            ).items()
        case Segment():
            yield from _maybe("network", element.network_id)
            yield from _maybe("VLAN", element.vlan)
            yield from _maybe("VRF", element.vrf)
            yield from _maybe("gateway", _gateway(element.gateway))
            yield from _maybe("RD", element.rd)
            yield from _targets(element.route_targets)
            yield "MTU", str(element.mtu)
        case Interface():
            for vlan, vni in sorted(element.tagged.items()):
                yield f"VLAN {vlan} → VNI {vni}", ""
            if element.untagged is not None:
                yield f"untagged → VNI {element.untagged}", ""
            for fenced in element.fenced:
                yield _dropped(fenced), ""
            if element.is_down:
                yield "held down", ""
        case VlanGateway():
            yield "network", element.network_id
            yield "physical network", element.physical_network
            yield from _maybe("VLAN", element.vlan)
            yield from _maybe("addresses", " ".join(element.addresses))
            yield from _maybe("MAC", element.mac_address)
            yield from _translated(element.nat)
        case Route():
            yield "by", element.nexthop


def _altered(before: Element, after: Element) -> Iterator[str]:
    old, new = dict(_traits(before)), dict(_traits(after))
    for name in sorted(old.keys() | new.keys(), key=[*old, *new].index):
        if name not in new:
            yield f"{name} {old[name]} goes" if old[name] else f"{name} goes"
        elif name not in old:
            yield f"{name} {new[name]} comes" if new[name] else f"{name} comes"
        elif old[name] != new[name]:
            yield f"{name} {old[name]} → {new[name]}"


def _maybe(name: str, value: object) -> Iterator[tuple[str, str]]:
    if value not in {None, ""}:
        yield name, str(value)


def _targets(targets: RouteTargets) -> Iterator[tuple[str, str]]:
    if targets.imports == targets.exports:
        yield from _maybe("route target", " ".join(targets.imports))
        return
    yield "imports", " ".join(targets.imports) or "none"
    yield "exports", " ".join(targets.exports) or "none"


def _gateway(gateway: AnycastGateway | None) -> str:
    return "" if gateway is None else f"{' '.join(gateway.addresses)} ({gateway.mac_address})"


def _translated(nat: Nat | None) -> Iterator[tuple[str, str]]:
    if nat is None:
        return
    yield "sources as" if nat.sources else "hairpins as", nat.address
    yield from _maybe("of", " ".join(nat.inside))
    for outer, inner in nat.floating:
        yield f"floating {outer} → {inner}", ""


def _dropped(fenced: Fenced) -> str:
    addresses = f" {' '.join(fenced.addresses)}" if fenced.addresses else ""
    return f"drops {fenced.mac_address}{addresses} of port {fenced.port_id}"
