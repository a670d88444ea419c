"""From a port's binding until the fabric carries its network to that host, verified.

Both ends are the server's own records, so that all is in it: the binding's commit, the event, the
controller's store, plan, apply, read back, BGP between the leaves, the report and its commit. On
real FRR, two spines and four leaves; hosts hang on two leaves each.

Its floor is what the leaves themselves take, done bare in the same run by a program that knows all
beforehand (`fabric_bare`), the controller halted. Both kinds take turns, so that they meet the
same machine. Losses are counted between two instances on different pairs of leaves, by pings 10 ms
apart.
"""

import asyncio
import signal
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from bench.fabric_bare import Bare, Leaves
from bench.result import Result, at_most
from bench.rig import running_lab
from netwright.client.api import Client
from netwright.client.mirror import Mirror
from netwright.client.networking import Collection, Networking, Resource
from netwright.fabric.store import Step, read_history
from netwright.lab import convergence, faults, instances, probe, processes
from netwright.lab.nodes.frr_config import BFD_INTERVAL_MS, BFD_MULTIPLIER
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually
from netwright.lab.places import Instance
from netwright.lab.services import FABRIC_CONTROLLER
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab
from netwright.model.fabric import SwitchStatus
from netwright.model.resources import Attachment
from netwright.model.states import AttachmentState, PortState
from netwright.model.wire import Kind

TURNS = 4
EACH_TURN = 4
VRFS = 5
WAIT_S = 20.0
PAUSE_S = 0.3
"""Between two bindings: what the one before left to do is done."""

NETWORKS_AT_ONCE = 10
PORTS_AT_ONCE = 100
HOSTS = ("host1", "host2", "host3", "host4")
PAIR = ("leaf1", "leaf2")
PING_S = 0.01
PINGS = 500
PINGS_OVER_A_LEASE = 1500
"""A controller that starts anew acts when the lease of the killed one has run out, in 7 s."""

CONTROLLER = f"process:{MANAGEMENT_NODE}/{FABRIC_CONTROLLER}"

KNOWN_S_MAX = 0.250
NEW_S_MAX = 0.500
VRF_S_MAX = 2.0
AT_ONCE_S_MAX = 5.0
LOSS_S_MAX = 0.5
STAGES = {
    "told": "told",  # the server's own latency
    "planned": "saved, planned",
    "applied": "applied, read back",
    "verified": "verified",
}


class _Took(NamedTuple):
    """One binding: seconds until its attachment was up, and of each stage on the way."""

    seconds: float
    stages: Mapping[str, float]


def run() -> list[Result]:
    with running_lab("evpn", len(HOSTS)) as orchestrator:
        _await_in_sync(orchestrator)
        bare, new, known = _singles(orchestrator)
        vrf_floor, vrf = _vrfs(orchestrator)
        return [
            *_compared(bare, new, known),
            Result("bare: zebra lists a VRF more, p50", _p50_ms(vrf_floor), "ms"),
            at_most("new VRF, p50", _p50([each.seconds for each in vrf]), VRF_S_MAX, "s"),
            *_stages(vrf),
            *_at_once(orchestrator),
            *_losses(orchestrator),
        ]


def _singles(orchestrator: Orchestrator) -> tuple[list[Bare], list[_Took], list[_Took]]:
    """Turn by turn: bare VNIs, then new ones of ours, then the same on another host of the pair."""
    pair = Leaves(orchestrator.lab, PAIR)
    bare: list[Bare] = []
    new: list[_Took] = []
    known: list[_Took] = []
    for turn in range(TURNS):
        with _halted(orchestrator.lab):
            bare += [pair.vnis() for _ in range(EACH_TURN)]
        _await_in_sync(orchestrator)
        names = [f"single-{turn}-{number}" for number in range(EACH_TURN)]
        made = _networks(orchestrator, names)
        new += orchestrator.ask(partial(_bound_one_by_one, orchestrator.lab, made, "host1"))
        known += orchestrator.ask(partial(_bound_one_by_one, orchestrator.lab, made, "host2"))
    return bare, new, known


def _vrfs(orchestrator: Orchestrator) -> tuple[list[float], list[_Took]]:
    pair = Leaves(orchestrator.lab, PAIR)
    with _halted(orchestrator.lab):
        floor = [pair.vrf() for _ in range(2)]
    with _halted(orchestrator.lab):
        floor += [pair.vrf() for _ in range(2)]
    _await_in_sync(orchestrator)
    made = _networks(orchestrator, [f"vpc-{number}" for number in range(VRFS)], routed=True)
    return floor, orchestrator.ask(partial(_bound_one_by_one, orchestrator.lab, made, "host1"))


def _networks(
    orchestrator: Orchestrator, names: Sequence[str], *, routed: bool = False
) -> list[Resource]:
    """Networks of the fabric with a subnet each; `routed`: each in a VPC of its own."""

    async def work(client: Client) -> list[Resource]:
        api = Networking(client)
        made = []
        for name in names:
            network = await api.create(Collection.NETWORKS, {"name": name, **_VXLAN})
            wish = {"network_id": network["id"], "cidr": "10.77.0.0/24", "ip_version": 4}
            subnet = await api.create(Collection.SUBNETS, wish)
            if routed:
                await _route(client, name, subnet["id"])
            made.append(network)
        return made

    return orchestrator.ask(work)


async def _route(client: Client, name: str, subnet_id: str) -> None:
    body: dict[str, Any] = {"router": {"name": name}}
    router = (await client.call("POST", "/v2.0/routers", dict[str, Any], body=body))["router"]
    path = f"/v2.0/routers/{router['id']}/add_router_interface"
    await client.call("PUT", path, dict[str, Any], body={"subnet_id": subnet_id})


_VXLAN = {"provider:network_type": "vxlan"}


async def _bound_one_by_one(
    lab: Lab, networks: Sequence[Resource], host: str, client: Client
) -> list[_Took]:
    """A port bound in each network: no device, which the overlay does not wait for."""
    api, found = Networking(client), []
    async with _watched(client) as (mirror, until):
        for network in networks:
            wish = {"network_id": network["id"], "device_owner": "compute:bench"}
            port = await api.create(Collection.PORTS, wish)
            await api.update(Collection.PORTS, port["id"], {"binding:host_id": host})
            subject = f"{network['id']}@{host}"
            await until(partial(_is_up, mirror, subject))
            bound_at = (await client.port_history(port["id"]))[0].at
            found.append((subject, bound_at, mirror.attachments[subject]))
            await asyncio.sleep(PAUSE_S)
    return [_took(lab, *each) for each in found]


def _is_up(mirror: Mirror, subject: str) -> bool:
    attachment = mirror.attachments.get(subject)
    return attachment is not None and attachment.state is AttachmentState.UP


@asynccontextmanager
async def _watched(client: Client) -> AsyncIterator[Any]:
    """A mirror of the attachments that follows the watch, and what waits for it."""
    mirror, moved = Mirror(), asyncio.Event()

    async def follow() -> None:
        async with aclosing(client.watch([Kind.ATTACHMENT, Kind.PORT], None, None)) as stream:
            async for lines in stream:
                for line in lines:
                    mirror.feed(line)
                moved.set()

    async def until(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not holds():
                moved.clear()
                await moved.wait()

    task = asyncio.create_task(follow())
    try:
        await until(lambda: mirror.complete)
        yield mirror, until
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _took(lab: Lab, subject: str, bound_at: float, attachment: Attachment) -> _Took:
    directory = lab.node_directory(MANAGEMENT_NODE) / FABRIC_CONTROLLER
    steps: dict[str, Step] = {}
    for step in read_history(directory, subject):
        steps.setdefault(step.event, step)
    ats = [bound_at, *(steps[stage].at for stage in STAGES), attachment.since]
    stages = dict(
        zip((*STAGES, "reported"), (after - before for before, after in pairwise(ats)), strict=True)
    )
    return _Took(attachment.since - bound_at, stages)


def _compared(bare: list[Bare], new: list[_Took], known: list[_Took]) -> list[Result]:
    floor = _p50([one.imported for one in bare])
    in_force, access = [one.in_force for one in bare], [one.access for one in bare]
    took, took_known = _p50([one.seconds for one in new]), _p50([one.seconds for one in known])
    return [
        Result("bare: bgpd of both leaves has a VNI, p50", _p50_ms(in_force), "ms"),
        Result("  … and each has the other's route, p50", floor * 1e3, "ms"),
        Result("  … a VLAN's devices in its bridge, p50", _p50_ms(access), "ms"),
        at_most("new VNI, p50", took * 1e3, NEW_S_MAX * 1e3, "ms"),
        Result("  … / bare, each has the other's route", took / floor),
        *_stages(new),
        at_most("VNI known on the leaves, p50", took_known * 1e3, KNOWN_S_MAX * 1e3, "ms"),
        *_stages(known),
    ]


def _stages(took: Sequence[_Took]) -> list[Result]:
    stages = STAGES | {"reported": "reported"}
    return [
        Result(f"    … {called}, p50", _p50_ms([each.stages[stage] for each in took]), "ms")
        for stage, called in stages.items()
    ]


def _at_once(orchestrator: Orchestrator) -> list[Result]:
    """Devices plugged and bound as an orchestrator does it, all in a row, until all are ACTIVE."""
    lab = orchestrator.lab
    networks = _networks(orchestrator, [f"many-{number}" for number in range(NETWORKS_AT_ONCE)])
    drafts = [
        {"network_id": networks[number % NETWORKS_AT_ONCE]["id"], "device_owner": "compute:lab"}
        for number in range(PORTS_AT_ONCE)
    ]
    ports = orchestrator.ask(lambda client: Networking(client).create_all(Collection.PORTS, drafts))
    # Networks and hosts count at different speeds, so that each meets each.
    hosts = {port["id"]: HOSTS[n // NETWORKS_AT_ONCE % len(HOSTS)] for n, port in enumerate(ports)}
    made = {
        host: [_instance(port) for port in ports if hosts[port["id"]] == host] for host in HOSTS
    }
    for host, here in made.items():
        instances.create(lab, host, here)
    began = time.time()
    for host, here in made.items():
        instances.plug(lab, host, here)
    plugged = time.time()
    orchestrator.bind(hosts)
    bound = time.time()
    orchestrator.ask(lambda client: _all_active(client, hosts))
    histories = [orchestrator.history(port_id) for port_id in hosts]
    active = [next(e.at for e in one if e.to_state is PortState.ACTIVE) for one in histories]
    floor = _bare_at_once(orchestrator)
    what = f"{PORTS_AT_ONCE} ports in {NETWORKS_AT_ONCE} new networks on 4 leaves, all ACTIVE"
    orchestrator.end([*hosts])
    return [
        Result(
            f"bare: {NETWORKS_AT_ONCE} VNIs on 4 leaves, each has all others' routes", floor, "s"
        ),
        at_most(what, max(active) - began, AT_ONCE_S_MAX, "s"),
        Result("  … of which plugging, an ovs-vsctl a host", plugged - began, "s"),
        Result("  … of which binding, a request a port", bound - plugged, "s"),
        Result("  … the last one, after it was bound", max(active) - bound, "s"),
    ]


def _bare_at_once(orchestrator: Orchestrator) -> float:
    leaves = Leaves(orchestrator.lab, orchestrator.lab.nodes("leaf"))
    with _halted(orchestrator.lab):
        imported = leaves.vnis(NETWORKS_AT_ONCE).imported
    _await_in_sync(orchestrator)
    return imported


def _instance(port: Resource) -> Instance:
    addresses = tuple(f"{fixed['ip_address']}/24" for fixed in port["fixed_ips"])
    return Instance(id=port["id"], mac=port["mac_address"], addresses=addresses)


async def _all_active(client: Client, ports: Mapping[str, str]) -> None:
    async with _watched(client) as (mirror, until):
        await until(lambda: all(mirror.ports[port].state is PortState.ACTIVE for port in ports))


def _losses(orchestrator: Orchestrator) -> list[Result]:
    """Two instances on different pairs of leaves."""
    lab = orchestrator.lab
    one, other = orchestrator.spawn(
        [Wanted("loss-1", "host1", "red"), Wanted("loss-2", "host3", "red")]
    )
    orchestrator.await_status([one, other])
    if not eventually(lambda: probe.ping(lab, one.instance.id, other.address()).lost == 0, WAIT_S):
        raise RuntimeError("fabric_attach: two instances do not reach each other")
    tenures = _tenures(lab)
    restart = _lost(lab, one, other, lambda: _restart(lab), PINGS_OVER_A_LEASE)
    if _tenures(lab) == tenures:
        raise RuntimeError("fabric_attach: the controller did not act again while pings ran")
    _await_in_sync(orchestrator)
    spines = []
    for spine in lab.nodes("spine"):
        spines.append(
            _lost(lab, one, other, partial(faults.fail, lab, f"node:{spine}", silent=True))
        )
        faults.heal(lab, f"node:{spine}")
        convergence.await_converged(lab)
    if not any(spines):
        raise RuntimeError("fabric_attach: no ping was lost, so none went by a spine that died")
    return [
        at_most("controller killed and started again: pings lost", restart, 0),
        at_most("a spine silently dead: not carried", max(spines) * PING_S, LOSS_S_MAX, "s"),
        Result("  … bare: BFD's time", BFD_INTERVAL_MS * BFD_MULTIPLIER / 1000, "s"),
    ]


def _lost(
    lab: Lab, one: Spawned, other: Spawned, act: Callable[[], None], count: int = PINGS
) -> int:
    """Of pings that run while it is done and afterwards."""
    place, target = one.instance.id, other.address()
    with probe.pinging(lab, place, target, count=count, interval_s=PING_S) as run:
        act()
        return run.finish().lost


def _restart(lab: Lab) -> None:
    faults.fail(lab, CONTROLLER)
    faults.heal(lab, CONTROLLER)


def _tenures(lab: Lab) -> int:
    """How often a controller has begun to act."""
    process = processes.find(lab, MANAGEMENT_NODE, FABRIC_CONTROLLER)
    return processes.log_path(lab, process).read_text().count("event=active ")


@contextmanager
def _halted(lab: Lab) -> Iterator[None]:
    """The controller does not react to what is done bare; for less than its lease lasts."""
    process = processes.find(lab, MANAGEMENT_NODE, FABRIC_CONTROLLER)
    faults.fail(lab, CONTROLLER, silent=True)
    try:
        yield
    finally:
        processes.send(process, signal.SIGCONT)


def _await_in_sync(orchestrator: Orchestrator) -> None:
    """Until the controller has every switch that it keeps as planned."""

    def in_sync() -> bool:
        mirror = orchestrator.ask(lambda client: client.snapshot((Kind.SWITCH,)))
        states = mirror.of(Kind.SWITCH).values()
        return bool(states) and all(one.status is SwitchStatus.IN_SYNC for one in states)

    if not eventually(in_sync, WAIT_S):
        raise RuntimeError("fabric_attach: the switches are not in sync")
    time.sleep(PAUSE_S)


def _p50(values: Sequence[float]) -> float:
    return statistics.median(values)


def _p50_ms(values: Sequence[float]) -> float:
    return _p50(values) * 1e3
