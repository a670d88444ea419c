"""`netwright host`: what is known of hosts, and the word that one is dead."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from netwright.cli.connection import asking
from netwright.cli.output import Output, OutputOption, moment, say, show_many, show_one
from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.model.errors import HostInUse
from netwright.model.resources import Host, HostState, Nic, PortFence

NameArgument = Annotated[str, typer.Argument(metavar="HOST")]

COLUMNS = ("Host", "State", "Since", "Driver", "Management IP", "NICs", "Conditions")


def register(root: typer.Typer) -> None:
    group = typer.Typer(
        help="Hosts: list, show, credential, fence, unfence, delete.", no_args_is_help=True
    )
    group.command("list")(list_hosts)
    group.command("show")(show_host)
    group.command("fence")(fence)
    group.command("unfence")(unfence)
    group.command("credential")(credential)
    group.command("delete")(delete)
    root.add_typer(group, name="host")


@asking
async def list_hosts(client: Client, *, output: OutputOption = Output.TABLE) -> None:
    """List the hosts that have registered."""
    hosts = sorted(await client.hosts(), key=lambda host: host.name)
    show_many(output, hosts, COLUMNS, [_row(host) for host in hosts])


@asking
async def show_host(
    client: Client,
    name: NameArgument,
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show a host: its agent, its NICs, its conditions."""
    host = await client.host(name)
    _show(output, host)
    if host.state is HostState.UNKNOWN and (said := witnesses(await client.links(name))):
        say(said)


@asking
async def fence(
    client: Client,
    name: NameArgument,
    *,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Kept in the history of the host's ports.")
    ] = "an operator says that it is dead",
    force: Annotated[
        bool, typer.Option("--force", help="Also when its agent is heard: its ports go down.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Answer for a host being dead, so that its addresses may come up elsewhere.

    Make sure first: powered off, or cut from the network. Nothing else proves it.
    """
    if not force:
        await _refuse_to_fence_a_live(client, name)
    _show(output, await client.fence(name, reason))
    say(f"Host {name} is fenced. netwright host unfence {name} when it is clean again.")


async def _refuse_to_fence_a_live(client: Client, name: str) -> None:
    host = await client.host(name)
    if host.state is HostState.UP:
        here = {"binding:host_id": name}
        ports = await Networking(client).list(Collection.PORTS, here)
        raise HostInUse(
            f"Host {name} is not dead: its agent was heard at {moment(host.heard_at)}. A fence "
            f"would take its {len(ports)} ports down.",
            next=f"to move a port, bind it elsewhere; netwright host fence --force {name} if "
            "you must",
        )


@asking
async def unfence(
    client: Client,
    name: NameArgument,
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Let a fenced host serve again."""
    _show(output, await client.unfence(name))


@asking
async def credential(client: Client, name: NameArgument) -> None:
    """Print the token of a host's agent, for its --token-file. It speaks for this host only."""
    sys.stdout.write(await client.host_credential(name) + "\n")


@asking
async def delete(client: Client, name: NameArgument) -> None:
    """Forget a host that is gone for good, and revoke its agent's credential.

    Refused while its agent is heard, or while bindings of ports stand there.
    """
    await client.delete_host(name)
    say(f"Host {name} is deleted; its agent's credential is worth nothing any more.")


def witnesses(links: Sequence[Mapping[str, Any]]) -> str:
    """What the leaves' word of its links means beside a silent agent (law 5); "" if they say none.

    Neither proves that the host is dead: somebody says so, with `host fence`.
    """
    known = [link["is_up"] for link in links if link["is_up"] is not None]
    if not known:
        return ""
    if not any(known):
        return (
            "Its agent is silent, and its leaves see no link of it: it is likely dead. Make sure, "
            "then netwright host fence it, so that its addresses may come up elsewhere."
        )
    return (
        f"Its agent is silent, but its leaves see {sum(known)} of {len(known)} links up: the host "
        "is likely alive, and only its agent or the way to it is not. Look at the agent there."
    )


def _show(output: Output, host: Host) -> None:
    row = _row(host) | {
        "Physical networks": host.physical_networks,
        "Epoch": host.epoch,
        "Heard": moment(host.heard_at),
        "Conditions": [_condition(host, name, why) for name, why in host.conditions.items()],
    }
    if host.port_fences:
        row["Ports that its leaves drop"] = [_fence(one) for one in host.port_fences]
    show_one(output, host, row)


def _row(host: Host) -> dict[str, Any]:
    nics = [f"{nic.name} {_nic_state(nic)}" for nic in host.nics]
    return {
        "Host": host.name,
        "State": host.state,
        "Since": moment(host.state_since),
        "Driver": host.driver,
        "Management IP": host.management_ip,
        "NICs": nics,
        "Conditions": [f"{name}: {why}" for name, why in host.conditions.items()],
    }


def _condition(host: Host, name: str, why: str) -> str:
    since = host.conditions_since.get(name)
    return f"{name}: {why}" + (f" (since {moment(since)})" if since is not None else "")


def _fence(fence: PortFence) -> str:
    why = f": {fence.cause}" if fence.cause else ""
    return f"{fence.port_id} {fence.state} (since {moment(fence.since)}){why}"


def _nic_state(nic: Nic) -> str:
    """In a word. Without a path: it has a carrier, and nobody answers behind it."""
    if not nic.link_up:
        return "down"
    if not nic.forwarding:
        return "up without a path"
    return "active" if nic.active else "standby"
