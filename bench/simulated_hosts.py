"""Hosts whose agents are the real ones but for what they do to their host; many in a process.

    parent ──a line of JSON──▶ process of hosts ──▶ agent, its watch, its CNI verbs ──TCP──▶ server
           ◀──a line of JSON──

Each agent is all of it: the loop, the watches, heartbeats, reports, the verbs and their records on
disk. Its data plane is a double that wires at once. Verbs are called as the CNI service calls them:
no front end is run, which would be a process for each. A process has many hosts in one event loop:
what they use of the processor is theirs together, as the time that they take is.
"""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import msgspec
import structlog
import uvloop
from tests.doubles.wiring import WiringDouble

from netwright.agent.agent import Agent
from netwright.agent.cni.asked import Asked, Configuration
from netwright.agent.cni.containers import Containers
from netwright.agent.cni.following import Following
from netwright.agent.cni.made import Fitting, Seen
from netwright.agent.cni.ports import Ports
from netwright.agent.cni.records import Records
from netwright.agent.session import Identity
from netwright.agent.wiring import NewDevice, Plugged
from netwright.client.api import Client
from netwright.cni.protocol import CniError, Verb
from netwright.collector import spare_the_collector
from netwright.model.resources import DEFAULT_PROJECT
from netwright.model.states import PortState

PHYSICAL = {"physnet1": "br-bond"}
LABELS = "app=pods"
READY_S_MAX = 60.0
DEADLINE_S = 60.0
REQUEST_S_MAX = 10.0
"""As `netwright agent` has it."""


class Burst(msgspec.Struct, frozen=True, tag=True):
    """So many pods are started on each host at once."""

    pods: int


class Churn(msgspec.Struct, frozen=True, tag=True):
    """Pods come and go, evenly, on all hosts of the process together; each lives so long.

    At the end those that live are ended too.
    """

    per_second: float
    life_s: float
    seconds: float


class Started(msgspec.Struct, frozen=True):
    """Seconds of each host until all its pods were answered, and until all were ACTIVE."""

    answered_s: Sequence[float]
    active_s: Sequence[float]
    errors: Sequence[str]


class Lived(msgspec.Struct, frozen=True):
    """Of each ADD and DEL: when it was asked for, and how long it took, in seconds.

    `late_s` is how far the process was behind its own pace at the most.
    """

    adds: Sequence[tuple[float, float]]
    ends: Sequence[tuple[float, float]]
    late_s: float
    errors: Sequence[str]


class Told(NamedTuple):
    """Which hosts a process has, and where their server is."""

    server: str
    first: int
    hosts: int


class Hosts:
    """The parent's end of a process of hosts."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.pid = process.pid
        assert process.stdin is not None
        assert process.stdout is not None
        self._in: IO[bytes] = process.stdin
        self._out: IO[bytes] = process.stdout

    def await_ready(self) -> None:
        if (said := self._out.readline()) != b"ready\n":
            raise AssertionError(f"simulated hosts did not become ready: {said!r}")

    def ask(self, work: Burst | Churn) -> None:
        self._in.write(msgspec.json.encode(work) + b"\n")
        self._in.flush()

    def started(self) -> Started:
        return msgspec.json.decode(self._out.readline(), type=Started)

    def lived(self) -> Lived:
        return msgspec.json.decode(self._out.readline(), type=Lived)


@contextmanager
def processes(server: str, hosts: int, count: int) -> Iterator[Sequence[Hosts]]:
    """So many hosts, spread over so many processes; all are registered and have their snapshot."""
    each = hosts // count
    with ExitStack() as stack:
        made = []
        for number in range(count):
            argv = [sys.executable, "-m", "bench.simulated_hosts", server, f"{number * each}"]
            process = subprocess.Popen(
                [*argv, str(each)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            stack.callback(_end, process)
            made.append(Hosts(process))
        for one in made:
            one.await_ready()
        yield made


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Its hosts go with its standard input."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(READY_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Plugs:
    """Plugs devices into the double of a data plane."""

    def __init__(self, wiring: WiringDouble) -> None:
        self._wiring = wiring
        self._ports: dict[str, str] = {}

    async def plug(self, device: NewDevice) -> None:
        self._ports[device.name] = device.port_id
        self._wiring.plug(device.port_id)

    async def unplug(self, name: str, owner: str | None = None) -> None:
        if (port_id := self._ports.pop(name, None)) is not None:
            self._wiring.unplug(port_id)

    async def plugged(self) -> Mapping[str, Plugged]:
        return {}


class _Pair:
    def __init__(self, netns: str) -> None:
        self._netns = netns
        self._wired = asyncio.Event()

    async def made(self) -> None: ...

    def furnish(self, fit: Fitting) -> None:
        self._wired.set()

    async def furnished(self) -> str:
        await self._wired.wait()
        return self._netns

    async def end(self) -> None: ...


class _Veths:
    @asynccontextmanager
    async def pair(self, fit: Fitting, netns: str, ifname: str, mark: str) -> AsyncIterator[_Pair]:
        yield _Pair(netns)

    async def read(self, netns: str, ifname: str) -> Seen | None: ...

    async def links(self) -> Mapping[str, str]:
        return {}

    async def remove(self, device: str, mark: str | None = None) -> None: ...


class _Host:
    """One agent, in this process's event loop."""

    def __init__(self, number: int, client: Client, directory: Path) -> None:
        self.name = f"sim{number:03}"
        wiring = WiringDouble()
        identity = Identity(
            host=self.name, epoch=os.urandom(8).hex(), driver="ovs", physical_networks=PHYSICAL
        )
        self.agent = Agent(identity, client, wiring, jitter=random.random)
        self.agent.on_pass = self._passed
        self._passes = asyncio.Event()
        self._containers = Containers(
            self.name,
            ports=Ports(
                host=self.name,
                epoch=identity.epoch,
                project_id=DEFAULT_PROJECT,
                server=client,
                registered=self.agent.registered,
            ),
            records=Records(directory / self.name),
            following=Following(self.name, self.agent),
            veths=_Veths(),
            plugs=_Plugs(wiring),
            jitter=random.random,
        )
        self.agent.is_answering = self._containers.is_answering

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.agent.run())
            tasks.create_task(self._containers.run())
            tasks.create_task(self._containers.follow())

    async def ready(self) -> None:
        await self.agent.registered()
        await self._until(lambda: self.agent.last is not None)

    async def add(self, container: str) -> None:
        config = Configuration(cni_version="1.1.0", name="pods", labels=LABELS)
        asked = Asked(
            verb=Verb.ADD,
            container_id=container,
            netns=f"/netns/{container}",
            ifname="eth0",
            args={},
            config=config,
            deadline_s=DEADLINE_S,
        )
        await self._containers.add(asked)

    async def end(self, container: str) -> None:
        await self._containers.delete(container, "eth0")

    async def all_active(self, count: int) -> None:
        """Return when so many of its ports are ACTIVE, as the server tells."""

        def are_active() -> bool:
            states = [port.state for port in self.agent.mirror.ports.values()]
            return states.count(PortState.ACTIVE) >= count

        await self._until(are_active)

    def _passed(self) -> None:
        self._passes.set()
        self._containers.passed()

    async def _until(self, holds: Callable[[], bool]) -> None:
        """As its loop's passes find it: all that the watch brings is followed by one."""
        while not holds():
            self._passes.clear()
            await self._passes.wait()


class _Work:
    """What the parent asks for, on all hosts of this process."""

    def __init__(self, hosts: Sequence[_Host]) -> None:
        self._hosts = hosts
        self._errors: list[str] = []

    async def burst(self, wanted: Burst) -> Started:
        began = time.perf_counter()

        async def start(host: _Host) -> tuple[float, float]:
            adds = (self._tried(host.add(f"{host.name}-{n}")) for n in range(wanted.pods))
            await asyncio.gather(*adds)
            answered_s = time.perf_counter() - began
            await host.all_active(wanted.pods)
            return answered_s, time.perf_counter() - began

        took = await asyncio.gather(*map(start, self._hosts))
        return Started(
            answered_s=[each for each, _ in took],
            active_s=[each for _, each in took],
            errors=self._errors,
        )

    async def churn(self, wanted: Churn) -> Lived:
        adds: list[tuple[float, float]] = []
        ends: list[tuple[float, float]] = []
        began = time.perf_counter()
        late_s = 0.0

        async def live(host: _Host, container: str) -> None:
            await self._timed(adds, began, host.add(container))
            await asyncio.sleep(wanted.life_s)
            await self._timed(ends, began, host.end(container))

        async with asyncio.TaskGroup() as tasks:
            for number in range(int(wanted.per_second * wanted.seconds)):
                due = began + number / wanted.per_second
                await asyncio.sleep(max(due - time.perf_counter(), 0.0))
                late_s = max(late_s, time.perf_counter() - due)
                tasks.create_task(live(self._hosts[number % len(self._hosts)], f"pod-{number}"))
        return Lived(adds=adds, ends=ends, late_s=late_s, errors=self._errors)

    async def _timed(
        self, took: list[tuple[float, float]], began: float, verb: Awaitable[None]
    ) -> None:
        asked = time.perf_counter()
        await self._tried(verb)
        took.append((asked - began, time.perf_counter() - asked))

    async def _tried(self, verb: Awaitable[None]) -> None:
        try:
            await verb
        except CniError as error:
            self._errors.append(error.message)


async def _serve(told: Told, directory: Path) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(told.server, timeout_s=REQUEST_S_MAX))
            for _ in range(told.hosts)
        ]
        hosts = [_Host(told.first + n, client, directory) for n, client in enumerate(clients)]
        running = [asyncio.create_task(host.run()) for host in hosts]
        async with asyncio.timeout(READY_S_MAX):
            await asyncio.gather(*(host.ready() for host in hosts))
        spare_the_collector()
        _say(b"ready")
        work = _Work(hosts)
        while line := await reader.readline():
            match msgspec.json.decode(line, type=Burst | Churn):
                case Burst() as wanted:
                    done: Started | Lived = await work.burst(wanted)
                case Churn() as wanted:
                    done = await work.churn(wanted)
            _say(msgspec.json.encode(done))
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    server, first, count = sys.argv[1:]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    told = Told(server, int(first), int(count))
    # Not /tmp, which may be in memory.
    with (
        tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_serve(told, Path(directory)))


if __name__ == "__main__":
    main()
