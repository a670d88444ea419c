"""What an operator reads in the log of what happened: a batch's changes, as lines. Pure.

    host   registered (anew), fell silent, heard again, fenced, unfenced, deleted; its conditions
    port   came to ERROR or DEGRADED, or left it
    floating IP   came to ERROR

The process that commits a batch logs its lines, once; others learn of the change without a word.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from netwright.model.conditions import FENCED, but_the_fence
from netwright.model.resources import FenceState, Host, HostState, Port
from netwright.model.routing import FloatingIp, FloatingStatus
from netwright.model.states import PortState

PORTS_NAMED_MAX = 20
"""The most lines about ports in one batch: a host's five hundred go down together."""

_WHY_MAX = 500
_CONDITIONS_MAX = 20
_TROUBLE = frozenset({PortState.ERROR, PortState.DEGRADED})


class Line(NamedTuple):
    """One line of the log; `is_warning` when somebody should look."""

    event: str
    fields: Mapping[str, object]
    is_warning: bool = False


def of_host(name: str, old: Host | None, new: Host | None, now: float) -> Iterator[Line]:
    """What became of a host, between two states of it; None: it is not there."""
    if new is None:
        if old is not None:
            yield Line("host deleted", {"host": name})
        return
    if old is None or old.epoch != new.epoch:
        yield Line(
            "host registered" if old is None else "host registered anew",
            {
                "host": name,
                "epoch": new.epoch,
                "driver": new.driver,
                "physical_networks": sorted(new.physical_networks),
            },
        )
    if old is not None:
        yield from _standing(old, new, now)
        yield from _fences(old, new)
    yield from _conditions(old, new, now)


def of_ports(changes: Iterable[tuple[Port | None, Port | None]]) -> Iterator[Line]:
    """Ports that came to trouble or left it, as (before, now); beyond some, their number alone."""
    named = 0
    others: Counter[str] = Counter()
    for old, new in changes:
        before = old.state if old is not None else None
        if new is None or (new.state not in _TROUBLE and before not in _TROUBLE):
            continue
        if new.state is before:
            continue
        if named < PORTS_NAMED_MAX:
            named += 1
            yield _port(new, before)
        else:
            others[new.state.value] += 1
    if others:
        in_trouble = any(state in _TROUBLE for state in others)
        yield Line("more ports changed", dict(sorted(others.items())), is_warning=in_trouble)


def of_floating(changes: Iterable[tuple[FloatingIp | None, FloatingIp | None]]) -> Iterator[Line]:
    """Floating IPs that came to lead nowhere, as (before, now); some of them by name."""
    failed = [
        new
        for old, new in changes
        if new is not None
        and new.status is FloatingStatus.ERROR
        and (old is None or old.status is not FloatingStatus.ERROR)
    ]
    for each in failed[:PORTS_NAMED_MAX]:
        yield Line(
            "floating IP failed",
            {
                "floating_ip": each.id,
                "address": each.floating_ip_address,
                "port": each.port_id,
                "cause": _one_line(each.cause),
            },
            is_warning=True,
        )
    if more := failed[PORTS_NAMED_MAX:]:
        yield Line("more floating IPs failed", {"number": len(more)}, is_warning=True)


def _standing(old: Host, new: Host, now: float) -> Iterator[Line]:
    if old.state is new.state:
        return
    if new.state is HostState.FENCED:
        reason = _one_line(new.conditions.get(FENCED, ""))
        yield Line("host fenced", {"host": new.name, "reason": reason}, is_warning=True)
    elif old.state is HostState.FENCED:
        fenced_s = _seconds(now - old.state_since)
        yield Line("host unfenced", {"host": new.name, "fenced_s": fenced_s})
    elif new.state is HostState.UNKNOWN:
        yield Line(
            "host fell silent",
            {
                "host": new.name,
                "unheard_s": _seconds(now - new.heard_at),
                "next": "look at its agent there",
            },
            is_warning=True,
        )
    else:
        silent_s = _seconds(now - old.state_since)
        yield Line("host is heard again", {"host": new.name, "silent_s": silent_s})


def _fences(old: Host, new: Host) -> Iterator[Line]:
    """Ports that left the host while it was silent, as its leaves have come to drop them."""
    if old.port_fences == new.port_fences:
        return
    before = {each.port_id: each.state for each in old.port_fences}
    after = {each.port_id: each.state for each in new.port_fences}
    came = Counter(state.value for port, state in after.items() if before.get(port) is not state)
    if gone := len(before.keys() - after.keys()):
        came["lifted"] = gone
    if came:
        asked = FenceState.ASKED.value in came
        yield Line("ports fenced at leaves", {"host": new.name, **came}, is_warning=asked)


def _conditions(old: Host | None, new: Host, now: float) -> Iterator[Line]:
    before = but_the_fence(old.conditions) if old is not None else {}
    after = but_the_fence(new.conditions)
    for name in sorted(before.keys() | after.keys())[:_CONDITIONS_MAX]:
        what = {"host": new.name, "condition": _one_line(name)}
        if name not in after:
            since = old.conditions_since.get(name, now) if old is not None else now
            yield Line("host condition ended", {**what, "lasted_s": _seconds(now - since)})
        elif before.get(name) != after[name]:
            event = "host condition changed" if name in before else "host condition began"
            yield Line(event, {**what, "why": _one_line(after[name])}, is_warning=True)


def _port(port: Port, before: PortState | None) -> Line:
    binding = port.active_binding
    fields: dict[str, object] = {
        "port": port.id,
        "network": port.network_id,
        "host": binding.host if binding is not None else "",
        "state": port.state.value,
        "before": before.value if before is not None else "",
    }
    if port.state not in _TROUBLE:
        return Line("port recovered" if port.state is PortState.ACTIVE else "port changed", fields)
    return Line("port failed", {**fields, "cause": _one_line(port.cause)}, is_warning=True)


def _one_line(text: str) -> str:
    """An agent's words begin no line of their own, and fill no log."""
    words = " ".join(text.split())
    return words if len(words) <= _WHY_MAX else f"{words[:_WHY_MAX]}…"


def _seconds(duration_s: float) -> float:
    return round(max(duration_s, 0.0), 1)
