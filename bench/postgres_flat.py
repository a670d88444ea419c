"""Ports on PostgreSQL (shared_buffers 1GB, max_wal_size 8GB, wal_compression lz4) at any number.

Whether they cost the same however many there are, and however full a subnet is. Rows are filled in
by SQL, as the server would have written them. Then two server processes a database make, list and
find ports over HTTP. Loads that are compared take turns; what they made is deleted after each.
PostgreSQL is set up as the README has it for many ports: its indexes in memory, and whole pages in
its log compressed, since at a million ports each one made touches pages that no other has touched
since the last checkpoint.
"""

import asyncio
import http.client
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import asyncpg
from tests.doubles.postgres import Postgres, postgres

from bench import load
from bench.postgres_filling import fill
from bench.result import Result, at_least, at_most
from bench.service import Service, running, vlan_network
from bench.usage import children, most_resident_megabytes

SETTINGS = ("shared_buffers=1GB", "max_wal_size=8GB", "wal_compression=lz4")
WORKERS = 2
SMALLER = (1_000, 100_000)
LARGEST = (1 << 20) - 3  # a /12 less its own address, gateway and broadcast, 99 % of them
NEARLY_FULL = 0.99
ROUNDS = 3
LOAD_S = 2
WARM_S = 4
FULL_LOAD_S = 1  # a hundredth of a /12 is 10,000 addresses
CLIENTS = 256
FLAT_MAX = 1.3
FULL_MAX = 1.5
LISTED = 20_000
LISTS = 5
FIRST_BYTE_MS = 20.0
LISTED_S = 0.5
FILTERED_MS = 3.0
RESIDENT_MB = 300.0

NEUTRON_RATE = 15.1
"""Ports a second at best, with few there: Neutron 29.0 on two idle cores, measured elsewhere."""

NEUTRON_RATE_OF_MANY = 0.92
"""Beside `LISTED` ports."""

NEUTRON_MIN = 300.0
NEUTRON_MANY_MIN = 3_000.0


class Place(NamedTuple):
    """A database with its servers, ports, the network that these are in, and one without any."""

    url: str
    service: Service
    ports: int
    filled_id: str
    empty_id: str
    directory: Path

    def rate(self, network_id: str, seconds: int) -> float:
        """Ports a second that clients make in a network; they are gone afterwards."""
        made = load.post(
            f"{self.service.url}/v2.0/ports",
            {"port": {"network_id": network_id}},
            clients=CLIENTS,
            seconds=seconds,
            directory=self.directory,
        )
        ids = [row[0] for row in _asked(self.url, "SELECT id FROM port WHERE name = ''")]
        for start in range(0, len(ids), 1_000):
            some = [{"id": each} for each in ids[start : start + 1_000]]
            self.service.delete("/v2.0/ports", {"ports": some})
        return made.per_second


def run() -> list[Result]:
    # Not /tmp, which may be in memory.
    with (
        postgres(settings=SETTINGS) as database,
        tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory,
        ExitStack() as stack,
    ):
        filled = partial(_filled, database, Path(directory))
        with filled(LISTED) as place:
            beside_neutron = _beside_neutron(place, NEUTRON_RATE_OF_MANY, NEUTRON_MANY_MIN)
            lists = [*_listed(place), _resident(place)]
        smaller = [stack.enter_context(filled(size)) for size in SMALLER]
        largest = stack.enter_context(filled(LARGEST, NEARLY_FULL))
        sizes = _by_size([*smaller, largest])
        of_largest = [*_by_fullness(largest), *_filtered(largest), _resident(largest)]
        few = _beside_neutron(smaller[0], NEUTRON_RATE, NEUTRON_MIN)
        return [*sizes, few, beside_neutron, *of_largest, *lists]


@contextmanager
def _filled(
    database: Postgres, directory: Path, count: int, fraction: float = 1.0
) -> Iterator[Place]:
    """Servers with so many ports, or this fraction of them, in one network."""
    (own := directory / f"{count}").mkdir()
    url = database.new_database()
    with running(own, url, workers=WORKERS) as service:
        network_id = vlan_network(service, "10.0.0.0/12")
        pattern = {"network_id": network_id, "name": "name", "device_id": "device"}
        service.post("/v2.0/ports", {"port": pattern})
    asyncio.run(fill(url, count, fraction))
    with running(own, url, workers=WORKERS) as service:
        empty_id = vlan_network(service, "10.64.0.0/12", vlan=101)
        ((ports,),) = _asked(url, "SELECT count(*) FROM port")
        yield Place(url, service, ports, network_id, empty_id, own)


def _by_size(places: Sequence[Place]) -> list[Result]:
    for place in places:  # and until most pages are in the log since the last checkpoint
        place.rate(place.empty_id, WARM_S)
    rounds = [[place.rate(place.empty_id, LOAD_S) for place in places] for _ in range(ROUNDS)]
    first = [rates[0] for rates in rounds]
    results = [Result(f"{places[0].ports:,} ports, {CLIENTS} clients", _median(first), "ports/s")]
    for n, place in enumerate(places[1:], start=1):
        slower = _median(rates[0] / rates[n] for rates in rounds)
        results.append(at_most(f"  … slower at {place.ports:,} ports", slower, FLAT_MAX))
    return results


def _beside_neutron(place: Place, neutron_rate: float, least: float) -> Result:
    place.rate(place.empty_id, LOAD_S)
    rate = _median(place.rate(place.empty_id, LOAD_S) for _ in range(ROUNDS))
    name = f"{place.ports:,} ports, rate / Neutron's {neutron_rate}, measured elsewhere"
    return at_least(name, rate / neutron_rate, least)


def _resident(place: Place) -> Result:
    most_mb = most_resident_megabytes(children(place.service.pid))
    name = f"{place.ports:,} ports, a server process at its most resident"
    return at_most(name, most_mb, RESIDENT_MB, "MB")


def _by_fullness(place: Place) -> list[Result]:
    turns = (place.empty_id, place.filled_id)
    _warm, *rounds = [[place.rate(each, FULL_LOAD_S) for each in turns] for _ in range(ROUNDS + 1)]
    slower = _median(of_empty / of_full for of_empty, of_full in rounds)
    name = f"  … slower in one that is {place.ports / LARGEST:.1%} full"
    return [
        Result("an empty subnet, /12", _median(rates[0] for rates in rounds), "ports/s"),
        at_most(name, slower, FULL_MAX),
    ]


def _filtered(place: Place) -> list[Result]:
    found = []
    one = _asked(place.url, "SELECT device_id, name FROM port ORDER BY id LIMIT 1")[0]
    for what, value in one.items():
        url = f"{place.service.url}/v2.0/ports?{what}={value}"
        load.get(url, clients=1, seconds=1)
        p50_s = load.get(url, clients=1, seconds=LOAD_S).p50_s
        name = f"{place.ports:,} ports, the one with a {what}, p50"
        found.append(at_most(name, p50_s * 1e3, FILTERED_MS, "ms"))
    return found


def _listed(place: Place) -> list[Result]:
    lists = [_list(place) for _ in range(LISTS)]
    first_s, total_s = (_median(part) for part in zip(*lists, strict=True))
    return [
        at_most(f"{LISTED:,} ports listed, first byte", first_s * 1e3, FIRST_BYTE_MS, "ms"),
        at_most("  … all of them", total_s, LISTED_S, "s"),
    ]


def _list(place: Place) -> tuple[float, float]:
    """Seconds until the first byte of a list of all ports is there, and until the last one."""
    connection = http.client.HTTPConnection(place.service.host, place.service.port, timeout=30)
    connection.connect()
    began = time.perf_counter()
    connection.request("GET", "/v2.0/ports")
    reply = connection.getresponse()
    first = reply.read(1)
    first_s = time.perf_counter() - began
    whole = first + reply.read()
    total_s = time.perf_counter() - began
    connection.close()
    assert whole.count(b'"mac_address"') >= LISTED
    return first_s, total_s


def _asked(url: str, sql: str) -> Sequence[asyncpg.Record]:
    async def ask() -> Sequence[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        rows: Sequence[asyncpg.Record] = await connection.fetch(sql)
        await connection.close()
        return rows

    return asyncio.run(ask())


_median = statistics.median
