"""A world of simulated switches, a server's double and fabric controllers, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.doubles import fabrics
from tests.doubles.fabric_server import EvpnFabric, EvpnSwitch, FabricServer, Here, here

from netwright.fabric.controller import Controller
from netwright.fabric.drivers.base import Driver
from netwright.fabric.store import Store
from netwright.model.resources import Attachment, Network
from netwright.model.states import AttachmentState
from netwright.model.topology import Switch, Topology
from netwright.model.wire import Kind

UP = AttachmentState.UP
NETWORK = fabrics.network(1)
ONE = fabrics.attachment(NETWORK, "host1", 10)
TWO = fabrics.attachment(NETWORK, "host2", 10)
SUBJECTS = ("net-1@host1", "net-1@host2")


class World:
    """A server, switches, and controllers that a test starts, halts and ends."""

    def __init__(self, directory: Path, topology: Topology, *, tells: bool = True) -> None:
        self.loop = asyncio.get_running_loop()
        self.topology = topology
        self.server = FabricServer(self.loop.time)
        self.fabric = EvpnFabric(topology, tells=tells)
        self._directory = directory

    def __getitem__(self, name: str) -> EvpnSwitch:
        return self.fabric.switches[name]

    async def fill(
        self, *attachments: Attachment, networks: tuple[Network, ...] = (NETWORK,)
    ) -> None:
        await self.server.put(Kind.TOPOLOGY, "fabric", self.topology)
        for network in networks:
            await self.server.put(Kind.NETWORK, network.id, network)
        for attachment in attachments:
            await self.server.put_attachment(attachment)

    @asynccontextmanager
    async def controller(
        self, name: str = "one", drivers: Callable[[Switch], Driver] | None = None
    ) -> AsyncIterator[Controller]:
        store = Store.open(self._directory / name, Here())
        controller = Controller(
            self.server,
            store,
            drivers or self.fabric.driver,
            holder=name,
            clock=self.loop.time,
            now=self.loop.time,
            jitter=lambda: 0.5,
            aside=here,
        )
        task = asyncio.create_task(controller.run(), name=name)
        try:
            yield controller
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await controller.stop()
            store.close()

    async def until(self, what: Callable[[], bool], within_s: float) -> float:
        """How long it took. Fails when it took longer."""
        began = self.loop.time()
        while not what():
            assert self.loop.time() - began <= within_s, f"not within {within_s} s"
            await asyncio.sleep(0.01)
        return self.loop.time() - began

    async def until_up(self, *subjects: str, within_s: float = 5.0) -> float:
        return await self.until(
            lambda: all(self.server.state(one) is UP for one in subjects), within_s
        )
