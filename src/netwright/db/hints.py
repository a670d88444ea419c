"""What a statement tells a database that does not know how its rows are spread.

PostgreSQL keeps statistics and chooses by them. SQLite has none, and takes any index to lead to a
few rows: it has to be told which ones do.
"""

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import Boolean


class unindexed(ColumnElement[bool]):  # noqa: N801 - reads as a function in statements
    """A condition to test rows with that another one has found (sqlite.org/queryplanner-ng)."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, condition: ColumnElement[bool]) -> None:
        self.condition = condition


@compiles(unindexed)
def _plain(element: unindexed, compiler: SQLCompiler, **how: Any) -> str:
    return f"({compiler.process(element.condition, **how)})"


@compiles(unindexed, "sqlite")
def _without_index(element: unindexed, compiler: SQLCompiler, **how: Any) -> str:
    return f"+({compiler.process(element.condition, **how)})"
