"""What the server acknowledged outlives SIGKILL at any moment, under load (laws 1 and 4).

On SQLite, and with several workers on a PostgreSQL that waits for the disk.
"""

import asyncio
import os
import random
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.doubles.postgres import postgres
from tests.e2e.conftest import Server, running

from netwright.client.http import Http
from netwright.client.networking import Collection, Networking
from netwright.model.errors import IpAddressGenerationFailure, PortNotFound, Unavailable

SEED = 2
CALLERS = 24
LOAD_S_MAX = 1.5
BULK_MAX = 20
ROOMY = "10.8.0.0/16"
TIGHT = "10.9.0.0/28"
TIGHT_ADDRESSES = 13  # sixteen without network, broadcast and gateway


class Place(NamedTuple):
    """Where the server keeps its rows, how it serves, and how often it dies."""

    database: str
    workers: int
    rounds: int


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield Place(f"sqlite:///{tmp_path}/netwright.db", workers=1, rounds=6)
        return
    with postgres() as server:
        yield Place(server.new_database(), workers=2, rounds=2)


@dataclass
class Book:
    """What the callers know: who was told what, and which questions were never answered."""

    networks: dict[str, str] = field(default_factory=dict)  # CIDR: id
    held: dict[str, dict[str, Any]] = field(default_factory=dict)  # unique name: port
    asked: list[tuple[str, ...]] = field(default_factory=list)  # creations without an answer
    going: dict[str, str] = field(default_factory=dict)  # id: name, deletions without an answer
    gone: set[str] = field(default_factory=set)  # ids
    names: int = 0
    done: int = 0

    def new_names(self, count: int) -> tuple[str, ...]:
        self.names += count
        return tuple(f"n{self.names - each}" for each in range(count))


class Caller:
    """Creates and deletes ports, one request at a time, until the server dies."""

    def __init__(self, api: Networking, book: Book, chance: random.Random) -> None:
        self._api = api
        self._book = book
        self._chance = chance

    async def run(self) -> None:
        while True:
            try:
                await self._act()
            except IpAddressGenerationFailure:
                continue
            except Unavailable:
                return
            self._book.done += 1

    async def _act(self) -> None:
        kind = self._chance.random()
        if kind < 0.35 and self._book.held:
            await self._delete()
        elif kind < 0.5:
            await self.create(self._book.new_names(self._chance.randint(2, BULK_MAX)), ROOMY)
        elif kind < 0.7:
            await self.create(self._book.new_names(1), TIGHT)
        else:
            await self.create(self._book.new_names(1), ROOMY)

    async def create(self, names: tuple[str, ...], cidr: str) -> None:
        book = self._book
        drafts = [
            {"network_id": book.networks[cidr], "unique_name": name, "name": cidr} for name in names
        ]
        book.asked.append(names)
        try:
            if len(names) == 1:
                made = [await self._api.create(Collection.PORTS, drafts[0])]
            else:
                made = await self._api.create_all(Collection.PORTS, drafts)
        except IpAddressGenerationFailure:
            book.asked.remove(names)
            raise
        book.asked.remove(names)
        book.held |= dict(zip(names, made, strict=True))

    async def _delete(self) -> None:
        book = self._book
        name = self._chance.choice(list(book.held))
        port_id = book.held.pop(name)["id"]
        book.going[port_id] = name
        await self._api.delete(Collection.PORTS, port_id)
        del book.going[port_id]
        book.gone.add(port_id)


def test_no_acknowledged_port_is_lost_and_no_address_given_twice(
    tmp_path: Path, place: Place
) -> None:
    print(f"seed {SEED}")  # noqa: T201 - shown when the test fails
    chance = random.Random(SEED)
    book = Book()
    arguments = ("--workers", str(place.workers))
    for round_ in range(place.rounds):
        with running(tmp_path, "none", *arguments, database=place.database) as server:
            asyncio.run(_round(server, book, chance, is_first=round_ == 0))
    with running(tmp_path, "none", *arguments, database=place.database) as server:
        asyncio.run(_last_round(server, book))
    assert book.done > place.rounds * 50, "the load was too small to show anything"


async def _round(server: Server, book: Book, chance: random.Random, *, is_first: bool) -> None:
    """Check what the last death left, then load the server and kill it."""
    async with Http(server.url) as http:
        api = Networking(http)
        if is_first:
            for cidr in (ROOMY, TIGHT):
                book.networks[cidr] = await _network(api, cidr)
        await _check(api, book)
        callers = [Caller(api, book, random.Random(chance.random())) for _ in range(CALLERS)]
        async with asyncio.TaskGroup() as load:
            for caller in callers:
                load.create_task(caller.run())
            await asyncio.sleep(chance.uniform(0.2, LOAD_S_MAX))
            _kill(server)


def _kill(server: Server) -> None:
    """The server and its workers, which would else end in an orderly way."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (pid, *map(int, children)):
        os.kill(each, signal.SIGKILL)


async def _last_round(server: Server, book: Book) -> None:
    """A pool that went through all crashes gives out each of its addresses, and no more."""
    async with Http(server.url) as http:
        api = Networking(http)
        await _check(api, book)
        held = await _ports(api, TIGHT)
        caller = Caller(api, book, random.Random(SEED))
        for _ in range(TIGHT_ADDRESSES - len(held)):
            await caller.create(book.new_names(1), TIGHT)
        try:
            await caller.create(book.new_names(1), TIGHT)
        except IpAddressGenerationFailure as error:
            assert f"all {TIGHT_ADDRESSES} are in use" in error.message  # noqa: PT017
        else:
            raise AssertionError("a full pool gave out one more address")
        assert len(set(_addresses(await _ports(api, TIGHT)))) == TIGHT_ADDRESSES
        await _check(api, book)


async def _check(api: Networking, book: Book) -> None:
    """Compare the server's ports with the book, then settle what was left open."""
    ports = await api.list(Collection.PORTS)
    there = {port["unique_name"]: port for port in ports}
    addresses = _addresses(ports)
    assert len(addresses) == len(set(addresses)), "an address has two holders"
    lost = {name for name, port in book.held.items() if _core(there.get(name)) != _core(port)}
    assert not lost, f"acknowledged, then lost or changed: {sorted(lost)}"
    back = book.gone & {port["id"] for port in ports}
    assert not back, f"deleted, then there again: {sorted(back)}"
    asked = {name for names in book.asked for name in names}
    strange = set(there) - set(book.held) - asked - set(book.going.values())
    assert not strange, f"nobody asked for {sorted(strange)}"
    for names in book.asked:
        found = [name in there for name in names]
        assert all(found) or not any(found), f"half of one request was done: {names}, {found}"
    await _ask_again(api, book, there)


async def _ask_again(api: Networking, book: Book, there: dict[str, dict[str, Any]]) -> None:
    """A retry returns the port that its lost answer would have named, or makes it now."""
    unanswered, book.asked = book.asked, []
    caller = Caller(api, book, random.Random(SEED))
    for names in unanswered:
        cidr = there[names[0]]["name"] if names[0] in there else ROOMY
        await caller.create(names, cidr)
        for name in names:
            assert name not in there or _core(book.held[name]) == _core(there[name])
    for port_id in book.going:
        with suppress(PortNotFound):
            await api.delete(Collection.PORTS, port_id)
        book.gone.add(port_id)
    book.going.clear()


async def _network(api: Networking, cidr: str) -> str:
    network = await api.create(Collection.NETWORKS, {"name": cidr} | _segment(cidr))
    subnet = {"network_id": network["id"], "cidr": cidr, "ip_version": 4}
    await api.create(Collection.SUBNETS, subnet)
    return str(network["id"])


def _segment(cidr: str) -> dict[str, Any]:
    return {
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": 100 + (ROOMY, TIGHT).index(cidr),
    }


async def _ports(api: Networking, cidr: str) -> list[dict[str, Any]]:
    return await api.list(Collection.PORTS, {"name": cidr})


def _addresses(ports: Iterable[dict[str, Any]]) -> Sequence[str]:
    return [ip["ip_address"] for port in ports for ip in port["fixed_ips"]]


def _core(port: dict[str, Any] | None) -> Any:
    """What never changes in a port that nobody updates."""
    return port and (port["id"], port["mac_address"], port["fixed_ips"], port["network_id"])
