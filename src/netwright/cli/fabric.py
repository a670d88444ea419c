"""`netwright fabric`: the controller's process, and what operators ask of the fabric."""

from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.cli import fabric_run
from netwright.cli.connection import ConfigOption, asking
from netwright.cli.output import (
    Output,
    OutputOption,
    moment,
    say,
    show_many,
    show_tables,
    show_text,
)
from netwright.client.api import Client, OperationStatus
from netwright.model.errors import (
    CallerError,
    Conflict,
    DeviceError,
    Fault,
    NetwrightError,
    Unavailable,
)
from netwright.model.operations import Action, OperationState

WAIT_S = 30
WAITS_MAX = 24
"""Together longer than the server lets an operation take."""

SwitchesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[SWITCH]...", help="All switches without any.")
]
SwitchArgument = Annotated[str, typer.Argument(metavar="SWITCH")]
CAPACITIES = {"MACs": "macs", "VNIs": "vnis", "VRFs": "vrfs", "ARP entries": "arp_entries"}
STEP_COLUMNS = ("At", "Event", "Detail")


def register(root: typer.Typer) -> None:
    group = typer.Typer(
        help="The fabric: run, plan, apply, diff, status, capacity, drain, undrain, history.",
        no_args_is_help=True,
    )
    group.command("run")(fabric_run.run)
    group.command("plan")(plan)
    group.command("apply")(apply)
    group.command("diff")(diff)
    group.command("status")(status)
    group.command("capacity")(capacity)
    group.command("drain")(drain)
    group.command("undrain")(undrain)
    group.command("history")(history)
    root.add_typer(group, name="fabric")


@asking
async def plan(
    client: Client,
    switches: SwitchesArgument = None,
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what apply would do now, in its order, and what cannot be planned. Changes nothing."""
    await _plan(client, switches, output)


@asking
async def apply(
    client: Client,
    switches: SwitchesArgument = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be done, as plan does.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Bring switches to their plan now, also where drift is only alarmed."""
    if dry_run:
        await _plan(client, switches, output)
        return
    done = await _asked(client, Action.APPLY, {"switches": switches or []})
    result = done.result or {"switches": {}}
    show_text(output, result, _lines(result, "words", "was as planned."))
    _raise_failure(done)
    say(f"{len(result['switches'])} switches are as planned.")


@asking
async def diff(
    client: Client,
    switches: SwitchesArgument = None,
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show how switches differ from their plan now, each element once."""
    done = await _asked(client, Action.PLAN, {"switches": switches or []})
    _raise_failure(done)
    shown = {
        name: {key: one[key] for key in ("reachable", "cause", "diff")}
        for name, one in done.result["switches"].items()
    }
    show_text(output, {"switches": shown}, _lines(done.result, "diff", "is as planned."))


@asking
async def status(client: Client, *, output: OutputOption = Output.TABLE) -> None:
    """Show how switches stand to their plan, and the attachments that are not up."""
    from netwright.cli import fabric_views as views  # noqa: PLC0415 - only here

    found = views.status(await client.snapshot(views.KINDS))
    tables = (views.SWITCH_COLUMNS, found.switches), (views.ATTACHMENT_COLUMNS, found.waiting)
    show_tables(output, found.document, *tables)
    say(found.summary)


@asking
async def capacity(client: Client, *, output: OutputOption = Output.TABLE) -> None:
    """Show how much leaves have of what they can hold."""
    held = await client.fabric_capacity()
    rows = [
        {"Switch": one["switch"], "Kind": one["kind"]}
        | {title: _use(one[key]) for title, key in CAPACITIES.items()}
        for one in held
    ]
    show_many(output, held, ("Switch", "Kind", *CAPACITIES), rows)


@asking
async def drain(
    client: Client,
    switch: SwitchArgument,
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Take a switch out of service: its host ports go down, and traffic moves to the others."""
    await _drain(client, Action.DRAIN, switch, output)


@asking
async def undrain(
    client: Client,
    switch: SwitchArgument,
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give a drained switch its traffic back."""
    await _drain(client, Action.UNDRAIN, switch, output)


def history(
    subject: Annotated[str, typer.Argument(metavar="NETWORK@HOST", help="Or a switch's name.")],
    *,
    state_directory: Annotated[
        Path | None,
        typer.Option(metavar="DIRECTORY", help="The controller's; default: as configured here."),
    ] = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what was done about an attachment or a switch: told, saved, planned, applied, verified.

    It is read from the controller's own store, on its machine.
    """
    from netwright.cli.settings import load  # noqa: PLC0415
    from netwright.fabric.settings import ControllerSettings  # noqa: PLC0415
    from netwright.fabric.store import read_history  # noqa: PLC0415

    flags = {"state_directory": None if state_directory is None else str(state_directory)}
    settings = load(ControllerSettings, "fabric", flags=flags, file=config)
    steps = read_history(Path(settings.state_directory), subject)
    rows = [
        {"At": f"{moment(step.at)[:-1]}.{int(step.at % 1 * 1000):03d}Z", "Event": step.event,
         "Detail": step.detail}
        for step in steps
    ]  # fmt: skip
    show_many(output, steps, STEP_COLUMNS, rows)


async def _drain(client: Client, action: Action, switch: str, output: Output) -> None:
    done = await _asked(client, action, {"switch": switch})
    _raise_failure(done)
    if done.result["cut_off"]:
        say(f"No other leaf serves {', '.join(done.result['cut_off'])}: cut off.")
    verb = "is drained" if done.result["drained"] else "is in service"
    show_text(output, done.result, f"Switch {switch} {verb}.")


async def _plan(client: Client, switches: list[str] | None, output: Output) -> None:
    done = await _asked(client, Action.PLAN, {"switches": switches or []})
    _raise_failure(done)
    show_text(output, done.result, _lines(done.result, "words", "is as planned."))
    for refusal in done.result["refusals"]:
        say(f"Not planned: {refusal}")


async def _asked(client: Client, action: Action, arguments: dict[str, Any]) -> OperationStatus:
    """What became of it, when it has ended. Raises Unavailable."""
    operation = await client.ask_fabric(action, arguments)
    for _ in range(WAITS_MAX):
        if operation.state in {OperationState.DONE, OperationState.FAILED}:
            return operation
        operation = await client.operation(operation.id, wait_s=WAIT_S - 5)
    raise Unavailable(
        f"Fabric {action} (operation {operation.id}) does not end.",
        next="netwright fabric status says how the switches stand.",
    )


def _raise_failure(operation: OperationStatus) -> None:
    error = operation.error
    if error is None:
        return
    kinds: dict[str, type[NetwrightError]] = {
        Fault.DEVICE: DeviceError,
        Fault.CALLER: Conflict if error.type != "InvalidInput" else CallerError,
        Fault.SERVER: Unavailable,
    }
    raise kinds.get(error.fault, NetwrightError)(error.message, next=error.next)


def _use(use: dict[str, Any]) -> str:
    return f"{use['used']} of {use['capacity'] if use['capacity'] is not None else 'unknown'}"


def _lines(result: dict[str, Any], key: str, otherwise: str) -> str:
    lines = []
    for name, one in sorted(result["switches"].items()):
        if not one["reachable"]:
            lines.append(f"{name}: {one['cause']}")
        elif one[key]:
            lines += [f"{name}:", *(f"  {line}" for line in one[key])]
        else:
            lines.append(f"{name} {otherwise}")
    return "\n".join(lines) or "There are no switches."
