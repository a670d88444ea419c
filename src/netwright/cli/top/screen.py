"""How the panel looks on a terminal, and in a pipe: tables of the same rows."""

import time

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from netwright.cli.top.view import STATES, By, View, ago
from netwright.model.states import PortState

_COLOURS = {
    PortState.ACTIVE: "green",
    PortState.WIRING: "yellow",
    PortState.MOVING: "yellow",
    PortState.RELEASING: "yellow",
    PortState.DEGRADED: "red",
    PortState.ERROR: "bold red",
}
_ROWS_AROUND = 20
"""Lines of the screen that are no place, waiting port or error."""
_LINES_MIN = 3


def lines_for(console: Console) -> int:
    """How many rows each of the three tables may have on this screen."""
    return max(_LINES_MIN, (console.height - _ROWS_AROUND) // 3)


def draw(shown: View, by: By, trouble: str) -> RenderableType:
    """The whole screen; `trouble` says why it may be out of date."""
    parts: list[RenderableType] = [_head(shown)]
    if trouble:
        parts.append(Text(f"Not up to date: {trouble}", "bold red"))
    parts += [Text(), _states(shown), Text(), _places(shown, by)]
    if shown.more:
        parts.append(Text(f"  and {shown.more} more, in less trouble", "dim"))
    parts += [Text(), _waiting(shown), Text(), _errors(shown)]
    return Group(*parts)


def _head(shown: View) -> Text:
    clock = time.strftime("%H:%M:%S", time.localtime(shown.at))
    hosts = ", ".join(f"{count} {state}" for state, count in shown.hosts_by_state.items())
    rates = ", ".join(f"{what} {rate:.3g}/s" for what, rate in shown.rates.items())
    words = f"{clock}  {shown.ports:,} ports, hosts: {hosts or 'none'}\n{rates}"
    return Text(words)


def _states(shown: View) -> Table:
    table = _table("Ports", *STATES)
    table.add_row(Text("all"), *(_count(state, shown.by_state.get(state, 0)) for state in STATES))
    return table


def _places(shown: View, by: By) -> Table:
    extra = ["Agent"] if by is By.HOST else []
    table = _table(by.capitalize(), *extra, *STATES)
    for place in shown.places:
        counts = [_count(state, place.ports.get(state, 0)) for state in STATES]
        table.add_row(Text(place.name), *([Text(place.state)] if extra else []), *counts)
    return table


def _waiting(shown: View) -> Table:
    table = _table("Waits longest", "State", "For", "Host", "Why")
    for one in shown.waiting:
        state = Text(one.state, _COLOURS.get(one.state, ""))
        table.add_row(
            Text(one.port), state, Text(ago(one.since_s)), Text(one.host), Text(one.cause)
        )
    return table


def _errors(shown: View) -> Table:
    table = _table("Last errors", "State", "Ago", "Host", "Why")
    for one in shown.errors:
        state = Text(one.state, _COLOURS.get(one.state, ""))
        table.add_row(Text(one.port), state, Text(ago(one.ago_s)), Text(one.host), Text(one.cause))
    return table


def _count(state: PortState, count: int) -> Text:
    return Text(f"{count:,}", _COLOURS.get(state, "") if count else "dim", justify="right")


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in (first, *others):
        table.add_column(title, overflow="fold")
    return table
