"""Either kind of database as it is on disk: its catalog, and statements of anybody's."""

import sqlite3
from contextlib import closing
from typing import Any

import asyncpg

_COLUMNS = """
SELECT table_name, column_name, -- and its place among those that were not dropped
       row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position),
       data_type, character_maximum_length, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 3
"""
_INDEXES = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2
"""
_SQLITE = "SELECT tbl_name, name, sql FROM sqlite_schema ORDER BY 1, 2"


async def catalog(url: str) -> list[tuple[Any, ...]]:
    """Tables, columns, keys and indexes: equal for equal schemas."""
    if url.startswith("sqlite"):
        rows = await execute(url, _SQLITE)
        return [(*names, " ".join((sql or "").split())) for *names, sql in rows]
    return [
        row for query in (_COLUMNS, _INDEXES, _CONSTRAINTS) for row in await execute(url, query)
    ]


async def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()
    session = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await session.fetch(statement)]
    finally:
        await session.close()
