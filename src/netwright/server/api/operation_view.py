"""How an operation is shown."""

from datetime import datetime
from typing import Any

import msgspec

from netwright.model.operations import Failure, Operation, OperationState
from netwright.server.api import times


class FailureView(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    fault: str
    message: str
    next: str


class OperationView(msgspec.Struct, frozen=True, kw_only=True):
    """`status` and `result`: those that the request's own answer would have had."""

    id: str
    state: OperationState
    status: int | None
    result: Any
    error: FailureView | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, operation: Operation, result: Any) -> "OperationView":
        ended = operation.finished_at
        return cls(
            id=operation.id,
            state=operation.state,
            status=_status(operation),
            result=result,
            error=failure_view(operation.failure) if operation.failure else None,
            created_at=times.moment(operation.created_at),
            finished_at=None if ended is None else times.moment(ended),
        )


def failure_view(failure: Failure) -> FailureView:
    return FailureView(
        type=failure.type, fault=failure.fault, message=failure.message, next=failure.next
    )


def _status(operation: Operation) -> int | None:
    if not operation.state.is_final:
        return None
    if operation.failure:
        return operation.failure.status
    statuses = {outcome.status for outcome in operation.outcomes}
    return 200 if operation.lenient else max(statuses, default=204)
