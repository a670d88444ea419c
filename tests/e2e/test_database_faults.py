"""PostgreSQL dies, falls silent, or loses its connections: 503, Retry-After, then well again."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from tests.doubles.postgres import Postgres, postgres
from tests.e2e.conftest import Server, running

CALLERS = 16
AFTER = 60  # ports that are made once the fault is over
WAIT_S = 60.0
SILENCE_S = 8.0
# No statement is waited for longer than 6 s; who waits behind it, 1 s more.
ANSWER_S_MAX = 8.0
SEGMENT = {
    "provider:network_type": "vlan",
    "provider:physical_network": "physnet1",
    "provider:segmentation_id": 101,
}


@pytest.fixture
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


class Load:
    """Callers that make named ports, each until it is told to stop; what they were told."""

    def __init__(self, http: aiohttp.ClientSession, network_id: str) -> None:
        self.acknowledged: dict[str, str] = {}  # unique name: address
        self.refused = 0
        self.slowest_s = 0.0
        self.stopping = False
        self._answered = asyncio.Condition()
        self._http = http
        self._network_id = network_id

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for caller in range(CALLERS):
                tasks.create_task(self._call(caller))

    async def reach(self, count: int) -> None:
        """Wait until so many more were acknowledged."""
        wanted = len(self.acknowledged) + count
        await self._until(lambda: len(self.acknowledged) >= wanted)

    async def refusal(self) -> None:
        await self._until(lambda: self.refused > 0)

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S), self._answered:
            await self._answered.wait_for(reached)

    async def _call(self, caller: int) -> None:
        number = 0
        while not self.stopping:
            number += 1
            await self._make(f"c{caller}-{number}")

    async def _make(self, name: str) -> None:
        """One port, asked for until it is there: a name makes asking again safe (law 4)."""
        port = {"network_id": self._network_id, "unique_name": name}
        while True:
            asked_at = time.monotonic()
            async with self._http.post("/v2.0/ports", json={"port": port}) as answer:
                said = await answer.json()
                self.slowest_s = max(self.slowest_s, time.monotonic() - asked_at)
                async with self._answered:
                    if answer.status in {200, 201}:
                        self.acknowledged[name] = said["port"]["fixed_ips"][0]["ip_address"]
                    else:
                        assert answer.status == 503, said
                        self.refused += 1
                    self._answered.notify_all()
                if answer.status != 503:
                    return
                await asyncio.sleep(float(answer.headers["Retry-After"]) / 10)


async def _network(server: Server) -> str:
    async with aiohttp.ClientSession(server.url) as http:
        async with http.post("/v2.0/networks", json={"network": SEGMENT}) as answer:
            network_id: str = (await answer.json())["network"]["id"]
        subnet = {"network_id": network_id, "cidr": "10.0.0.0/8", "ip_version": 4}
        async with http.post("/v2.0/subnets", json={"subnet": subnet}) as answer:
            assert answer.status == 201
    return network_id


async def _check(load: Load, http: aiohttp.ClientSession) -> None:
    async with http.get("/v2.0/ports") as answer:
        ports: list[dict[str, Any]] = (await answer.json())["ports"]
    there = {port["unique_name"]: port["fixed_ips"][0]["ip_address"] for port in ports}
    lost = {name for name, address in load.acknowledged.items() if there.get(name) != address}
    assert not lost, f"acknowledged, then lost or changed: {sorted(lost)}"
    assert len(set(there.values())) == len(ports), "an address has two holders"
    assert load.acknowledged.keys() == there.keys(), "asked for again until it was there: no more"


async def test_postgresql_is_killed_and_comes_back(tmp_path: Path, database: Postgres) -> None:
    url = database.new_database()
    with running(tmp_path, "none", "--workers", "2", "--database", url) as server:
        network_id = await _network(server)
        async with aiohttp.ClientSession(server.url) as http:
            load = Load(http, network_id)
            running_load = asyncio.create_task(load.run())
            await load.reach(AFTER)
            await asyncio.to_thread(database.crash)
            await load.refusal()
            await asyncio.to_thread(database.start)
            await load.reach(AFTER)
            load.stopping = True
            await running_load
            await _check(load, http)
        assert server.process.poll() is None


async def test_connections_to_postgresql_are_cut_again_and_again(
    tmp_path: Path, database: Postgres
) -> None:
    url = database.new_database()
    with running(tmp_path, "none", "--workers", "2", "--database", url) as server:
        network_id = await _network(server)
        operator = await asyncpg.connect(url)
        async with aiohttp.ClientSession(server.url) as http:
            load = Load(http, network_id)
            running_load = asyncio.create_task(load.run())
            for _ in range(5):
                await load.reach(AFTER)
                await operator.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'netwright'"
                )
            await load.reach(AFTER)
            load.stopping = True
            await running_load
            await _check(load, http)
        await operator.close()


async def test_postgresql_falls_silent_and_answers_again(
    tmp_path: Path, database: Postgres
) -> None:
    url = database.new_database()
    with running(tmp_path, "none", "--workers", "2", "--database", url) as server:
        network_id = await _network(server)
        async with aiohttp.ClientSession(server.url) as http:
            load = Load(http, network_id)
            running_load = asyncio.create_task(load.run())
            await load.reach(AFTER)
            with database.silent():
                await asyncio.sleep(SILENCE_S)
                refused = load.refused
            back_at = time.monotonic()
            await load.reach(AFTER)
            back_s = time.monotonic() - back_at
            load.stopping = True
            await running_load
            await _check(load, http)
        assert refused >= CALLERS
        assert load.slowest_s < ANSWER_S_MAX
        assert back_s < ANSWER_S_MAX
