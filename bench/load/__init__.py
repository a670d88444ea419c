"""Load generators that are not the bottleneck: wrk, and small C programs built when needed."""

import json
import os
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

_HERE = Path(__file__).parent


class Summary(msgspec.Struct, frozen=True):
    """What wrk saw. `failed` are answers other than 2xx, broken connections and timeouts."""

    requests: int
    seconds: float
    p50_s: float
    p99_s: float
    failed: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def post(url: str, body: Any, *, clients: int, seconds: int, directory: Path) -> Summary:
    """POST one body from so many clients, each with one request in flight."""
    file = directory / "body.json"
    file.write_text(json.dumps(body), encoding="utf-8")
    return _wrk(url, clients, seconds, "post.lua", str(file))


def each(
    url: str,
    method: str,
    paths: Iterable[str],
    body: Any = None,
    *,
    clients: int,
    seconds: int,
    directory: Path,
) -> Summary:
    """One request for each of the paths, from so many clients; there must be more than are used."""
    listed = directory / "paths"
    listed.write_text("\n".join(paths), encoding="utf-8")
    arguments = [method, str(listed)]
    if body is not None:
        file = directory / "body.json"
        file.write_text(json.dumps(body), encoding="utf-8")
        arguments.append(str(file))
    return _wrk(url, clients, seconds, "each.lua", *arguments)


def get(url: str, *, clients: int, seconds: int) -> Summary:
    """GET one address again and again."""
    return _wrk(url, clients, seconds, "summary.lua")


def _wrk(url: str, clients: int, seconds: int, script: str, *arguments: str) -> Summary:
    options = ("-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "10s")
    said = subprocess.run(
        ["wrk", *options, "-s", str(_HERE / script), url, "--", *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        env={"PATH": os.environ["PATH"], "LUA_PATH": f"{_HERE}/?.lua"},
    ).stdout
    line = next(line for line in said.splitlines() if line.startswith("SUMMARY "))
    summary = msgspec.json.decode(line.removeprefix("SUMMARY "), type=Summary)
    assert summary.failed == 0, f"{summary.failed} of {summary.requests} requests failed: {said}"
    return summary


@cache
def built(name: str) -> str:
    """The path of a C program of this folder, compiled for this run."""
    program = str(Path(_programs().name) / name)
    source = str(_HERE / f"{name}.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-o", program, source], check=True)
    return program


@cache
def _programs() -> TemporaryDirectory[str]:
    """Where this run's programs are; removed when the run ends."""
    return TemporaryDirectory(prefix="nwb-")
