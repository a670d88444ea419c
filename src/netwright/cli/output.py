"""What commands print: JSON and YAML for programs, tables for people; words go to stderr."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer

from netwright.cli.table import lines


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="A table for people, or data for programs.")
]

Row = Mapping[str, Any]
"""Column's title -> value, in the order of the columns."""


def show_many(output: Output, data: Any, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Print `data` for programs, or the rows as a table."""
    if output is not Output.TABLE:
        _dump(output, data)
        return
    _table(columns, [[_text(row.get(column, "")) for column in columns] for row in rows])
    if not rows:
        say("There are none.")


def show_tables(output: Output, data: Any, *tables: tuple[Sequence[str], Sequence[Row]]) -> None:
    """Print `data` for programs, or its tables (columns, rows); those without rows are left out."""
    shown = [(columns, rows) for columns, rows in tables if rows]
    if output is not Output.TABLE or not shown:
        show_many(output, data, tables[0][0], ())
        return
    for number, (columns, rows) in enumerate(shown):
        if number:
            sys.stdout.write("\n")
        show_many(output, data, columns, rows)


def show_one(output: Output, data: Any, row: Row) -> None:
    """Print `data` for programs, or one thing's attributes, a line each."""
    if output is not Output.TABLE:
        _dump(output, data)
        return
    _table(("Field", "Value"), [[title, _text(value)] for title, value in row.items()])


def show_text(output: Output, data: Any, text: str) -> None:
    """Print `data` for programs, or `text`."""
    if output is not Output.TABLE:
        _dump(output, data)
        return
    sys.stdout.write(text.rstrip("\n") + "\n")


def say(words: str) -> None:
    """Tell the person at the terminal something that is no result."""
    sys.stderr.write(words + "\n")


def moment(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _dump(output: Output, data: Any) -> None:
    plain = msgspec.to_builtins(data)
    if output is Output.JSON:
        text = msgspec.json.format(msgspec.json.encode(plain), indent=2).decode() + "\n"
    else:
        import yaml  # noqa: PLC0415 - only here

        text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    sys.stdout.write(text)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for line in lines(columns, rows, _width()):
        sys.stdout.write(line + "\n")


def _width() -> int | None:
    """A terminal's, or what COLUMNS says; None in a pipe, where grep and awk want rows whole."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return None
    return shutil.get_terminal_size().columns


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_text(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)
