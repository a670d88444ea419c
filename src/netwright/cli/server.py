"""`netwright server`."""

from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.settings import load
from netwright.server.config import AuthMode, ServerSettings


def register(root: typer.Typer) -> None:
    root.command("server")(server)


def server(
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Serve here.")] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="sqlite:////absolute, sqlite:///relative.")
    ] = None,
    auth: Annotated[AuthMode | None, typer.Option(help="How callers show who they are.")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Server processes.")] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Configuration file (TOML).")
    ] = None,
) -> None:
    """Run the network service until SIGTERM or SIGINT."""
    flags = {"listen": listen, "database": database, "auth": auth, "workers": workers}
    settings = load(ServerSettings, "server", flags=flags, file=config)

    from netwright.server.main import run  # noqa: PLC0415 - errors of usage need no web framework

    run(settings)
