"""What a benchmark gives back: numbers, each with the limit that it must keep, if it has one."""

import statistics
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple


class Direction(StrEnum):
    """On which side of its limit a value must be."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


class Result(NamedTuple):
    """One measured number. `limit` None: it explains others and has none of its own."""

    name: str
    value: float
    unit: str = ""
    limit: float | None = None
    direction: Direction = Direction.AT_MOST

    @property
    def holds(self) -> bool:
        if self.limit is None:
            return True
        if self.direction is Direction.AT_LEAST:
            return self.value >= self.limit
        return self.value <= self.limit


def at_most(name: str, value: float, limit: float, unit: str = "") -> Result:
    return Result(name, value, unit, limit, Direction.AT_MOST)


def at_least(name: str, value: float, limit: float, unit: str = "") -> Result:
    return Result(name, value, unit, limit, Direction.AT_LEAST)


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def table(results: Iterable[Result]) -> list[str]:
    """Lines of a Markdown table, which people can read on a terminal too."""
    lines = ["| what | measured | limit | |", "|---|---:|---:|---|"]
    for each in results:
        limit = "" if each.limit is None else f"{each.direction} {_number(each.limit)} {each.unit}"
        verdict = "" if each.limit is None else ("ok" if each.holds else "**broken**")
        measured = f"{_number(each.value)} {each.unit}".rstrip()
        lines.append(f"| {each.name} | {measured} | {limit.rstrip()} | {verdict} |")
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
