"""`netwright cni`: the plugin by which runtimes of containers get networks of this host's agent."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.output import say
from netwright.cni import installing
from netwright.cni.protocol import SOCKET, VERSIONS
from netwright.model.labels import parse_selector
from netwright.model.settings import InvalidConfiguration

VERSION_OF_CONFLISTS = "1.0.0"
"""Runtimes of Debian 12 do not know 1.1.0 yet."""


class WaitFor(StrEnum):
    """What ADD waits for."""

    UNDERLAY = "underlay"
    ACTIVE = "active"


def register(root: typer.Typer) -> None:
    group = typer.Typer(help="The CNI plugin: install.", no_args_is_help=True)
    group.command("install")(install)
    group.callback()(_group)
    root.add_typer(group, name="cni")


def _group() -> None:
    """One command is a group's all the same."""


def install(
    *,
    labels: Annotated[
        str,
        typer.Option(metavar="SELECTOR", help="Networks for containers: 'env=prod,tier in (web)'."),
    ],
    name: Annotated[str, typer.Option(help="The network's name at the runtime.")] = "netwright",
    bin_directory: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where runtimes look for plugins.")
    ] = Path("/opt/cni/bin"),
    conf_directory: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where they look for networks.")
    ] = Path("/etc/cni/net.d"),
    agent_socket: Annotated[
        str, typer.Option(metavar="PATH", help="The agent's cni_socket.")
    ] = SOCKET,
    wait_for: Annotated[
        WaitFor, typer.Option(help="Start containers when this host is wired, or all the way is.")
    ] = WaitFor.UNDERLAY,
    cni_version: Annotated[
        str, typer.Option(help=f"The conflist's, of {', '.join(VERSIONS)}.")
    ] = VERSION_OF_CONFLISTS,
    in_python: Annotated[
        bool, typer.Option("--in-python", help="Take the front end in Python.")
    ] = False,
) -> None:
    """Write the plugin and a conflist that asks for networks by their labels."""
    if cni_version not in VERSIONS:
        raise InvalidConfiguration(
            f"--cni-version is {cni_version!r}.", next=f"Name one of {', '.join(VERSIONS)}."
        )
    try:
        parse_selector(labels)
    except ValueError as error:
        raise InvalidConfiguration(
            f"--labels is {labels!r}, which is no selector: {error}.",
            next="Write it as in Kubernetes: 'env=prod,tier in (web)'.",
        ) from error
    if not name or "/" in name or name.startswith("."):
        raise InvalidConfiguration(f"--name is {name!r}.", next="It becomes part of a file name.")
    source = installing.program(in_python=in_python)
    conf = conf_directory / f"10-{name}.conflist"
    content = installing.conflist(name, cni_version, labels, socket=agent_socket, wait_for=wait_for)
    target = installing.install(source, bin_directory, conf, content)
    kind = "the compiled front end" if source == installing.PROGRAM else "the front end in Python"
    say(f"{target} is {kind}; {conf} asks for networks with {labels}.")
