"""The `netwright` command.

One module a command group, named in `COMMANDS`; only the one that is asked for is imported, so that
`netwright --help` and short commands start fast. Such a module has `register(root)`, which adds its
command or group to the Typer application.
"""

import sys
from importlib import import_module, metadata
from typing import Annotated, NamedTuple

import typer

from netwright.model.errors import EXIT_CODE, NetwrightError, Unauthenticated


class Command(NamedTuple):
    """Where a command lives and its line in `netwright --help`."""

    module: str
    help: str


COMMANDS = {
    "agent": Command("netwright.cli.agent", "Run the agent of this host."),
    "cni": Command("netwright.cli.cni", "The CNI plugin of this host's containers: install."),
    "db": Command("netwright.cli.db", "The database: upgrade, check, backup, restore."),
    "demo": Command("netwright.cli.demo", "Build a lab and show the main job, step by step."),
    "lab": Command("netwright.cli.lab", "Labs: up, down, status, exec, fail, heal, spawn, kill."),
    "fabric": Command("netwright.cli.fabric", "The fabric: run, plan, apply, diff, status, …"),
    "host": Command("netwright.cli.host", "Hosts: list, show, credential, fence, unfence, delete."),
    "link": Command("netwright.cli.switch", "Links of hosts: list."),
    "port": Command("netwright.cli.port", "Ports: list, show, history, explain."),
    "server": Command("netwright.cli.server", "Run the network service."),
    "switch": Command("netwright.cli.switch", "Switches: list, show, serve."),
    "top": Command("netwright.cli.top", "Ports by state and place, live."),
    "topology": Command("netwright.cli.topology", "The fabric's inventory: apply, show."),
    "trace": Command("netwright.cli.trace", "The devices between two ports."),
}

# The server's own speaks of headers.
_ADVICE_TO_STRANGERS = (
    "Name the file that holds the server's token by --token-file, or set NETWRIGHT_TOKEN; the "
    "server keeps its own in admin.token of its state directory."
)


def main() -> None:
    """Entry point of the `netwright` program; exit codes as `model.errors.EXIT_CODE` says."""
    arguments = sys.argv[1:]
    try:
        application(arguments)(arguments)
    except NetwrightError as error:
        sys.stderr.write(f"netwright: {error.message}\n")
        advice = _ADVICE_TO_STRANGERS if isinstance(error, Unauthenticated) else error.next
        if advice:
            sys.stderr.write(f"  {advice}\n")
        raise SystemExit(EXIT_CODE[error.category]) from None


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - as Typer calls it
    if wanted:
        sys.stdout.write(f"netwright {metadata.version('netwright')}\n")
        raise typer.Exit


def application(arguments: list[str]) -> typer.Typer:
    """The application with the command that `arguments` name; the others are lines of help."""
    root = typer.Typer(
        name="netwright",
        help="One network service for a data center and its clouds.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    root.callback()(_root)
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    for name, command in COMMANDS.items():
        if name == wanted:
            import_module(command.module).register(root)
        else:
            root.command(name, help=command.help)(_elsewhere)
    return root


def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Say it, end.")
    ] = False,
) -> None:
    """Options of all commands."""


def _elsewhere() -> None:
    raise AssertionError("a command that was not asked for cannot run")
