"""Operations: what was accepted to be done, and what became of it.

    pending ─▶ done | failed
    pending ─▶ running ─▶ done | failed      what only the fabric controller can do or say

`running` is of operations that take long once they have begun; a change of resources does not.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from netwright.model.resources import Value


class OperationState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in {OperationState.DONE, OperationState.FAILED}


class Action(StrEnum):
    """What is done to the resources, which says how the answer reads; or to the fabric."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    PLAN = "plan"
    APPLY = "apply"
    DRAIN = "drain"
    UNDRAIN = "undrain"


FABRIC = "fabric"
"""The collection of operations that the fabric controller performs, and answers."""


class Failure(Value, frozen=True, kw_only=True):
    """An error as the native API carries it (`model.errors`), with the HTTP status it means."""

    type: str
    fault: str
    message: str
    next: str = ""
    status: int


class ItemOutcome(Value, frozen=True, kw_only=True):
    """What became of one item: its resource, or why not. `status` is HTTP's."""

    status: int
    id: str | None = None
    failure: Failure | None = None


class Operation(Value, frozen=True, kw_only=True):
    """A request that was accepted, and answered, before it was done.

    `collection` is that of its resources; `many`: it was a request about a collection; `lenient`:
    each item by itself. `outcomes` are in the order of the items; `failure` is why nothing of it
    was done. Times in Unix seconds.

    Of the fabric's (`collection` FABRIC) `arguments` say what is asked, such as the `switches`;
    `result` is the controller's answer.
    """

    id: str
    project_id: str
    state: OperationState = OperationState.PENDING
    collection: str
    action: Action
    many: bool = False
    lenient: bool = False
    arguments: Mapping[str, Any] = {}
    result: Any = None
    outcomes: tuple[ItemOutcome, ...] = ()
    failure: Failure | None = None
    created_at: float = 0.0
    finished_at: float | None = None
