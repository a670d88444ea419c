"""`netwright switch serve`: the program that a controller starts on a switch, by ssh (ADR 31)."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_STATE = Path("/var/lib/netwright/switch")


def serve(
    name: Annotated[str, typer.Argument(metavar="SWITCH", help="Its name in the inventory.")],
    *,
    loopback: Annotated[str, typer.Option(metavar="ADDRESS", help="Its VTEP's.")],
    driver: Annotated[str, typer.Option(metavar="DRIVER", help="What configures it.")] = "frr",
    state_directory: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Ours alone, on this switch.")
    ] = DEFAULT_STATE,
) -> None:
    """Configure the switch that this runs on as a fabric controller says, until input ends.

    The controller starts it by ssh, for each switch whose address is ssh:HOST. It speaks with it on
    standard input and output, and logs to standard error.
    """
    from netwright.fabric.drivers.remote.main import serve as run  # noqa: PLC0415 - as the agent's

    run(name, driver, loopback, state_directory)
