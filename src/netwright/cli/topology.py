"""`netwright topology`: the inventory of the fabric, from a file to the server and back."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.cli.connection import asking
from netwright.cli.output import Output, OutputOption, say, show_many
from netwright.client.api import Client
from netwright.model.documents import Document, path_of
from netwright.model.errors import InvalidInput, NetwrightError
from netwright.model.settings import InvalidConfiguration
from netwright.model.topology import Topology

_REFUSAL = re.compile(r"Invalid input for (?P<element>\S+)\. Reason: (?P<reason>.*)\.", re.DOTALL)

COLUMNS = ("Switch", "Kind", "Upward", "Beside", "Gateways")


def register(root: typer.Typer) -> None:
    group = typer.Typer(help="The fabric's inventory: apply, show.", no_args_is_help=True)
    group.command("apply")(apply)
    group.command("show")(show)
    root.add_typer(group, name="topology")


@asking
async def apply(
    client: Client,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML: switches, links, gateways.")],
) -> None:
    """Replace the inventory by the one in a file. It describes the fabric and changes no switch."""
    document = _read(file)
    topology = document.convert(Topology)
    try:
        now = await client.replace_topology(topology)
    except InvalidInput as refusal:
        raise located(document, refusal) from refusal
    counts = (len(now.switches), len(now.links), len(now.gateways))
    say("The server knows {} switches, {} links, {} gateways.".format(*counts))


@asking
async def show(client: Client, *, output: OutputOption = Output.TABLE) -> None:
    """Show the inventory; `--output yaml` writes what `apply` reads."""
    topology = await client.topology()
    show_many(output, topology, COLUMNS, _rows(topology))


def located(document: Document, refusal: InvalidInput) -> NetwrightError:
    """What the server refuses, with the line of the element that it names."""
    found = _REFUSAL.fullmatch(refusal.message)
    if found is None:
        return refusal
    error = document.error(path_of(found["element"]), found["reason"])
    error.next = refusal.next
    return error


def _read(file: Path) -> Document:
    try:
        return Document(file.read_text(encoding="utf-8"), str(file), InvalidConfiguration)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(
            f"The topology {file} cannot be read: {error}.",
            next="Give a YAML file; netwright topology show --output yaml writes one.",
        ) from error


def _rows(topology: Topology) -> list[dict[str, Any]]:
    return [
        {
            "Switch": switch.name,
            "Kind": switch.kind,
            "Upward": _links(topology, switch.name, peer=False),
            "Beside": _links(topology, switch.name, peer=True),
            "Gateways": [one.interface for one in topology.gateways if one.switch == switch.name],
        }
        for switch in topology.switches
    ]


def _links(topology: Topology, node: str, *, peer: bool) -> list[str]:
    return [
        f"{link.lower.interface} to {link.upper.node}"
        for link in topology.links
        if link.lower.node == node and link.peer is peer
    ]
