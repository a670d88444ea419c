"""A rack's hosts as far as their server sees them, for `rack`: beats, watches, claims, reports.

What is asked for is asked in portions, and once more when no answer came, as agents do.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count

from netwright.agent.cni.ports import AT_ONCE_MAX, taking
from netwright.agent.reports import REPORTS_MAX
from netwright.client.api import Client
from netwright.client.backoff import Backoff
from netwright.client.mirror import Key, Mirror
from netwright.client.watch import Watch
from netwright.model.errors import NetwrightError
from netwright.model.resources import DEFAULT_PROJECT, HostState, Port
from netwright.model.states import BindingState, Plane
from netwright.model.wire import (
    ContainerPort,
    ContainerPortOutcome,
    ContainerPorts,
    Heartbeat,
    HostRegistration,
    Kind,
    Report,
    ReportBatch,
    ReportStatus,
)

PORTS_A_HOST = 500
BEAT_S = 5.0
LOOK_S = 0.05
GIVEN_UP_S = 240.0
AGAIN = Backoff(first_s=0.5, max_s=10.0)
EPOCH = "e"
SELECTOR = "app=pods"


async def in_time(work: Awaitable[None]) -> None:
    """Raises TimeoutError when it takes far longer than it may."""
    async with asyncio.timeout(GIVEN_UP_S):
        await work


class Rack:
    """Hosts and their agents. `again` counts requests that had to be sent once more."""

    def __init__(self, client: Client, hosts: Sequence[str]) -> None:
        self.ports = len(hosts) * PORTS_A_HOST
        self.again = 0
        self._client = client
        self._hosts = hosts
        # Each has connections of its own: those of one client are a bounded number.
        self._clients = {host: Client(client.server) for host in hosts}
        self._claims = 0
        self._ready: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        registration = HostRegistration(epoch=EPOCH, driver="bench")
        for host in self._hosts:
            await self._client.register_host(host, registration)
        self._tasks = [
            asyncio.create_task(work(host))
            for host in self._hosts
            for work in (self._agent, self._beat)
        ]
        try:
            yield
        finally:
            self._end()
            for client in self._clients.values():
                await client.close()

    async def claim(self) -> None:
        """All ports, by their names, for containers that are new; every host has as many."""
        self._claims += 1
        await asyncio.gather(*(self._claim(number) for number in range(len(self._hosts))))

    async def up(self) -> None:
        """Return once every port may be wired here, as the hosts' watches have it."""

        async def are_all() -> bool:
            return len(self._ready) == self.ports

        await in_time(_until(are_all))

    async def fall_silent(self) -> None:
        """Nobody speaks for its hosts any more, and the server has said so."""
        self._end()
        mine = set(self._hosts)

        async def are_unknown() -> bool:
            known = await self._client.hosts()
            return {one.state for one in known if one.name in mine} == {HostState.UNKNOWN}

        await in_time(_until(are_unknown))

    def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._ready.clear()

    async def _claim(self, number: int) -> None:
        host = self._hosts[number]
        first = number * PORTS_A_HOST
        for at in range(first, first + PORTS_A_HOST, AT_ONCE_MAX):
            ports = tuple(
                ContainerPort(
                    unique_name=f"pod-{name}",
                    network_labels=SELECTOR,
                    device_id=f"{host}-{name}-{self._claims}",
                    keep="1h",
                )
                for name in range(at, min(at + AT_ONCE_MAX, first + PORTS_A_HOST))
            )
            await self._answered(partial(self._make, host, ports))

    async def _make(self, host: str, ports: Sequence[ContainerPort]) -> None:
        async def ask(some: Sequence[ContainerPort]) -> Sequence[ContainerPortOutcome]:
            wanted = ContainerPorts(epoch=EPOCH, project_id=DEFAULT_PROJECT, ports=tuple(some))
            return (await self._clients[host].make_container_ports(host, wanted)).outcomes

        made = await taking(ask, ports)
        errors = [one.error for one in made if one.error is not None]
        assert not errors, errors[:3]

    async def _answered(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Ask until there is an answer."""
        for failures in count(1):
            try:
                await ask()
            except NetwrightError:
                self.again += 1
                await asyncio.sleep(AGAIN.delay_s(failures, random.random()))
            else:
                return

    async def _beat(self, host: str) -> None:
        await asyncio.sleep(BEAT_S * random.random())
        while True:
            beat = Heartbeat(epoch=EPOCH)
            await self._answered(partial(self._clients[host].heartbeat, host, beat))
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
            self._clients[host],
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
            while gone:
                told = dict(list(gone.items())[:REPORTS_MAX])
                for port_id in told:
                    del gone[port_id]
                reports = tuple(_withdrawn(*each) for each in told.items())
                batch = ReportBatch(host=host, epoch=EPOCH, reports=reports)
                await self._answered(partial(self._clients[host].report, batch))


def _withdrawn(port_id: str, generation: int) -> Report:
    return Report(
        port_id=port_id,
        plane=Plane.UNDERLAY,
        generation=generation,
        status=ReportStatus.WITHDRAWN,
    )


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    holds_now = await holds()
    while not holds_now:
        await asyncio.sleep(LOOK_S)
        holds_now = await holds()
