"""`netwright switch` and `netwright link`: how the fabric stands, beside its inventory."""

from typing import Annotated, Any

import typer

from netwright.cli.connection import asking
from netwright.cli.output import Output, OutputOption, moment, show_many, show_one
from netwright.cli.switch_serve import serve
from netwright.client.api import Client

COLUMNS = ("Switch", "Kind", "Status", "Since", "Driver", "VNIs", "MACs", "Conditions")
LINKS = ("Host", "Interface", "Inventory", "Heard", "Link", "Contradiction")


def register(root: typer.Typer) -> None:
    """Both: who asks for one finds the other in its help."""
    switches = typer.Typer(help="Switches: list, show, serve.", no_args_is_help=True)
    switches.command("list")(list_switches)
    switches.command("show")(show_switch)
    switches.command("serve")(serve)
    root.add_typer(switches, name="switch")
    links = typer.Typer(help="Links of hosts: list.", no_args_is_help=True)
    links.command("list")(list_links)
    root.add_typer(links, name="link")


@asking
async def list_switches(client: Client, *, output: OutputOption = Output.TABLE) -> None:
    """List the switches of the inventory, and how each stands to its plan."""
    switches = await client.switches()
    show_many(output, switches, COLUMNS, [_row(one) for one in switches])


@asking
async def show_switch(
    client: Client,
    name: Annotated[str, typer.Argument(metavar="SWITCH")],
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show a switch: its place, how it stands to its plan, what it holds of what it can hold."""
    switch = await client.switch(name)
    capacity = switch.get("capacity") or {}
    row = _row(switch) | {
        "Cause": switch["cause"],
        "Drift": switch["drift"],
        "Address": switch["address"],
        "AS": switch["asn"],
        "Loopback": switch["loopback"],
        "VRFs": _use(capacity.get("vrfs")),
        "ARP entries": _use(capacity.get("arp_entries")),
    }
    show_one(output, switch, row)


@asking
async def list_links(
    client: Client,
    *,
    host: Annotated[
        str | None, typer.Option("--host", metavar="HOST", help="Those of this host.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the links of hosts: what the inventory, LLDP and the leaves say of each."""
    links = await client.links(host)
    show_many(output, links, LINKS, [_link(one) for one in links])


def _row(switch: dict[str, Any]) -> dict[str, Any]:
    capacity = switch.get("capacity") or {}
    return {
        "Switch": switch["name"],
        "Kind": switch["kind"],
        "Status": switch["status"] or "not reported",
        "Since": moment(switch["since"]) if switch["since"] is not None else "",
        "Driver": switch["driver"],
        "VNIs": _use(capacity.get("vnis")),
        "MACs": _use(capacity.get("macs")),
        "Conditions": [f"{name}: {why}" for name, why in switch["conditions"].items()],
    }


def _use(use: dict[str, Any] | None) -> str:
    if use is None:
        return ""
    return str(use["used"]) if use["capacity"] is None else f"{use['used']} of {use['capacity']}"


def _link(link: dict[str, Any]) -> dict[str, Any]:
    state = {True: "up", False: "down", None: "not reported"}[link["is_up"]]
    return {
        "Host": link["host"],
        "Interface": link["interface"],
        "Inventory": link["declared"] or "",
        "Heard": link["heard"] or "",
        "Link": state,
        "Contradiction": link["contradiction"],
    }
