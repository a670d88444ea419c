"""The difference of what Netwright is to have and has, as requests in their order. Pure.

First what is gone goes, with what stands on it before it, so that addresses are free; then what is
new or other, each after what it stands on. What must wait for a host (a deleted port counts until
it is withdrawn) is refused by Netwright, and asked for again later.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from netwright_neutron.kinds import ENDING, MAKING, ROUTER_INTERFACE, Key, Kind
from netwright_neutron.mapping import Row, Wanted, rule_of


class Create(NamedTuple):
    """Many of a kind, each by itself."""

    kind: Kind
    bodies: Sequence[Row]


class Update(NamedTuple):
    """Many of a kind, each by itself; a body has its `id`."""

    kind: Kind
    bodies: Sequence[Row]


class Delete(NamedTuple):
    kind: Kind
    ids: Sequence[str]


class Attach(NamedTuple):
    """A port becomes a router's interface."""

    router_id: str
    port_id: str


class Detach(NamedTuple):
    """An interface goes, and its port with it."""

    router_id: str
    port_id: str


class AddRules(NamedTuple):
    group_id: str
    rules: Sequence[Row]


class RemoveRules(NamedTuple):
    group_id: str
    rule_ids: Sequence[str]


class Tag(NamedTuple):
    """What lacks the mark gets it: somebody took it away."""

    key: Key
    tag: str


Step = Create | Update | Delete | Attach | Detach | AddRules | RemoveRules | Tag


class Sides(NamedTuple):
    """Both sides of the resources that are looked at; what one has not is None.

    `interfaces` are the ports that Netwright's routers have, by router.
    """

    wanted: Mapping[Key, Wanted | None]
    actual: Mapping[Key, Row | None]
    interfaces: Mapping[str, frozenset[str]] = {}


def plan(sides: Sides, mark: str) -> list[Step]:
    """What brings the actual to the wanted; nothing if it is there. `mark` is our tag."""
    return [*_detached(sides), *_ended(sides), *_made(sides, mark), *_ended_groups(sides)]


def differs(wanted: Wanted | None, actual: Row | None, interfaces: Iterable[str] = ()) -> bool:
    """Whether a look at this resource would change anything."""
    if wanted is None or actual is None:
        return (wanted is None) is not (actual is None)
    return bool(
        changes(wanted, actual)
        or wanted.interfaces.symmetric_difference(interfaces)
        or _rules_beside(wanted, actual)
    )


def stands_otherwise(wanted: Wanted | None, actual: Row | None) -> bool:
    """Whether a port that is where it shall be is ACTIVE on one side alone: Neutron missed it."""
    if wanted is None or actual is None or not wanted.status or changes(wanted, actual):
        return False
    return (wanted.status == "ACTIVE") is not (str(actual["status"]) == "ACTIVE")


def changes(wanted: Wanted, actual: Row) -> dict[str, Any]:
    """What is other, as an update says it."""
    changed = {
        name: value
        for name, value in wanted.changeable.items()
        if not is_same(name, value, actual.get(name))
    }
    if "fixed_ip_address" in changed or "port_id" in changed:  # of a floating IP: one means both
        changed |= {name: wanted.changeable[name] for name in ("port_id", "fixed_ip_address")}
        if changed["port_id"] is None:
            del changed["fixed_ip_address"]
    if wanted.key.kind is Kind.ROUTER and not is_same("routes", wanted.routes, actual["routes"]):
        changed["routes"] = list(wanted.routes)
    return changed


_IN_ORDER = frozenset({"dns_nameservers"})
_IN_WORDS = frozenset({"name", "description", "device_id"})


def is_same(name: str, one: Any, other: Any) -> bool:
    """Whether two values mean the same; lists have no order, but servers that are asked in turn."""
    return bool(_normal(name, one) == _normal(name, other))


def _normal(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((key, _normal(key, each)) for key, each in value.items()))
    if isinstance(value, list | tuple):
        items = [_normal("", each) for each in value]
        return tuple(items if name in _IN_ORDER else sorted(items, key=repr))
    if isinstance(value, str) and name not in _IN_WORDS:
        return _spelled(value)
    return value


def _spelled(text: str) -> str:
    """An address or a prefix as RFC 5952 spells it: Neutron keeps some as they were given."""
    try:
        return str(ipaddress.ip_network(text, strict=False) if "/" in text
                   else ipaddress.ip_address(text))  # fmt: skip
    except ValueError:
        return text


def _detached(sides: Sides) -> Iterable[Step]:
    """Interfaces that are no longer to be; their ports go with them."""
    for key, actual in sides.actual.items():
        if key.kind is not Kind.ROUTER or actual is None:
            continue
        wanted = sides.wanted.get(key)
        kept = frozenset[str]() if wanted is None else wanted.interfaces
        gone = sides.interfaces.get(key.id, frozenset()) - kept
        if gone and actual.get("routes"):  # they may lead over it; those that stay are said again
            yield Update(Kind.ROUTER, [{"id": key.id, "routes": []}])
        for port_id in sorted(gone):
            yield Detach(key.id, port_id)


def _ended(sides: Sides) -> Iterable[Step]:
    for kind in ENDING:
        yield from _ended_of(sides, kind)


def _ended_groups(sides: Sides) -> Iterable[Step]:
    return _ended_of(sides, Kind.SECURITY_GROUP)


def _ended_of(sides: Sides, kind: Kind) -> Iterable[Step]:
    ids = [
        key.id
        for key, actual in sides.actual.items()
        if key.kind is kind
        and actual is not None
        and sides.wanted.get(key) is None
        and not _is_interface(sides, actual)
    ]
    if ids:
        yield Delete(kind, ids)


def _is_interface(sides: Sides, actual: Row) -> bool:
    """Whether the port goes with its interface, which is looked at, too."""
    return (
        actual.get("device_owner") == ROUTER_INTERFACE
        and Key(Kind.ROUTER, str(actual.get("device_id"))) in sides.actual
    )


def _made(sides: Sides, mark: str) -> Iterable[Step]:
    for kind in MAKING:
        found = [each for each in sides.wanted.values() if each and each.key.kind is kind]
        new = [each for each in found if sides.actual.get(each.key) is None]
        if new:
            yield Create(kind, [_creation(each, mark) for each in new])
        yield from _changed(sides, kind, found, mark)
        if kind is Kind.SECURITY_GROUP:
            for each in found:
                yield from rule_changes(each, sides.actual.get(each.key))
        if kind is Kind.PORT:
            yield from _attached(sides)


def _creation(wanted: Wanted, mark: str) -> Row:
    said = {**wanted.fixed, **wanted.changeable}
    if wanted.key.kind is Kind.FLOATING_IP and said["port_id"] is None:
        del said["fixed_ip_address"]
    if wanted.key.kind is Kind.ROUTER and said["external_gateway_info"] is None:
        del said["external_gateway_info"]
    return {**said, "handed_over": {"id": wanted.key.id, "tags": [mark]}}


def _changed(sides: Sides, kind: Kind, found: Sequence[Wanted], mark: str) -> Iterable[Step]:
    bodies = []
    for each in found:
        actual = sides.actual.get(each.key)
        if actual is None:
            continue
        if mark not in actual["tags"]:
            yield Tag(each.key, mark)
        changed = changes(each, actual)
        changed.pop("routes", None)  # after the interfaces that they lead over
        if changed:
            bodies.append({"id": each.key.id, **changed})
    if bodies:
        yield Update(kind, bodies)


def _attached(sides: Sides) -> Iterable[Step]:
    """Interfaces, once their ports are there, and then the routes that lead over them."""
    routed = []
    for key, wanted in sides.wanted.items():
        if key.kind is not Kind.ROUTER or wanted is None:
            continue
        for port_id in sorted(wanted.interfaces - sides.interfaces.get(key.id, frozenset())):
            yield Attach(key.id, port_id)
        actual = sides.actual.get(key)
        has_detached = bool(sides.interfaces.get(key.id, frozenset()) - wanted.interfaces)
        standing = () if actual is None or has_detached else actual["routes"]
        if not is_same("routes", wanted.routes, standing):
            routed.append({"id": key.id, "routes": list(wanted.routes)})
    if routed:
        yield Update(Kind.ROUTER, routed)


def rule_changes(wanted: Wanted, actual: Row | None) -> Iterable[Step]:
    if actual is None:
        return  # it has rules of its own once it is made: the sender asks again then
    standing = {rule_of(each): each["id"] for each in actual["security_group_rules"]}
    gone = [id_ for rule, id_ in standing.items() if rule not in wanted.rules]
    new = [dict(rule) for rule in sorted(wanted.rules - standing.keys(), key=repr)]
    if gone:
        yield RemoveRules(wanted.key.id, gone)
    if new:
        yield AddRules(wanted.key.id, new)


def _rules_beside(wanted: Wanted, actual: Row) -> bool:
    if wanted.key.kind is not Kind.SECURITY_GROUP:
        return False
    return wanted.rules != {rule_of(each) for each in actual["security_group_rules"]}
