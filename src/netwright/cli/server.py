"""`netwright server`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.settings import load
from netwright.server import supervisor
from netwright.server.config import AuthMode, ServerSettings
from netwright.server.listening import Inherited


def register(root: typer.Typer) -> None:
    root.command("server")(server)


def server(
    *,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Serve here.")] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="sqlite:////absolute, postgresql://…")
    ] = None,
    state_directory: Annotated[
        str | None,
        typer.Option(metavar="DIRECTORY", help="Holds its secrets and its own database."),
    ] = None,
    auth: Annotated[AuthMode | None, typer.Option(help="How callers show who they are.")] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Server processes, on PostgreSQL.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Configuration file (TOML).")
    ] = None,
    inherited: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the network service until SIGTERM or SIGINT."""
    flags = {
        "listen": listen,
        "database": database,
        "state_directory": state_directory,
        "auth": auth,
        "workers": workers,
    }
    settings = load(ServerSettings, "server", flags=flags, file=config)

    if settings.workers > 1 and inherited is None:
        raise SystemExit(supervisor.run(settings, sys.argv[1:]))

    from netwright.server.main import run  # noqa: PLC0415 - errors of usage need no web framework

    run(settings, None if inherited is None else Inherited.of(inherited), config)
