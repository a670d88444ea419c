"""All 20,000 ports of a rack are claimed by another, simulated: from live hosts, and silent ones.

40 hosts of 500 ports, on a server in a process of its own, with a fabric controller in another,
whose switches are in memory. The ports are claimed by 40 hosts of another rack at once, first while
the agents of their old ones answer; then back, while those of the others are silent: the leaves are
asked to drop each port there, and its binding ends when they do. It has ended when each new host's
watch says that it may wire its ports: the old binding has gone.

A quarter of a rack is moved before, so that what grows faster than the number of ports is seen.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import NamedTuple

import structlog
import uvloop

from bench import rack_fabric
from bench.rack_fabric import Fabric
from bench.rack_hosts import PORTS_A_HOST, Rack, in_time
from bench.result import Result, at_most
from bench.service import Service, running
from bench.usage import cpu_seconds
from netwright.client.api import Client

HOSTS = 40
TOLD_S_MAX = 60.0
GROWTH_MAX = 1.5
"""How much dearer a port of the whole rack may be than one of a quarter of it."""

FENCES = {"fenced_hosts_a_minute_max": str(HOSTS)}


class Took(NamedTuple):
    """Seconds since the first claim was sent, until all were answered, planned, told.

    And the processors' seconds meanwhile; `again` counts what agents had to ask for once more.
    """

    claimed_s: float
    planned_s: float
    told_s: float
    server_s: float
    controller_s: float
    again: int


def run() -> list[Result]:
    quarter = moved(HOSTS // 4)
    whole = moved(HOSTS)
    names = ("a live rack, claimed and told", "a silent rack, claimed, fenced and told")
    return [
        result
        for name, part, rack in zip(names, quarter, whole, strict=True)
        for result in _results(name, part, rack)
    ]


def _results(name: str, quarter: Took, whole: Took) -> list[Result]:
    ports = HOSTS * PORTS_A_HOST
    growth = _cpu_ms(whole, HOSTS) / _cpu_ms(quarter, HOSTS // 4)
    planned = [Result("  … all that leaves drop is read back", whole.planned_s, "s")]
    return [
        at_most(f"{ports:,} ports of {name}", whole.told_s, TOLD_S_MAX, "s"),
        Result("  … claims are answered", whole.claimed_s, "s"),
        *(planned if whole.planned_s else []),
        Result("  … a quarter of the rack", quarter.told_s, "s"),
        Result("  … the server's CPU, a port", 1e3 * whole.server_s / ports, "ms"),
        Result("  … the controller's CPU, a port", 1e3 * whole.controller_s / ports, "ms"),
        at_most("  … CPU of both, a port / of a quarter of the rack", growth, GROWTH_MAX),
        at_most("  … requests that were not answered in time", whole.again, 0),
    ]


def _cpu_ms(took: Took, hosts: int) -> float:
    return 1e3 * (took.server_s + took.controller_s) / (hosts * PORTS_A_HOST)


def moved(hosts: int) -> tuple[Took, Took]:
    """From racks of so many hosts: one that is heard; and back, from one that is silent."""
    warnings = structlog.make_filtering_bound_logger("warning")
    structlog.configure(wrapper_class=warnings)
    with (
        tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory,
        running(Path(directory), settings={"fabric": "false", **FENCES}) as service,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        _network(service)
        return runner.run(_moved(service, Path(directory), hosts))


async def _moved(service: Service, directory: Path, hosts: int) -> tuple[Took, Took]:
    odd = tuple(f"host{number}" for number in range(1, 2 * hosts, 2))
    even = tuple(f"host{number}" for number in range(2, 2 * hosts + 1, 2))
    async with Client(service.url) as client:
        await client.replace_topology(rack_fabric.topology(2 * hosts))
        one, other = Rack(client, odd), Rack(client, even)
        async with (
            rack_fabric.controlled(service.url, directory, 2 * hosts) as fabric,
            one.heard(),
            other.heard(),
        ):
            await one.claim()
            await one.up()
            live = await _drift(other, service, fabric)
            await other.fall_silent()
            silent = await _drift(one, service, fabric, drops=one.ports)
        return live, silent


async def _drift(new: Rack, service: Service, fabric: Fabric, *, drops: int = 0) -> Took:
    """`drops` is how many ports the old rack's leaves come to drop."""
    server_s, controller_s, again = cpu_seconds(service.pid), cpu_seconds(fabric.pid), new.again
    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        claims = tasks.create_task(_seconds(new.claim(), began))
        planned = tasks.create_task(_seconds(in_time(fabric.dropped(drops)), began))
        told = tasks.create_task(_seconds(new.up(), began))
    return Took(
        claimed_s=claims.result(),
        planned_s=planned.result() if drops else 0.0,
        told_s=told.result(),
        server_s=cpu_seconds(service.pid) - server_s,
        controller_s=cpu_seconds(fabric.pid) - controller_s,
        again=new.again - again,
    )


async def _seconds(work: Awaitable[None], since: float) -> float:
    await work
    return time.monotonic() - since


def _network(service: Service) -> None:
    network = {
        "name": "pods",
        "provider:network_type": "vxlan",
        "provider:segmentation_id": 5000,
        "labels": {"app": "pods"},
    }
    made = service.post("/v2.0/networks", {"network": network})["network"]["id"]
    subnet = {"network_id": made, "ip_version": 4, "cidr": "10.0.0.0/16"}
    service.post("/v2.0/subnets", {"subnet": subnet})
