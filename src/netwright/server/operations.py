"""Decisions about operations: accepted in one batch, done in a later one.

What an operation changes and that it is done are written together: it is done once, whoever does it
how often, also when the process dies between its acceptance and its end.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from msgspec.structs import replace

from netwright.model.errors import HTTP_STATUS, NetwrightError
from netwright.model.operations import Action, Failure, ItemOutcome, Operation, OperationState
from netwright.server.commands import (
    AcceptOperation,
    Command,
    FailOperation,
    PerformOperation,
    Refused,
    Step,
    Together,
)
from netwright.server.operation_work import OperationWork, stored
from netwright.server.security.commands import AddSecurityGroupRules
from netwright.server.world import World

Decide = Callable[[Command], Any]
"""Decides a command in the world at hand; raises what it fails with."""


def accept(world: World, command: AcceptOperation) -> Operation:
    operation = replace(command.operation, created_at=world.now)
    world.of(Operation).put(operation.id, operation)
    work = OperationWork(id=operation.id, caller=command.caller, steps=stored(command.steps))
    world.of(OperationWork).put(operation.id, work)
    return operation


def perform(world: World, command: PerformOperation, decide: Decide) -> Operation | None:
    """Do it, unless it was done; None when there is no such operation (any more)."""
    operation = world.of(Operation).get(command.id)
    if operation is None or operation.state.is_final:
        return operation
    action = operation.action
    try:
        with world.trial():
            if operation.lenient:
                outcomes = [_by_itself(world, action, step, decide) for step in command.steps]
            else:
                outcomes = [_outcomes(action, step, decide) for step in command.steps]
    except NetwrightError as error:
        return _end(world, replace(operation, failure=failure_of(error)))
    return _end(world, replace(operation, outcomes=tuple(chain.from_iterable(outcomes))))


def fail(world: World, command: FailOperation) -> Operation | None:
    operation = world.of(Operation).get(command.id)
    if operation is None or operation.state.is_final:
        return operation
    return _end(world, replace(operation, failure=command.failure))


def forget(world: World, operation_id: str) -> None:
    world.of(Operation).put(operation_id, None)


def failure_of(error: NetwrightError) -> Failure:
    return Failure(
        type=error.type,
        fault=error.fault,
        message=error.message,
        next=error.next,
        status=HTTP_STATUS[error.category],
    )


def _by_itself(world: World, action: Action, step: Step, decide: Decide) -> Sequence[ItemOutcome]:
    try:
        with world.trial():
            return _outcomes(action, step, decide)
    except NetwrightError as error:
        failure = failure_of(error)
        return [ItemOutcome(status=failure.status, failure=failure)]


def _outcomes(action: Action, step: Step, decide: Decide) -> Sequence[ItemOutcome]:
    if isinstance(step, Refused):
        return [ItemOutcome(status=step.failure.status, failure=step.failure)]
    values = decide(step)
    if isinstance(step, Together):
        values = tuple(chain.from_iterable(values))
    if action is Action.DELETE:
        return [ItemOutcome(status=204)]
    made = _to_make(step)  # the others were there already
    return [ItemOutcome(status=201 if each.id in made else 200, id=each.id) for each in values]


def _to_make(step: Step) -> set[str]:
    """The ids of what the step makes, unless a port of its unique name is there."""
    drafts = step.rules if isinstance(step, AddSecurityGroupRules) else getattr(step, "drafts", ())
    return {draft.id for draft in drafts}


def _end(world: World, operation: Operation) -> Operation:
    state = OperationState.FAILED if operation.failure else OperationState.DONE
    operation = replace(operation, state=state, finished_at=world.now)
    world.of(Operation).put(operation.id, operation)
    world.of(OperationWork).put(operation.id, None)
    return operation
