"""`netwright port`: ports, how they came to be what they are, and what they wait for."""

import ipaddress
import uuid
from typing import Annotated, Any

import typer

from netwright.cli.connection import asking
from netwright.cli.output import Output, OutputOption, moment, say, show_many, show_one, show_text
from netwright.client.api import Client
from netwright.client.networking import Collection, Networking, Resource
from netwright.model.errors import Conflict, NotFound
from netwright.model.resources import Transition
from netwright.model.routing import FLOATING_IP

PortArgument = Annotated[str, typer.Argument(metavar="PORT", help="Its id, name or address.")]

COLUMNS = ("Port", "Name", "Status", "Host", "MAC", "Addresses")
HISTORY_COLUMNS = ("At", "Event", "State", "Host", "Generation", "By", "Cause")


def register(root: typer.Typer) -> None:
    group = typer.Typer(help="Ports: list, show, history, explain.", no_args_is_help=True)
    group.command("list")(list_ports)
    group.command("show")(show_port)
    group.command("history")(history)
    group.command("explain")(explain)
    root.add_typer(group, name="port")


@asking
async def list_ports(
    client: Client,
    *,
    network: Annotated[
        str | None, typer.Option(metavar="NETWORK", help="Of this network (id or name).")
    ] = None,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Bound to this host.")] = None,
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help="ACTIVE, BUILD, DOWN or ERROR.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List ports."""
    networking = Networking(client)
    filters = {}
    if network is not None:
        filters["network_id"] = (await networking.find(Collection.NETWORKS, network))["id"]
    if host is not None:
        filters["binding:host_id"] = host
    if status is not None:
        filters["status"] = status.upper()
    ports = await networking.list(Collection.PORTS, filters)
    show_many(output, ports, COLUMNS, [_row(port) for port in ports])


@asking
async def show_port(
    client: Client,
    port: PortArgument,
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show a port with all its attributes, and what Nova was told, or is to be told, of it."""
    found = await _find(client, port)
    nova = (await client.port_explain(str(found["id"]))).get("nova")
    shown = {**found, "nova": nova} if nova else found
    show_one(output, shown, dict(sorted(shown.items())))


@asking
async def history(
    client: Client,
    port: PortArgument,
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show all that happened to a port: when, by whom, why; also of a deleted one, by its id."""
    transitions = await client.port_history(await _id(client, port))
    rows = [_transition(transition) for transition in transitions]
    show_many(output, transitions, HISTORY_COLUMNS, rows)
    if transitions and (dropped := transitions[0].number - 1):
        typer.echo(f"{dropped} earlier entries were dropped: the server keeps the newest", err=True)


@asking
async def explain(
    client: Client,
    port: PortArgument,
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say what state a port is in, what it waits for, since when, and what to do."""
    explanation = await client.port_explain(await _id(client, port))
    show_text(output, explanation, str(explanation.get("text", "")))


async def _id(client: Client, port: str) -> str:
    try:
        return str(uuid.UUID(port))  # a deleted port is known by its id only
    except ValueError:
        pass
    try:
        return str((await _find(client, port))["id"])
    except NotFound as error:
        raise NotFound(str(error), next=f"{error.next} A deleted one is known by its id.") from None


async def _find(client: Client, port: str) -> Resource:
    """By its id or name; what is an address is one of its own. Raises NotFound, Conflict.

    A floating IP is the port's that it leads to.
    """
    networking = Networking(client)
    try:
        address = str(ipaddress.ip_address(port))
    except ValueError:
        return await networking.find(Collection.PORTS, port)
    found = await networking.list(Collection.PORTS, {"fixed_ips": f"ip_address={address}"})
    if all(one.get("device_owner") == FLOATING_IP for one in found):  # who may not see it has none
        behind = await _behind_floating(networking, address)
        found = [behind] if behind is not None else found
    if len(found) > 1:
        holders = (f"{one['id']} in network {one['network_id']}" for one in found)
        raise Conflict(
            f"{len(found)} ports have the address {address}: networks apart may use the same.",
            next=f"Give an id: {', '.join(holders)}.",
        )
    found = found or await networking.list(Collection.PORTS, {"name": port})
    if not found:
        raise NotFound(
            f"No port that you may see has the address {address}.",
            next="netwright port list shows what there is.",
        )
    return found[0]


async def _behind_floating(networking: Networking, address: str) -> Resource | None:
    floating = await networking.list(Collection.FLOATING_IPS, {"floating_ip_address": address})
    port_id = floating[0]["port_id"] if floating else None
    if not port_id:
        return None
    say(f"{address} is a floating IP of {floating[0]['fixed_ip_address']}, port {port_id}")
    return await networking.show(Collection.PORTS, port_id)


def _row(port: Resource) -> dict[str, Any]:
    return {
        "Port": port["id"],
        "Name": port.get("name"),
        "Status": port.get("status"),
        "Host": port.get("binding:host_id"),
        "MAC": port.get("mac_address"),
        "Addresses": [fixed["ip_address"] for fixed in port.get("fixed_ips", ())],
    }


def _transition(one: Transition) -> dict[str, Any]:
    is_change = one.from_state is not None and one.from_state is not one.to_state
    return {
        "At": moment(one.at),
        "Event": one.event,
        "State": f"{one.from_state} -> {one.to_state}" if is_change else one.to_state,
        "Host": one.host,
        "Generation": one.generation,
        "By": one.actor,
        "Cause": one.cause,
    }
