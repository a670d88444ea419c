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
    Column,
    Integer,
    Select,
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
from sqlalchemy.sql.elements import ColumnElement

from netwright.db.hints import unindexed
from netwright.db.transaction import Database, Row, Transaction
from netwright.model.errors import HTTPBadRequest, NotFound
from netwright.model.resources import Value
from netwright.model.states import API_STATUS
from netwright.server.queries import Page, Query
from netwright.server.store import schema
from netwright.server.store.filters import PAGE, READABLE, condition, leading

T = TypeVar("T")
V = TypeVar("V", bound=Value)

FIRST_ROWS = 100
"""Of the first page, which the client waits for."""

PAGE_ROWS = 1_000

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


async def listed(tx: Transaction, collection: Collection[V], query: Query) -> list[V]:
    """All of a list at once: for a few."""
    statement = await _in_order(tx, collection, query, collection.table.c.body)
    values = [collection.decode(body) for (body,) in await tx.select(statement)]
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
    table = collection.table
    order = _order(table, query.sort)
    ((_, ascending),) = order

    async def read(tx: Transaction, after: str | None, size: int) -> Page[T]:
        statement = _matching(collection, query, table.c.id, table.c.body)
        if after is not None:
            statement = statement.where(table.c.id > after if ascending else table.c.id < after)
        elif query.marker is not None:
            statement = statement.where(await _after_marker(tx, collection, query, order))
        by = table.c.id if ascending else table.c.id.desc()
        rows = await tx.select(statement.order_by(by).limit(size))
        return Page([id_ for id_, _ in rows], [decode(body) for _, body in rows], more=False)

    after, left, size = None, query.limit, FIRST_ROWS
    while True:
        size = size if left is None else min(size, left)
        page = await database.read(partial(read, after=after, size=size))
        if left is not None:
            left -= size
        more = len(page.ids) == size and left != 0
        yield page._replace(more=more)
        if not more:
            return
        after, size = page.ids[-1], PAGE_ROWS


async def _looked_up(
    database: Database, collection: Collection[Any], query: Query, decode: Callable[[str], T]
) -> AsyncIterator[Page[T]]:
    table = collection.table

    async def find(tx: Transaction) -> tuple[list[str], Page[T]]:
        statement = await _in_order(tx, collection, query, table.c.id)
        ids = [id_ for (id_,) in await tx.select(statement)]
        if query.page_reverse:
            ids.reverse()
        first = ids[:FIRST_ROWS]
        sql = f"SELECT id, body FROM {table.name} WHERE id = ANY($1)"  # noqa: S608 - our names
        rows = await tx.rows(sql, first) if first else ()
        return ids, page(first, rows, more=len(ids) > FIRST_ROWS)

    async def look_up(tx: Transaction, wanted: list[str], *, more: bool) -> Page[T]:
        statement = _matching(collection, query, table.c.id, table.c.body, ids=wanted)
        return page(wanted, await tx.select(statement), more=more)

    def page(wanted: Sequence[str], rows: Sequence[Row], *, more: bool) -> Page[T]:
        bodies: dict[str, str] = dict(rows)
        there = [id_ for id_ in wanted if id_ in bodies]
        return Page(there, [decode(bodies[id_]) for id_ in there], more=more)

    ids, first = await database.read(find)
    yield first
    for start in range(FIRST_ROWS, len(ids), PAGE_ROWS):
        end = start + PAGE_ROWS
        yield await database.read(partial(look_up, wanted=ids[start:end], more=end < len(ids)))


async def _in_order(
    tx: Transaction, collection: Collection[Any], query: Query, column: Column[Any]
) -> Select[Any]:
    statement = _matching(collection, query, column)
    order = _order(collection.table, query.sort)
    if query.marker is not None:
        statement = statement.where(await _after_marker(tx, collection, query, order))
    for by, ascending in order:
        forwards = ascending is not query.page_reverse
        statement = statement.order_by(by.asc() if forwards else by.desc())
    return statement if query.limit is None else statement.limit(query.limit)


def _matching(
    collection: Collection[Any], query: Query, *columns: Column[Any], ids: list[str] | None = None
) -> Select[Any]:
    """The rows that the query is about, in no order; of these `ids`, if they are given."""
    table = collection.table
    conditions = {name: _condition(table, name, values) for name, values in query.filters}
    if query.project_id is not None:
        conditions[READABLE] = collection.readable(query.project_id)
    if ids is not None:
        conditions[PAGE] = table.c.id == any_(bindparam(None, ids))
    vague = {name for name, values in query.filters if "" in values}
    lead = leading(table, conditions.keys() - vague)
    return select(*columns).where(
        collection.alive,
        *(each if name in lead else unindexed(each) for name, each in conditions.items()),
    )


def _condition(table: Table, attribute: str, values: tuple[str, ...]) -> ColumnElement[bool]:
    if table is schema.port and attribute == "status":
        states = [state for state, status in API_STATUS.items() if status in values]
        return table.c.state.in_(states)
    if attribute == "status":
        return true() if "ACTIVE" in values else false()
    return condition(table, attribute, values)


_Order = list[tuple[ColumnElement[Any], bool]]


def _order(table: Table, sort: tuple[tuple[str, bool], ...]) -> _Order:
    """The columns to sort by; the id decides among equals, so that pages never overlap."""
    order: _Order = []
    for attribute, ascending in sort:
        if (table.name, attribute) in _CONSTANT:
            continue
        column = table.c.get(_SORT_COLUMNS.get(attribute, attribute))
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


# What all have alike sorts nothing: networks are always ACTIVE, and there are no subnet pools.
_CONSTANT = frozenset({("network", "status"), ("subnet", "subnetpool_id")})
_SORT_COLUMNS = {
    "tenant_id": "project_id",
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
