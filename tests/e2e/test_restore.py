"""A server is put back to its backup while an agent lives on: its host is as the backup says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import NoReturn

from tests.doubles.wiring import WiringDouble
from tests.e2e.callers import NETWORK
from tests.e2e.conftest import Server, free_port, running

from netwright.agent.agent import Agent
from netwright.agent.session import Identity
from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.server.store.copies import back_up, restore

HOST = "h1"
NETWORKS = {"physnet1": "br-bond"}
WAIT_S = 30.0


class Cloud:
    """A server that is stopped and started at one place, and what is asked of it there."""

    def __init__(self, state: Path, database: str) -> None:
        self._state = state
        self._database = database
        self._listen = f"127.0.0.1:{free_port()}"
        self._life = ExitStack()
        self._server: Server | None = None
        self.client = Client(f"http://{self._listen}")
        self.api = Networking(self.client)

    async def start(self) -> None:
        server = running(self._state, "none", database=self._database, listen=self._listen)
        self._server = await asyncio.to_thread(self._life.enter_context, server)

    async def stop(self) -> None:
        assert self._server is not None
        assert await asyncio.to_thread(self._server.stop) == 0

    async def close(self) -> None:
        await asyncio.to_thread(self._life.close)
        await self.client.close()

    async def is_registered(self) -> bool:
        return any(host.name == HOST for host in await self.client.hosts())

    async def make_network(self) -> str:
        network = await self.api.create(Collection.NETWORKS, NETWORK)
        subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/16"}
        await self.api.create(Collection.SUBNETS, subnet)
        return str(network["id"])

    async def bound(self, network: str) -> str:
        """A port that is bound to the host."""
        draft = {"network_id": network, "binding:host_id": HOST}
        return str((await self.api.create(Collection.PORTS, draft))["id"])

    async def until_active(self, port_id: str) -> None:
        async def is_active() -> bool:
            return bool((await self.api.show(Collection.PORTS, port_id))["status"] == "ACTIVE")

        await until(is_active)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await holds():  # noqa: ASYNC110 - it is so at a server, of which we must ask
            await asyncio.sleep(0.05)


@asynccontextmanager
async def living(
    client: Client, wiring: WiringDouble, epoch: str
) -> AsyncIterator[asyncio.Task[NoReturn]]:
    """An agent, which nothing but the test may end."""
    identity = Identity(host=HOST, epoch=epoch, driver="double", physical_networks=NETWORKS)
    task = asyncio.create_task(Agent(identity, client, wiring, jitter=lambda: 0.5).run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def cloud(state: Path, database: str) -> AsyncIterator[Cloud]:
    made = Cloud(state, database)
    try:
        await made.start()
        yield made
    finally:
        await made.close()


async def test_what_came_after_the_backup_goes_and_the_rest_stays_as_it_is(
    tmp_path: Path, database_url: str
) -> None:
    removed: list[str] = []
    wiring = WiringDouble(removed=lambda port_id, _: removed.append(port_id))
    file = tmp_path / "backup"
    async with cloud(tmp_path / "state", database_url) as it, AsyncExitStack() as agents:
        first = await agents.enter_async_context(living(it.client, wiring, "first"))
        await until(it.is_registered)
        network = await it.make_network()
        before, late = await it.bound(network), await it.bound(network)
        wiring.plug(before)
        await it.until_active(before)
        await asyncio.to_thread(back_up, database_url, file)

        first.cancel()  # and so the backup does not know of this life
        await agents.enter_async_context(living(it.client, wiring, "second"))
        after = await it.bound(network)
        for port_id in (late, after):  # of the one the backup knows no device, of the other nothing
            wiring.plug(port_id)
            await it.until_active(port_id)
        made_at = {port_id: wiring.standing[port_id].made_at for port_id in (before, late)}

        await it.stop()
        await restore(database_url, file, "restored", force=True)
        await it.start()
        for port_id in (before, late):  # the latter by what the agent has reported anew
            await it.until_active(port_id)
        new = await it.bound(network)
        wiring.plug(new)
        await it.until_active(new)
        assert removed == [after]
        assert wiring.standing.keys() == {before, late, new}
        assert {port_id: wiring.standing[port_id].made_at for port_id in made_at} == made_at
