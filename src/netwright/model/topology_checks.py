"""What types cannot say of an inventory: names are known and stand once, pools do not overlap.

Every error names the element as the API writes it (`links[3].upper`), so that a client can find its
line in a file, and the switch and interface that it is about. Pure.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from netwright.model.errors import InvalidInput
from netwright.model.topology import (
    End,
    Link,
    Switch,
    SwitchKind,
    Topology,
    VlanInterval,
    VniInterval,
)
from netwright.model.vlan_domains import LEAVES, vlan_domains

RESERVED_VLANS = frozenset({1})
"""The VLAN of what is untagged, as switches come (IEEE 802.1Q, table 9-2); 0 and 4095 are none."""


class Wrong(NamedTuple):
    element: str
    reason: str


def check(topology: Topology) -> None:
    """Raises InvalidInput with the first thing that is wrong."""
    for checks in _CHECKS:
        for wrong in checks(topology):
            raise invalid(wrong.element, wrong.reason)


def invalid(element: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f"Invalid input for {element}. Reason: {reason}.",
        next="Mend the topology and apply it whole again; the one before it still holds.",
    )


def _switches(topology: Topology) -> Iterator[Wrong]:
    seen: dict[str, int] = {}
    for index, switch in enumerate(topology.switches):
        at = f"switches[{index}]"
        if switch.name in seen:
            first = f"switches[{seen[switch.name]}]"
            yield Wrong(f"{at}.name", f"switch {switch.name} stands twice, first as {first}")
        seen[switch.name] = index
        if switch.driver and not switch.address:
            yield Wrong(
                f"{at}.address",
                f"switch {switch.name} has driver {switch.driver} and no address where that would "
                "reach it",
            )
        if switch.address and not switch.driver:
            yield Wrong(
                f"{at}.driver",
                f"switch {switch.name} has address {switch.address} and no driver to reach it by",
            )
        if switch.loopback and not _is_address(switch.loopback):
            yield Wrong(
                f"{at}.loopback",
                f"{switch.loopback!r} of switch {switch.name} is no IP address",
            )


def _underlay(topology: Topology) -> Iterator[Wrong]:
    """A leaf's AS and VTEP are its own; spines may share their AS (RFC 7938, 5.2.1)."""
    by_loopback: dict[str, str] = {}
    by_asn: dict[int, str] = {}
    for index, switch in enumerate(topology.switches):
        at = f"switches[{index}]"
        if switch.loopback:
            holder = by_loopback.setdefault(str(ip_address(switch.loopback)), switch.name)
            if holder != switch.name:
                yield Wrong(
                    f"{at}.loopback",
                    f"{switch.loopback} of switch {switch.name} is {holder}'s already",
                )
        if switch.kind in LEAVES and switch.asn is not None:
            holder = by_asn.setdefault(switch.asn, switch.name)
            if holder != switch.name:
                yield Wrong(
                    f"{at}.asn", f"AS {switch.asn} of switch {switch.name} is {holder}'s already"
                )
        yield from _incomplete(at, switch)


def _incomplete(at: str, switch: Switch) -> Iterator[Wrong]:
    if switch.kind not in LEAVES:
        return
    if switch.asn is None:
        yield Wrong(f"{at}.asn", f"{switch.kind} {switch.name} has no AS, and every leaf needs one")
    if not switch.loopback:
        yield Wrong(
            f"{at}.loopback",
            f"{switch.kind} {switch.name} has no loopback, which is its VTEP's address",
        )


def _links(topology: Topology) -> Iterator[Wrong]:
    kinds = {switch.name: switch.kind for switch in topology.switches}
    seen: dict[End, int] = {}
    for index, link in enumerate(topology.links):
        at = f"links[{index}]"
        if link.upper.node not in kinds:
            yield Wrong(
                f"{at}.upper",
                f"{link.upper.node} is no switch of the inventory, and {link.lower} hangs on its "
                f"interface {link.upper.interface}",
            )
            continue
        if link.upper.node == link.lower.node:
            yield Wrong(at, f"it joins {link.lower.node} with itself")
        if link.peer and link.lower.node not in kinds:
            yield Wrong(f"{at}.lower", f"a peer link joins switches, and {link.lower.node} is none")
        if kinds[link.upper.node] is SwitchKind.SPINE and link.lower.node not in kinds:
            yield Wrong(
                f"{at}.upper",
                f"{link.upper.node} is a spine, and host {link.lower.node} hangs on leaves alone",
            )
        for name, end in (("lower", link.lower), ("upper", link.upper)):
            first = seen.setdefault(end, index)
            if first != index:
                yield Wrong(f"{at}.{name}", _taken(kinds, link, topology.links[first], first, end))


def _taken(kinds: Mapping[str, SwitchKind], link: Link, before: Link, index: int, end: End) -> str:
    if end.node not in kinds:
        return (
            f"interface {end.interface} of host {end.node} is in links[{index}] already, to "
            "another end"
        )
    there = before.lower if before.upper == end else before.upper
    here = link.lower if link.upper == end else link.upper
    return (
        f"interface {end.interface} of switch {end.node} has two neighbours: {there} "
        f"(links[{index}]) and {here}"
    )


def _gateways(topology: Topology) -> Iterator[Wrong]:
    kinds = {switch.name: switch.kind for switch in topology.switches}
    seen: dict[str, int] = {}
    for index, gateway in enumerate(topology.gateways):
        at, interface = f"gateways[{index}]", f"{gateway.switch}/{gateway.interface}"
        if kinds.get(gateway.switch) not in (SwitchKind.CORE, SwitchKind.BORDER):
            yield Wrong(f"{at}.switch", f"{gateway.switch} is no core or border switch")
        if seen.setdefault(interface, index) != index:
            first = f"gateways[{seen[interface]}]"
            yield Wrong(
                f"{at}.interface",
                f"interface {gateway.interface} of switch {gateway.switch} stands twice, first in "
                f"{first}",
            )


def _pools(topology: Topology) -> Iterator[Wrong]:
    fabric = topology.fabric
    yield from _vlans("fabric.vlans", fabric.vlans)
    domains = {leaf: each.name for each in vlan_domains(topology) for leaf in each.leaves}
    given: dict[str, str] = {}
    for leaf, vlans in fabric.domain_vlans.items():
        at = f"fabric.domain_vlans.{leaf}"
        if leaf not in domains:
            yield Wrong(at, f"{leaf} is no leaf of the inventory")
            continue
        other = given.setdefault(domains[leaf], leaf)
        if other != leaf:
            yield Wrong(at, f"{leaf} is in one VLAN domain with {other}, which has its own already")
        yield from _vlans(at, vlans)
    yield from _intervals("fabric.l3vnis", fabric.l3vnis, "VNI")


def _vlans(at: str, vlans: Sequence[VlanInterval]) -> Iterator[Wrong]:
    yield from _intervals(at, vlans, "VLAN")
    for index, each in enumerate(vlans):
        for vlan in RESERVED_VLANS:
            if each.first <= vlan <= each.last:
                yield Wrong(
                    f"{at}[{index}]",
                    f"{each.first} to {each.last} holds VLAN {vlan}, which switches have for what "
                    "is untagged",
                )


def _intervals(
    at: str, intervals: Sequence[VlanInterval | VniInterval], what: str
) -> Iterator[Wrong]:
    for index, each in enumerate(intervals):
        if each.first > each.last:
            yield Wrong(f"{at}[{index}]", f"its first {what} {each.first} is above its last")
        for earlier, other in enumerate(intervals[:index]):
            if each.first <= other.last and other.first <= each.last:
                yield Wrong(
                    f"{at}[{index}]",
                    f"{what}s {each.first} to {each.last} overlap with {other.first} to "
                    f"{other.last} of {at}[{earlier}]",
                )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


_CHECKS: Sequence[Callable[[Topology], Iterator[Wrong]]] = (
    _switches,
    _underlay,
    _links,
    _gateways,
    _pools,
)
