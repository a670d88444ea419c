"""How many SQL statements each endpoint costs: so many, however much there is.

A ratchet: who needs more says so in `EXPECTED`, who needs less lowers it. A route that has no entry
fails. Statements of a server's own tasks (the feed, heartbeats) are not counted, nor BEGIN and
COMMIT.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import asyncpg
import pytest
from tests.doubles.http import Answer, Client
from tests.doubles.postgres import Postgres

from netwright.db import sqlite
from netwright.server import census
from netwright.server import core as core_module
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import OpenAuthenticator
from netwright.server.core import Core
from netwright.server.metrics import Metrics

FEW, MANY = 3, 30
_OWN_TASKS = frozenset({"event feed", "event listener", "hearing", "upkeep"})
_NOT_COUNTED = (
    *("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "SELECT pg_notify"),
    "SELECT pg_advisory_unlock_all()",  # a connection's reset, by its pool
)


class Scene:
    """A server with so many networks (each with a subnet), hosts, and ports, bound and free."""

    def __init__(self, core: Core, count: int) -> None:
        edge = Edge(core, OpenAuthenticator(b"x"), Metrics(), body_bytes_max=1 << 22)
        self.core = core
        self.client = Client(application(edge))
        self.count = count
        self.networks: list[str] = []
        self.subnets: list[str] = []
        self.ports: list[str] = []
        self.bound: list[str] = []
        self._made = 0
        self._vlan = 0

    async def fill(self) -> None:
        for _ in range(self.count):
            await self.host()
        self.networks = [await self.network() for _ in range(self.count)]
        self.subnets = [await self.subnet(id_) for id_ in self.networks]
        self.ports = [await self.port() for _ in range(self.count)]
        self.bound = [await self.port(bound=True) for _ in range(self.count)]

    async def network(self) -> str:
        return str((await self.done("POST", "/v2.0/networks", self.new_network()))["network"]["id"])

    async def subnet(self, network_id: str) -> str:
        made = await self.done("POST", "/v2.0/subnets", self.new_subnet(network_id))
        return str(made["subnet"]["id"])

    async def port(self, *, bound: bool = False) -> str:
        made = await self.done("POST", "/v2.0/ports", self.new_port(bound=bound))
        return str(made["port"]["id"])

    async def host(self) -> str:
        name = f"h{self._next()}"
        await self.done("PUT", f"/v1/hosts/{name}", REGISTRATION)
        return name

    async def fenced(self) -> str:
        name = await self.host()
        await self.done("POST", f"/v1/hosts/{name}/fence", {"reason": "gone"})
        return name

    def new_network(self) -> dict[str, Any]:
        self._vlan += 1
        segment = {
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": self._vlan,
        }
        return {"network": {"name": f"n{self._next()}", **segment}}

    def new_subnet(self, network_id: str) -> dict[str, Any]:
        return {"subnet": {"network_id": network_id, "ip_version": 4, "cidr": "10.0.0.0/16"}}

    def new_port(self, *, bound: bool = False) -> dict[str, Any]:
        host = {"binding:host_id": "h1"} if bound else {}
        return {"port": {"network_id": self.networks[0], "name": f"p{self._next()}", **host}}

    def _next(self) -> int:
        self._made += 1
        return self._made

    async def done(self, method: str, target: str, body: Any = None) -> Any:
        answer = await self.client.ask(method, target, body)
        assert answer.status < 300, (method, target, answer)
        return answer.json if answer.body else None


class Request(NamedTuple):
    target: str
    body: Any = None


REGISTRATION = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "br"}}
Make = Callable[[Scene], Any]


def _of(path: str, body: Any = None) -> Make:
    async def make(_: Scene) -> Request:
        return Request(path, body)

    return make


async def _empty_network(scene: Scene) -> str:
    return await scene.network()


async def _empty_subnet(scene: Scene) -> str:
    return await scene.subnet(await scene.network())


def _one(collection: str, new: Callable[[Scene], Any], body: Any = None) -> Make:
    async def make(scene: Scene) -> Request:
        return Request(f"/v2.0/{collection}/{await new(scene)}", body)

    return make


def _two(collection: str, new: Callable[[Scene], Any], **change: Any) -> Make:
    async def make(scene: Scene) -> Request:
        items = [{"id": await new(scene), **change} for _ in range(2)]
        return Request(f"/v2.0/{collection}", {collection: items})

    return make


def _host(path: str, body: Any = None, *, fenced: bool = False) -> Make:
    async def make(scene: Scene) -> Request:
        name = await (scene.fenced() if fenced else scene.host())
        return Request(f"/v1/hosts/{name}{path}", body)

    return make


async def _new_network(scene: Scene) -> Request:
    return Request("/v2.0/networks", scene.new_network())


async def _new_subnet(scene: Scene) -> Request:
    return Request("/v2.0/subnets", scene.new_subnet(await scene.network()))


async def _new_port(scene: Scene) -> Request:
    return Request("/v2.0/ports", scene.new_port())


async def _bound_port(scene: Scene) -> str:
    return await scene.port(bound=True)


async def _devices(scene: Scene) -> Request:
    return Request("/v1/hosts/h1/devices", {"epoch": "e", "port_ids": [await _bound_port(scene)]})


async def _reports(scene: Scene) -> Request:
    up = {"plane": "underlay", "generation": 1, "status": "up"}
    ports = [{**up, "port_id": await _bound_port(scene)} for _ in range(2)]
    return Request("/v1/reports", {"host": "h1", "epoch": "e", "reports": ports})


async def _trace(scene: Scene) -> Request:
    source, target = scene.bound[:2]
    return Request(f"/v1/trace?src={quote(source)}&dst={quote(target)}")


async def _history(scene: Scene) -> Request:
    return Request(f"/v1/ports/{scene.bound[0]}/history")


async def _explain(scene: Scene) -> Request:
    return Request(f"/v1/ports/{scene.bound[0]}/explain")


async def _watch(scene: Scene) -> Request:
    scene.core.end_watches()  # it then ends with its picture; so it comes last
    return Request("/v1/watch")


class Cost(NamedTuple):
    """Statements on SQLite, where each row that is written is one, and on PostgreSQL."""

    make: Make
    on_sqlite: int
    on_postgres: int


EXPECTED: dict[str, Cost] = {
    "GET /": Cost(_of("/"), 0, 0),
    "GET /v2.0": Cost(_of("/v2.0"), 0, 0),
    "GET /healthz": Cost(_of("/healthz"), 0, 0),
    "GET /readyz": Cost(_of("/readyz"), 1, 1),
    "GET /metrics": Cost(_of("/metrics"), 4, 4),
    "GET /openapi.json": Cost(_of("/openapi.json"), 0, 0),
    "GET /v2.0/extensions": Cost(_of("/v2.0/extensions"), 0, 0),
    "GET /v2.0/extensions/{id}": Cost(_of("/v2.0/extensions/binding"), 0, 0),
    "GET /v2.0/networks": Cost(_of("/v2.0/networks"), 1, 1),
    "POST /v2.0/networks": Cost(_new_network, 5, 7),
    "PUT /v2.0/networks": Cost(_two("networks", _empty_network, name="x"), 8, 8),
    "DELETE /v2.0/networks": Cost(_two("networks", _empty_network), 10, 10),
    "GET /v2.0/networks/{id}": Cost(_one("networks", _empty_network), 1, 1),
    "PUT /v2.0/networks/{id}": Cost(
        _one("networks", _empty_network, {"network": {"name": "x"}}), 6, 8
    ),
    "DELETE /v2.0/networks/{id}": Cost(_one("networks", _empty_network), 7, 9),
    "GET /v2.0/subnets": Cost(_of("/v2.0/subnets"), 1, 1),
    "POST /v2.0/subnets": Cost(_new_subnet, 9, 10),
    "PUT /v2.0/subnets": Cost(_two("subnets", _empty_subnet, name="x"), 9, 9),
    "DELETE /v2.0/subnets": Cost(_two("subnets", _empty_subnet), 21, 16),
    "GET /v2.0/subnets/{id}": Cost(_one("subnets", _empty_subnet), 1, 1),
    "PUT /v2.0/subnets/{id}": Cost(_one("subnets", _empty_subnet, {"subnet": {"name": "x"}}), 7, 9),
    "DELETE /v2.0/subnets/{id}": Cost(_one("subnets", _empty_subnet), 13, 14),
    "GET /v2.0/ports": Cost(_of("/v2.0/ports"), 1, 1),
    "POST /v2.0/ports": Cost(_new_port, 6, 8),
    "PUT /v2.0/ports": Cost(_two("ports", Scene.port, name="x"), 8, 7),
    "DELETE /v2.0/ports": Cost(_two("ports", Scene.port), 17, 11),
    "GET /v2.0/ports/{id}": Cost(_one("ports", _bound_port), 1, 1),
    "PUT /v2.0/ports/{id}": Cost(
        _one("ports", Scene.port, {"port": {"binding:host_id": "h1"}}), 10, 12
    ),
    "DELETE /v2.0/ports/{id}": Cost(_one("ports", Scene.port), 10, 11),
    "GET /v1/hosts": Cost(_of("/v1/hosts"), 1, 1),
    "GET /v1/hosts/{name}": Cost(_of("/v1/hosts/h1"), 1, 1),
    "PUT /v1/hosts/{name}": Cost(_host("", {**REGISTRATION, "epoch": "f"}), 5, 7),
    "DELETE /v1/hosts/{name}": Cost(_host("", fenced=True), 8, 10),
    "POST /v1/hosts/{name}/heartbeat": Cost(_of("/v1/hosts/h1/heartbeat", {"epoch": "e"}), 0, 0),
    "POST /v1/hosts/{name}/devices": Cost(_devices, 11, 13),
    "POST /v1/hosts/{name}/fence": Cost(_host("/fence", {"reason": "gone"}), 5, 7),
    "POST /v1/hosts/{name}/unfence": Cost(_host("/unfence", fenced=True), 4, 6),
    "POST /v1/hosts/{name}/credential": Cost(_host("/credential"), 0, 0),
    "POST /v1/reports": Cost(_reports, 17, 13),
    "GET /v1/ports/{id}/history": Cost(_history, 1, 1),
    "GET /v1/ports/{id}/explain": Cost(_explain, 4, 4),
    "POST /v1/leases/{name}": Cost(_of("/v1/leases/l", {"holder": "x", "ttl_s": 9}), 1, 1),
    "GET /v1/topology": Cost(_of("/v1/topology"), 1, 1),
    "PUT /v1/topology": Cost(_of("/v1/topology", {}), 2, 4),
    "GET /v1/trace": Cost(_trace, 9, 9),
    "GET /v1/watch": Cost(_watch, 6, 6),
}

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

    def traced(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.set_trace_callback(counter.note)
        return connection

    monkeypatch.setattr(sqlite, "connect", traced)
    for name in ("fetch", "fetchrow", "execute", "executemany"):
        monkeypatch.setattr(asyncpg.Connection, name, _noting(counter, name))
    monkeypatch.setattr(core_module, "UPKEEP_PERIOD_S", 3600.0)
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
    cores = [await Core.open(url) for url in (database_url, other)]
    scenes = Scene(cores[0], FEW), Scene(cores[1], MANY)
    for scene in scenes:
        await scene.core.start()
        await scene.fill()
    yield scenes
    for core in cores:
        await core.close()


async def _count(scene: Scene, counter: Counter, operation: str) -> Sequence[str]:
    """The statements of a request that is not the first of its kind."""
    method, _, _ = operation.partition(" ")
    for _ in range(2):
        request: Request = await EXPECTED[operation].make(scene)
        await asyncio.sleep(0.01)  # what the preparation left behind
        counter.take()
        answer: Answer = await scene.client.ask(method, request.target, request.body)
        statements = counter.take()
        assert answer.status < 300, (operation, request, answer)
    return statements


async def test_every_endpoint_costs_what_is_written_however_much_there_is(
    scenes: tuple[Scene, Scene], counter: Counter, database_url: str
) -> None:
    few, many = scenes
    paths = (await few.client.get("/openapi.json")).json["paths"]
    operations = {f"{method.upper()} {path}" for path, each in paths.items() for method in each}
    assert operations == set(EXPECTED), "an endpoint has no entry, or an entry no endpoint"
    wrong = {}
    for operation, (_, on_sqlite, on_postgres) in EXPECTED.items():
        expected = on_sqlite if database_url.startswith("sqlite") else on_postgres
        counts = [len(await _count(scene, counter, operation)) for scene in (few, many)]
        if counts != [expected, expected]:
            wrong[operation] = counts
    told = [f"{operation}: {counts}" for operation, counts in wrong.items()]
    assert not wrong, "with few and with many:\n" + "\n".join(told)


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
