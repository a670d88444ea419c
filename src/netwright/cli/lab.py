"""`netwright lab`: a data center in network namespaces, with Netwright in it."""

import time
from typing import Annotated, Any

import typer
from msgspec import structs

from netwright.cli.output import Output, OutputOption, say, show_one, show_tables

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The lab's name.")]
WhatArgument = Annotated[
    str,
    typer.Argument(metavar="WHAT", help="link:A-B, nic:HOST/IF, process:NODE/NAME, node:SWITCH."),
]


def register(root: typer.Typer) -> None:
    group = typer.Typer(
        help="Labs: up, down, status, exec, fail, heal, spawn, kill.", no_args_is_help=True
    )
    group.command("up")(up)
    group.command("down")(down)
    group.command("status")(status)
    group.command("exec", context_settings={"ignore_unknown_options": True})(execute)
    group.command("fail")(fail)
    group.command("heal")(heal)
    group.command("spawn")(spawn)
    group.command("kill")(kill)
    root.add_typer(group, name="lab")


def up(
    preset: Annotated[
        str,
        typer.Argument(help="What to build: vlan, the classic tree; evpn, a fabric; containers."),
    ],
    *,
    name: Annotated[str | None, typer.Option(help="Default: the preset's name.")] = None,
    hosts: Annotated[int | None, typer.Option(min=1, help="How many OVS hosts.")] = None,
) -> None:
    """Build a lab, start server and agents in it, make its networks. It stays up."""
    from netwright.lab import down, spec, start, state, up  # noqa: PLC0415 - only labs need it
    from netwright.lab.errors import SpecError  # noqa: PLC0415

    name = name or preset
    state.check_name(name)
    if name in state.names():
        raise SpecError(
            f"lab {name}: there is one already, or what is left of one",
            next=f"take it down first: netwright lab down {name}; or choose another --name",
        )
    began, seen = time.monotonic(), set[str]()

    def progress(step: up.Step) -> None:
        if step.name not in seen:
            seen.add(step.name)
            say(f"lab {name}: building {step.name}")

    try:
        lab = up.bring_up(spec.preset(preset, hosts=hosts), name, progress=progress)
        orchestrator = start.start(lab, lambda what: say(f"lab {name}: {what}"))
        start.await_converged(orchestrator)
        took_s = time.monotonic() - began
        networks = ", ".join(str(each["name"]) for each in orchestrator.create_networks())
    except BaseException:  # Ctrl-C too: a lab is up whole or not at all
        say(f"lab {name}: did not come up; what was made is taken down")
        down.take_down(name)
        raise
    selector = next(iter(lab.spec.selectors()), None)
    container = (
        f"  netwright lab spawn {name} host1 --container --network-labels {selector}\n"
        if selector is not None
        else ""
    )
    say(
        f"lab {name} is up and has converged, {took_s:.1f} s; its networks are {networks}. Try:\n"
        f"  netwright lab spawn {name} host1 --network {networks.partition(',')[0]}\n"
        f"{container}"
        f"  netwright lab exec {name} mgmt -- openstack port list\n"
        f"  netwright lab exec {name} mgmt -- netwright host list\n"
        f"  netwright lab down {name}"
    )


def down(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="May be left out when there is one lab.")
    ] = None,
) -> None:
    """Take a lab down: nothing of it is left."""
    from netwright.lab import down, netns, state  # noqa: PLC0415
    from netwright.lab.errors import UnknownLabObjectError  # noqa: PLC0415

    there = state.names()
    if name is None and len(there) == 1:
        (name,) = there
    if name is None or not (name in there or netns.existing(state.namespace_prefix(name))):
        wanted = "which lab is meant" if name is None else f"there is no lab {name!r}"
        raise UnknownLabObjectError(f"lab: {wanted}; there are: {', '.join(there) or 'none'}")
    down.take_down(name)
    say(f"lab {name} is down")


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of this lab; without it, of all.")
    ] = None,
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the labs that are up: nodes and processes, instances, the faults in force."""
    from netwright.lab import state  # noqa: PLC0415
    from netwright.lab.status import status  # noqa: PLC0415

    labs = [status(each) for each in ([name] if name is not None else state.names())]
    nodes = [
        {"Lab": lab.name, "Node": node.name, "Kind": node.kind, "Processes": node.processes}
        for lab in labs
        for node in lab.nodes
    ]
    instances = [
        {
            "Lab": lab.name,
            "Instance": one.instance.device_id,
            "Kind": lab.kind_of(one),
            "Node": one.node,
            "Addresses": one.instance.addresses,
            "MAC": one.instance.mac,
            "Id": one.instance.id,
        }
        for lab in labs
        for one in lab.instances
    ]
    faults = [
        {
            "Lab": lab.name,
            "Fault": fault.what,
            "Silent": fault.silent,
            "Mend it by": f"netwright lab heal {lab.name} {fault.what}",
        }
        for lab in labs
        for fault in lab.faults
    ]
    show_tables(
        output,
        labs,
        (("Lab", "Node", "Kind", "Processes"), nodes),
        (("Lab", "Instance", "Kind", "Node", "Addresses", "MAC", "Id"), instances),
        (("Lab", "Fault", "Silent", "Mend it by"), faults),
    )


def execute(
    name: NameArgument,
    node: Annotated[str, typer.Argument(metavar="NODE", help="A node, or an instance's id.")],
    command: Annotated[list[str], typer.Argument(metavar="-- CMD…")],
) -> None:
    """Run a program inside a node; `openstack` and `netwright` there know the lab's server."""
    from netwright.lab import places, start, state  # noqa: PLC0415

    lab = state.load(name)
    places.execute(lab, node, command, start.client_environment(lab))


def fail(
    name: NameArgument,
    what: WhatArgument,
    *,
    silent: Annotated[
        bool, typer.Option("--silent", help="Frames vanish, or the process halts, unannounced.")
    ] = False,
) -> None:
    """Break a link, a NIC or a process."""
    from netwright.lab import faults, state  # noqa: PLC0415

    faults.fail(state.load(name), what, silent=silent)
    say(f"lab {name}: {what} has failed{' silently' if silent else ''}")


def heal(name: NameArgument, what: WhatArgument) -> None:
    """Mend what `fail` broke."""
    from netwright.lab import faults, state  # noqa: PLC0415

    faults.heal(state.load(name), what)
    say(f"lab {name}: {what} is well")


def spawn(
    name: NameArgument,
    host: Annotated[str, typer.Argument(metavar="HOST", help="A host, or a bare-metal node.")],
    *,
    network: Annotated[
        str | None, typer.Option(metavar="NET", help="A machine's network, by name.")
    ] = None,
    instance: Annotated[str | None, typer.Option("--name", help="What no other is called.")] = None,
    container: Annotated[
        bool, typer.Option("--container", help="Run a container: its runtime calls the CNI plugin.")
    ] = False,
    network_labels: Annotated[
        str | None, typer.Option(metavar="SELECTOR", help="A container's network: 'env=prod'.")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A container's own.")
    ] = None,
    port_name: Annotated[
        str | None,
        typer.Option(metavar="TEMPLATE", help="Its port's name: '{namespace}/{labels.app}'."),
    ] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long that is kept after its end: 10m.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make an instance on a host, with a port in a network, and wait until it is ACTIVE."""
    from netwright.lab import start, state  # noqa: PLC0415 - as in up
    from netwright.lab.containers import Pod  # noqa: PLC0415 - as in up
    from netwright.lab.errors import SpecError  # noqa: PLC0415 - as in up
    from netwright.lab.orchestrator import Wanted  # noqa: PLC0415 - as in up
    from netwright.lab.places import free_name, require_free  # noqa: PLC0415 - as in up

    if container and (network_labels is None or network is not None):
        raise SpecError(
            f"lab {name}: a container asks for its network by labels, not by its name",
            next="say --network-labels 'env=prod,tier=web', and leave --network out",
        )
    if not container and (network is None or network_labels or labels or port_name or keep):
        raise SpecError(
            f"lab {name}: a machine is put into a network by its name",
            next="say --network NET; labels, a port's name and --keep are for --container",
        )
    own = _pairs(name, labels)
    lab, follows = state.load(name), container and port_name is not None
    if instance is not None:
        require_free(lab, instance, host, follows=follows)
    else:
        instance = free_name(lab, f"pod-{host}" if container else f"{network}-{host}")
    orchestrator = start.of(lab)
    if network_labels is not None:
        given = {"portName": port_name, "keep": keep, "cluster": port_name and name}
        config = {key: value for key, value in given.items() if value is not None}
        config["waitFor"] = "active"
        pod = Pod(instance, host, network_labels, own, config)
        (made,) = orchestrator.run([pod])
    else:
        assert network is not None, "asked for above"
        (made,) = orchestrator.spawn([Wanted(instance, host, network)])
        if refusal := orchestrator.refusal(made):
            say(f"it cannot be wired now: {refusal}")
        orchestrator.await_status([made])
    addresses = [fixed["ip_address"] for fixed in made.port["fixed_ips"]]
    row: dict[str, Any] = {
        "Instance": made.instance.id,
        "Name": made.name,
        "Host": host,
        "Network": made.network,
        "Addresses": addresses,
        "MAC": made.instance.mac,
    }
    show_one(output, structs.asdict(made), row)
    target = made.instance.gateways[0] if made.instance.gateways else "ADDRESS"
    say(f"go in: netwright lab exec {name} {made.name} -- ping -c3 {target}")


def _pairs(name: str, labels: list[str] | None) -> dict[str, str]:
    from netwright.lab.errors import SpecError  # noqa: PLC0415 - as in up

    for label in labels or ():
        key, equals, _ = label.partition("=")
        if not (key and equals):
            raise SpecError(
                f"lab {name}: a container's label is KEY=VALUE, and {label!r} is none",
                next="say it like --label app=web",
            )
    return dict(label.partition("=")[::2] for label in labels or ())


def kill(
    name: NameArgument,
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="Its id or its beginning.")],
) -> None:
    """End an instance and delete its port; a container's, as its runtime does."""
    from netwright.lab import start, state  # noqa: PLC0415
    from netwright.lab.places import find_instance  # noqa: PLC0415

    lab = state.load(name)
    found = find_instance(lab, instance)
    start.of(lab).end([found.instance.id])
    say(f"lab {name}: instance {found.instance.device_id} ({found.instance.id}) is gone")
