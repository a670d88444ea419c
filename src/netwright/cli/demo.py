"""`netwright demo`."""

from typing import Annotated

import typer


def register(root: typer.Typer) -> None:
    root.command("demo")(demo)


def demo(
    preset: Annotated[
        str, typer.Argument(help="Which stage to show: vlan, evpn, containers.")
    ] = "vlan",
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the lab up at the end.")] = False,
) -> None:
    """Build a lab data center, show the main job step by step, check every claim."""
    from netwright.lab.demo.show import run  # noqa: PLC0415 - only this command needs the lab

    if not run(preset, keep=keep):
        raise typer.Exit(1)
