"""Tags in a table of their own, beside those in the values: what filters by tags look up."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Table, and_, func, not_, select
from sqlalchemy.sql.elements import ColumnElement

from netwright.db.transaction import Transaction
from netwright.model.resources import Network, Port, Subnet
from netwright.model.wire import Kind
from netwright.server.store import schema
from netwright.server.store.plain import TABLES
from netwright.server.tags import TAGGED
from netwright.server.world import World

_Condition = ColumnElement[bool]

_KINDS: Mapping[str, Kind] = {
    schema.network.name: Kind.NETWORK,
    schema.subnet.name: Kind.SUBNET,
    schema.port.name: Kind.PORT,
    **{TABLES[type_].name: kind for kind, type_ in TAGGED.items() if type_ in TABLES},
}
"""Of what each table's rows are the tags."""


async def write_tags(tx: Transaction, world: World) -> None:
    """The rows of what the batch has changed; untagged resources have none."""
    puts: list[tuple[str, ...]] = []
    gone: list[tuple[str, ...]] = []
    touched = {Network, Subnet, Port, *world.touched()}
    for kind, type_ in TAGGED.items():
        if type_ not in touched:
            continue
        for resource_id, before, now in world.rows_of(type_).changed():
            was, has = _tags(before), _tags(now)
            if was != has:
                puts += ((kind, tag, resource_id) for tag in set(has) - set(was))
                gone += ((kind, tag, resource_id) for tag in set(was) - set(has))
    await tx.delete(schema.tag, gone)
    await tx.insert(schema.tag, puts)


def _tags(value: Any) -> tuple[str, ...]:
    tags: tuple[str, ...] = () if value is None else value.tags
    return tags


def _with(table: Table, tags: Iterable[str]) -> Any:
    """The ids of the resources that have any of the tags."""
    tag = schema.tag
    of_kind = tag.c.kind == _KINDS[table.name]
    return select(tag.c.resource_id).where(of_kind, tag.c.tag.in_(sorted(tags)))


def _any(table: Table, tags: set[str]) -> _Condition:
    return table.c.id.in_(_with(table, tags))


def _all(table: Table, tags: set[str]) -> _Condition:
    if len(tags) == 1:
        return _any(table, tags)
    counted = _with(table, tags).group_by(schema.tag.c.resource_id)
    return table.c.id.in_(counted.having(func.count() == len(tags)))


_FILTERS: Mapping[str, Callable[[Table, set[str]], _Condition]] = {
    "tags": _all,
    "tags-any": _any,
    "not-tags": lambda table, tags: not_(_all(table, tags)),
    "not-tags-any": lambda table, tags: not_(_any(table, tags)),
}


def tag_condition(table: Table, attribute: str, values: tuple[str, ...]) -> _Condition | None:
    """What a filter by tags means; None for what is no such filter.

    Values are lists with commas between; those of one filter add up.
    """
    made = _FILTERS.get(attribute)
    if made is None or table.name not in _KINDS:
        return None
    return and_(made(table, {tag for value in values for tag in value.split(",")}))
