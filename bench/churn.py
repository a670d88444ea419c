"""Pods come and go, 200 a second for five minutes: memory and latency stay, addresses come back.

40 hosts with the agents of `bench.simulated_hosts` against one server; each pod lives 5 s, then its
address rests for a minute. Compared are the second minute, when as many addresses come back as are
given away, and the last one; and at the end, when all has ended: every address is held by a port,
rests, or is free. `NETWRIGHT_BENCH_CHURN_S` makes it shorter, for a look.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

from bench import simulated_hosts
from bench.pods_at_once import scene
from bench.result import Result, at_least, at_most, percentile
from bench.simulated_hosts import Churn
from bench.usage import cpu_seconds, resident_megabytes

HOSTS = 40
PROCESSES = 2
PER_SECOND = 200.0
SECONDS = float(os.environ.get("NETWRIGHT_BENCH_CHURN_S", "300"))
LIFE_S = 5.0
MINUTE = SECONDS / 5
MEMORY_MAX = 1.15
LATENCY_MAX = 1.5
RATE_MIN = 0.98
SAMPLE_S = 1.0
REST_S = 60.0
RESTING_MIN = 0.9  # looked at a moment later
DATABASE = "netwright.db"

Timed = Sequence[tuple[float, float]]


def run() -> list[Result]:
    with scene() as (service, directory):
        with simulated_hosts.processes(service.url, HOSTS, PROCESSES) as made:
            pids = [each.pid for each in made]
            with _watched([service.pid]) as server, _watched(pids) as hosts:
                used = cpu_seconds(service.pid)
                for each in made:
                    each.ask(Churn(PER_SECOND / PROCESSES, LIFE_S, SECONDS))
                lived = [each.lived() for each in made]
                used = cpu_seconds(service.pid) - used
        adds = sorted(chain.from_iterable(each.adds for each in lived))
        ends = sorted(chain.from_iterable(each.ends for each in lived))
        errors = [error for each in lived for error in each.errors]
        addresses = _addresses(directory, ends)
    took_s = adds[-1][0] - adds[0][0]
    return [
        Result("pods started and ended", len(ends)),
        at_least("  … a second / wanted", len(adds) / took_s / PER_SECOND, RATE_MIN),
        at_most(f"  … errors{', the first: ' + errors[0] if errors else ''}", len(errors), 0),
        *_latency("ADD", adds),
        *_latency("DEL", ends),
        *_memory("the server", server),
        *_memory("both processes of agents", hosts),
        Result("  … the server's CPU, a pod's life", used / len(ends) * 1e3, "ms"),
        *addresses,
    ]


def _addresses(directory: Path, ended: Timed) -> list[Result]:
    """What the database has of them when all pods have ended.

    All rest whose pods ended within the last minute, and no others.
    """
    with closing(sqlite3.connect(directory / DATABASE)) as database:
        ports, held, resting = database.execute(
            "SELECT (SELECT count(*) FROM port), count(port_id), count(rests_until) FROM allocation"
            " WHERE port_id IS NOT NULL OR rests_until > ?",
            [time.time()],
        ).fetchone()
        (neither,) = database.execute(
            "SELECT count(*) FROM allocation WHERE (port_id IS NULL) = (rests_until IS NULL)"
        ).fetchone()
    over_at = max(asked + took for asked, took in ended)
    expected = sum(asked + took > over_at - REST_S for asked, took in ended)
    return [
        Result("addresses that rest when all pods have ended", resting),
        at_most("  … / pods that ended within the time that they rest", resting / expected, 1.0),
        at_least("  … likewise", resting / expected, RESTING_MIN),
        at_most("  … held by ports, or ports left", held + ports, 0),
        at_most("  … neither held nor resting, or both", neither, 0),
    ]


def _latency(verb: str, took: Timed) -> Iterator[Result]:
    early, late = _minute(took, 1), _minute(took, 4)
    for percent in (50, 99):
        first, last = percentile(early, percent) * 1e3, percentile(late, percent) * 1e3
        yield Result(f"{verb}, second minute, p{percent}", first, "ms")
        yield at_most("  … last minute / second", last / first, LATENCY_MAX)


def _memory(whose: str, samples: Timed) -> Iterator[Result]:
    early, late = max(_minute(samples, 1)), max(_minute(samples, 4))
    yield Result(f"{whose}, resident in the second minute", early, "MB")
    yield at_most("  … last minute / second", late / early, MEMORY_MAX)


def _minute(timed: Timed, number: int) -> Sequence[float]:
    """Numbered from 0; a fifth of the time when it is shorter."""
    return [value for at, value in timed if number * MINUTE <= at < (number + 1) * MINUTE]


@contextmanager
def _watched(pids: Sequence[int]) -> Iterator[list[tuple[float, float]]]:
    """How much the processes have resident together, in MB, with the time of each look."""
    found: list[tuple[float, float]] = []
    over = threading.Event()
    began = time.perf_counter()

    def look() -> None:
        while not over.wait(SAMPLE_S):
            megabytes = sum(resident_megabytes(pid) for pid in pids)
            found.append((time.perf_counter() - began, megabytes))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
