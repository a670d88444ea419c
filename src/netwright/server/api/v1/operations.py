"""`/v1/operations/ID`: what became of a request that was answered before it was done."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from netwright.model.errors import Fault, OperationNotFound
from netwright.model.fabric import AnswerError, OperationAnswer
from netwright.model.operations import (
    FABRIC,
    Action,
    Failure,
    ItemOutcome,
    Operation,
)
from netwright.server.api.body import Shape
from netwright.server.api.operation_view import OperationView
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.sight import of_ids
from netwright.server.fabric_commands import AnswerOperation

WAIT_S_MAX = 30.0
_WAIT = re.compile(r"wait=([0-9]{1,6})")


_answers = Shape(OperationAnswer)
_STATUS = {Fault.CALLER: 409, Fault.SERVER: 500, Fault.DEVICE: 502, Fault.CLOUD: 502}

Resources = Mapping[str, Resource[Any, Any, Any]]


def routes(resources: Sequence[Resource[Any, Any, Any]]) -> tuple[Route, ...]:
    by_collection = {each.collection: each for each in resources}

    async def show(call: Call) -> Reply:
        """With `Prefer: wait=SECONDS` (RFC 7240, section 4.3) it waits for the end, at most 30."""
        id_ = call.path["id"]
        operation = await call.service.operation(id_, _wait_s(call))
        if operation is None or not call.caller.may_touch(operation.project_id):
            raise OperationNotFound(
                f"Operation {id_} could not be found.",
                next="operations are kept for a day after their end",
            )
        return json_reply(
            OperationView.of(operation, await _result(call, operation, by_collection))
        )

    return (
        Route("GET", "/v1/operations/{id}", show, Access.PROJECT, "Show an operation",
              response=OperationView),
        Route("PUT", "/v1/operations/{id}", _answer, Access.FABRIC, "Answer a fabric's operation",
              OperationAnswer, OperationView),
    )  # fmt: skip


async def _answer(call: Call) -> Reply:
    answer = _answers.decode(await call.body())
    command = AnswerOperation(
        caller=call.caller,
        id=call.path["id"],
        token=answer.token,
        state=answer.state,
        result=answer.result,
        failure=_failure(answer.error),
    )
    operation = await call.service.commit(command)
    return json_reply(OperationView.of(operation, operation.result))


def _failure(error: AnswerError | None) -> Failure | None:
    if error is None:
        return None
    return Failure(
        type=error.type,
        fault=error.fault,
        message=error.message,
        next=error.next,
        status=_STATUS[error.fault],
    )


def _wait_s(call: Call) -> float:
    given = [match for wish in call.preferences if (match := _WAIT.fullmatch(wish))]
    return min(float(given[0][1]), WAIT_S_MAX) if given else 0.0


async def _result(call: Call, operation: Operation, resources: Resources) -> Any:
    """What the request's own answer would have held, of its resources as they are now."""
    if operation.collection == FABRIC:
        return operation.result
    if not operation.state.is_final or operation.failure:
        return None
    resource = resources[operation.collection]
    ids = [outcome.id for outcome in operation.outcomes if outcome.id]
    found = await call.service.reader.many(resource.value_type, of_ids(ids)) if ids else ()
    seen = await resource.views(call, found)
    views = {value.id: view for value, view in zip(found, seen, strict=True)}
    if operation.lenient:
        said = [_item(resource.name, outcome, views) for outcome in operation.outcomes]
        return {resource.collection: said}
    if operation.action is Action.DELETE:
        return None
    made = [views[outcome.id] for outcome in operation.outcomes if outcome.id in views]
    if operation.many:
        return {resource.collection: made}
    return {resource.name: made[0]} if made else None


def _item(name: str, outcome: ItemOutcome, views: Mapping[str, Any]) -> Mapping[str, Any]:
    failure = outcome.failure
    if failure is not None:
        error = {"type": failure.type, "message": failure.message, "detail": failure.next}
        return {"status": outcome.status, "NeutronError": error}
    view = views.get(outcome.id or "")
    return {"status": outcome.status, **({name: view} if view is not None else {})}
