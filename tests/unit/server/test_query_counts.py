"""How many SQL statements each endpoint costs: so many, however much there is.

A ratchet: who needs more says so in `endpoint_costs`, who needs less lowers it. A route that has no
entry fails. Statements of a server's own tasks (the feed, heartbeats) are not counted, nor BEGIN
and COMMIT.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.doubles.http import Answer
from tests.doubles.postgres import Postgres
from tests.unit.server.endpoint_costs import EXPECTED
from tests.unit.server.nova.telling import until
from tests.unit.server.scene import Request, Scene

from netwright.db import sqlite
from netwright.server import census, surveying, upkeep
from netwright.server.core import Core
from netwright.server.store import selections
from netwright.server.surveying import Surveyor

FEW, MANY = 3, 30
BULK_MAX = 60
"""Statements of a thousand claims or ends: three batches' or four's."""

_OWN_TASKS = frozenset({"event feed", "event listener", "hearing", "room of leaves", "upkeep"})
_NOT_COUNTED = (
    *("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "SELECT pg_notify"),
    "SELECT pg_advisory_unlock_all()",  # a connection's reset, by its pool
)


# Two kinds of lists: of everything, and of what was looked for.
LISTS = {
    "/v2.0/ports?limit=2": 1,
    "/v2.0/ports?network_id={network}": 1,
    "/v2.0/ports?fixed_ips=subnet_id%3D{subnet}&sort_key=name": 1,
    "/v2.0/ports?limit=2&marker={port}": 2,
    "/v2.0/ports?limit=2&marker={port}&page_reverse=1&sort_key=device_id": 2,
}


class Counter:
    """The statements that were executed since `take` was called."""

    def __init__(self) -> None:
        self._seen: list[str] = []

    def note(self, sql: str) -> None:
        if not sql.startswith(_NOT_COUNTED):
            self._seen.append(sql)

    def take(self) -> Sequence[str]:
        seen, self._seen = self._seen, []
        return seen


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter()
    connect = sqlite.connect

    def traced(path: Path, *how: int) -> sqlite3.Connection:
        connection = connect(path, *how)
        connection.set_trace_callback(counter.note)
        return connection

    monkeypatch.setattr(sqlite, "connect", traced)
    for name in ("fetch", "fetchrow", "execute", "executemany"):
        monkeypatch.setattr(asyncpg.Connection, name, _noting(counter, name))
    monkeypatch.setattr(upkeep, "UPKEEP_PERIOD_S", 3600.0)
    monkeypatch.setattr(selections, "COUNT_EVERY_S", 3600.0)
    monkeypatch.setattr(surveying, "COUNT_S", 3600.0)
    monkeypatch.setattr(Surveyor, "note", lambda *_: None)
    monkeypatch.setattr(census, "COUNTED_EVERY_S", 0.0)
    return counter


def _noting(counter: Counter, name: str) -> Callable[..., Any]:
    method = getattr(asyncpg.Connection, name)

    async def noting(self: asyncpg.Connection, sql: str, *parameters: Any, **how: Any) -> Any:
        task = asyncio.current_task()
        if task is None or task.get_name() not in _OWN_TASKS:
            counter.note(sql)
        return await method(self, sql, *parameters, **how)

    return noting


@pytest.fixture
async def scenes(
    counter: Counter, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Scene, Scene]]:
    """With few of everything, and with ten times as many."""
    if database_url.startswith("sqlite"):
        other = f"sqlite:///{tmp_path}/many.db"
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        other = server.new_database()
    async with AsyncExitStack() as opened:
        cores = [await Core.open(url) for url in (database_url, other)]
        for core in cores:
            opened.push_async_callback(core.close)
            await core.start()
        scenes = Scene(cores[0], FEW), Scene(cores[1], MANY)
        for scene in scenes:
            await scene.fill()
        yield scenes


async def _count(scene: Scene, counter: Counter, operation: str) -> Sequence[str]:
    """The statements of a request that is not the first of its kind."""
    method, _, _ = operation.partition(" ")
    for _ in range(2):
        request: Request = await EXPECTED[operation].make(scene)
        counter.take()
        answer: Answer = await scene.client.ask(
            method, request.target, request.body, headers=request.headers
        )
        if operation.endswith("(deferred)"):  # its doing costs, but not who waits for it
            await until(lambda: not scene.core.state()["operations_begun"])
        statements = counter.take()
        assert answer.status < 300, (operation, request, answer)
    return statements


async def test_every_endpoint_costs_what_is_written_however_much_there_is(
    scenes: tuple[Scene, Scene], counter: Counter, database_url: str
) -> None:
    few, many = scenes
    paths = (await few.client.get("/openapi.json")).json["paths"]
    operations = {f"{method.upper()} {path}" for path, each in paths.items() for method in each}
    expected_operations = {operation.partition(" (")[0] for operation in EXPECTED}
    assert operations == expected_operations, "an endpoint has no entry, or an entry no endpoint"
    wrong = {}
    for operation, (_, on_sqlite, on_postgres) in EXPECTED.items():
        expected = on_sqlite if database_url.startswith("sqlite") else on_postgres
        counts = [len(await _count(scene, counter, operation)) for scene in (few, many)]
        if counts != [expected, expected]:
            wrong[operation] = counts
    told = [f"{operation}: {counts}" for operation, counts in wrong.items()]
    assert not wrong, "with few and with many:\n" + "\n".join(told)


async def test_a_thousand_claims_cost_as_many_statements_as_their_batches(
    scenes: tuple[Scene, Scene], counter: Counter, database_url: str
) -> None:
    """On PostgreSQL; SQLite finds and writes row by row, which costs it no more."""
    if database_url.startswith("sqlite"):
        return
    scene = scenes[0]
    labels = {"network": {"labels": {"scene": "bulk"}}}
    await scene.done("PUT", f"/v2.0/networks/{scene.networks[0]}", labels)
    named = [f"web-{n}" for n in range(500)]
    wanted: list[dict[str, Any]] = [{"unique_name": name, "device_id": name} for name in named]
    wanted += [
        {"unique_name": "job/{slot}", "slots": 500, "device_id": f"job-{n}"} for n in range(500)
    ]
    ports = [{**each, "network_labels": "scene=bulk", "keep": "1h"} for each in wanted]
    body = {"epoch": "e", "project_id": "p", "ports": ports}
    path = "/v1/hosts/h1/container-ports"
    for _ in range(2):  # made, then claimed by their own containers again
        counter.take()
        answer = await scene.client.post(path, body)
        statements = counter.take()
        assert not [each for each in answer.json["outcomes"] if "error" in each], answer
        assert len(statements) <= BULK_MAX, len(statements)
    names = [each["port"]["unique_name"] for each in answer.json["outcomes"]]
    ended = [
        {"unique_name": name, "container_id": each["device_id"]}
        for name, each in zip(names, wanted, strict=True)
    ]
    counter.take()
    end = {"epoch": "e", "project_id": "p", "ended": ended}
    answer = await scene.client.ask("DELETE", path, end)
    statements = counter.take()
    assert answer.json["outcomes"] == [{}] * 1000
    assert len(statements) <= BULK_MAX, len(statements)


async def test_a_list_that_fits_one_page_is_one_statement_and_one_for_its_marker(
    scenes: tuple[Scene, Scene], counter: Counter
) -> None:
    for scene in scenes:
        known = {
            "network": scene.networks[0],
            "subnet": scene.subnets[0],
            "port": sorted(scene.ports)[1],
        }
        for target, expected in LISTS.items():
            counter.take()
            answer = await scene.client.get(target.format(**known))
            assert answer.status == 200, answer
            assert answer.json["ports"], target
            assert len(counter.take()) == expected, target
