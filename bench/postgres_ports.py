"""Ports over HTTP on PostgreSQL, by two server processes, against PostgreSQL alone.

PostgreSQL 15 with fsync and synchronous_commit on; wrk loads the servers. What the database does
alone (`postgres_alone`) is measured before and after each load. What a port costs is all that the
servers' and all that PostgreSQL's processes have used, by /proc.

The limit is what one connection makes, one call after another: the log wants transactions in an
order, so they take turns, and the next begins when the last one's commit is on the disk. What as
many connections make as is best is shown beside it, without a bound. The database alone has both
processors for itself; beside the servers and wrk it shares them.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import asyncpg
from tests.doubles.postgres import Postgres, postgres

from bench import load
from bench.load import Summary
from bench.postgres_alone import PORTS, alone
from bench.result import Result, at_least, at_most
from bench.service import Service, running, vlan_network
from bench.usage import children, cpu_seconds_of_family, most_resident_megabytes

WORKERS = 2
ROUNDS = 3
LOAD_S = 3
BIND_S = 2
DELETE_S = 2
MORE_BOUND = 12_000
LIMIT_S = 1
CLIENTS = 256
BULK_CLIENTS = 16
HOST = "host1"
SINGLES_MIN = 0.4
SINGLES_P99_MS = 250.0
BULK_MIN = 0.7
SINGLE_CPU_MS = 0.4
BULK_CPU_MS = 0.2
CHANGES_MIN = 0.5
RESIDENT_MB = 300.0
_DATABASE = "served"


class Load(NamedTuple):
    """What one load did: ports, and the CPU seconds that servers and database used meanwhile."""

    ports: int
    seconds: float
    p50_s: float
    p99_s: float
    server_s: float
    database_s: float

    @property
    def rate(self) -> float:
        return self.ports / self.seconds

    @property
    def server_ms(self) -> float:
        return self.server_s / self.ports * 1e3

    @property
    def database_ms(self) -> float:
        return self.database_s / self.ports * 1e3

    @property
    def cpu_ms(self) -> float:
        return self.server_ms + self.database_ms


class Round(NamedTuple):
    """Loads by turns. Each of the limits was measured before and after its load.

    `limit_ms` is what PostgreSQL alone uses for a port, `at_best` its rate with more connections.
    """

    at_best: float
    single: Load
    single_limit: float
    limit_ms: float
    bulk: Load
    bulk_limit: float
    bound: Load
    deleted: Load
    deleted_bound: Load


def run() -> list[Result]:
    # Not /tmp, which may be in memory.
    with postgres() as database, tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as made:
        url = database.new_database(_DATABASE)
        with running(Path(made), url, workers=WORKERS) as service:
            bench = Bench(Path(made), database, service)
            bench.warm()
            rounds = [bench.round() for _ in range(ROUNDS)]
            resident_mb = most_resident_megabytes(children(service.pid))
    return [*_creations(bench.best.connections, rounds), *_changes(rounds), _resident(resident_mb)]


class Bench:
    """Two servers with a network, and a database beside theirs that shows the limit."""

    def __init__(self, directory: Path, database: Postgres, service: Service) -> None:
        self._directory = directory
        self._database = database
        self._service = service
        network_id = vlan_network(service, "10.0.0.0/10")
        self._one = {"port": {"network_id": network_id}}
        self._many = {"ports": [{"network_id": network_id}] * PORTS}
        service.post("/v2.0/ports", self._one)
        self.limit = alone(database, "alone", _DATABASE)
        self.best = self.limit.at_its_best()

    def warm(self) -> None:
        """Both loads, for a moment, which also leaves ports to change."""
        for _ in range(2):
            self._create(self._one, CLIENTS, LOAD_S)
            self._create(self._many, BULK_CLIENTS, LOAD_S)

    def round(self) -> Round:
        used_s = cpu_seconds_of_family(self._database.pid)
        before = self.limit.ports_per_second(LIMIT_S)
        used_s = cpu_seconds_of_family(self._database.pid) - used_s
        at_best = self.best.ports_per_second(LIMIT_S)
        single = self._measured(1, lambda: self._create(self._one, CLIENTS, LOAD_S))
        between = self.limit.ports_per_second(LIMIT_S)
        bulk = self._measured(PORTS, lambda: self._create(self._many, BULK_CLIENTS, LOAD_S))
        after = self.limit.ports_per_second(LIMIT_S)
        bound = self._bind()
        deleted = self._change("DELETE", "state = 'ALLOCATED'", DELETE_S)
        self._bind_more()
        which = "host IS NOT NULL AND state <> 'RELEASING'"
        return Round(
            at_best=at_best,
            single=single,
            single_limit=(before + between) / 2,
            limit_ms=used_s / (before * LIMIT_S) * 1e3,
            bulk=bulk,
            bulk_limit=(between + after) / 2,
            bound=bound,
            deleted=deleted,
            deleted_bound=self._change("DELETE", which, DELETE_S),
        )

    def _create(self, body: object, clients: int, seconds: int) -> Summary:
        url = f"{self._service.url}/v2.0/ports"
        return load.post(url, body, clients=clients, seconds=seconds, directory=self._directory)

    def _bind(self) -> Load:
        registration = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "b"}}
        self._service.put(f"/v1/hosts/{HOST}", registration)  # it is heard
        return self._change(
            "PUT", "state = 'ALLOCATED'", BIND_S, {"port": {"binding:host_id": HOST}}
        )

    def _bind_more(self) -> None:
        """Beside those of the load, so that none is lacking to delete."""
        free = self._ports("state = 'ALLOCATED'")[-MORE_BOUND:]  # the first are being deleted yet
        for start in range(0, len(free), 1_000):
            some = [{"id": each, "binding:host_id": HOST} for each in free[start : start + 1_000]]
            self._service.put("/v2.0/ports", {"ports": some})

    def _change(self, method: str, which: str, seconds: int, body: object = None) -> Load:
        paths = [f"/v2.0/ports/{each}" for each in self._ports(which)]
        return self._measured(
            1,
            lambda: load.each(
                self._service.url,
                method,
                paths,
                body,
                clients=CLIENTS,
                seconds=seconds,
                directory=self._directory,
            ),
        )

    def _ports(self, which: str) -> Sequence[str]:
        """Ids of such ports, in no order of theirs."""

        async def read() -> Sequence[str]:
            connection = await asyncpg.connect(self._database.url(_DATABASE))
            rows = await connection.fetch(f"SELECT id FROM port WHERE {which} ORDER BY id")
            await connection.close()
            return [str(row["id"]) for row in rows]

        return asyncio.run(read())

    def _measured(self, ports_each: int, work: Callable[[], Summary]) -> Load:
        server_s = cpu_seconds_of_family(self._service.pid)
        database_s = cpu_seconds_of_family(self._database.pid)
        done = work()
        return Load(
            done.requests * ports_each,
            done.seconds,
            done.p50_s,
            done.p99_s,
            cpu_seconds_of_family(self._service.pid) - server_s,
            cpu_seconds_of_family(self._database.pid) - database_s,
        )


def _creations(best_connections: int, rounds: Sequence[Round]) -> list[Result]:
    singles, bulks = [each.single for each in rounds], [each.bulk for each in rounds]
    of_single = _median(each.single.rate / each.single_limit for each in rounds)
    of_bulk = _median(each.bulk.rate / each.bulk_limit for each in rounds)
    alone_name = f"PostgreSQL alone, function of {PORTS} ports, one connection"
    at_best = f"  … at its best, {best_connections} connections"
    return [
        Result(alone_name, _median(each.single_limit for each in rounds), "ports/s"),
        Result("  … its CPU, a port", _median(each.limit_ms for each in rounds), "ms"),
        Result(at_best, _median(each.at_best for each in rounds), "ports/s"),
        Result(f"HTTP, {CLIENTS} clients", _median(each.rate for each in singles), "ports/s"),
        at_least("  … / PostgreSQL alone", of_single, SINGLES_MIN),
        Result("  … / PostgreSQL alone at its best", _of_best(rounds, singles)),
        Result("  … p50", _median(each.p50_s for each in singles) * 1e3, "ms"),
        at_most("  … p99", _median(each.p99_s for each in singles) * 1e3, SINGLES_P99_MS, "ms"),
        *_costs(singles, SINGLE_CPU_MS),
        Result(f"HTTP, bulk of {PORTS}", _median(each.rate for each in bulks), "ports/s"),
        at_least("  … / PostgreSQL alone", of_bulk, BULK_MIN),
        Result("  … / PostgreSQL alone at its best", _of_best(rounds, bulks)),
        *_costs(bulks, BULK_CPU_MS),
    ]


def _of_best(rounds: Sequence[Round], loads: Sequence[Load]) -> float:
    pairs = zip(rounds, loads, strict=True)
    return _median(load.rate / each.at_best for each, load in pairs)


def _costs(loads: Sequence[Load], cpu_ms: float) -> list[Result]:
    return [
        Result("  … CPU of the servers, a port", _median(each.server_ms for each in loads), "ms"),
        Result("  … CPU of PostgreSQL, a port", _median(each.database_ms for each in loads), "ms"),
        at_most("  … together", _median(each.cpu_ms for each in loads), cpu_ms, "ms"),
    ]


def _changes(rounds: Sequence[Round]) -> list[Result]:
    return [
        *_change("PUT binding:host_id", rounds, lambda each: each.bound),
        *_change("DELETE, unbound", rounds, lambda each: each.deleted),
        *_change("DELETE, bound", rounds, lambda each: each.deleted_bound),
    ]


def _change(name: str, rounds: Sequence[Round], of: Callable[[Round], Load]) -> list[Result]:
    loads = [of(each) for each in rounds]
    ratio = _median(of(each).rate / each.single.rate for each in rounds)
    return [
        Result(f"{name}, {CLIENTS} clients", _median(each.rate for each in loads), "ports/s"),
        at_least("  … / creating", ratio, CHANGES_MIN),
        Result("  … CPU of the servers, a port", _median(each.server_ms for each in loads), "ms"),
        Result("  … CPU of PostgreSQL, a port", _median(each.database_ms for each in loads), "ms"),
    ]


def _resident(most_mb: float) -> Result:
    return at_most("a server process, at its most resident", most_mb, RESIDENT_MB, "MB")


_median = statistics.median
