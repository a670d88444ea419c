"""A fabric controller in a process of its own, for `rack`: its switches are in memory.

    parent ◀──a line: how many ports the silent rack's leaves drop──  controller ──TCP──▶ server

It ends with its standard input.
"""

import asyncio
import random
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
import uvloop
from msgspec.structs import replace
from tests.doubles import fabrics
from tests.doubles.fabric_server import EvpnFabric

from netwright.client.api import Client
from netwright.collector import spare_the_collector
from netwright.fabric.controller import Controller
from netwright.fabric.store import Store
from netwright.model.topology import FabricSettings, Topology, VlanInterval

SILENT_LEAVES = ("leaf3", "leaf4")
"""Of the second rack: hosts take turns between the pairs of leaves."""

LOOK_S = 0.05


def topology(hosts: int) -> Topology:
    """Two pairs of leaves, for `host1` and so on in turn."""
    made = fabrics.topology(leaves=4, hosts=hosts)
    return replace(
        made,
        switches=tuple(replace(one, address="127.0.0.1") for one in made.switches),
        fabric=FabricSettings(vlans=(VlanInterval(first=100, last=3999),)),
    )


class Fabric:
    """The parent's end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        assert process.stdout is not None
        self._said = process.stdout

    async def dropped(self, ports: int) -> None:
        """Return when each of the silent rack's leaves drops so many ports."""
        dropped = 0
        while dropped < ports:
            line = await self._said.readline()
            assert line, "the fabric controller has ended"
            dropped = int(line)


@asynccontextmanager
async def controlled(url: str, directory: Path, hosts: int) -> AsyncIterator[Fabric]:
    """A controller of the `topology` of so many hosts, with its store in the directory."""
    argv = ["-m", "bench.rack_fabric", url, str(directory / "controller"), str(hosts)]
    process = await asyncio.create_subprocess_exec(sys.executable, *argv, stdin=PIPE, stdout=PIPE)
    try:
        yield Fabric(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _serve(url: str, directory: Path, hosts: int) -> None:
    fabric = EvpnFabric(topology(hosts))
    async with Client(url) as client:
        controller = Controller(
            client,
            Store.open(directory),
            fabric.driver,
            holder="bench",
            clock=time.monotonic,
            now=time.time,
            jitter=random.random,
        )
        spare_the_collector()
        works = (controller.run(), _say(fabric), _input_ended())
        tasks = [asyncio.create_task(work) for work in works]
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.wait(others)
        await controller.stop()
        for task in done:
            task.result()


async def _say(fabric: EvpnFabric) -> None:
    said = 0
    while True:
        await asyncio.sleep(LOOK_S)
        if (now := min(_dropped(fabric, leaf) for leaf in SILENT_LEAVES)) != said:
            said = now
            with suppress(BrokenPipeError):
                print(said, flush=True)


def _dropped(fabric: EvpnFabric, leaf: str) -> int:
    return sum(len(one.fenced) for one in fabric.switches[leaf].config.interfaces.values())


async def _input_ended() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def main() -> None:
    url, directory, hosts = sys.argv[1:]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(url, Path(directory), int(hosts)))


if __name__ == "__main__":
    main()
