"""Questions that only the fabric controller can answer, as operations: asked, answered, given up.

pending ─the controller takes it─▶ running ─▶ done | failed
   └─ nobody took it in time ─▶ failed ◀─ no end in time ─┘
"""

from msgspec.structs import replace

from netwright.model.errors import BadRequest, OperationNotFound
from netwright.model.operations import FABRIC, Failure, Operation, OperationState
from netwright.server.fabric_commands import AnswerOperation, AskFabric
from netwright.server.overlay.reporting import require_lease
from netwright.server.world import World

TAKEN_WITHIN_S = 10.0
"""How long an operation waits for a controller to take it."""

DONE_WITHIN_S = 600.0
"""How long one that was taken may take: as many switches as there are, some of them slow."""


def ask(world: World, command: AskFabric) -> Operation:
    operation = replace(command.operation, collection=FABRIC, created_at=world.now)
    world.of(Operation).put(operation.id, operation)
    return operation


def answer(world: World, command: AnswerOperation) -> Operation:
    """The operation with the controller's answer; one that has ended stays as it ended.

    Raises StaleLease, OperationNotFound, BadRequest.
    """
    require_lease(world, command.token)
    operation = world.of(Operation).get(command.id)
    if operation is None or operation.collection != FABRIC:
        raise OperationNotFound(
            f"Operation {command.id} could not be found among the fabric's.",
            next="operations are kept for a day after their end",
        )
    if operation.state.is_final:
        return operation
    if command.state is OperationState.PENDING:
        raise BadRequest("An operation is not pending once it was taken.", next="say running")
    if (command.failure is not None) != (command.state is OperationState.FAILED):
        raise BadRequest(
            "An error is given with the state failed, and with no other.", next="give both, or none"
        )
    after = replace(
        operation,
        state=command.state,
        result=command.result,
        failure=command.failure,
        finished_at=world.now if command.state.is_final else None,
    )
    if after != operation:
        world.of(Operation).put(operation.id, after)
    return after


def give_up(world: World, operation_id: str) -> None:
    """End an operation that nobody has taken, or ended, in time."""
    operation = world.of(Operation).get(operation_id)
    if operation is None or operation.collection != FABRIC or operation.state.is_final:
        return
    is_running = operation.state is OperationState.RUNNING
    limit_s = DONE_WITHIN_S if is_running else TAKEN_WITHIN_S
    if operation.created_at + limit_s > world.now:
        return
    lease = world.fabric.lease
    holder = f"the last that held its lease was {lease.holder}" if lease else "none was ever there"
    if is_running:
        message = (
            f"Fabric {operation.action} was begun and not ended within {limit_s:.0f} s ({holder}). "
            "Some of it may have been done."
        )
    else:
        message = (
            f"No fabric controller took fabric {operation.action} within {limit_s:.0f} s "
            f"({holder}). Nothing was done."
        )
    failure = Failure(
        type="FabricControllerUnavailable",
        fault="server",
        message=message,
        next="look whether netwright fabric runs, then ask again",
        status=503,
    )
    ended = replace(operation, state=OperationState.FAILED, failure=failure, finished_at=world.now)
    world.of(Operation).put(operation.id, ended)
