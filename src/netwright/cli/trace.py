"""`netwright trace`: the devices that a packet crosses from one port to another."""

from typing import Annotated

import typer

from netwright.cli.connection import asking
from netwright.cli.output import Output, OutputOption, say, show_many
from netwright.client.api import Client

COLUMNS = ("#", "Node", "Device", "Kind")


def register(root: typer.Typer) -> None:
    root.command("trace")(trace)


@asking
async def trace(
    client: Client,
    source: Annotated[str, typer.Argument(metavar="SRC", help="A port's id, name or address.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="A port's id, name or address.")],
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the devices that a packet crosses from one port to another, by intent.

    Exit code 1 when it cannot arrive: the devices are then those up to where its way ends, or
    all, when only the wiring of an end is missing.
    """
    found = await client.trace(source, target)
    rows = [
        {"#": number, "Node": one.node, "Device": one.device, "Kind": one.kind}
        for number, one in enumerate(found.devices, start=1)
    ]
    show_many(output, found, COLUMNS, rows)
    if not found.complete:
        say(f"It cannot arrive; {found.count} devices. {found.reason}\n  {found.next}")
        raise typer.Exit(1)
    say(f"{found.count} devices, both vNICs counted.")
    if found.reason:
        say(f"{found.reason}\n  {found.next}")
