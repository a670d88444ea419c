"""A transaction on PostgreSQL: its calls as statements, and their values as asyncpg takes them.

Rows are written as arrays, one a column, or by COPY; keys of texts as one text a column.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import ClauseElement, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.compiler import SQLCompiler

from netwright.db import statements
from netwright.db.transaction import KeyTaken, Row

COPIED_ROWS_MIN = 16
"""So many rows go by COPY: a round trip more, and two thirds of the work of arrays (ADR 11)."""

TURN_KEY = 0x6E657477  # "netw": one turn a database
_PAIRS = "PAIRS($"

_dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class PostgresTransaction:
    """`db.transaction.Transaction` on a connection that is in a transaction already."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def rows(self, sql: str, *parameters: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self.connection.fetch(translate(sql), *_bound(parameters))
        return rows

    async def row(self, sql: str, *parameters: Any) -> Row:
        row: Row = await self.connection.fetchrow(translate(sql), *_bound(parameters))
        return row

    async def run(self, sql: str, *parameters: Any) -> None:
        await self.connection.fetch(translate(sql), *_bound(parameters))

    async def select(self, statement: ClauseElement) -> Sequence[Row]:
        sql, bound = composed(statement)
        rows: Sequence[Row] = await self.connection.fetch(sql, *bound)
        return rows

    async def find(
        self, table: Table, columns: Sequence[str], keys: Sequence[Row], by: Sequence[str] = ()
    ) -> Sequence[Row]:
        if not keys:
            return ()
        key = tuple(by) or statements.key_of(table)
        rows: Sequence[Row]
        if texts := _texts(table, key, keys):
            sql = statements.postgres_find_by_texts(table, tuple(columns), key)
            rows = await self.connection.fetch(sql, *texts)
        else:
            sql = statements.postgres_find(table, tuple(columns), key)
            rows = await self.connection.fetch(sql, *zip(*keys, strict=True))
        return rows

    async def last_bytes(
        self, table: Table, within: Row, ranges: Sequence[tuple[bytes, bytes]]
    ) -> Sequence[bytes]:
        if not ranges:
            return ()
        sql = statements.postgres_last_bytes(table)
        rows = await self.connection.fetch(sql, *within, *zip(*ranges, strict=True))
        return [last_bytes for (last_bytes,) in rows]

    async def insert(self, table: Table, rows: Sequence[Row]) -> None:
        if len(rows) < COPIED_ROWS_MIN:
            await self._write(statements.postgres_insert(table), rows)
            return
        columns = statements.columns_of(table)
        is_key = columns == statements.key_of(table)
        if is_key and (texts := _texts(table, columns, rows)):  # a COPY costs five statements
            await self._run_writing(statements.postgres_insert_by_texts(table), texts)
            return
        try:
            await self.connection.copy_records_to_table(table.name, records=rows, columns=columns)
        except asyncpg.UniqueViolationError as error:
            raise KeyTaken(str(error)) from error

    async def upsert(self, table: Table, rows: Sequence[Row]) -> None:
        await self._write(statements.postgres_upsert(table), rows)

    async def update(self, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
        await self._write(statements.postgres_update(table, tuple(columns)), rows)

    async def delete(self, table: Table, keys: Sequence[Row], by: Sequence[str] = ()) -> None:
        columns = tuple(by) or statements.key_of(table)
        if texts := _texts(table, columns, keys):
            await self._run_writing(statements.postgres_delete_by_texts(table, columns), texts)
            return
        await self._write(statements.postgres_delete(table, columns), keys)

    async def take_turn(self) -> bool:
        await self.connection.execute("SELECT pg_advisory_xact_lock($1)", TURN_KEY)
        return True

    async def _write(self, sql: str, rows: Sequence[Row]) -> None:
        if rows:
            await self._run_writing(sql, list(zip(*rows, strict=True)))

    async def _run_writing(self, sql: str, parameters: Sequence[Any]) -> None:
        try:
            await self.connection.fetch(sql, *parameters)
        except asyncpg.UniqueViolationError as error:
            raise KeyTaken(str(error)) from error


@cache
def translate(sql: str) -> str:
    """The statement with our own forms written out: see `db.transaction`."""
    while _PAIRS in sql:
        before, _, rest = sql.partition(_PAIRS)
        number, _, after = rest.partition(")")
        given = f"json_array_elements(${number}::text::json)"
        sql = f"{before}(SELECT value ->> 0 AS a, value ->> 1 AS b FROM {given}){after}"  # noqa: S608 - our text
    return sql


def composed(statement: ClauseElement) -> tuple[str, Sequence[Any]]:
    """A statement that was composed, and its parameters, as PostgreSQL reads them."""
    compiled = statement.compile(dialect=_dialect, compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, SQLCompiler)
    return str(compiled), [compiled.params[name] for name in compiled.positiontup or ()]


def _bound(parameters: Sequence[Any]) -> list[Any]:
    return [_keys(each) if isinstance(each, list | set) else each for each in parameters]


def _keys(keys: list[Any] | set[Any]) -> list[str] | str:
    """Strings go as an array, pairs as JSON."""
    listed = list(keys)
    if listed and isinstance(listed[0], tuple):
        return msgspec.json.encode(listed).decode()
    return listed


def _texts(table: Table, columns: tuple[str, ...], keys: Sequence[Row]) -> list[str]:
    """Each column's values as one text; [] when they are no texts, or have the separator in them.

    asyncpg asks of each element of an array whether it is a sequence, which takes as long as all
    else that it does with a row.
    """
    if not (keys and statements.is_text(table, columns)):
        return []
    joined = [statements.SEPARATOR.join(values) for values in zip(*keys, strict=True)]
    between = len(keys) - 1
    is_whole = all(text and text.count(statements.SEPARATOR) == between for text in joined)
    return joined if is_whole else []
