"""What an operation has to do, as it is stored until it is done."""

from collections.abc import Sequence
from functools import cache

import msgspec

from netwright.model.resources import Value
from netwright.server.commands import Caller, Command, Refused, Step


class StoredStep(Value, frozen=True, kw_only=True):
    """A step as it is stored: the name of its type, its fields."""

    type: str
    fields: msgspec.Raw


class OperationWork(Value, frozen=True, kw_only=True):
    """What an operation that is not done yet has to do for whom: its steps in order."""

    id: str
    caller: Caller
    steps: tuple[StoredStep, ...]


def stored(steps: Sequence[Step]) -> tuple[StoredStep, ...]:
    encode = msgspec.json.encode
    return tuple(
        StoredStep(type=type(step).__name__, fields=msgspec.Raw(encode(step))) for step in steps
    )


def steps_of(work: OperationWork) -> tuple[Step, ...]:
    return tuple(msgspec.json.decode(step.fields, type=_types()[step.type]) for step in work.steps)


@cache
def _types() -> dict[str, type[Step]]:
    types: tuple[type[Step], ...] = (*Command.__subclasses__(), Refused)
    return {type_.__name__: type_ for type_ in types}
