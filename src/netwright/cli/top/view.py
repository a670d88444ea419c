"""What of the panel is shown, in rows of words. Pure: the same for a terminal, a pipe and JSON."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from netwright.cli.top.panel import Happening, Panel
from netwright.model.resources import HostState, Value
from netwright.model.states import PortState

STATES = tuple(PortState)
_TROUBLE = (PortState.ERROR, PortState.DEGRADED, PortState.WIRING, PortState.MOVING)


class By(StrEnum):
    ZONE = "zone"
    LEAF = "leaf"
    HOST = "host"


class Place(Value, frozen=True, kw_only=True):
    """A zone, leaf or host with its ports by state. `state` is a host's agent's."""

    name: str
    state: str = ""
    ports: Mapping[PortState, int]


class Waiting(Value, frozen=True, kw_only=True):
    """`since_s`: for how many seconds it has been in its state."""

    port: str
    state: PortState
    since_s: float
    host: str
    cause: str


class Error(Value, frozen=True, kw_only=True):
    """`ago_s` seconds ago the port came to `state`."""

    port: str
    state: PortState
    ago_s: float
    host: str
    cause: str


class View(Value, frozen=True, kw_only=True):
    """`rates` are a second. Of `places` the worst stand first; `more` are not shown."""

    at: float
    ports: int
    by_state: Mapping[PortState, int]
    hosts_by_state: Mapping[HostState, int]
    rates: Mapping[Happening, float]
    places: tuple[Place, ...]
    more: int
    waiting: tuple[Waiting, ...]
    errors: tuple[Error, ...]


def view(panel: Panel, by: By, lines: int, now: float) -> View:
    """The panel at `now`, with at most `lines` of places, waiting ports and errors each."""
    places = {By.ZONE: panel.zones, By.LEAF: panel.leaves, By.HOST: panel.hosts}[by]()
    ranked = sorted(places, key=lambda name: _rank(name, places[name]))
    return View(
        at=now,
        ports=panel.ports,
        by_state={state: panel.by_state.get(state, 0) for state in STATES},
        hosts_by_state=dict(panel.hosts_by_state),
        rates=panel.rates.per_second(now),
        places=tuple(
            Place(
                name=name,
                state=str(panel.state_of(name) or "") if by is By.HOST else "",
                ports={state: places[name][state] for state in STATES if places[name][state]},
            )
            for name in ranked[:lines]
        ),
        more=max(0, len(ranked) - lines),
        waiting=tuple(
            Waiting(
                port=port.name or port.id,
                state=port.state,
                since_s=round(max(0.0, now - port.state_since), 1),
                host=port.host,
                cause=port.cause,
            )
            for port in panel.oldest_waiting(lines)
        ),
        errors=tuple(
            Error(
                port=failure.port.name or failure.port.id,
                state=failure.port.state,
                ago_s=round(max(0.0, now - failure.at), 1),
                host=failure.port.host,
                cause=failure.port.cause,
            )
            for failure in list(panel.failures)[: -lines - 1 : -1]
        ),
    )


def _rank(name: str, counts: Counter[PortState]) -> tuple[list[int], int, str]:
    """Most in trouble first, then the fullest, then by name."""
    return [-counts[state] for state in _TROUBLE], -counts.total(), name


def ago(seconds: float) -> str:
    """A time span in its two largest units: `8 s`, `3 min 20 s`, `2 h 5 min`, `4 d 1 h`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour} h"
    if hours:
        return f"{hour} h {minute} min"
    return f"{minute} min {second} s" if minutes else f"{second} s"
