"""Reads lists: what a query is about, in which order, and page by page.

    a whole table by id    ─▶ walked: pages follow one another along the primary key
    anything else          ─▶ looked up: the ids in order, at once; then page after page by id

Each page is read in a transaction of its own, so that a client that reads slowly holds nothing of
the database. What a list shows was so when its page was read: a row that is there all the time
comes once, one that comes or goes meanwhile may be there or not, and a page holds nothing that does
not match any more. What is looked up is in the order that it had when the list began.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import (
    Boolean,
    ClauseElement,
    Column,
    Integer,
    Select,
    String,
    Table,
    and_,
    any_,
    bindparam,
    cast,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement

from netwright.db.hints import unindexed
from netwright.db.transaction import Database, Row, Transaction
from netwright.model.errors import HTTPBadRequest, NotFound
from netwright.model.resources import Value
from netwright.model.states import API_STATUS
from netwright.server.queries import Page, Query
from netwright.server.store import schema
from netwright.server.store.filters import PAGE, READABLE, condition, is_vague, leading
from netwright.server.store.sharing import shared_with

T = TypeVar("T")
V = TypeVar("V", bound=Value)

FIRST_ROWS = 100
"""Of the first page of many, which the client waits for."""

PAGE_ROWS = 1_000
"""Of the others; and what a client asks for in one piece (`limit`) it gets so, up to these."""

Readable = Callable[[str | None], ColumnElement[bool]]


class Collection(Generic[V]):
    """One resource: its table, how its rows become values, and what a project may see of it."""

    def __init__(
        self,
        table: Table,
        kind: type[V],
        missing: type[NotFound],
        readable: Readable,
        alive: ColumnElement[bool] | None = None,
    ) -> None:
        self.table = table
        self.missing = missing
        self.readable = readable
        self.alive = true() if alive is None else alive
        self.decode = msgspec.json.Decoder(kind).decode


async def listed(database: Database, collection: Collection[V], query: Query) -> list[V]:
    """All of a list at once: for a few."""
    order = _order(collection.table, query.sort)

    def compose(after: ColumnElement[bool]) -> Select[Any]:
        found = _matching(collection, query, collection.table.c.body).where(after)
        return found.order_by(*_directed(order, query)).limit(query.limit)

    rows = await _after(database, collection, query, order, compose)
    values = [collection.decode(body) for (body,) in rows]
    return values[::-1] if query.page_reverse else values


def pages(
    database: Database, collection: Collection[Any], query: Query, decode: Callable[[str], T]
) -> AsyncIterator[Page[T]]:
    """The list in pages, the first a short one; each is read when it is asked for.

    Raises what is wrong with the query with the first page, and Unavailable with any.
    """
    if _is_walk(query):
        return _walked(database, collection, query, decode)
    return _looked_up(database, collection, query, decode)


def _is_walk(query: Query) -> bool:
    """Whether the list is the whole table in the order of its primary key."""
    by_id = all(attribute == "id" for attribute, _ in query.sort)
    return by_id and not query.filters and query.project_id is None and not query.page_reverse


async def _walked(
    database: Database, collection: Collection[Any], query: Query, decode: Callable[[str], T]
) -> AsyncIterator[Page[T]]:
    key = collection.table.c.id
    order = _order(collection.table, query.sort)
    ascending = order[0][1]  # its id decides, whatever else is named: there are no equals

    def compose(after: ColumnElement[bool], size: int) -> Select[Any]:
        found = _matching(collection, query, key, collection.table.c.body).where(after)
        return found.order_by(*_directed(order, query)).limit(size)

    left, size = query.limit, _first(query)
    rows = await _after(database, collection, query, order, partial(compose, size=size))
    while True:
        left = None if left is None else left - size
        more = len(rows) == size and left != 0
        yield Page([id_ for id_, _ in rows], [decode(body) for _, body in rows], more=more)
        if not more:
            return
        last = rows[-1][0]
        size = PAGE_ROWS if left is None else min(PAGE_ROWS, left)
        rows = await database.select(compose(key > last if ascending else key < last, size))


async def _looked_up(
    database: Database, collection: Collection[Any], query: Query, decode: Callable[[str], T]
) -> AsyncIterator[Page[T]]:
    key, body = collection.table.c.id, collection.table.c.body
    order = _order(collection.table, query.sort)
    size = _first(query)

    def compose(after: ColumnElement[bool]) -> ClauseElement:
        by = [column.label(f"by{n}") for n, (column, _) in enumerate(order)]
        found = _matching(collection, query, key, *by).where(after)
        if query.limit is not None:
            found = found.order_by(*_directed(order, query)).limit(query.limit)
        return placed(found, collection.table, [ascending for _, ascending in order], size)

    def page(rows: Sequence[Row], *, more: bool) -> Page[T]:
        return Page([id_ for id_, _ in rows], [decode(body) for _, body in rows], more=more)

    rows = await _after(database, collection, query, order, compose)
    yield page(rows[:size], more=len(rows) > size)
    ids = [id_ for id_, _ in rows]
    del rows
    for start in range(size, len(ids), PAGE_ROWS):
        wanted = ids[start : start + PAGE_ROWS]
        bodies: dict[str, str] = dict(
            await database.select(_matching(collection, query, key, body, ids=wanted))
        )
        there = [(id_, bodies[id_]) for id_ in wanted if id_ in bodies]
        yield page(there, more=start + PAGE_ROWS < len(ids))


def _first(query: Query) -> int:
    """How many rows the first page has at most."""
    return FIRST_ROWS if query.limit is None or query.limit > PAGE_ROWS else query.limit


async def _after(
    database: Database,
    collection: Collection[Any],
    query: Query,
    order: "_Order",
    compose: Callable[[ColumnElement[bool]], ClauseElement],
) -> Sequence[Row]:
    """The rows of a statement that is composed of where it begins: after the query's marker."""
    if query.marker is None:
        return await database.select(compose(true()))

    async def read(tx: Transaction) -> Sequence[Row]:
        return await tx.select(compose(await _after_marker(tx, collection, query, order)))

    return await database.read(read)


def _directed(order: "_Order", query: Query) -> list[ColumnElement[Any]]:
    """The order that rows are read in: backwards for a page before the marker."""
    return [by.desc() if ascending is query.page_reverse else by.asc() for by, ascending in order]


class placed(ClauseElement):  # noqa: N801 - reads as a function, as `select` does
    """All ids that a statement finds, in order, the first of them with their bodies.

    The statement has the columns `id` and `by0`, `by1`, … to order by. Text around it: to compose
    this of SQLAlchemy's parts takes longer than a look-up.
    """

    inherit_cache = False

    def __init__(
        self, found: Select[Any], table: Table, ascending: Sequence[bool], bodies: int
    ) -> None:
        self.found = found
        self.table = table
        self.bodies = bodies
        self.by = ", ".join(f"by{n} {'ASC' if up else 'DESC'}" for n, up in enumerate(ascending))


@compiles(placed)
def _compile_placed(element: placed, compiler: SQLCompiler, **how: Any) -> str:
    body = f"SELECT its.body FROM {element.table.name} AS its WHERE its.id = placed.id"  # noqa: S608 - our names
    found = compiler.process(element.found, **how)
    return (
        f"SELECT id, CASE WHEN place <= {element.bodies} THEN ({body}) END FROM "  # noqa: S608 - our names
        f"(SELECT id, row_number() OVER (ORDER BY {element.by}) AS place FROM ({found}) AS found)"
        " AS placed ORDER BY place"
    )


def _matching(
    collection: Collection[Any],
    query: Query,
    *columns: ColumnElement[Any],
    ids: list[str] | None = None,
) -> Select[Any]:
    """The rows that the query is about, in no order; of these `ids`, if they are given."""
    table = collection.table
    conditions = {name: _condition(table, name, values, query) for name, values in query.filters}
    if query.project_id is not None:
        conditions[READABLE] = collection.readable(query.project_id)
    if ids is not None:
        conditions[PAGE] = table.c.id == any_(bindparam(None, ids))
    vague = {name for name, values in query.filters if is_vague(values)}
    lead = leading(table, conditions.keys() - vague)
    return select(*columns).where(
        collection.alive,
        *(each if name in lead else unindexed(each) for name, each in conditions.items()),
    )


def _condition(
    table: Table, attribute: str, values: tuple[str, ...], query: Query
) -> ColumnElement[bool]:
    if attribute == "shared":
        return _shared_condition(table, values, query.project_id)
    if table is schema.port and attribute == "status":
        states = [state for state, status in API_STATUS.items() if status in values]
        return table.c.state.in_(states)
    if attribute == "status" and "status" not in table.c:
        return true() if "ACTIVE" in values else false()
    return condition(table, attribute, values)


def _shared_condition(
    table: Table, values: tuple[str, ...], project_id: str | None
) -> ColumnElement[bool]:
    """What is shared with who asks; subnets are as shared as their networks."""
    if len({value == "true" for value in values}) > 1:
        return true()
    is_wanted = "true" in values
    if project_id is None and "shared" in table.c:
        return condition(table, "shared", values)
    if table is schema.subnet:
        shared = table.c.network_id.in_(shared_with(schema.network, project_id))
    else:
        shared = table.c.id.in_(shared_with(table, project_id))
    return shared if is_wanted else ~shared


class _Hints(ColumnElement[str]):
    """A network's hints as text, which sorts as they do; "" without any. No column has them."""

    inherit_cache = True
    type = String()


@compiles(_Hints, "sqlite")
def _hints_of_sqlite(_element: _Hints, _compiler: SQLCompiler, **_how: Any) -> str:
    return "coalesce(nullif(json_extract(network.body, '$.availability_zone_hints'), '[]'), '')"


@compiles(_Hints, "postgresql")
def _hints_of_postgresql(_element: _Hints, _compiler: SQLCompiler, **_how: Any) -> str:
    return "coalesce(nullif(CAST(network.body AS json) ->> 'availability_zone_hints', '[]'), '')"


_Order = list[tuple[ColumnElement[Any], bool]]


def _order(table: Table, sort: tuple[tuple[str, bool], ...]) -> _Order:
    """The columns to sort by; the id decides among equals, so that pages never overlap."""
    order: _Order = []
    for attribute, ascending in sort:
        if (table.name, attribute) in _CONSTANT:
            continue
        if (table.name, attribute) == ("network", "availability_zone_hints"):
            order.append((_Hints(), ascending))
            continue
        column = table.c.get(_SORT_COLUMNS.get(attribute, attribute), table.c.get(attribute))
        if column is None:
            raise HTTPBadRequest(f"[{attribute!r}] is invalid attribute for sort_key")
        order.append((_sortable(column), ascending))
    if all(attribute != "id" for attribute, _ in sort):
        order.append((table.c.id, sort[0][1] if sort else True))
    return order


def _sortable(column: Column[Any]) -> ColumnElement[Any]:
    """As it compares in both databases: absent is first, and PostgreSQL orders no booleans."""
    if isinstance(column.type, Boolean):
        return cast(column, Integer)
    if not column.nullable:
        return column
    return func.coalesce(column, -1 if isinstance(column.type, Integer) else "")


# What all have alike sorts nothing: networks and routers are always ACTIVE.
_CONSTANT = frozenset({("network", "status"), ("router", "status")})
_SORT_COLUMNS = {
    "tenant_id": "project_id",
    "remote_ip_prefix": "shown_prefix",
    "remote_address_group_id": "remote_group_id",
    "status": "state",
    "provider:network_type": "network_type",
    "provider:physical_network": "physical_network",
    "provider:segmentation_id": "segmentation_id",
    "binding:host_id": "host",
    "binding:vnic_type": "vnic_type",
    "binding:vif_type": "vif_type",
}


async def _after_marker(
    tx: Transaction, collection: Collection[V], query: Query, order: _Order
) -> ColumnElement[bool]:
    """Rows after the marker's in this order: a keyset, so that a page costs the same anywhere.

    A marker that the project may not read is one that is not there.
    """
    columns = [column for column, _ in order]
    marker = and_(collection.table.c.id == query.marker, collection.readable(query.project_id))
    marked = await tx.select(select(*columns).where(marker))
    if not marked:
        raise collection.missing(
            f"The marker {query.marker} could not be found.",
            next="it was deleted meanwhile: begin the list anew",
        )
    beyond: list[ColumnElement[bool]] = []
    for n, ((column, ascending), value) in enumerate(zip(order, marked[0], strict=True)):
        forwards = ascending is not query.page_reverse
        equal = [c == v for c, v in zip(columns[:n], marked[0][:n], strict=True)]
        beyond.append(and_(*equal, column > value if forwards else column < value))
    return or_(*beyond)
