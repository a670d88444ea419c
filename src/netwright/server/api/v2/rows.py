"""A list's rows: what is stored, as a caller is shown it, without a value per row between.

Most of a view's attributes are shown as they are stored; their JSON goes from the stored body into
the reply unread (`msgspec.Raw`). The others are `Made`. Nothing but what is shown is decoded, so
that `fields` makes a list cheaper; a page is made column by column (`docs/adr/0016`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import NODEFAULT, Raw
from msgspec.structs import FieldInfo

from netwright.server.api import times


class Made(NamedTuple):
    """An attribute that is made of a stored one, which is read as this type.

    `beside`: more stored attributes that it is made of, each with its type, after the first one.
    `by_asker`: it is made of the id of the project that asks as well, last.
    """

    make: Callable[..., Any]
    stored: str
    type: Any
    beside: tuple[tuple[str, Any], ...] = ()
    by_asker: bool = False

    @property
    def parts(self) -> tuple[tuple[str, Any], ...]:
        return ((self.stored, self.type), *self.beside)


How = Mapping[str, str | Made]
"""By an attribute's name in the API: the stored attribute that it is, or how it is made."""


class Rows(NamedTuple):
    """`type` is what stored values are read as, `show` makes of them what is encoded."""

    type: type[Any]
    show: Callable[[Sequence[Any]], Sequence[Any]]


class RowsOfAll(NamedTuple):
    """As `Rows`, whoever asks; `show` takes the project that does, too."""

    type: type[Any]
    show: Callable[[Sequence[Any], str], Sequence[Any]]

    def of(self, project_id: str) -> Rows:
        return Rows(self.type, lambda found: self.show(found, project_id))


def moment(stored: str) -> Made:
    """A time in whole seconds, as the API shows it."""
    return Made(times.moment, stored, float)


def constant(value: Any) -> Made:
    """What all have alike."""
    return Made(lambda _: value, "id", Raw)


def rows(value_type: type[msgspec.Struct], how: How, names: Sequence[str]) -> RowsOfAll:
    """Rows of these attributes. One that `how` does not name is the stored one of its name."""
    ways = {name: how.get(name, name) for name in names}
    copied = {name: way for name, way in ways.items() if isinstance(way, str)}
    made = {name: way for name, way in ways.items() if isinstance(way, Made)}
    read: dict[str, Any] = dict.fromkeys(copied.values(), Raw)
    read.update(part for way in made.values() for part in way.parts)
    known = {field.name: field for field in msgspec.structs.fields(value_type)}
    row_type = msgspec.defstruct(
        f"{value_type.__name__}Row",
        [_field(known[stored], as_) for stored, as_ in read.items()],
        kw_only=True,
        gc=False,
    )
    shown = {f"a{n}": name for n, name in enumerate([*copied, *made])}
    shown_type = msgspec.defstruct(
        f"{value_type.__name__}Shown", list(shown), rename=shown, gc=False
    )
    parts = [stored for way in made.values() for stored, _ in way.parts]
    values = _getter([*copied.values(), *parts])
    makes = [(way.make, len(way.parts), way.by_asker) for way in made.values()]

    def show(found: Sequence[Any], project_id: str) -> Sequence[Any]:
        columns: list[Iterable[Any]] = list(zip(*map(values, found), strict=True))
        if not columns:  # of nothing, or nothing of it
            return [shown_type() for _ in found]
        shown_columns, at = columns[: len(copied)], len(copied)
        for make, count, by_asker in makes:
            asker = [repeat(project_id)] if by_asker else []
            shown_columns.append(map(make, *columns[at : at + count], *asker))
            at += count
        return list(map(shown_type, *shown_columns))

    return RowsOfAll(row_type, show)


def _field(field: FieldInfo, as_: Any) -> tuple[str, Any] | tuple[str, Any, Any]:
    """The attribute read as something else; what is not stored has the default that it had."""
    if field.default is not NODEFAULT:
        default = field.default
    elif field.default_factory is not NODEFAULT:
        default = field.default_factory()
    else:
        return field.name, as_
    encoded = msgspec.json.encode(default)
    return field.name, as_, Raw(encoded) if as_ is Raw else msgspec.json.decode(encoded, type=as_)


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda row: tuple(getattr(row, name) for name in names)
