"""What the fabric controller says and is asked (see `commands`)."""

from typing import Any

from netwright.model.fabric import FabricReports
from netwright.model.operations import Failure, Operation, OperationState
from netwright.server.commands import Command


class ApplyFabricReports(Command, frozen=True, kw_only=True):
    """What the controller found; refused when another holds its lease by now."""

    reports: FabricReports


class AskFabric(Command, frozen=True, kw_only=True):
    """Note what the fabric controller is asked to do; it hears of it by its watch."""

    operation: Operation


class AnswerOperation(Command, frozen=True, kw_only=True):
    """The controller's word about an operation: it runs, is done with a result, or has failed."""

    id: str
    token: int
    state: OperationState
    result: Any = None
    failure: Failure | None = None
