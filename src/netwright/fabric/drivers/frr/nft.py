"""A gateway's translation as an nftables ruleset of its VRF, written and read back. Pure.

    table ip netwright_… ─ inward   floating → fixed    prerouting: dnat
                         ─ outward  fixed → floating    postrouting, out of the gateway: snat
                         ─ inside   the VPC's prefixes  … else with the gateway's address
                                                        leaving: dropped, if it still has its own

What connection tracking makes nothing of is not translated: a reset of a connection that it knows
no more, say. It would show the inside outside, and no answer could come back (ADR 55).

A VRF is a namespace of its own, so two VPCs with the same addresses share no connection tracking.
The table's name follows from the gateway's interface. What is read is told as it was written only
when it is that to the last rule; otherwise it is `BROKEN`, which differs from every plan.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from socket import inet_aton
from typing import Any

from netwright.fabric.config import Nat
from netwright.linux.connections import Connection

BROKEN = Nat(address="", sources=False)

_SADDR = {"payload": {"protocol": "ip", "field": "saddr"}}
_DADDR = {"payload": {"protocol": "ip", "field": "daddr"}}
_CHAINS = (("prerouting", -100, "nat"), ("postrouting", 100, "nat"), ("leaving", 150, "filter"))
"""Priorities dstnat, srcnat, and what comes after both."""


def table_of(interface: str) -> str:
    return f"netwright_{zlib.crc32(interface.encode()):08x}"


def ruleset(interface: str, nat: Nat | None) -> str:
    """What makes the table this one in one transaction, whatever it was; None: none."""
    table = {"family": "ip", "name": table_of(interface)}
    commands: list[Any] = [{"add": {"table": table}}, {"delete": {"table": table}}]
    if nat is not None:
        commands.append({"add": {"table": table}})
        commands += [{"add": each} for each in _objects(interface, nat)]
    return json.dumps({"nftables": commands})


def parse(text: str) -> Mapping[str, Nat]:
    """By table, those of ours in `nft -j list ruleset`'s words."""
    found: dict[str, list[Any]] = {}
    for each in json.loads(text).get("nftables", []) if text else []:
        for kind, body in each.items():
            name = body.get("table", body.get("name", "")) if kind != "metainfo" else ""
            if name.startswith("netwright_") and kind != "table":
                found.setdefault(name, []).append((kind, body))
            elif name.startswith("netwright_"):
                found.setdefault(name, [])
    return {name: _nat(name, objects) for name, objects in found.items()}


def contradicting(nat: Nat | None, tracked: Iterable[Connection]) -> Iterator[Connection]:
    """Connections that would begin otherwise now: translated where nothing is, or not as it is.

    What has the gateway's address goes on with it when its source has come to a floating one. Of
    connections of the inside that are not translated all are named: they lose nothing by it.
    """
    floating = () if nat is None else nat.floating
    inward = {inet_aton(outer): inet_aton(inner) for outer, inner in floating}
    outward = {inner: outer for outer, inner in inward.items()}
    inside = [] if nat is None else [_range(each) for each in nat.inside]
    gateway = None if nat is None else inet_aton(nat.address)
    for each in tracked:
        source, meant = each.began
        answering, shown = each.answered
        is_within = any(first <= source <= last for first, last in inside)
        if shown == source:
            is_right = not is_within
        else:
            is_right = (is_within and shown == gateway) or shown == outward.get(source)
        if not is_right or answering != inward.get(meant, meant):
            yield each


def _range(prefix: str) -> tuple[bytes, bytes]:
    """Its first and last address; octets in network order compare as numbers do."""
    network = ip_network(prefix)
    return network[0].packed, network[-1].packed


def _nat(name: str, objects: Iterable[tuple[str, Any]]) -> Nat:
    kept = list(objects)
    sets = {body["name"]: body.get("elem", []) for kind, body in kept if kind in {"map", "set"}}
    rules = [body["expr"] for kind, body in kept if kind == "rule"]
    try:
        interface = next(
            match["match"]["right"]
            for rule in rules
            for match in rule
            if match.get("match", {}).get("left") == {"meta": {"key": "oifname"}}
        )
        address = next(
            rule[-1]["snat"]["addr"]
            for rule in rules
            if isinstance(rule[-1].get("snat", {}).get("addr"), str)
        )
        nat = Nat(
            address=address,
            sources=_sourcing(interface, address) in rules,
            floating=tuple(sorted((outer, inner) for outer, inner in sets.get("inward", []))),
            inside=tuple(sorted(map(_prefix, sets.get("inside", [])))),
        )
    except (StopIteration, KeyError, TypeError, ValueError):
        return BROKEN
    if table_of(interface) != name or _plain(_objects(interface, nat)) != _plain(
        {kind: body} for kind, body in kept
    ):
        return BROKEN
    return nat


def _objects(interface: str, nat: Nat) -> list[dict[str, Any]]:
    within = {"family": "ip", "table": table_of(interface)}
    pairs = {"type": "ipv4_addr", "map": "ipv4_addr", **within}
    outward = sorted((inner, outer) for outer, inner in nat.floating)
    inside = {"type": "ipv4_addr", "flags": ["interval"], **within}
    found: list[dict[str, Any]] = [
        {"map": {"name": "inward", **pairs, **_elements(map(list, nat.floating))}},
        {"map": {"name": "outward", **pairs, **_elements(map(list, outward))}},
        {"set": {"name": "inside", **inside, **_elements(map(_element, nat.inside))}},
    ]
    for chain, priority, kind in _CHAINS:
        hook = chain if kind == "nat" else "postrouting"
        behaviour = {"type": kind, "hook": hook, "prio": priority, "policy": "accept"}
        found.append({"chain": {"name": chain, **within, **behaviour}})
    out, back = _oif("==", interface), _oif("!=", interface)
    to_ours = [back, _match({"ct": {"key": "status"}}, "dnat", "in"), _match(_SADDR, "@inside")]
    rules = [
        ("prerouting", [{"dnat": {"addr": {"map": {"key": _DADDR, "data": "@inward"}}}}]),
        ("postrouting", [out, _outward()]),
        *([("postrouting", _sourcing(interface, nat.address))] if nat.sources else []),
        ("postrouting", [*to_ours, _outward()]),
        ("postrouting", [*to_ours, {"snat": {"addr": nat.address}}]),
        *([("leaving", [out, _match(_SADDR, "@inside"), {"drop": None}])] if nat.sources else []),
    ]
    found += [{"rule": {"chain": chain, "expr": expr, **within}} for chain, expr in rules]
    return found


def _sourcing(interface: str, address: str) -> list[dict[str, Any]]:
    """All that leaves by the gateway has its address."""
    return [_oif("==", interface), _match(_SADDR, "@inside"), {"snat": {"addr": address}}]


def _outward() -> dict[str, Any]:
    return {"snat": {"addr": {"map": {"key": _SADDR, "data": "@outward"}}}}


def _oif(op: str, interface: str) -> dict[str, Any]:
    return _match({"meta": {"key": "oifname"}}, interface, op)


def _match(left: Any, right: str, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def _elements(elements: Iterable[Any]) -> dict[str, Any]:
    found = list(elements)
    return {"elem": found} if found else {}


def _element(prefix: str) -> Any:
    address, _, length = prefix.partition("/")
    return address if length == "32" else {"prefix": {"addr": address, "len": int(length)}}


def _prefix(element: Any) -> str:
    if isinstance(element, str):
        return f"{element}/32"
    return f"{element['prefix']['addr']}/{element['prefix']['len']}"


def _plain(objects: Iterable[dict[str, Any]]) -> list[str]:
    """Comparable: without handles, sets' elements in order; rules stay in theirs."""
    found = []
    for each in objects:
        for kind, body in each.items():
            kept = {key: value for key, value in body.items() if key != "handle"}
            if "elem" in kept:
                kept["elem"] = sorted(kept["elem"], key=json.dumps)
            found.append(json.dumps({kind: kept}, sort_keys=True))
    sets = sorted(text for text in found if not text.startswith('{"rule"'))
    return [*sets, *(text for text in found if text.startswith('{"rule"'))]
