"""The statements that write many rows of a table, in both dialects. Pure; cached by table."""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, Table

SEPARATOR = "\x1f"
"""Between texts that go as one: ASCII's unit separator, which few texts have."""

_ARRAYS: tuple[tuple[type, str], ...] = (
    (Boolean, "boolean[]"),
    (Integer, "bigint[]"),
    (Float, "double precision[]"),
    (LargeBinary, "bytea[]"),
)


@cache
def columns_of(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if column.identity is None)


@cache
def key_of(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key.columns)


# One row an execution, as SQLite likes it: ?1, ?2, … are the row's values.


@cache
def sqlite_find(table: Table, columns: tuple[str, ...], key: tuple[str, ...]) -> str:
    return f"SELECT {', '.join(columns)} FROM {table.name} WHERE {_equal(key)}"  # noqa: S608 - our names


@cache
def sqlite_last_bytes(table: Table) -> str:
    *within, last = key_of(table)
    low = len(within) + 1
    return (
        f"SELECT {last} FROM {table.name} "  # noqa: S608 - our names
        f"WHERE {_equal(within)} AND {last} BETWEEN ?{low} AND ?{low + 1}"
    )


@cache
def sqlite_insert(table: Table) -> str:
    columns = columns_of(table)
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({_places(len(columns))})"  # noqa: S608 - our names


@cache
def sqlite_upsert(table: Table) -> str:
    return sqlite_insert(table) + _on_conflict(table)


@cache
def sqlite_update(table: Table, columns: tuple[str, ...]) -> str:
    key = key_of(table)
    first = len(key) + 1
    sets = ", ".join(f"{column} = ?{n}" for n, column in enumerate(columns, start=first))
    return f"UPDATE {table.name} SET {sets} WHERE {_equal(key)}"  # noqa: S608 - our names


@cache
def sqlite_delete(table: Table, columns: tuple[str, ...]) -> str:
    return f"DELETE FROM {table.name} WHERE {_equal(columns)}"  # noqa: S608 - our names


# All rows in one execution, as PostgreSQL likes it: $1, $2, … are arrays, one a column.


@cache
def postgres_find(table: Table, columns: tuple[str, ...], key: tuple[str, ...]) -> str:
    return _postgres_find(table, columns, key, _unnest(table, key))


@cache
def postgres_find_by_texts(table: Table, columns: tuple[str, ...], key: tuple[str, ...]) -> str:
    """As `postgres_find`; $1, $2, … are not arrays but texts, whose parts `SEPARATOR` separates."""
    return _postgres_find(table, columns, key, _unnest_texts(key))


@cache
def is_text(table: Table, columns: tuple[str, ...]) -> bool:
    """Whether the columns hold text alone."""
    return all(_array(table.c[name]) == "text[]" for name in columns)


def _postgres_find(table: Table, columns: tuple[str, ...], key: tuple[str, ...], given: str) -> str:
    wanted = ", ".join(f"{table.name}.{column}" for column in columns)
    return (
        f"SELECT {wanted} FROM {table.name} "  # noqa: S608 - our names
        f"JOIN {given} AS given ({', '.join(key)}) ON {_joined(table, key)}"
    )


def _unnest_texts(columns: Sequence[str]) -> str:
    places = range(1, len(columns) + 1)
    arrays = (f"string_to_array(${n}::text, chr({ord(SEPARATOR)}))" for n in places)
    return f"unnest({', '.join(arrays)})"


@cache
def postgres_last_bytes(table: Table) -> str:
    """Two arrays come after the key's first values: the ranges' low and high ends."""
    *within, last = key_of(table)
    low = len(within) + 1
    equal = " AND ".join(f"{name} = ${n}" for n, name in enumerate(within, start=1))
    return (
        f"SELECT (SELECT coalesce(string_agg(substr({last}, length({last})), ''), '') "  # noqa: S608 - our names
        f"FROM {table.name} WHERE {equal} AND {last} BETWEEN given.low AND given.high) "
        f"FROM unnest(${low}::bytea[], ${low + 1}::bytea[]) WITH ORDINALITY "
        "AS given (low, high, place) ORDER BY place"
    )


@cache
def postgres_insert(table: Table) -> str:
    columns = columns_of(table)
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) "  # noqa: S608 - our names
        f"SELECT * FROM {_unnest(table, columns)}"
    )


@cache
def postgres_insert_by_texts(table: Table) -> str:
    """As `postgres_insert`, with texts as `postgres_find_by_texts` has them."""
    columns = columns_of(table)
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) "  # noqa: S608 - our names
        f"SELECT * FROM {_unnest_texts(columns)}"
    )


@cache
def postgres_upsert(table: Table) -> str:
    return postgres_insert(table) + _on_conflict(table)


@cache
def postgres_update(table: Table, columns: tuple[str, ...]) -> str:
    key = key_of(table)
    sets = ", ".join(f"{column} = given.{column}" for column in columns)
    return (
        f"UPDATE {table.name} SET {sets} "  # noqa: S608 - our names
        f"FROM {_unnest(table, key + columns)} AS given ({', '.join(key + columns)}) "
        f"WHERE {_joined(table, key)}"
    )


@cache
def postgres_delete(table: Table, columns: tuple[str, ...]) -> str:
    return _postgres_delete(table, columns, _unnest(table, columns))


@cache
def postgres_delete_by_texts(table: Table, columns: tuple[str, ...]) -> str:
    """As `postgres_delete`, with texts as `postgres_find_by_texts` has them."""
    return _postgres_delete(table, columns, _unnest_texts(columns))


def _postgres_delete(table: Table, columns: tuple[str, ...], given: str) -> str:
    return (
        f"DELETE FROM {table.name} "  # noqa: S608 - our names
        f"USING {given} AS given ({', '.join(columns)}) "
        f"WHERE {_joined(table, columns)}"
    )


def _on_conflict(table: Table) -> str:
    key = key_of(table)
    sets = ", ".join(f"{name} = excluded.{name}" for name in columns_of(table) if name not in key)
    return f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"


def _places(count: int) -> str:
    return ", ".join(f"?{n}" for n in range(1, count + 1))


def _equal(columns: Sequence[str]) -> str:
    return " AND ".join(f"{column} = ?{n}" for n, column in enumerate(columns, start=1))


def _joined(table: Table, columns: Sequence[str]) -> str:
    return " AND ".join(f"{table.name}.{column} = given.{column}" for column in columns)


def _unnest(table: Table, columns: Sequence[str]) -> str:
    arrays = (f"${n}::{_array(table.c[name])}" for n, name in enumerate(columns, start=1))
    return f"unnest({', '.join(arrays)})"


def _array(column: Column[object]) -> str:
    for kind, array in _ARRAYS:
        if isinstance(column.type, kind):
            return array
    return "text[]"
