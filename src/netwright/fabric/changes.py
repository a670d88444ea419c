"""The changes of a switch, one value each, in an order that never leaves it half reachable. Pure.

`difference(before, after)` is what a driver carries out, in this order. What goes, goes before
what comes, so that a VLAN, VNI or name is free when another takes it:

     1  drops of fenced hosts that come; interfaces that are held down
     2  routes that go                      7  VRFs that come or change
     3  interfaces leave VLANs              8  segments that come or change
     4  gateways that go                    9  gateways that come or change
     5  segments that go, or are loosened  10  interfaces join VLANs
     6  VRFs that go, or are loosened      11  routes that come or change
                                           12  drops that end; interfaces that open

So an element may change more than once: an interface that leaves one VLAN for another, a segment
that is *loosened* from a VLAN that another takes over, or from a VRF that goes. A segment that has
become another network's, and a VRF another VPC's, goes and comes; it is never changed into it.
`summary` has each element once, for people.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from netwright.fabric.config import (
    Fenced,
    Interface,
    Route,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)
from netwright.model.resources import Value

Element: TypeAlias = Vrf | Segment | Interface | VlanGateway | Route
_RouteKey: TypeAlias = tuple[str, str, str]
_Stage: TypeAlias = Callable[[Interface, Interface], Interface]
"""What an interface becomes in a step: of what it is now, and what it shall be in the end."""


class Verb(StrEnum):
    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


class Change(Value, frozen=True, kw_only=True):
    """An element of a switch: what it was (None: not there), and what it becomes (None: goes)."""

    verb: Verb
    before: Element | None = None
    after: Element | None = None

    @property
    def element(self) -> Element:
        """What it becomes, or what goes."""
        found = self.before if self.after is None else self.after
        assert found is not None
        return found


def difference(before: SwitchConfig, after: SwitchConfig) -> tuple[Change, ...]:
    """The changes that make `after` of `before`, in the order above; none when they are equal."""
    if before == after:
        return ()
    return tuple(_Difference(before, after).steps())


def restoring(before: SwitchConfig, after: SwitchConfig) -> tuple[Change, ...]:
    """As `difference`, for a switch that has started anew.

    Its host-facing interfaces are held down from the first change to the last, so that no bond
    trusts it before it is complete.
    """
    held = msgspec.structs.replace(
        after,
        interfaces={
            name: msgspec.structs.replace(interface, is_down=True)
            for name, interface in after.interfaces.items()
        },
    )
    return difference(before, held) + difference(held, after)


def summary(before: SwitchConfig, after: SwitchConfig) -> tuple[Change, ...]:
    """What differs, each element once: VRFs, segments, gateways, interfaces, routes, by name."""
    if before == after:
        return ()
    old, new = _Elements(before), _Elements(after)
    return tuple(
        change
        for was, becomes in (
            (old.vrfs, new.vrfs),
            (old.segments, new.segments),
            (old.gateways, new.gateways),
            (old.interfaces, new.interfaces),
            (old.routes, new.routes),
        )
        for change in _each_once(was, becomes)
    )


def reverse(changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes that undo these, when all of these were carried out."""
    return tuple(
        change for each in reversed(changes) if (change := _change(each.after, each.before))
    )


class _Elements:
    """A configuration's elements by what names them, whatever keys its mappings have."""

    def __init__(self, config: SwitchConfig) -> None:
        self.vrfs = {vrf.name: vrf for vrf in config.vrfs.values()}
        self.segments = {segment.vni: segment for segment in config.segments.values()}
        self.interfaces = {
            each.name: _sorted(each) for each in config.interfaces.values() if not _is_idle(each)
        }
        self.gateways = {gateway.key: gateway for gateway in config.gateways.values()}
        self.routes = {
            (route.vrf or "", route.destination, route.nexthop): route for route in config.routes
        }


class _Difference:
    """One difference under way: what stays of before, and what is still to become after."""

    def __init__(self, before: SwitchConfig, after: SwitchConfig) -> None:
        self._before, self._after = _Elements(before), _Elements(after)
        old, new = self._before, self._after
        self._vrfs_gone = {
            name
            for name, vrf in old.vrfs.items()
            if name not in new.vrfs or new.vrfs[name].router_id != vrf.router_id
        }
        self._segments_gone = {
            vni
            for vni, segment in old.segments.items()
            if vni not in new.segments or new.segments[vni].network_id != segment.network_id
        }

    def steps(self) -> Iterator[Change]:
        interfaces = dict(self._before.interfaces)
        yield from self._interfaces(interfaces, self._closed)
        moved = self._moved_routes()
        yield from (_remove(route) for route in self._routes_gone(moved))
        yield from self._interfaces(interfaces, self._left)
        gateways = dict(self._before.gateways)
        yield from self._gateways_go(gateways)
        segments, vrfs = dict(self._before.segments), dict(self._before.vrfs)
        yield from self._segments_go(segments)
        yield from self._vrfs_go(vrfs)
        yield from _each_once(vrfs, self._after.vrfs)
        yield from _each_once(segments, self._after.segments)
        yield from _each_once(gateways, self._after.gateways)
        yield from self._interfaces(interfaces, self._joined)
        yield from self._routes_come(moved)
        yield from self._interfaces(interfaces, self._opened)

    def _interfaces(self, now: dict[str, Interface], stage: _Stage) -> Iterator[Change]:
        """All interfaces that differ, brought to this stage; `now` is what they have become."""
        for name in sorted(now.keys() | self._after.interfaces.keys()):
            idle = Interface(name=name)
            at = now.get(name, idle)
            becomes = stage(at, self._after.interfaces.get(name, idle))
            if change := _change(_unless_idle(at), _unless_idle(becomes)):
                yield change
                now[name] = becomes

    @staticmethod
    def _closed(now: Interface, target: Interface) -> Interface:
        return msgspec.structs.replace(
            now,
            fenced=in_order({*now.fenced, *target.fenced}),
            is_down=now.is_down or target.is_down,
        )

    def _left(self, now: Interface, target: Interface) -> Interface:
        return msgspec.structs.replace(
            now,
            tagged={
                vlan: vni
                for vlan, vni in now.tagged.items()
                if target.tagged.get(vlan) == vni and self._stands(vni, vlan)
            },
            untagged=now.untagged
            if now.untagged == target.untagged and self._stands(now.untagged)
            else None,
        )

    @staticmethod
    def _joined(now: Interface, target: Interface) -> Interface:
        return msgspec.structs.replace(now, tagged=target.tagged, untagged=target.untagged)

    @staticmethod
    def _opened(_now: Interface, target: Interface) -> Interface:
        return target

    def _stands(self, vni: int | None, vlan: int | None = None) -> bool:
        """Whether the VNI's segment stays as it is for those who are in it (by this VLAN)."""
        if vni is None or vni in self._segments_gone or vni not in self._before.segments:
            return False
        if vlan is None:
            return True
        return self._before.segments[vni].vlan == vlan == self._after.segments[vni].vlan

    def _moved_routes(self) -> dict[_RouteKey, _RouteKey]:
        """Routes that only change their next hop: the new one's key → the old one's."""
        old, new = self._before.routes, self._after.routes
        gone: dict[tuple[str, str], list[_RouteKey]] = {}
        for key in sorted(old.keys() - new.keys(), reverse=True):
            if key[0] not in self._vrfs_gone:
                gone.setdefault(key[:2], []).append(key)
        return {
            key: gone[key[:2]].pop() for key in sorted(new.keys() - old.keys()) if gone.get(key[:2])
        }

    def _routes_gone(self, moved: Mapping[_RouteKey, _RouteKey]) -> Iterator[Route]:
        old, new, kept = self._before.routes, self._after.routes, set(moved.values())
        for key in sorted(old):
            if (key not in new and key not in kept) or key[0] in self._vrfs_gone:
                yield old[key]

    def _routes_come(self, moved: Mapping[_RouteKey, _RouteKey]) -> Iterator[Change]:
        old, new = self._before.routes, self._after.routes
        for key in sorted(new):
            if key in moved:
                yield Change(verb=Verb.REPLACE, before=old[moved[key]], after=new[key])
            elif key not in old or key[0] in self._vrfs_gone:
                yield Change(verb=Verb.ADD, after=new[key])

    def _gateways_go(self, now: dict[str, VlanGateway]) -> Iterator[Change]:
        """Those that end, move to another VLAN, or lose their VRF."""
        for key, gateway in sorted(now.items()):
            target = self._after.gateways.get(key)
            stays = target is not None and _place(target) == _place(gateway)
            if not stays or gateway.vrf in self._vrfs_gone:
                del now[key]
                yield _remove(gateway)

    def _segments_go(self, now: dict[int, Segment]) -> Iterator[Change]:
        for vni in sorted(self._segments_gone):
            yield _remove(now.pop(vni))
        taken = {each.vlan: vni for vni, each in self._after.segments.items() if each.vlan}
        for vni, segment in sorted(now.items()):
            loose = segment
            if segment.vlan and taken.get(segment.vlan, vni) != vni:
                loose = msgspec.structs.replace(loose, vlan=None)
            if segment.vrf in self._vrfs_gone:
                loose = msgspec.structs.replace(loose, vrf=None, gateway=None)
            if loose != segment:
                now[vni] = loose
                yield Change(verb=Verb.REPLACE, before=segment, after=loose)

    def _vrfs_go(self, now: dict[str, Vrf]) -> Iterator[Change]:
        for name in sorted(self._vrfs_gone):
            yield _remove(now.pop(name))
        taken = {each.l3vni: name for name, each in self._after.vrfs.items() if each.l3vni}
        wanted = taken.keys() | self._after.segments.keys()
        for name, vrf in sorted(now.items()):
            if vrf.l3vni in wanted and taken.get(vrf.l3vni) != name:
                now[name] = msgspec.structs.replace(vrf, l3vni=None, vteps=())
                yield Change(verb=Verb.REPLACE, before=vrf, after=now[name])


def _each_once(before: Mapping[Any, Element], after: Mapping[Any, Element]) -> Iterator[Change]:
    """What goes, comes or changes, by key."""
    for key in sorted(before.keys() | after.keys()):
        if change := _change(before.get(key), after.get(key)):
            yield change


def _change(before: Element | None, after: Element | None) -> Change | None:
    if before == after:
        return None
    if before is None:
        return Change(verb=Verb.ADD, after=after)
    verb = Verb.REMOVE if after is None else Verb.REPLACE
    return Change(verb=verb, before=before, after=after)


def _remove(element: Element) -> Change:
    return Change(verb=Verb.REMOVE, before=element)


def _unless_idle(interface: Interface) -> Interface | None:
    return None if _is_idle(interface) else interface


def _is_idle(interface: Interface) -> bool:
    """Nothing of ours is on it: as if it were not there."""
    return not (
        interface.tagged or interface.untagged is not None or interface.fenced or interface.is_down
    )


def _sorted(interface: Interface) -> Interface:
    if len(interface.fenced) < 2:  # noqa: PLR2004 - one is in order
        return interface
    return msgspec.structs.replace(interface, fenced=in_order(interface.fenced))


def in_order(fenced: Iterable[Fenced]) -> tuple[Fenced, ...]:
    """The order that the same drops always have."""
    return tuple(sorted(fenced))


def _place(gateway: VlanGateway) -> tuple[str, int | None, str | None]:
    return gateway.physical_network, gateway.vlan, gateway.vrf
