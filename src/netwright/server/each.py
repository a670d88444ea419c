"""The same done to each item of a request, so that what one of many fails with says which."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from netwright.model.errors import NetwrightError

T = TypeVar("T")
Item = TypeVar("Item")


def each(collection: str, items: Sequence[Item], do: Callable[[Item], T]) -> tuple[T, ...]:
    """What `do` makes of the items, in order; ends with the first that fails.

    Its error is `about` the item, as `ports[2], name 'web'`, when there are several.
    """
    if len(items) == 1:
        return (do(items[0]),)
    done: list[T] = []
    for item in items:
        try:
            done.append(do(item))
        except NetwrightError as error:
            raise error.about(_labelled(collection, len(done), item)) from error.__cause__
    return tuple(done)


def _labelled(collection: str, number: int, item: Any) -> str:
    """As its sender knows it: by its place, and its name if it has one."""
    name = getattr(item, "name", "")
    return f"{collection}[{number}]" + (
        f", name '{name}'" if isinstance(name, str) and name else ""
    )
