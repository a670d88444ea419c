"""What all tables are in, and the kinds of indexes that leave rows out."""

from typing import Any

from sqlalchemy import Column, Index, MetaData, String, literal_column
from sqlalchemy.sql.elements import ColumnElement

metadata = MetaData()


def present(column: Column[Any]) -> ColumnElement[bool]:
    """What an index over a text column says that leaves out the empty ones."""
    return column != literal_column("''")


def sparse(name: str, *columns: str) -> Index:
    """An index over what most rows leave empty, so that these rows do not pay for it."""
    return partial(name, *columns, where=present(Column(columns[0], String)))


def given(name: str, *columns: str, unique: bool = False) -> Index:
    """An index over the rows whose first of these columns is not NULL."""
    return partial(name, *columns, where=Column(columns[0]).isnot(None), unique=unique)


def partial(name: str, *columns: str, where: ColumnElement[bool], unique: bool = False) -> Index:
    """An index over the rows that are `where`, on either database."""
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)
