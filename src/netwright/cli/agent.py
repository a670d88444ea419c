"""`netwright agent`."""

import socket
from pathlib import Path
from typing import Annotated

import typer

from netwright.agent.config import AgentSettings, Driver
from netwright.cli.settings import load


def register(root: typer.Typer) -> None:
    root.command("agent")(agent)


def agent(
    *,
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="This host, as bindings name it.")
    ] = None,
    server: Annotated[str | None, typer.Option(metavar="URL", help="The server.")] = None,
    driver: Annotated[Driver | None, typer.Option(help="What forwards packets here.")] = None,
    ovsdb: Annotated[
        str | None, typer.Option(metavar="unix:PATH", help="ovsdb-server's socket.")
    ] = None,
    physical_network: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=BRIDGE", help="A physical network's bridge; may be repeated."),
    ] = None,
    fabric_bridge: Annotated[
        str | None,
        typer.Option(
            metavar="BRIDGE",
            help="The bridge that leads to the leaves; default: the only physical network's.",
        ),
    ] = None,
    lldp_socket: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="lldpd's control socket, to tell of neighbours heard."),
    ] = None,
    cni_socket: Annotated[
        str | None, typer.Option(metavar="PATH", help="Serve containers' runtimes there, by CNI.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds this host's credential.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Configuration file (TOML).")
    ] = None,
) -> None:
    """Run the agent of this host until SIGTERM or SIGINT; its wiring stays when it ends."""
    flags = {
        "host": host,
        "server": server,
        "driver": driver,
        "ovsdb": ovsdb,
        "physical_networks": physical_network,
        "fabric_bridge": fabric_bridge,
        "lldp_socket": lldp_socket,
        "cni_socket": cni_socket,
        "token_file": None if token_file is None else str(token_file),
    }
    # The machine's name is the default: the least of all layers.
    settings = load(AgentSettings, "agent", flags=flags, file=config)
    if not settings.host:
        flags["host"] = socket.gethostname()
        settings = load(AgentSettings, "agent", flags=flags, file=config)

    from netwright.agent.main import run  # noqa: PLC0415 - errors of usage need no data plane

    run(settings)
