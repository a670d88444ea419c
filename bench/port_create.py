"""Creating ports over HTTP on SQLite, against SQLite alone with the same rows and indexes.

One server process, `synchronous=FULL`; wrk loads it. What SQLite alone does is measured before and
after each load, so that a machine that others use too bends both alike.
"""

import statistics
import tempfile
from pathlib import Path

from bench import load
from bench.result import Result, at_least, at_most
from bench.service import running, vlan_network
from bench.sqlite_alone import Replay, creations

ROUNDS = 3
LOAD_S = 3
LONE_S = 2
LIMIT_S = 0.5
BATCH = 100
CLIENTS = 256
BULK_CLIENTS = 8
SINGLES_MIN = 0.2
BULK_MIN = 0.5
ONE_CLIENT_MAX = 2.5


def run() -> list[Result]:
    # Not /tmp, which may be in memory.
    with tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory:
        return _measure(Path(directory))


def _measure(directory: Path) -> list[Result]:
    hundreds = Replay(directory / "hundreds.db", creations(batches=600, ports=BATCH))
    ones = Replay(directory / "ones.db", creations(batches=12_000, ports=1))
    singles: list[tuple[float, float]] = []
    bulks: list[tuple[float, float]] = []
    lone: list[tuple[float, float]] = []
    with running(directory) as service:
        network_id = vlan_network(service, "10.0.0.0/10")
        url = f"{service.url}/v2.0/ports"
        one = {"port": {"network_id": network_id}}
        many = {"ports": [{"network_id": network_id}] * BATCH}
        load.post(url, one, clients=CLIENTS, seconds=1, directory=directory)  # warm
        for _ in range(ROUNDS):
            before = hundreds.items_per_second(LIMIT_S)
            single = load.post(url, one, clients=CLIENTS, seconds=LOAD_S, directory=directory)
            between = hundreds.items_per_second(LIMIT_S)
            bulk = load.post(url, many, clients=BULK_CLIENTS, seconds=LOAD_S, directory=directory)
            after = hundreds.items_per_second(LIMIT_S)
            singles.append((single.per_second, (before + between) / 2))
            bulks.append((bulk.per_second * BATCH, (between + after) / 2))
            commits = ones.run(LIMIT_S)
            alone = load.post(url, one, clients=1, seconds=LONE_S, directory=directory)
            commits += ones.run(LIMIT_S)
            lone.append((alone.p50_s, statistics.median(commits)))
    hundreds.close()
    ones.close()
    return [
        Result("SQLite alone, batches of 100", _median(limit for _, limit in singles), "ports/s"),
        Result(f"HTTP, {CLIENTS} clients", _median(rate for rate, _ in singles), "ports/s"),
        at_least("  … / SQLite alone", _ratio(singles), SINGLES_MIN),
        Result("HTTP, bulk of 100", _median(rate for rate, _ in bulks), "ports/s"),
        at_least("  … / SQLite alone", _ratio(bulks), BULK_MIN),
        Result("one bare durable commit, p50", _median(c for _, c in lone) * 1e3, "ms"),
        Result("HTTP, one client, p50", _median(p50 for p50, _ in lone) * 1e3, "ms"),
        at_most("  … / one bare durable commit", _ratio(lone), ONE_CLIENT_MAX),
    ]


def _ratio(pairs: list[tuple[float, float]]) -> float:
    return _median(value / limit for value, limit in pairs)


_median = statistics.median
