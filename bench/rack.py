"""All ports of a rack claimed by another, simulated; `drift` shows what came of it.

40 hosts of 500 ports, on a server in a process of its own, with a fabric controller whose switches
are in memory. The ports are claimed by 40 hosts of another rack at once, first while the agents of
their old ones answer, then back, while those of the others are silent. It has ended when each new
host's watch says that it may wire its ports: the old binding has gone.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace
from tests.doubles import fabrics
from tests.doubles.fabric_server import EvpnFabric

from bench.service import Service, running
from netwright.client.api import Client
from netwright.client.mirror import Key, Mirror
from netwright.client.watch import Watch
from netwright.fabric.controller import Controller
from netwright.fabric.store import Store
from netwright.model.resources import DEFAULT_PROJECT, HostState, Port
from netwright.model.states import BindingState, Plane
from netwright.model.topology import FabricSettings, Topology, VlanInterval
from netwright.model.wire import (
    ContainerPort,
    ContainerPorts,
    Heartbeat,
    HostRegistration,
    Kind,
    Report,
    ReportBatch,
    ReportStatus,
)

HOSTS = 40
PORTS_A_HOST = 500
PORTS = HOSTS * PORTS_A_HOST
REPORTS_MAX = 1000
BEAT_S = 5.0
LOOK_S = 0.05
GIVEN_UP_S = 240.0
EPOCH = "e"
SELECTOR = "app=pods"
FENCES = {"fenced_hosts_a_minute_max": str(HOSTS)}


class Took(NamedTuple):
    """Seconds since the first claim was sent, until all were answered, planned, told."""

    claimed: float
    planned: float
    told: float


async def moved() -> tuple[Took, Took]:
    """From a rack that is heard; and back, from one that is silent."""
    settings = {"fabric": "false", **FENCES}
    with (
        tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory,
        running(Path(directory), settings=settings) as service,
    ):
        _network(service)
        fabric = EvpnFabric(TOPOLOGY)
        async with Client(service.url) as client:
            await client.replace_topology(TOPOLOGY)
            one, other = Rack(client, ODD), Rack(client, EVEN)
            async with _controller(service, Path(directory), fabric), one.heard(), other.heard():
                await one.claim()
                await one.up()
                live = await _drift(other, fabric, drops=0)
                await other.fall_silent()
                dead = await _drift(one, fabric, drops=PORTS)
        return live, dead


async def _drift(new: "Rack", fabric: EvpnFabric, *, drops: int) -> Took:
    async def is_planned() -> bool:
        return _dropped(fabric) >= drops

    began = time.monotonic()
    claims = asyncio.create_task(_seconds(new.claim(), began))
    planned = asyncio.create_task(_seconds(_until(is_planned), began))
    told = await _seconds(new.up(), began)
    return Took(await claims, await planned, told)


async def _seconds(work: Awaitable[None], since: float) -> float:
    await work
    return time.monotonic() - since


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Raises TimeoutError when it does not come to be so."""
    async with asyncio.timeout(GIVEN_UP_S):
        is_so = await holds()
        while not is_so:
            await asyncio.sleep(LOOK_S)
            is_so = await holds()


def _topology() -> Topology:
    made = fabrics.topology(leaves=4, hosts=2 * HOSTS)
    return replace(
        made,
        switches=tuple(replace(one, address="127.0.0.1") for one in made.switches),
        fabric=FabricSettings(vlans=(VlanInterval(first=100, last=3999),)),
    )


TOPOLOGY = _topology()
ODD = tuple(f"host{number}" for number in range(1, 2 * HOSTS, 2))
EVEN = tuple(f"host{number}" for number in range(2, 2 * HOSTS + 1, 2))
"""Hosts take turns between the pairs of leaves."""


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


def _dropped(fabric: EvpnFabric) -> int:
    """The ports that a leaf of the second rack drops."""
    interfaces = fabric.switches["leaf3"].config.interfaces.values()
    return sum(len(one.fenced) for one in interfaces)


@asynccontextmanager
async def _controller(service: Service, directory: Path, fabric: EvpnFabric) -> AsyncIterator[None]:
    async with Client(service.url) as client:
        store = Store.open(directory / "controller")
        controller = Controller(
            client,
            store,
            fabric.driver,
            holder="bench",
            clock=time.monotonic,
            now=time.time,
            jitter=random.random,
        )
        task = asyncio.create_task(controller.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await controller.stop()


class Rack:
    """Its hosts' agents, as far as the server sees them: heartbeats, watches, claims, reports."""

    def __init__(self, client: Client, hosts: Sequence[str]) -> None:
        self._client = client
        self._hosts = hosts
        self._ready: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        registration = HostRegistration(epoch=EPOCH, driver="bench")
        for host in self._hosts:
            await self._client.register_host(host, registration)
        self._tasks = [asyncio.create_task(self._agent(host)) for host in self._hosts]
        self._tasks += [asyncio.create_task(self._beat())]
        try:
            yield
        finally:
            self._end()

    async def claim(self) -> None:
        """All ports, by their names; every host has as many as any other."""
        await asyncio.gather(*(self._claim(number) for number in range(len(self._hosts))))

    async def up(self) -> None:
        """Return once every port may be wired here, as the hosts' watches have it."""

        async def are_all() -> bool:
            return len(self._ready) == PORTS

        await _until(are_all)

    async def fall_silent(self) -> None:
        """Nobody speaks for its hosts any more, and the server has said so."""
        self._end()
        mine = set(self._hosts)

        async def are_unknown() -> bool:
            known = await self._client.hosts()
            return {one.state for one in known if one.name in mine} == {HostState.UNKNOWN}

        await _until(are_unknown)

    def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._ready.clear()

    async def _claim(self, number: int) -> None:
        host = self._hosts[number]
        first = number * PORTS_A_HOST
        names = range(first, first + PORTS_A_HOST)
        ports = tuple(
            ContainerPort(
                unique_name=f"pod-{name}",
                network_labels=SELECTOR,
                device_id=f"{host}-{name}",
                keep="1h",
            )
            for name in names
        )
        wanted = ContainerPorts(epoch=EPOCH, project_id=DEFAULT_PROJECT, ports=ports)
        made = await self._client.make_container_ports(host, wanted)
        errors = [one.error for one in made.outcomes if one.error is not None]
        assert not errors, errors[:3]

    async def _beat(self) -> None:
        while True:
            for host in self._hosts:
                await self._client.heartbeat(host, Heartbeat(epoch=EPOCH))
            await asyncio.sleep(BEAT_S)

    async def _agent(self, host: str) -> None:
        """Its watch: what may be wired is noted, what it withdraws is reported."""
        mirror, gone, news = Mirror(), dict[str, int](), asyncio.Event()

        def note(changed: frozenset[Key]) -> None:
            for key in changed:
                if key.kind is Kind.PORT:
                    self._note(host, key.id, mirror.ports.get(key.id), gone)
            news.set()

        watch = Watch(
            self._client,
            mirror,
            kinds=(Kind.NETWORK, Kind.SUBNET, Kind.PORT, Kind.ATTACHMENT, Kind.HOST),
            host=host,
            jitter=random.random,
            on_change=note,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run())
            tasks.create_task(self._report(host, gone, news))

    def _note(self, host: str, port_id: str, port: Port | None, gone: dict[str, int]) -> None:
        here = port.binding_on(host) if port is not None else None
        if port is None or here is None:
            self._ready.discard(port_id)
        elif here.state is BindingState.WITHDRAWING:
            self._ready.discard(port_id)
            gone[port_id] = here.generation
        elif not any(one.state is BindingState.WITHDRAWING for one in port.bindings):
            self._ready.add(port_id)

    async def _report(self, host: str, gone: dict[str, int], news: asyncio.Event) -> None:
        while await news.wait():
            news.clear()
            while reports := tuple(
                Report(
                    port_id=port_id,
                    plane=Plane.UNDERLAY,
                    generation=generation,
                    status=ReportStatus.WITHDRAWN,
                )
                for port_id, generation in list(gone.items())[:REPORTS_MAX]
            ):
                batch = ReportBatch(host=host, epoch=EPOCH, reports=reports)
                await self._client.report(batch)
                for one in reports:
                    gone.pop(one.port_id or "", None)
