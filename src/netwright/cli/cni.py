"""`netwright cni`: the plugin by which runtimes of containers get networks of this host's agent."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from netwright.cli.output import say
from netwright.cni import installing
from netwright.cni.protocol import SOCKET, VERSIONS, CniError, Request, Verb
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
        str | None,
        typer.Option(metavar="SELECTOR", help="Networks for containers: 'env=prod,tier in (web)'."),
    ] = None,
    conflist: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take this conflist as it is, in place of --labels."),
    ] = None,
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
    port_name: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="Lasting names of ports: '{cluster}/{namespace}/{pod}', '{labels.app}/{slot}'.",
        ),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="NAME", help="The cluster's name, for {cluster}.")
    ] = None,
    slots: Annotated[
        int | None, typer.Option(metavar="N", help="Numbers that {slot} may be, from 0 on.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="HOW LONG",
            help="Keep a named port after its container: 90s, 24h, while-owner-exists, forever.",
        ),
    ] = None,
    cni_version: Annotated[
        str, typer.Option(help=f"The conflist's, of {', '.join(VERSIONS)}.")
    ] = VERSION_OF_CONFLISTS,
    in_python: Annotated[
        bool, typer.Option("--in-python", help="Take the front end in Python.")
    ] = False,
) -> None:
    """Write the plugin and a conflist that asks for networks by their labels."""
    if (labels is None) == (conflist is None):
        raise InvalidConfiguration(
            "--labels and --conflist exclude each other."
            if labels is not None
            else "Neither --labels nor --conflist is given.",
            next="Give --labels 'env=prod', or a conflist of your own.",
        )
    if conflist is not None:
        content = installing.read_conflist(conflist)
        _install(conf_directory / conflist.name, content, bin_directory, in_python=in_python)
        return
    assert labels is not None, "it is one of both"
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
    names = {"cluster": cluster, "portName": port_name, "slots": slots, "keep": keep}
    made = installing.conflist(
        name, cni_version, labels, socket=agent_socket, wait_for=wait_for, names=names
    )
    _require_taken(made)
    _install(conf_directory / f"10-{name}.conflist", made, bin_directory, in_python=in_python)


def _require_taken(conflist: Mapping[str, Any]) -> None:
    """The agent would refuse each ADD by it. Raises InvalidConfiguration."""
    from netwright.agent.cni import asked  # noqa: PLC0415 - as it is heavy

    given = {key: conflist[key] for key in ("cniVersion", "name") if key in conflist}
    for plugin in installing.ours(conflist):
        request = Request(
            command=Verb.ADD,
            container_id="c",
            netns="/",
            ifname="eth0",
            deadline_ms=1,
            config=msgspec.Raw(msgspec.json.encode({**given, **plugin})),
        )
        try:
            asked.parse(request)
        except CniError as error:
            raise InvalidConfiguration(
                f"Agents would refuse that network configuration: {error.message}.",
                next=f"{error.next[:1].upper()}{error.next[1:]}.",
            ) from None


def _install(
    conf: Path, content: Mapping[str, Any], bin_directory: Path, *, in_python: bool
) -> None:
    source = installing.program(in_python=in_python)
    target = installing.install(source, bin_directory, conf, content)
    kind = "the compiled front end" if source == installing.PROGRAM else "the front end in Python"
    asks = ", ".join(filter(None, (one.get("labels") for one in installing.ours(content))))
    say(f"{target} is {kind}; {conf} asks for networks with {asks}.")
