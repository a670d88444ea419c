"""Rows of words as lines: whole for programs, no wider than a terminal for people. Pure.

    too wide ─▶ columns without a word go
             ─▶ the widest wraps within what the others leave it, if that is enough to read
             ─▶ else it goes below its row, and the next widest is looked at

Nothing is cut: what has no space to break at, such as an id, stays whole.
"""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

GAP = "  "
READABLE = 24
"""Characters: words in a narrower column are not read but deciphered."""
BELOW = "    "


def lines(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None
) -> Iterator[str]:
    """The header, then the rows; `width` None: as wide as they are."""
    widths = _natural(columns, rows)
    beside = list(range(len(columns)))
    if width is not None:
        empty = [at for at in beside[1:] if not any(row[at] for row in rows)]
        while empty and rows and _total(widths, beside) > width:
            beside.remove(empty.pop())
        while len(beside) > 1 and _total(widths, beside) > width:
            widest = max(beside[1:], key=lambda at: widths[at])
            left = width - _total(widths, [at for at in beside if at != widest]) - len(GAP)
            if left >= READABLE and any(" " in row[widest] for row in rows):
                widths[widest] = left
                break
            beside.remove(widest)
    yield _line([columns[at] for at in beside], [widths[at] for at in beside])
    for row in rows:
        cells = [_wrapped(row[at], widths[at]) for at in beside]
        for parts in zip_longest(*cells, fillvalue=""):
            yield _line(parts, [widths[at] for at in beside])
        for at, title in enumerate(columns):
            if at not in beside and row[at]:
                yield from _below(title, row[at], width)


def _natural(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[at]) for row in (columns, *rows)) for at in range(len(columns))]


def _total(widths: Sequence[int], beside: Sequence[int]) -> int:
    return sum(widths[at] for at in beside) + len(GAP) * (len(beside) - 1)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return GAP.join(padded).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _below(title: str, text: str, width: int | None) -> list[str]:
    assert width is not None, "nothing goes below where there is room"
    return textwrap.wrap(
        f"{title}: {text}",
        width,
        initial_indent=BELOW,
        subsequent_indent=BELOW + GAP,
        break_long_words=False,
        break_on_hyphens=False,
    )
