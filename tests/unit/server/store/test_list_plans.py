"""No list that clients ask for reads a table whole: the databases' own plans say so.

PostgreSQL's tables have rows enough for a choice, and reading one whole is made dear, for networks
are few; what it reads by an index must have a condition for that index. SQLite knows no sizes.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from bench import million
from sqlalchemy import ClauseElement
from tests.doubles.postgres import Postgres

from netwright.db import postgres_transaction, sqlite
from netwright.db.postgres_transaction import PostgresTransaction
from netwright.db.sqlite import SqliteTransaction
from netwright.db.transaction import Row
from netwright.model.resources import Network, Port, Subnet, Value
from netwright.server.queries import Query
from netwright.server.store.opening import open_store
from netwright.server.store.reading import StoreReader

# As Nova, Kuryr and the openstack CLI ask, for administrators and projects.
ASKED: dict[type[Value], Sequence[str]] = {
    Port: (
        "id=a",
        "id=a&id=b",
        "device_id=d",
        "device_id=d&device_id=e",
        "device_id=d&project_id=p",
        "device_id=d&device_owner=compute:nova",
        "device_id=d&network_id=n",
        "network_id=n",
        "network_id=n&device_owner=network:dhcp",
        "network_id=n&device_owner=network:dhcp&project_id=p",
        "network_id=n&mac_address=02:00:00:00:00:01",
        "network_id=n&status=ACTIVE",
        "network_id=n&admin_state_up=true",
        "device_owner=compute:kuryr",
        "device_owner=compute:kuryr&project_id=p",
        "fixed_ips=ip_address=10.0.0.9",
        "fixed_ips=ip_address=2001:db8::9",
        "fixed_ips=subnet_id=s",
        "fixed_ips=subnet_id=s&fixed_ips=ip_address=10.0.0.9",
        "fixed_ips=ip_address=10.0.0.9&network_id=n",
        "mac_address=02:00:00:00:00:01",
        "mac_address=02:00:00:00:00:01&project_id=p",
        "name=n",
        "name=n&name=m",
        "name=n&network_id=n",
        "name=n&project_id=p",
        "unique_name=u",
        "binding:host_id=h",
        "binding:host_id=h&device_owner=compute:nova",
        "binding:host_id=h&status=DOWN",
        "project_id=p",
        "project_id=p&status=ERROR",
    ),
    Network: ("id=a", "name=n", "project_id=p", "project_id=p&shared=false", "shared=true"),
    Subnet: ("id=a", "network_id=n", "name=n", "project_id=p", "cidr=10.0.0.0/24"),
}


class Plans:
    """What composed statements were going to read whole, in the database's words."""

    def __init__(self) -> None:
        self.whole: list[str] = []

    async def on_sqlite(self, tx: SqliteTransaction, statement: ClauseElement) -> None:
        sql, bound = sqlite.composed(statement)
        steps = tx.connection.execute(f"EXPLAIN QUERY PLAN {sql}", bound).fetchall()
        self.whole += [step for *_, step in steps if SCAN.match(step)]

    async def on_postgres(self, tx: PostgresTransaction, statement: ClauseElement) -> None:
        sql, bound = postgres_transaction.composed(statement)
        await tx.connection.execute("SET enable_seqscan = off")
        (plan,) = await tx.connection.fetchrow(f"EXPLAIN (FORMAT JSON) {sql}", *bound)
        self._look_at(json.loads(plan)[0]["Plan"])

    def _look_at(self, node: dict[str, Any]) -> None:
        kind = node["Node Type"]
        if kind == "Seq Scan" or ("Index" in kind and "Index Cond" not in node):
            self.whole.append(
                f"{kind} {node.get('Relation Name', '')} {node.get('Index Name', '')}"
            )
        for below in node.get("Plans", ()):
            self._look_at(below)


SCAN = re.compile(r"SCAN (?!json_each|found|placed|\(subquery)")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("plans") / "filled.db"
        million.fill_sqlite(path, 2_000)
        return f"sqlite:///{path}"
    server: Postgres = request.getfixturevalue("postgres_server")
    url = server.new_database()
    million.fill_postgres(url, 20_000)
    return url


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    plans = Plans()
    looks = ((SqliteTransaction, plans.on_sqlite), (PostgresTransaction, plans.on_postgres))
    for type_, look in looks:
        monkeypatch.setattr(type_, "select", _looking(look, type_.select))
    return plans


def _looking(look: Any, select: Any) -> Any:
    async def looking(self: Any, statement: ClauseElement) -> Sequence[Row]:
        await look(self, statement)
        rows: Sequence[Row] = await select(self, statement)
        return rows

    return looking


def _query(asked: str, **more: Any) -> Query:
    filters: dict[str, list[str]] = {}
    for part in asked.split("&"):
        name, _, value = part.partition("=")
        filters.setdefault(name, []).append(value)
    return Query(filters=tuple((name, tuple(wanted)) for name, wanted in filters.items()), **more)


async def test_what_clients_ask_for_is_found_by_indexes(filled_url: str, plans: Plans) -> None:
    opened = await open_store(filled_url, "x")
    reader = StoreReader(opened.database)
    try:
        for type_, queries in ASKED.items():
            for asked in queries:
                for project_id in (None, million.project_id(3)):
                    query = _query(asked, project_id=project_id)
                    await anext(reader.pages(type_, query, dict))
                    await reader.many(type_, query)
                    whole = [each for each in plans.whole if not _is_of_few(type_, asked, each)]
                    assert not whole, (type_, asked, project_id)
                    plans.whole.clear()
    finally:
        await opened.database.close()


def _is_of_few(type_: type[Value], asked: str, read: str) -> bool:
    """MACs are looked up in every network; PostgreSQL sees that there are twenty subnets."""
    if type_ is not Port:
        return False
    return ("mac_address" in asked and "network" in read) or read.startswith("Index Scan subnet ")


@pytest.mark.parametrize("ascending", [True, False])
async def test_whole_tables_are_walked_along_their_primary_key(
    filled_url: str, plans: Plans, *, ascending: bool
) -> None:
    opened = await open_store(filled_url, "x")
    reader = StoreReader(opened.database)
    try:
        pages = reader.pages(Port, Query(sort=(("id", ascending),)), dict)
        first = await anext(pages)
        plans.whole.clear()  # it begins at the table's end
        second = await anext(pages)
        assert not plans.whole
        assert (first.ids[-1] < second.ids[0]) is ascending
        marked = Query(sort=(("id", ascending),), marker=first.ids[-1], limit=5)
        assert (await anext(reader.pages(Port, marked, dict))).ids == second.ids[:5]
        assert not plans.whole
    finally:
        await opened.database.close()


async def test_a_scan_is_seen(filled_url: str, plans: Plans) -> None:
    opened = await open_store(filled_url, "x")
    reader = StoreReader(opened.database)
    try:
        await reader.many(Port, _query("description=x"))
        assert plans.whole
    finally:
        await opened.database.close()
