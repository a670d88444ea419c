"""Which ports that left silent hosts are fenced there now, by the fabric and unasked. Pure.

Silence and an orchestrator's word about each port are two witnesses; still, when many hosts fall
silent together the fault is more likely here. So not more than some hosts a minute come to have
such fences (law 5); further ports of a host that has them already wait for nothing.
"""

from collections.abc import Iterable, Mapping

from netwright.model.resources import FenceState, Host

HOSTS_A_MINUTE_MAX = 60
AT_ONCE_MAX = 20_000
"""The most ports in one turn: a rack's."""

_MINUTE_S = 60.0


def due(
    found: Iterable[tuple[str, str]],
    hosts: Mapping[str, Host],
    now: float,
    hosts_a_minute_max: int = HOSTS_A_MINUTE_MAX,
) -> tuple[tuple[str, str], ...]:
    """Of these (port, host), which wait for a silent host, those whose turn it is.

    `now` is on the clock by which fences were asked for.
    """
    begun = {name: at for name, host in hosts.items() if (at := _begun_at(host)) is not None}
    room = hosts_a_minute_max - sum(now - at < _MINUTE_S for at in begun.values())
    asked = {name: _asked(host) for name, host in hosts.items() if host.port_fences}
    turn: list[tuple[str, str]] = []
    for port_id, name in found:
        if name not in hosts or port_id in asked.get(name, ()):
            continue
        if name not in begun:
            if room <= 0:
                continue
            room -= 1
            begun[name] = now
        turn.append((port_id, name))
        if len(turn) == AT_ONCE_MAX:
            break
    return tuple(turn)


def _begun_at(host: Host) -> float | None:
    return min((each.asked_at for each in host.port_fences if each.is_wanted), default=None)


def _asked(host: Host) -> frozenset[str]:
    return frozenset(one.port_id for one in host.port_fences if one.state is FenceState.ASKED)
