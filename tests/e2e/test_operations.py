"""What was accepted to be done later is done, once, though the server is killed over it."""

import asyncio
import random
from pathlib import Path
from typing import Any

import aiohttp
from tests.doubles.postgres import Postgres
from tests.e2e.conftest import running

SEED = 3
ROUNDS = 4
CALLERS = 16
PORTS_EACH = 3
SEGMENT = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}


async def test_accepted_operations_outlive_a_killed_server(tmp_path: Path) -> None:
    await _outlive(tmp_path, "1", f"sqlite:///{tmp_path}/netwright.db")


async def test_accepted_operations_outlive_killed_workers(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    await _outlive(tmp_path, "2", postgres_server.new_database())


async def _outlive(state: Path, workers: str, database: str) -> None:
    chance, accepted = random.Random(SEED), dict[str, str]()
    network_id = ""
    for _ in range(ROUNDS):
        with running(state, "none", "--workers", workers, "--database", database) as server:
            async with aiohttp.ClientSession(server.url) as http:
                network_id = network_id or await _network(http)
                callers = [_caller(http, network_id, accepted) for _ in range(CALLERS)]
                load = asyncio.gather(*callers)
                await asyncio.sleep(chance.uniform(0.1, 0.6))
                server.process.kill()
                await load
    assert accepted
    with running(state, "none", "--workers", workers, "--database", database) as server:
        async with aiohttp.ClientSession(server.url) as http:
            for operation_id, name in accepted.items():
                await _was_done_once(http, operation_id, name)
            ports = (await _get(http, "/v2.0/ports"))["ports"]
            addresses = [ip["ip_address"] for port in ports for ip in port["fixed_ips"]]
            assert len(addresses) == len(set(addresses)), "an address has two holders"


async def _caller(http: aiohttp.ClientSession, network_id: str, accepted: dict[str, str]) -> None:
    """Ask for ports, as fast as they are accepted, until the server is gone."""
    number = 0
    while True:
        number += 1
        name = f"{id(asyncio.current_task())}-{number}-{len(accepted)}"
        body = {"ports": [{"network_id": network_id, "name": name}] * PORTS_EACH}
        try:
            async with http.post(
                "/v2.0/ports", json=body, headers={"Prefer": "respond-async"}
            ) as answer:
                assert answer.status == 202, await answer.text()
                accepted[(await answer.json())["id"]] = name
        except aiohttp.ClientError:
            return


async def _was_done_once(http: aiohttp.ClientSession, operation_id: str, name: str) -> None:
    path = f"/v1/operations/{operation_id}"
    operation = await _get(http, path, Prefer="wait=20")
    assert (operation["state"], operation["status"]) == ("done", 201), operation
    made = {port["id"] for port in operation["result"]["ports"]}
    there = (await _get(http, f"/v2.0/ports?name={name}"))["ports"]
    assert {port["id"] for port in there} == made
    assert len(made) == PORTS_EACH


async def _network(http: aiohttp.ClientSession) -> str:
    network = await _post(http, "network", {**SEGMENT, "provider:segmentation_id": 101})
    subnet = {"network_id": network["id"], "cidr": "10.0.0.0/8", "ip_version": 4}
    await _post(http, "subnet", subnet)
    return str(network["id"])


async def _post(http: aiohttp.ClientSession, name: str, item: dict[str, Any]) -> Any:
    async with http.post(f"/v2.0/{name}s", json={name: item}) as answer:
        assert answer.status == 201, await answer.text()
        return (await answer.json())[name]


async def _get(http: aiohttp.ClientSession, path: str, **headers: str) -> Any:
    async with http.get(path, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()
