"""Lists over HTTP: 20,000 ports, against what the database alone reads; filters at a million ports.

One server process on each database. What the database does alone is the same rows' bodies read by
one statement (PostgreSQL: COPY), by turns with the lists; filters, by turns with showing a port by
its id. The client that takes a long list is a bare socket; wrk asks for the short ones, one at a
time.

On an idle machine a list shall begin within 20 ms and end within 500, and a filter take 3 ms; the
limits here are ratios, which hold on a busy one too.
"""

import asyncio
import json
import multiprocessing
import socket
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import asyncpg
from tests.doubles.postgres import postgres

from bench import load, million
from bench.million import Ports, network_id
from bench.result import Result, at_most
from bench.service import Service, running
from bench.usage import most_resident_megabytes

LISTED = 20_000
ROUNDS = 9
FILTER_ROUNDS = 5
LOAD_S = 1
TOTAL_MAX = 8.0
FIRST_BYTE_MAX = 0.1
FIELDS_MAX = 0.6
FILTERED_MAX = 4.0
ADDRESSED_MAX = 8.0  # it leads through subnets and allocations
RESIDENT_MB = 300.0
_PATHS = 20_000  # more than a load asks for
_BODIES = "SELECT body FROM port ORDER BY id"


class Taken(NamedTuple):
    """When a list's first byte and its last came, in ms, and how long it was."""

    first_ms: float
    total_ms: float
    size: int


class Database(NamedTuple):
    """A database of a kind; `read_ms` reads all ports' bodies and says how long that took."""

    name: str
    fill: Callable[[str, int], None]
    read_ms: Callable[[str], float]


def run() -> list[Result]:
    # Not /tmp, which may be in memory.
    with (
        postgres(durable=False) as server,
        tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as made,
    ):
        urls = {
            count: (server.new_database(), f"sqlite:///{made}/{count}.db")
            for count in (LISTED, million.PORTS)
        }
        filling = [
            _in_background(database.fill, url, count)
            for count, both in urls.items()
            for database, url in zip(_DATABASES, both, strict=True)
        ]
        for process in filling:
            process.join()
            assert process.exitcode == 0, "a database could not be filled"
        results: list[Result] = []
        for number, database in enumerate(_DATABASES):
            results += _long_lists(database, urls[LISTED][number], Path(made))
            results += _filters(database, urls[million.PORTS][number], Path(made))
        return results


def _in_background(
    fill: Callable[[str, int], None], url: str, count: int
) -> multiprocessing.Process:
    process = multiprocessing.Process(target=fill, args=(url, count))
    process.start()
    return process


def _long_lists(database: Database, url: str, directory: Path) -> list[Result]:
    whole: list[Taken] = []
    some: list[float] = []
    alone: list[float] = []
    with running(directory, url) as service:
        _take(service, "/v2.0/ports")  # warm
        for _ in range(ROUNDS):
            alone.append(database.read_ms(url))
            whole.append(_take(service, "/v2.0/ports"))
            some.append(_take(service, "/v2.0/ports?fields=id&fields=device_id").total_ms)
        resident_mb = most_resident_megabytes([service.pid])
    total_ms = _median([each.total_ms for each in whole])
    first_ms = _median([each.first_ms for each in whole])
    name, size = database.name, whole[0].size / 1e6
    return [
        Result(f"{name}: the bodies of {LISTED:,} ports, read alone", _median(alone), "ms"),
        Result(f"{name}: list of {LISTED:,} ports ({size:.1f} MB), last byte", total_ms, "ms"),
        at_most("  … / read alone", total_ms / _median(alone), TOTAL_MAX),
        Result("  … first byte", first_ms, "ms"),
        at_most("  … first byte / last byte", first_ms / total_ms, FIRST_BYTE_MAX),
        at_most("  … two fields of each / all of them", _median(some) / total_ms, FIELDS_MAX),
        at_most("  … the server's memory at its most", resident_mb, RESIDENT_MB, "MB"),
    ]


def _filters(database: Database, url: str, directory: Path) -> list[Result]:
    ports = Ports()
    owned = [(n * 7919 % ports.count) & ~1 for n in range(_PATHS)]  # every second port is
    queries = {
        "device_id": [f"device_id={ports.device(n)}" for n in owned],
        "name": [f"name={ports.name(n)}" for n in owned],
        "fixed_ips": [f"fixed_ips=ip_address%3D{ports.address(n)}" for n in owned],
        "network_id and device_owner": [
            f"network_id={network_id(ports.network(n))}&device_owner=network:dhcp" for n in owned
        ],
    }
    shown = [f"/v2.0/ports/{ports.id(n)}" for n in owned]
    results: list[Result] = []
    with running(directory, url) as service:

        def p50_ms(paths: Sequence[str]) -> float:
            summary = load.each(
                service.url, "GET", paths, clients=1, seconds=LOAD_S, directory=directory
            )
            return summary.p50_s * 1e3

        for name, asked in queries.items():
            found = _ask(service, asked[0])
            assert found == (name != "network_id and device_owner"), (name, found)
            paths = [f"/v2.0/ports?{query}" for query in asked]
            pairs = [(p50_ms(paths), p50_ms(shown)) for _ in range(FILTER_ROUNDS)]
            what = f"{database.name}: of {ports.count:,} ports by {name}, p50"
            ratio = _median([filtered / by_id for filtered, by_id in pairs])
            results += [
                Result(what, _median([filtered for filtered, _ in pairs]), "ms"),
                at_most(
                    "  … / one shown by its id",
                    ratio,
                    ADDRESSED_MAX if name == "fixed_ips" else FILTERED_MAX,
                ),
            ]
        resident_mb = most_resident_megabytes([service.pid])
    memory = at_most("  … the server's memory at its most", resident_mb, RESIDENT_MB, "MB")
    return [*results, memory]


def _ask(service: Service, query: str) -> int:
    """How many ports the query finds."""
    body = b"".join(_body(service, f"/v2.0/ports?{query}"))
    return len(json.loads(body.partition(b"\r\n\r\n")[2])["ports"])


def _take(service: Service, path: str) -> Taken:
    began = time.perf_counter()
    chunks = _body(service, path)
    size = len(next(chunks))
    first = time.perf_counter()
    size += sum(map(len, chunks))
    return Taken((first - began) * 1e3, (time.perf_counter() - began) * 1e3, size)


def _body(service: Service, path: str) -> Iterator[bytes]:
    """A reply, header and all, as it comes."""
    with socket.create_connection((service.host, service.port)) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        while chunk := connection.recv(1 << 20):
            yield chunk


def _fill_sqlite(url: str, count: int) -> None:
    million.fill_sqlite(_file(url), count)


def _read_sqlite_ms(url: str) -> float:
    with closing(sqlite3.connect(_file(url))) as connection:
        began = time.perf_counter()
        for _ in connection.execute(_BODIES):
            pass
        return (time.perf_counter() - began) * 1e3


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def _read_postgres_ms(url: str) -> float:
    return asyncio.run(_copied_ms(url))


async def _copied_ms(url: str) -> float:
    async def forget(_: bytes) -> None: ...

    session = await asyncpg.connect(url)
    try:
        began = time.perf_counter()
        await session.copy_from_query(_BODIES, output=forget)
        return (time.perf_counter() - began) * 1e3
    finally:
        await session.close()


_DATABASES = (
    Database("PostgreSQL", million.fill_postgres, _read_postgres_ms),
    Database("SQLite", _fill_sqlite, _read_sqlite_ms),
)

_median: Callable[[Sequence[float]], float] = statistics.median
