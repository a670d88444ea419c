"""`netwright topology`: the inventory of the fabric, from a file to the server and back."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from netwright.cli.connection import ConfigOption, ServerOption, TokenFileOption, ask
from netwright.cli.output import Output, OutputOption, say, show_many
from netwright.client.api import Client
from netwright.model.settings import InvalidConfiguration
from netwright.model.topology import Topology

COLUMNS = ("Switch", "Kind", "Upward", "Beside", "Gateways")


def register(root: typer.Typer) -> None:
    group = typer.Typer(help="The fabric's inventory: apply, show.", no_args_is_help=True)
    group.command("apply")(apply)
    group.command("show")(show)
    root.add_typer(group, name="topology")


def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML: switches, links, gateways.")],
    *,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    config: ConfigOption = None,
) -> None:
    """Replace the inventory by the one in a file. It describes the fabric and changes no switch."""
    topology = _read(file)

    async def work(client: Client) -> None:
        now = await client.replace_topology(topology)
        counts = (len(now.switches), len(now.links), len(now.gateways))
        say("The server knows {} switches, {} links, {} gateways.".format(*counts))

    ask(work, server, token_file, config)


def show(
    *,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the inventory; `--output yaml` writes what `apply` reads."""

    async def work(client: Client) -> None:
        topology = await client.topology()
        show_many(output, topology, COLUMNS, _rows(topology))

    ask(work, server, token_file, config)


def _read(file: Path) -> Topology:
    try:
        return msgspec.convert(yaml.safe_load(file.read_text(encoding="utf-8")), Topology)
    except (OSError, ValueError, yaml.YAMLError, msgspec.ValidationError) as error:
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
