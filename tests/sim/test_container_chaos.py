"""One host's containers while its agent dies amid anything, and requests are lost or come late.

The verbs, the records and the reconciler are the real ones; kernel, Open vSwitch and server are
doubles. Each seed is one history; a failing one prints its seed and replays exactly.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from tests.doubles import virtual_time
from tests.doubles.cni_host import Ask, HostDouble

from netwright.agent.cni import asked
from netwright.agent.cni.records import Key, Record, Records
from netwright.cni.protocol import CniError
from netwright.model.errors import Unavailable
from netwright.model.resources import Port
from netwright.model.wire import ContainerPortOutcomes, ContainerPorts, EndedContainerPorts

T = TypeVar("T")

SEEDS = 40
CONTAINERS = 12
TROUBLE_S, QUIET_S = 120.0, 90.0
LIFE_S_MAX, AWAY_S_MAX = 15.0, 3.0
SLOW_S_MAX, LAG_S_MAX, LATE_S_MAX = 0.2, 1.0, 3.0
LOST_SHARE = 0.3
DEADLINE_MS = 4000


class Life:
    """One of the agent's: once it is over, nothing that it still does has an effect.

    What it was at stands still from then on, and ends with the history.
    """

    def __init__(self, random: Random, history_ended: asyncio.Event) -> None:
        self.over = asyncio.Event()
        self._random = random
        self._history_ended = history_ended

    async def effect(self, work: Callable[[], Awaitable[T]], *, leaves: bool = False) -> T:
        """Whatever `work` does takes its time; what `leaves` the host goes on without the agent."""
        await self._time(is_awaited=not leaves)
        result = await work()
        await self._time()
        return result

    async def _time(self, *, is_awaited: bool = True) -> None:
        await asyncio.sleep(self._random.uniform(0, SLOW_S_MAX))
        if self.over.is_set() and is_awaited:
            await self._history_ended.wait()
            raise asyncio.CancelledError


class Fated:
    """A double as one life has it: its coroutines are effects of that life."""

    def __init__(self, of: Any, life: Life) -> None:
        self._of = of
        self._life = life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._of, name)
        if not asyncio.iscoroutinefunction(found):
            return found
        return lambda *these, **those: self._life.effect(lambda: found(*these, **those))


class LossyServer:
    """Requests fail, lose their answers, or are carried out when nobody waits any more."""

    def __init__(self, of: Any, life: Life, random: Random) -> None:
        self.share = LOST_SHARE
        self._of = of
        self._life = life
        self._random = random
        self._late: set[asyncio.Task[Any]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    async def make_container_ports(
        self, host: str, wanted: ContainerPorts
    ) -> ContainerPortOutcomes:
        return await self._asked(lambda: self._of.make_container_ports(host, wanted))

    async def end_container_ports(
        self, host: str, ended: EndedContainerPorts
    ) -> ContainerPortOutcomes:
        return await self._asked(lambda: self._of.end_container_ports(host, ended))

    async def _asked(
        self, work: Callable[[], Awaitable[ContainerPortOutcomes]]
    ) -> ContainerPortOutcomes:
        if self._random.random() >= self.share:
            return await self._life.effect(work, leaves=True)
        kind = self._random.choice(("never", "no answer", "late"))
        if kind == "no answer":
            await self._life.effect(work, leaves=True)
        if kind == "late":
            task = asyncio.create_task(self._later(work))
            self._late.add(task)
        raise Unavailable(f"The connection ended: {kind}.")

    async def _later(self, work: Callable[[], Awaitable[object]]) -> None:
        await asyncio.sleep(self._random.uniform(0, LATE_S_MAX))
        await work()


class RecordsOfLife(Records):
    def __init__(self, directory: Path, life: Life) -> None:
        self._life = life
        super().__init__(directory)

    def put(self, record: Record) -> None:
        self._require_alive()
        super().put(record)

    def drop(self, key: Key) -> None:
        self._require_alive()
        super().drop(key)

    def _require_alive(self) -> None:
        if self._life.over.is_set():
            raise asyncio.CancelledError


class SimulatedHost(HostDouble):
    """Its mirror lags behind the server, and its loop wires what the mirror has."""

    def __init__(self, directory: Path, random: Random) -> None:
        self.random = random
        self.history_ended = asyncio.Event()
        self.life = Life(random, self.history_ended)
        self.told: deque[tuple[Port, bool]] = deque()
        self.is_lossy = True
        self.tasks: list[asyncio.Task[Any]] = []
        self.count = 0
        super().__init__(directory)
        self.of = self.server, self.veths, self.plugs
        self.life.over.set()

    def open_records(self) -> Records:
        return RecordsOfLife(self.directory, self.life)

    def begin_life(self) -> None:
        self.life = Life(self.random, self.history_ended)
        server, veths, plugs = self.of
        self.server = LossyServer(server, self.life, self.random)  # type: ignore[assignment]
        self.server.share = LOST_SHARE if self.is_lossy else 0.0  # type: ignore[attr-defined]
        self.veths, self.plugs = Fated(veths, self.life), Fated(plugs, self.life)  # type: ignore[assignment]
        self.live()
        self.look()
        for work in (self.containers.run, self.containers.follow, self.reconciler.run):
            self.tasks.append(asyncio.create_task(work()))

    def attempts(self) -> int:
        self.count += 1
        return self.count

    async def pump(self) -> None:
        """The watch: in order, and by and by."""
        while True:
            await asyncio.sleep(self.random.uniform(0, LAG_S_MAX))
            while self.told and self.random.random() < 0.7:
                port, is_there = self.told.popleft()
                if is_there:
                    self.loop.mirror.ports[port.id] = port
                else:
                    self.loop.mirror.ports.pop(port.id, None)
            self.look()

    def look(self) -> None:
        ports = self.loop.mirror.ports
        wired = {
            each.port_id: self.plugs.outcome
            for each in self.plugs.devices.values()
            if each.port_id in ports
        }
        self.loop.found(wired)
        self.containers.passed()

    def _told(self, new: Port) -> None:
        self.told.append((new, True))

    def _told_of_end(self, port: Port) -> None:
        self.told.append((port, False))


class Runtime:
    """What the host's runtime does to its containers, and knows of them."""

    def __init__(self, host: SimulatedHost, random: Random) -> None:
        self.live: set[str] = set()
        self.named = {f"c{n}" for n in range(0, CONTAINERS, 2)}
        """Those whose ports are kept when they have ended."""
        self._host = host
        self._random = random

    async def container(self, name: str) -> None:
        """Adds it, perhaps more than once, and lets it live, die, or end."""
        self._host.veths.namespaces.add(f"/netns/{name}")
        await self._pause()
        await self._add(name)
        while self._random.random() < 0.8:
            await self._pause()
            match self._random.choice(("delete", "delete", "kill", "restart", "add")):
                case "delete":
                    await self._delete(name)
                    self._kill(name)
                    return
                case "kill":
                    self._kill(name)
                    return
                case "restart":
                    if await self._delete(name):
                        await self._add(name)
                case "add" if name not in self.live:
                    await self._add(name)
        if name not in self.live:  # the runtime cleans up what it was not answered for
            await self._delete(name)
            self._kill(name)

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.uniform(0, TROUBLE_S / 10))

    async def _add(self, name: str) -> None:
        config = {"portName": "pods/{container}", "keep": "1h"} if name in self.named else {}
        ask = Ask(
            environment={"container_id": name, "netns": f"/netns/{name}"},
            config=config,
            deadline_ms=DEADLINE_MS,
        )
        if await self._verb(lambda: self._host.containers.add(asked.parse(ask.request()))):
            self.live.add(name)

    async def _delete(self, name: str) -> bool:
        self.live.discard(name)
        return await self._verb(lambda: self._host.containers.delete(name, "eth0"))

    def _kill(self, name: str) -> None:
        self.live.discard(name)
        self._host.of[1].end(f"/netns/{name}")

    async def _verb(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Whether it was answered well; not when the agent is away, or dies meanwhile."""
        life = self._host.life
        if life.over.is_set():
            return False
        verb = asyncio.ensure_future(work())
        died = asyncio.create_task(life.over.wait())
        await asyncio.wait({verb, died}, return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if not verb.done():
            return False
        if isinstance(error := verb.exception(), CniError):
            return False
        if error is not None:
            raise error
        return True


def faults(host: SimulatedHost, live: set[str]) -> list[str]:
    """What the living lack."""
    server, veths, plugs = host.of
    found = []
    for name in sorted(live):
        own = [each for each in server.ports.values() if each.device_id == name]
        fit = veths.interfaces.get((f"/netns/{name}", "eth0"))
        if fit is None or fit.port_id not in {each.id for each in own}:
            found.append(f"{name} has no port")
        elif fit.device not in plugs.devices:
            found.append(f"{name} is not wired")
    return found


def leaks(host: SimulatedHost, live: set[str]) -> list[str]:
    server, veths, plugs = host.of
    wired = {fit.port_id for fit in veths.interfaces.values()}
    return [
        *(
            str(port.unique_name)
            for port in server.ports.values()
            if port.bindings and port.id not in wired
        ),
        *(one.owner for one in plugs.devices.values() if one.owner.partition("@")[0] not in live),
        *(netns for netns, _ in veths.interfaces if netns.removeprefix("/netns/") not in live),
        *(path.name for path in host.directory.iterdir() if path.name.split("@")[0] not in live),
    ]


async def history(directory: Path, seed: int) -> dict[Any, int]:
    random = Random(seed)
    host = SimulatedHost(directory, random)
    runtime = Runtime(host, random)
    loop = asyncio.get_running_loop()
    pump = asyncio.create_task(host.pump())
    containers = [asyncio.create_task(runtime.container(f"c{n}")) for n in range(CONTAINERS)]
    end = loop.time() + TROUBLE_S
    while loop.time() < end or not all(each.done() for each in containers):
        host.begin_life()
        await asyncio.sleep(random.uniform(0, LIFE_S_MAX))
        host.life.over.set()
        assert not faults(host, runtime.live), (seed, faults(host, runtime.live))
        await asyncio.sleep(random.uniform(0, AWAY_S_MAX))
    await asyncio.gather(*containers)
    host.is_lossy = False
    host.begin_life()
    await asyncio.sleep(QUIET_S)
    assert not faults(host, runtime.live), (seed, faults(host, runtime.live))
    assert not leaks(host, runtime.live), (seed, leaks(host, runtime.live))
    assert host.reconciler.conditions() == {}, seed
    found = dict(host.reconciler.found)
    pump.cancel()
    host.life.over.set()
    host.history_ended.set()
    return found


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_leaks_and_the_living_lose_nothing(tmp_path: Path, seed: int) -> None:
    virtual_time.run(history(tmp_path / "records", seed))
