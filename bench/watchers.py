"""500 watchers told of one change: how long until the last of them has it.

The watchers and the caller are one C program on one epoll queue. It counts from sending the request
to the last watcher's line, so the commit itself is in the figure, which is thus an upper bound.
"""

import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from bench import load
from bench.result import Result, at_most
from bench.service import running, vlan_network

WATCHERS = 500
CHANGES = 40
PAUSE_MS = 50
LAST_MS_MAX = 100.0


def run() -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="nwb-", dir="/var/tmp") as directory:
        return _measure(Path(directory))


def _measure(directory: Path) -> list[Result]:
    with running(directory) as service:
        body = directory / "body.json"
        body.write_text(json.dumps({"port": {"network_id": vlan_network(service, "10.0.0.0/16")}}))
        numbers = (str(CHANGES), str(PAUSE_MS))
        where = (service.host, str(service.port))
        said = subprocess.run(
            [load.built("watchers"), *where, str(WATCHERS), str(body), *numbers],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
        ).stdout
    pairs = [tuple(float(us) / 1e3 for us in line.split()) for line in said.splitlines()]
    replies, lasts = zip(*pairs, strict=True)
    last = statistics.median(lasts)
    return [
        at_most(f"request → last of {WATCHERS} watchers told, p50", last, LAST_MS_MAX, "ms"),
        Result("  … the worst of all", max(lasts), "ms"),
        Result("request → its own reply, p50", statistics.median(replies), "ms"),
    ]
