"""500 watchers told of one change: how long until the last of them has it.

The watchers and the caller are one C program on one epoll queue. It counts from sending the request
to the last watcher's line, so the commit itself is in the figure, which is thus an upper bound. On
PostgreSQL two processes have the watchers: one commits the change, the other is woken by a NOTIFY.
"""

import json
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.doubles.postgres import postgres

from bench import load
from bench.result import Result, at_least, at_most
from bench.service import Service, running, vlan_network
from bench.usage import children, most_resident_megabytes

WATCHERS = 500
WORKERS = 2
CHANGES = 40
PAUSE_MS = 50
LAST_MS_MAX = 100.0
RESIDENT_MB = 300.0
PROGRAM_S = 120


class Told(NamedTuple):
    """Of each change, milliseconds from its request to its reply, and to the last watcher's line.

    `connections` is how many the server processes had meanwhile, each.
    """

    replies: Sequence[float]
    lasts: Sequence[float]
    connections: Sequence[int]
    resident_mb: float


def run() -> list[Result]:
    return [*_on_sqlite(), *_on_postgres()]


def _on_sqlite() -> list[Result]:
    with (
        tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory,
        running(Path(directory)) as service,
    ):
        told = _told(service, Path(directory), [service.pid])
    return _results("SQLite, one process", told)


def _on_postgres() -> list[Result]:
    with (
        postgres() as database,
        tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory,
        running(Path(directory), database.new_database(), workers=WORKERS) as service,
    ):
        told = _told(service, Path(directory), children(service.pid))
    at_fewest = at_least("  … watchers of the process with fewer", min(told.connections), 1)
    return [*_results(f"PostgreSQL, {WORKERS} processes", told), at_fewest]


def _told(service: Service, directory: Path, pids: Sequence[int]) -> Told:
    body = directory / "body.json"
    body.write_text(json.dumps({"port": {"network_id": vlan_network(service, "10.0.0.0/16")}}))
    before = [_descriptors(pid) for pid in pids]
    where = (service.host, str(service.port), str(WATCHERS))
    with subprocess.Popen(
        [load.built("watchers"), *where, str(body), str(CHANGES), str(PAUSE_MS)],
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        first = program.stdout.readline()  # all of them watch by now; the program bounds its waits
        connections = [_descriptors(pid) - n for pid, n in zip(pids, before, strict=True)]
        said = first + program.communicate(timeout=PROGRAM_S)[0]
    assert program.returncode == 0, said
    pairs = [tuple(float(us) / 1e3 for us in line.split()) for line in said.splitlines()]
    replies, lasts = zip(*pairs, strict=True)
    return Told(replies, lasts, connections, most_resident_megabytes(pids))


def _descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _results(where: str, told: Told) -> list[Result]:
    last = statistics.median(told.lasts)
    return [
        at_most(f"{where}: request → last of {WATCHERS} told, p50", last, LAST_MS_MAX, "ms"),
        at_most("  … the worst of all", max(told.lasts), LAST_MS_MAX, "ms"),
        Result("  … request → its own reply, p50", statistics.median(told.replies), "ms"),
        at_most("  … a process at its most resident", told.resident_mb, RESIDENT_MB, "MB"),
    ]
