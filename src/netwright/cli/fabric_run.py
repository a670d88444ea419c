"""`netwright fabric run`: the controller's process."""

from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.settings import load
from netwright.fabric.settings import ControllerSettings


def run(
    *,
    server: Annotated[str | None, typer.Option(metavar="URL", help="The server.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds an admin's token.")
    ] = None,
    state_directory: Annotated[
        Path | None,
        typer.Option(metavar="DIRECTORY", help="Holds this controller's store; its alone."),
    ] = None,
    observer: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="API of a gobgpd that hears all routes.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where Prometheus finds /metrics.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Configuration file (TOML).")
    ] = None,
    child: Annotated[bool, typer.Option(hidden=True, help="End with the standard input.")] = False,
) -> None:
    """Run a fabric controller until SIGTERM or SIGINT; the switches stay as they are then.

    Of several, the one that holds the lease acts; the others stand by.
    """
    flags = {
        "server": server,
        "token_file": None if token_file is None else str(token_file),
        "state_directory": None if state_directory is None else str(state_directory),
        "observer": observer,
        "metrics": metrics,
    }
    settings = load(ControllerSettings, "fabric", flags=flags, file=config)

    from netwright.fabric.main import run as run_controller  # noqa: PLC0415 - as the agent's

    run_controller(settings, is_child=child)
