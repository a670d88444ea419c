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
    # Not /tmp, which may be in memory. Each part has a new database, as large as its limit's.
    with tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory:
        (lone := Path(directory) / "lone").mkdir()
        (many := Path(directory) / "many").mkdir()
        return [*_one_client(lone), *_many_clients(many)]


def _one_client(directory: Path) -> list[Result]:
    """One client, against commits that come as seldom as its own.

    Commits back to back, which no lone client can ask for, find processor and disk awake.
    """
    bare = Replay(directory / "bare.db", creations(batches=15_000, ports=1))
    pairs: list[tuple[float, float]] = []
    back_to_back: list[float] = []
    with running(directory) as service:
        url = f"{service.url}/v2.0/ports"
        one = {"port": {"network_id": vlan_network(service, "10.0.0.0/10")}}
        pace_s = load.post(url, one, clients=1, seconds=1, directory=directory).p50_s  # warm
        for _ in range(ROUNDS):
            back_to_back += bare.run(LIMIT_S)
            commits = bare.run(LIMIT_S, pace_s)
            alone = load.post(url, one, clients=1, seconds=LONE_S, directory=directory)
            pace_s = alone.p50_s
            commits += bare.run(LIMIT_S, pace_s)
            pairs.append((pace_s, _median(commits)))
    bare.close()
    return [
        Result("bare durable commits back to back, p50", _median(back_to_back) * 1e3, "ms"),
        Result("one bare durable commit at the client's pace, p50", _p50_ms(pairs, 1), "ms"),
        Result("HTTP, one client, p50", _p50_ms(pairs, 0), "ms"),
        at_most("  … / one bare durable commit", _ratio(pairs), ONE_CLIENT_MAX),
    ]


def _p50_ms(pairs: list[tuple[float, float]], part: int) -> float:
    return _median(pair[part] for pair in pairs) * 1e3


def _many_clients(directory: Path) -> list[Result]:
    hundreds = Replay(directory / "hundreds.db", creations(batches=600, ports=BATCH))
    singles: list[tuple[float, float]] = []
    bulks: list[tuple[float, float]] = []
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
    hundreds.close()
    return [
        Result("SQLite alone, batches of 100", _median(limit for _, limit in singles), "ports/s"),
        Result(f"HTTP, {CLIENTS} clients", _median(rate for rate, _ in singles), "ports/s"),
        at_least("  … / SQLite alone", _ratio(singles), SINGLES_MIN),
        Result("HTTP, bulk of 100", _median(rate for rate, _ in bulks), "ports/s"),
        at_least("  … / SQLite alone", _ratio(bulks), BULK_MIN),
    ]


def _ratio(pairs: list[tuple[float, float]]) -> float:
    return _median(value / limit for value, limit in pairs)


_median = statistics.median
