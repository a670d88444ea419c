"""`netwright top`: the ports of the whole data center, live, by the watch alone.

watch ─▶ glance (what is kept of each) ─▶ panel (counts, rates) ─▶ view (rows) ─▶ screen
"""

import asyncio
import sys
import time
from typing import Annotated

import typer

from netwright.cli.connection import ConfigOption, ServerOption, TokenFileOption, ask
from netwright.cli.output import Output, OutputOption, show_text
from netwright.cli.top.feed import Feed
from netwright.cli.top.view import By, View, view
from netwright.client.api import Client
from netwright.model.errors import NetwrightError

LINES = 10
"""Rows of each table where there is no screen to fill."""


def register(root: typer.Typer) -> None:
    root.command("top")(top)


def top(
    *,
    by: Annotated[By, typer.Option(help="Count ports by zone, leaf or host.")] = By.HOST,
    interval: Annotated[
        float, typer.Option(min=0.1, max=60, metavar="SECONDS", help="How often to draw anew.")
    ] = 1.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print it once and end, as where there is no terminal.")
    ] = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show ports by state and place, which wait longest and why, rates, and the last errors.

    Live on a terminal, until Ctrl-C.
    """
    is_live = sys.stdout.isatty() and output is Output.TABLE and not once

    async def work(client: Client) -> None:
        feed = Feed(client)
        async with feed.running():
            await feed.ready()
            if is_live:
                await _live(feed, by, interval)
            else:
                shown = view(feed.panel, by, LINES, time.time())
                show_text(output, shown, _text(shown, by))

    try:
        ask(work, server, token_file, config)
    except KeyboardInterrupt:
        raise typer.Exit from None


async def _live(feed: Feed, by: By, interval_s: float) -> None:
    from rich.console import Console  # noqa: PLC0415 - 30 ms, and only terminals need it
    from rich.live import Live  # noqa: PLC0415

    from netwright.cli.top.screen import draw, lines_for  # noqa: PLC0415

    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            shown = view(feed.panel, by, lines_for(console), time.time())
            live.update(draw(shown, by, _words(feed.trouble)), refresh=True)
            await asyncio.sleep(interval_s)


def _text(shown: View, by: By) -> str:
    from rich.console import Console  # noqa: PLC0415

    from netwright.cli.top.screen import draw  # noqa: PLC0415

    console = Console(width=200, no_color=True, highlight=False)
    with console.capture() as captured:
        console.print(draw(shown, by, ""))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _words(trouble: NetwrightError | None) -> str:
    return "" if trouble is None else trouble.message
