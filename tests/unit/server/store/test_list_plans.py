"""No list that clients ask for reads a table whole: the databases' own plans say so.

But a list by what none of these say: ports by `status` alone (ADR 16), flags, descriptions, types
of networks; tags that a resource shall not have. Quotas are as many as projects have limits.

PostgreSQL's tables have rows enough for a choice, and reading one whole is made dear, for networks
are few; what it reads by an index must have a condition for that index. SQLite knows no sizes.
"""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from bench import million
from sqlalchemy import ClauseElement
from tests.doubles.postgres import Postgres
from tests.doubles.sql import execute

from netwright.db import postgres_transaction, sqlite
from netwright.db.postgres_transaction import PostgresTransaction
from netwright.db.sqlite import SqliteTransaction
from netwright.db.transaction import Row, Transaction
from netwright.model.addressing import AddressScope, SubnetPool
from netwright.model.quotas import Quota
from netwright.model.resources import Network, Port, Subnet, Value
from netwright.model.routing import FloatingIp, Router
from netwright.model.security import Direction, GroupRule, SecurityGroup
from netwright.server.queries import Query
from netwright.server.store import schema
from netwright.server.store.filters import READABLE, leading
from netwright.server.store.opening import open_store
from netwright.server.store.plain import TABLES, row
from netwright.server.store.reading import StoreReader
from netwright.server.tags import TAGGED

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
        "security_groups=g",
        "security_groups=g&security_groups=h",
        "security_groups=g&network_id=n",
        "tags=t",
        "tags-any=t,u",
        "tags=t&network_id=n",
    ),
    Network: (
        "id=a",
        "name=n",
        "name=n&project_id=p",
        "project_id=p",
        "project_id=p&shared=false",
        "shared=true",
        "router:external=true",
        "provider:segmentation_id=7",
        "id=a&ip_version=4",
        "provider:segmentation_id=7&provider:network_type=vlan",
        "provider:segmentation_id=7&provider:physical_network=physnet1",
        "provider:network_type=vlan&provider:segmentation_id=7&shared=true",
        "tags=t",
        "tags=t,u",
        "tags-any=t,u",
        "tags=t&project_id=p",
    ),
    Subnet: (
        "id=a",
        "network_id=n",
        "name=n",
        "project_id=p",
        "cidr=10.0.0.0/24",
        "subnetpool_id=s",
        "tags=t",
    ),
    SecurityGroup: ("id=a", "id=a&id=b", "name=n", "name=n&project_id=p", "project_id=p", "tags=t"),
    GroupRule: (
        "id=a",
        "security_group_id=g",
        "security_group_id=g&direction=ingress",
        "project_id=p",
        "remote_group_id=g",
    ),
    Router: ("id=a", "name=n", "name=n&project_id=p", "project_id=p", "tags=t"),
    FloatingIp: (
        "id=a",
        "floating_ip_address=203.0.113.9",
        "floating_network_id=n",
        "port_id=p",
        "port_id=p&port_id=q",
        "router_id=r",
        "fixed_ip_address=10.0.0.9",
        "project_id=p",
        "project_id=p&status=ACTIVE",
        "tags=t",
    ),
    SubnetPool: (
        "id=a",
        "name=n",
        "name=n&project_id=p",
        "project_id=p",
        "shared=true",
        "address_scope_id=s",
        "tags=t",
    ),
    AddressScope: ("id=a", "name=n", "name=n&project_id=p", "project_id=p", "shared=true"),
    Quota: ("id=a",),
}
OTHERS = 2_000


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
        url = f"sqlite:///{path}"
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        url = server.new_database()
        million.fill_postgres(url, 20_000)
    asyncio.run(_fill_others(url))
    return url


async def _fill_others(url: str) -> None:
    opened = await open_store(url, "x")
    try:
        await opened.database.write(_insert_others)
    finally:
        await opened.database.close()
    await execute(url, "ANALYZE" if url.startswith("postgresql") else "SELECT 1")


async def _insert_others(tx: Transaction) -> None:
    made: dict[type[Value], Callable[[dict[str, Any]], Value]] = {
        SecurityGroup: lambda own: SecurityGroup(**own),
        Router: lambda own: Router(**own),
        FloatingIp: lambda own: FloatingIp(
            id=own["id"], project_id=own["project_id"], floating_network_id=own["name"],
            floating_ip_address=own["name"], floating_port_id="f", port_id=own["name"],
            fixed_ip_address=own["name"], router_id=own["name"],
        ),
        AddressScope: lambda own: AddressScope(**own, ip_version=4),
        SubnetPool: lambda own: SubnetPool(
            **own, address_scope_id=own["id"], ip_version=4, prefixes=("10.0.0.0/8",),
            min_prefixlen=8, max_prefixlen=32, default_prefixlen=24,
        ),
    }  # fmt: skip
    for type_, make in made.items():
        values = [make(_own(n)) for n in range(OTHERS)]
        await tx.insert(TABLES[type_], [row(TABLES[type_], value) for value in values])
    rules = [
        GroupRule(
            id=f"r{n}", security_group_id=f"i{n}", project_id=million.project_id(n),
            direction=Direction.INGRESS, ethertype="IPv4", remote_group_id=f"i{n}",
        )
        for n in range(OTHERS)
    ]  # fmt: skip
    await tx.insert(TABLES[GroupRule], [row(TABLES[GroupRule], rule) for rule in rules])
    await tx.insert(
        schema.tag, [(kind, f"t{n}", f"i{n}") for kind in TAGGED for n in range(OTHERS)]
    )
    await tx.insert(schema.membership, [(f"g{n}", f"i{n}") for n in range(OTHERS)])


def _own(n: int) -> dict[str, Any]:
    return {"id": f"i{n}", "name": f"name{n}", "project_id": million.project_id(n)}


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
    """MACs are looked up in every network; PostgreSQL sees that there are twenty, and subnets."""
    if type_ is Network:
        found = asked.startswith(("tags", "shared", "router:external"))
        return found and read.startswith("Index") and " network_pkey" in read
    if type_ is not Port:
        return False
    return ("mac_address" in asked and "network" in read) or read.startswith("Index Scan subnet ")


def test_a_projects_group_is_not_looked_for_among_all_of_its_name() -> None:
    """Each project has one named `default`. PostgreSQL sees that by itself."""
    assert leading(schema.security_group, {READABLE, "name"}) == {READABLE}
    assert leading(schema.security_group, {"project_id", "name"}) == {"project_id"}
    assert leading(schema.security_group, {"name"}) == {"name"}


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
