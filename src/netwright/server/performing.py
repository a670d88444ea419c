"""Does what was accepted to be done later, in this process, and tells who waits for it.

    accept ─▶ committed: 202 ─▶ perform ─▶ committed with what it changes
    start, and now and then: whatever is still pending, whoever accepted it ─▶ perform

An operation that two processes perform at once is done once (`operations.perform`): nobody has to
own it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec
import structlog

from netwright.model.errors import InternalError, NetwrightError, Unavailable
from netwright.model.operations import Operation
from netwright.model.wire import Kind
from netwright.server.commands import (
    AcceptOperation,
    Caller,
    Command,
    FailOperation,
    PerformOperation,
    Step,
)
from netwright.server.operation_work import OperationWork, steps_of
from netwright.server.operations import failure_of
from netwright.server.store.event_rows import EventRow

log = structlog.get_logger(__name__)

_AT_ONCE_MAX = 64

Commit = Callable[[Command], Awaitable[Any]]
ReadPending = Callable[[float, int], Awaitable[Sequence[OperationWork]]]
ReadOperation = Callable[[str], Awaitable[Operation | None]]

_decode = msgspec.json.Decoder(Operation).decode


class Performer:
    """One process's. `close` leaves what is not done yet to the next process."""

    def __init__(self, commit: Commit, pending: ReadPending, read: ReadOperation) -> None:
        self._commit = commit
        self._pending = pending
        self._read = read
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE_MAX)
        self._waiting: dict[str, list[asyncio.Event]] = {}

    def __len__(self) -> int:
        """How many operations this process is about to do."""
        return len(self._tasks)

    async def accept(
        self, caller: Caller, operation: Operation, steps: Sequence[Step]
    ) -> Operation:
        """The operation: it will be done whatever becomes of this process. Raises Unavailable."""
        command = AcceptOperation(caller=caller, operation=operation, steps=tuple(steps))
        accepted: Operation = await self._commit(command)
        self._begin(PerformOperation(caller=caller, id=operation.id, steps=command.steps))
        return accepted

    async def resume(self, accepted_until: float) -> None:
        """Begin what was accepted by then and is not done: a process may have died over it."""
        for work in await self._pending(accepted_until, _AT_ONCE_MAX):
            try:
                steps = steps_of(work)
            except (KeyError, msgspec.ValidationError) as error:
                await self._give_up(work, error)
                continue
            self._begin(PerformOperation(caller=work.caller, id=work.id, steps=steps))

    def note(self, events: Iterable[EventRow]) -> None:
        """Wake who waits for an operation that has ended."""
        if not self._waiting:
            return
        for event in events:
            if event.kind is Kind.OPERATION and _has_ended(event):
                for wake in self._waiting.pop(event.id, ()):
                    wake.set()

    async def ended(self, operation_id: str, timeout_s: float) -> Operation | None:
        """The operation once it has ended, or as it is when the time is over."""
        wake = asyncio.Event()
        self._waiting.setdefault(operation_id, []).append(wake)
        try:
            operation = await self._read(operation_id)  # after: it may have ended before
            if operation is None or operation.state.is_final or timeout_s <= 0:
                return operation
            try:
                async with asyncio.timeout(timeout_s):
                    await wake.wait()
            except TimeoutError:
                pass
            return await self._read(operation_id)
        finally:
            self._forget(operation_id, wake)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _give_up(self, work: OperationWork, error: Exception) -> None:
        """It was accepted by another release, and must not hold up those after it."""
        log.error("an operation cannot be read", id=work.id, why=repr(error))
        why = InternalError(
            f"Operation {work.id} was accepted by a release of the server that wrote what is to be "
            "done in a form that this one cannot read; nothing was changed.",
            next="send the request again",
        )
        command = FailOperation(caller=work.caller, id=work.id, failure=failure_of(why))
        await self._commit(command)

    def _forget(self, operation_id: str, wake: asyncio.Event) -> None:
        waiting = self._waiting.get(operation_id, [])
        if wake in waiting:
            waiting.remove(wake)
            if not waiting:
                del self._waiting[operation_id]

    def _begin(self, command: PerformOperation) -> None:
        if command.id not in self._tasks:
            task = asyncio.create_task(self._perform(command), name=f"operation {command.id}")
            self._tasks[command.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(command.id, None))

    async def _perform(self, command: PerformOperation) -> None:
        async with self._slots:
            try:
                await self._commit(command)
            except Unavailable as why:  # it stays pending, and is resumed
                log.warning("an operation waits for the database", id=command.id, why=why.message)
            except NetwrightError as error:  # a defect of ours: it would fail each time
                failure = failure_of(error)
                await self._commit(
                    FailOperation(caller=command.caller, id=command.id, failure=failure)
                )


def _has_ended(event: EventRow) -> bool:
    return event.body is None or _decode(event.body).state.is_final
