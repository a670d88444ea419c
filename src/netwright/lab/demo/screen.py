"""How the demo looks: a live table of ports on a terminal, plain lines elsewhere."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from netwright.model.resources import VnicType
from netwright.model.wire import CONTAINER_OWNER

Row = tuple[str, str, str, str, str, str]
ReadPorts = Callable[[], list[Row]]

_REFRESH_S = 0.5
_INDENT = 10
_PIPES_WIDTH = 120
_MAC_WIDTH = 17
_COLOURS = {"ACTIVE": "green", "BUILD": "yellow", "DOWN": "red", "ERROR": "bold red"}


class Screen:
    """Lines as they come; on a terminal, the table of ports below them, live."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _console()
        self._live: Live | None = None
        self._began = time.monotonic()

    def say(self, text: str = "") -> None:
        self._console.print(text, markup=False)

    def doing(self, text: str) -> None:
        self._console.print(f"[dim]{self._seconds()}[/] … {text}")

    def held(self, title: str, measured: str) -> None:
        self._console.print(f"[dim]{self._seconds()}[/] [green]✓[/] [bold]{title}[/]")
        self._below(measured)

    def broken(self, title: str, why: str) -> None:
        self._console.print(f"[dim]{self._seconds()}[/] [red]✗[/] [bold]{title}[/]")
        self._below(why)

    @contextmanager
    def ports(self, read: ReadPorts) -> Iterator[None]:
        """The table of ports: live on a terminal, printed at the end elsewhere."""
        if not self._console.is_terminal:
            yield
            self._console.print(_table(read()))
            return
        stop = threading.Event()
        with Live(_table([]), console=self._console, refresh_per_second=4) as live:

            def refresh() -> None:
                while not stop.wait(_REFRESH_S):
                    live.update(Group(Text(), _table(read())))

            thread = threading.Thread(target=refresh, name="ports-table")
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()
                live.update(Group(Text(), _table(read())))

    def _below(self, text: str) -> None:
        """Under a title: on a terminal wrapped to its width, elsewhere one line."""
        if self._console.is_terminal:
            self._console.print(Padding(Text(text), (0, 0, 0, _INDENT)), soft_wrap=False)
        else:
            self._console.print(" " * _INDENT + text, markup=False)

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._began:6.1f} s"


def _console() -> Console:
    """In a pipe wide enough for the table, unless COLUMNS says otherwise."""
    says = sys.stdout.isatty() or "COLUMNS" in os.environ
    width = None if says else _PIPES_WIDTH
    return Console(highlight=False, soft_wrap=True, emoji=False, width=width)


def _table(rows: list[Row]) -> Table:
    mac = Column("MAC", no_wrap=True, min_width=_MAC_WIDTH)
    name = Column("port", overflow="fold")
    table = Table(name, "kind", "host", "address", mac, "status", title="ports")
    for *cells, status in rows:
        table.add_row(*map(Text, cells), Text(status, _COLOURS.get(status, "")))
    return table


def rows_of(ports: list[dict[str, Any]]) -> list[Row]:
    """The table's rows of the API's ports, by name; those of routers are on no host."""
    return [
        (
            str(port["name"]),
            kind_of(port),
            str(port["binding:host_id"] or ""),
            ", ".join(fixed["ip_address"] for fixed in port["fixed_ips"]),
            str(port["mac_address"]),
            str(port["status"]),
        )
        for port in sorted(ports, key=lambda port: str(port["name"]))
        if not str(port["device_owner"]).startswith("network:")
    ]


def kind_of(port: dict[str, Any]) -> str:
    """What an instance is whose port this is, in words."""
    if port["device_owner"] == CONTAINER_OWNER:
        return "container"
    return "bare metal" if port["binding:vnic_type"] == VnicType.BAREMETAL else "VM"
