"""What one inventory has that another has not, in words: a line each, `+`, `-` or `~`. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from netwright.model.topology import Gateway, Link, Topology


def changes(before: Topology, after: Topology) -> list[str]:
    """What comes (`+`), goes (`-`) and is otherwise (`~`) with another inventory."""
    lines = [
        *_compared("switch", _switches(before), _switches(after)),
        *_compared("link", _links(before), _links(after)),
        *_compared("gateway", _gateways(before), _gateways(after)),
        *_compared("fabric", {"settings": before.fabric}, {"settings": after.fabric}),
    ]
    if not lines and before.links != after.links:
        return ["~ links: in another order, which is that of preference"]
    return lines


def _switches(topology: Topology) -> Mapping[str, Any]:
    return {one.name: one for one in topology.switches}


def _links(topology: Topology) -> Mapping[str, Link]:
    return {f"{one.lower} to {one.upper}": one for one in topology.links}


def _gateways(topology: Topology) -> Mapping[str, Gateway]:
    return {f"{one.switch}/{one.interface}": one for one in topology.gateways}


def _compared(noun: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"+ {noun} {name}" for name in new if name not in old)
    for name in old:
        if name not in new:
            yield f"- {noun} {name}"
        elif new[name] != old[name]:
            yield f"~ {noun} {name}: {_differences(old[name], new[name])}"


def _differences(old: Any, new: Any) -> str:
    was, becomes = msgspec.to_builtins(old), msgspec.to_builtins(new)
    return ", ".join(
        f"{key} {_shown(was[key])} → {_shown(becomes[key])}"
        for key in becomes
        if becomes[key] != was[key]
    )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
