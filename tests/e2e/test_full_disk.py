"""A database without room: changes are refused whole, reads go on, and it recovers by itself."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from tests.e2e.conftest import Server, running

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small tmpfs, which needs root")

_ROOM = "24m"  # the write-ahead log alone takes 4
_IN_SMALL_TMPFS = f'mount -t tmpfs -o size={_ROOM} none "$0" && exec "$@"'
_SEGMENT = {
    "provider:network_type": "vlan",
    "provider:physical_network": "physnet1",
    "provider:segmentation_id": 100,
}


@contextmanager
def small_server(state: Path) -> Iterator[tuple[Server, Path]]:
    """A server whose database has a file system of its own, and the way there from outside."""
    directory = state / "database"
    directory.mkdir()
    wrapper = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _IN_SMALL_TMPFS)
    url = f"sqlite:///{directory}/netwright.db"
    with running(state, "none", "--database", url, wrapper=(*wrapper, str(directory))) as server:
        yield server, Path(f"/proc/{server.process.pid}/root{directory}")


class Filler:
    """A file that takes all the room that there is."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "filler"

    def grow(self) -> None:
        with self._path.open("ab", buffering=0) as file:
            for block in (65536, 4096, 512):
                try:
                    while True:
                        file.write(bytes(block))
                except OSError:  # no room for a block of this size
                    continue

    def remove(self) -> None:
        self._path.unlink()


def test_a_full_disk_refuses_changes_whole_and_recovers(tmp_path: Path) -> None:
    with small_server(tmp_path) as (server, directory):
        asyncio.run(_fill_and_recover(server, Filler(directory)))
    # The server was killed: what it acknowledged is in a file system that went with it. That the
    # acknowledged outlive a crash is test_crash's subject.


class Refusal(NamedTuple):
    """The port that found no room, and what its caller was told."""

    name: str
    retry_after: str
    error: dict[str, str]


async def _fill_and_recover(server: Server, filler: Filler) -> None:
    async with aiohttp.ClientSession(server.url) as session:
        network_id = await _network(session)
        async with asyncio.TaskGroup() as load:
            filling = load.create_task(_create_until_refused(session, network_id, "many", 10))
            await asyncio.sleep(0.3)
            filler.grow()
        # A single change may still fit where ten did not.
        acknowledged, _ = filling.result()
        more, refused = await _create_until_refused(session, network_id, "one", 1)
        acknowledged |= more
        assert int(refused.retry_after) >= 1
        assert "full" in refused.error["message"]
        assert "nothing was changed" in refused.error["message"] + refused.error["detail"]
        assert await _names(session) == acknowledged  # reads go on; nothing is half there
        filler.remove()
        for name in (refused.name, "after"):
            answer = await session.post("/v2.0/ports", json=_port(network_id, name))
            assert answer.status == 201
        assert await _names(session) == acknowledged | {refused.name, "after"}
    assert server.stop() == 0


async def _create_until_refused(
    session: aiohttp.ClientSession, network_id: str, prefix: str, at_once: int
) -> tuple[set[str], Refusal]:
    """Create ports until one is refused for want of room: which were acknowledged, and a refused.

    Who comes after a refused one may find room again: a checkpoint gives back the log's.
    """
    acknowledged: set[str] = set()
    refused: list[Refusal] = []

    async def create(number: int) -> None:
        name = f"{prefix}{number}"
        answer = await session.post("/v2.0/ports", json=_port(network_id, name))
        assert answer.status in {201, 503}
        if answer.status == 201:
            acknowledged.add(name)
        else:
            error = (await answer.json())["NeutronError"]
            refused.append(Refusal(name, answer.headers["Retry-After"], error))

    for batch in range(1_000):
        numbers = range(batch * at_once, (batch + 1) * at_once)
        await asyncio.gather(*(create(number) for number in numbers))
        if refused:
            return acknowledged, refused[0]
    raise AssertionError("the disk never was full")


async def _network(session: aiohttp.ClientSession) -> str:
    answer = await session.post("/v2.0/networks", json={"network": {"name": "n", **_SEGMENT}})
    network_id = str((await answer.json())["network"]["id"])
    subnet = {"network_id": network_id, "cidr": "10.7.0.0/16", "ip_version": 4}
    assert (await session.post("/v2.0/subnets", json={"subnet": subnet})).status == 201
    return network_id


def _port(network_id: str, name: str) -> dict[str, dict[str, str]]:
    return {"port": {"network_id": network_id, "name": name, "unique_name": name}}


async def _names(session: aiohttp.ClientSession) -> set[str]:
    answer = await session.get("/v2.0/ports")
    return {port["name"] for port in (await answer.json())["ports"]}
