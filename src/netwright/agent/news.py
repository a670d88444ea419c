"""What an operator reads in the agent's log of what happened on the host. No clock, no effects.

NICs      paths lost and back, the NICs in use
ports     wired, withdrawn; devices that are not wired
host      fenced, unfenced
server    refuses the token: once a minute while it lasts
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from netwright.agent.wiring import Wired, WiringStatus
from netwright.model.conditions import FENCED
from netwright.model.errors import NetwrightError, Unauthenticated
from netwright.model.resources import Host, HostState, Nic

NAMED_MAX = 5
"""The most ports that one line names."""

REFUSED_AGAIN_S = 60.0


class Line(NamedTuple):
    """One line of the log; `is_warning` when somebody should look."""

    event: str
    fields: Mapping[str, object]
    is_warning: bool = False


class News:
    """Remembers what was told, and says what is new. Times are seconds of one monotonic clock."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._nics: Mapping[str, Nic] = {}
        self._pathless_since: dict[str, float] = {}
        self._wired: frozenset[str] = frozenset()
        self._not_wired: frozenset[str] = frozenset()
        self._is_fenced = False
        self._refused_at: float | None = None

    def nics(self, nics: Iterable[Nic], now: float) -> Iterator[Line]:
        """The uplinks' NICs as they are now. At first only those without a path are news."""
        before, self._nics = self._nics, {nic.name: nic for nic in nics}
        for nic in self._nics.values():
            known = before.get(nic.name)
            had_path = known is None or _has_path(known)
            if had_path and not _has_path(nic):
                self._pathless_since[nic.name] = now
                why = "its switch does not answer (BFD, LACP)" if nic.link_up else "no link"
                yield Line("uplink NIC has no path", {"nic": nic.name, "why": why}, is_warning=True)
            elif not had_path and _has_path(nic):
                lost_s = round(now - self._pathless_since.pop(nic.name, now), 3)
                yield Line("uplink NIC has its path back", {"nic": nic.name, "lost_s": lost_s})
        was_in_use, in_use = _in_use(before), _in_use(self._nics)
        if before and was_in_use != in_use:
            yield Line("NICs in use changed", {"before": was_in_use, "now": in_use})

    def ports(
        self, wired: Wired, unwired: Mapping[str, str], silent: Collection[str] = ()
    ) -> Iterator[Line]:
        """What a pass made of the ports; `unwired` are other devices here and why they stay so.

        Through `silent` ones no packet passes: they count as wired when one does.
        """
        outcomes = wired.outcomes
        standing = {port for port, one in outcomes.items() if one.status.stands}
        up = standing.difference(silent)
        gone = self._wired - outcomes.keys() - wired.standing
        for event, ports in (("ports wired", up - self._wired), ("ports withdrawn", gone)):
            if ports:
                yield Line(event, {"count": len(ports), "ports": _named(ports)})
        self._wired = (self._wired | up) & (outcomes.keys() | wired.standing)
        refused = {
            port: one.cause for port, one in outcomes.items() if one.status is WiringStatus.REFUSED
        }
        yield from self._devices({**unwired, **refused})

    def host(self, host: Host | None) -> Iterator[Line]:
        """This host as the server has it; None: it has not said."""
        if host is None or self._is_fenced is (host.state is HostState.FENCED):
            return
        self._is_fenced = not self._is_fenced
        if self._is_fenced:
            what = {"host": host.name, "reason": host.conditions.get(FENCED, "")}
            yield Line("the host is fenced: its ports are withdrawn", what, is_warning=True)
        else:
            yield Line("the host is unfenced", {"host": host.name})

    def refusal(self, error: NetwrightError, now: float) -> Iterator[Line] | None:
        """None for an error that is no refusal of the token; else what is to be said of it now."""
        if not isinstance(error, Unauthenticated):
            return None
        if self._refused_at is not None and now - self._refused_at < REFUSED_AGAIN_S:
            return iter(())
        self._refused_at = now
        what = {
            "why": error.message,
            "next": f"if host {self._host} was deleted, or the server set up anew: write what "
            f"`netwright host credential {self._host}` prints to this agent's --token-file, "
            "and start it again",
        }
        return iter((Line("the server refuses this host's token", what, is_warning=True),))

    def _devices(self, not_wired: Mapping[str, str]) -> Iterator[Line]:
        before, self._not_wired = self._not_wired, frozenset(not_wired)
        if before == self._not_wired:
            return
        if not not_wired:
            yield Line("no device is left unwired", {})
            return
        why = "; ".join(f"{port}: {not_wired[port]}" for port in _named(not_wired))
        yield Line("devices not wired", {"count": len(not_wired), "why": why}, is_warning=True)


def _has_path(nic: Nic) -> bool:
    return nic.link_up and nic.forwarding


def _in_use(nics: Mapping[str, Nic]) -> str:
    return ",".join(sorted(nic.name for nic in nics.values() if nic.active)) or "none"


def _named(ports: Collection[str]) -> list[str]:
    return sorted(ports)[:NAMED_MAX]
