"""What operators ask of the fabric through the server: plan, apply, drain, undrain.

    told: pending ─▶ running ─▶ done | failed       each is a task of the tenure

An operation that an earlier holder of the lease had begun is done again: each of them ends in the
same state however often it is done. An answer has the changes in words, as people read them, and
as JSON: `{"switches": {NAME: {"words": [...], "diff": [...], "changes": [...]}}}`. `words` and
`changes` are what is done, in its order; `diff` has each element once.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import structlog

from netwright.fabric import changes
from netwright.fabric.keeper import Keeper
from netwright.fabric.lease import LeaseLost
from netwright.fabric.refusals import Refusal
from netwright.fabric.views import View
from netwright.fabric.words import document, words
from netwright.model.errors import Category, Conflict, DeviceError, InvalidInput, NetwrightError
from netwright.model.fabric import AnswerError, OperationAnswer, SwitchStatus
from netwright.model.operations import Action, Operation, OperationState
from netwright.model.resources import Value

SWITCH_S_MAX = 60.0
ANSWER_TRIES = 5
ANSWER_AGAIN_S = 1.0

log = structlog.get_logger(__name__)


class Server(Protocol):
    """`client.api.Client`, or a test's double."""

    async def answer_operation(self, id_: str, answer: OperationAnswer) -> object: ...


class Fabric(Protocol):
    """What operations are about: a `tenure.Tenure`."""

    @property
    def keepers(self) -> Mapping[str, Keeper]: ...
    def refusals(self) -> Iterable[Refusal]: ...
    def cut_off(self, switch: str) -> Sequence[str]: ...
    async def drain(self, switch: str, *, drained: bool) -> None: ...


class Outcome(Value, frozen=True, kw_only=True):
    """What was done; `error` where some of it could not be."""

    result: Any
    error: NetwrightError | None = None


class Performer:
    """`begin` what is told; `spawn` starts a task of the tenure."""

    def __init__(
        self, fabric: Fabric, server: Server, token: int, spawn: Callable[[Any, str], object]
    ) -> None:
        self._fabric = fabric
        self._server = server
        self._token = token
        self._spawn = spawn
        self._begun: set[str] = set()

    def follow(self, operations: Mapping[str, Operation]) -> None:
        """Begin those that have not ended and are not under way."""
        self._begun &= operations.keys()
        for id_, operation in operations.items():
            if id_ not in self._begun and not operation.state.is_final:
                self._begun.add(id_)
                self._spawn(self._perform(operation), f"operation {operation.action}")

    async def _perform(self, operation: Operation) -> None:
        log.info("asked", operation=operation.id, action=operation.action, of=operation.arguments)
        await self._answer(operation, OperationState.RUNNING, Outcome(result=None))
        try:
            outcome = await self._do(operation)
        except NetwrightError as error:
            outcome = Outcome(result=None, error=error)
        state = OperationState.DONE if outcome.error is None else OperationState.FAILED
        await self._answer(operation, state, outcome)
        log.info("answered", operation=operation.id, action=operation.action, state=state)

    async def _do(self, operation: Operation) -> Outcome:
        asked = operation.arguments
        match operation.action:
            case Action.PLAN:
                return await self._plan(self._named(asked))
            case Action.APPLY:
                return await self._apply(self._named(asked))
            case Action.DRAIN:
                name = str(asked.get("switch", ""))
                return await self._drain(name, is_forced=bool(asked.get("force")))
            case Action.UNDRAIN:
                return await self._serve(str(asked.get("switch", "")), drained=False)
        raise InvalidInput(f"The fabric controller does not know how to {operation.action}.")

    def _named(self, asked: Mapping[str, Any]) -> Sequence[Keeper]:
        """The switches that are asked for, all without a name. Raises InvalidInput."""
        keepers = self._fabric.keepers
        names = asked.get("switches") or sorted(keepers)
        return [self._keeper(name) for name in names]

    def _keeper(self, name: str) -> Keeper:
        keeper = self._fabric.keepers.get(name)
        if keeper is None:
            raise InvalidInput(
                f"Switch {name} is not configured from here: its inventory names no driver, or it "
                "is no leaf, border or core, or it cannot be planned.",
                next="netwright fabric status has those that are, and what is refused",
            )
        return keeper

    async def _plan(self, keepers: Sequence[Keeper]) -> Outcome:
        found = await asyncio.gather(*map(self._compare, keepers))
        switches = {keeper.name: one for keeper, one in zip(keepers, found, strict=True)}
        return Outcome(
            result={
                "switches": switches,
                "refusals": [refusal.words for refusal in self._fabric.refusals()],
            }
        )

    async def _compare(self, keeper: Keeper) -> Mapping[str, Any]:
        try:
            actual, wanted = await keeper.compare()
        except NetwrightError as error:
            return {
                "reachable": False,
                "cause": error.message,
                "words": [],
                "diff": [],
                "changes": [],
            }
        steps = changes.difference(actual, wanted)
        return {
            "reachable": True,
            "cause": "",
            "words": [words(change) for change in steps],
            "diff": [words(change) for change in changes.summary(actual, wanted)],
            "changes": [document(change) for change in steps],
        }

    async def _apply(self, keepers: Sequence[Keeper]) -> Outcome:
        planned = await asyncio.gather(*map(self._compare, keepers))
        for keeper in keepers:
            keeper.look(repair=True)
        views = await asyncio.gather(*map(self._passed, keepers))
        switches = {
            view.name: {**before, "status": view.status, "cause": view.cause}
            for view, before in zip(views, planned, strict=True)
        }
        failed = [view for view in views if view.status is not SwitchStatus.IN_SYNC]
        if not failed:
            return Outcome(result={"switches": switches})
        whys = " ".join(f"{view.name} is {view.status}: {view.cause}" for view in failed)
        return Outcome(
            result={"switches": switches},
            error=DeviceError(
                f"{len(failed)} of {len(views)} switches are not as planned. {whys}",
                next="It is tried again by itself; netwright fabric diff says what is left.",
            ),
        )

    async def _passed(self, keeper: Keeper) -> View:
        try:
            async with asyncio.timeout(SWITCH_S_MAX):
                return await keeper.passed()
        except TimeoutError:
            raise DeviceError(
                f"Switch {keeper.name} was not through within {SWITCH_S_MAX:g} s.",
                next="netwright fabric status says how it is.",
            ) from None

    async def _drain(self, name: str, *, is_forced: bool) -> Outcome:
        """Raises Conflict when it cuts hosts off and nobody insists."""
        self._keeper(name)
        cut_off = self._fabric.cut_off(name)
        if cut_off and not is_forced:
            raise Conflict(
                f"To drain switch {name} is to cut off {', '.join(cut_off)}: no other leaf that "
                "is up and in service has a link to them.",
                next="See to their other links (netwright link list), or drain it by --force.",
            )
        return await self._serve(name, drained=True, cut_off=cut_off)

    async def _serve(self, name: str, *, drained: bool, cut_off: Sequence[str] = ()) -> Outcome:
        keeper = self._keeper(name)
        try:
            async with asyncio.timeout(SWITCH_S_MAX):
                await self._fabric.drain(name, drained=drained)
        except TimeoutError:
            raise DeviceError(
                f"Switch {name} was not through within {SWITCH_S_MAX:g} s.",
                next="It stays asked for; netwright fabric status says how it is.",
            ) from None
        view = keeper.view
        result = {"switch": name, "drained": drained, "cut_off": list(cut_off)}
        if view is None or view.actual is None:
            cause = view.cause if view is not None else "it was not read yet"
            error = DeviceError(
                f"Switch {name} does not answer: {cause}", next="It is done when it is back."
            )
            return Outcome(result=result, error=error)
        return Outcome(result=result)

    async def _answer(self, operation: Operation, state: OperationState, outcome: Outcome) -> None:
        """Tried a few times: an operation without an answer is given up by the server in time."""
        error = None
        if outcome.error is not None and state is OperationState.FAILED:
            error = AnswerError(
                type=outcome.error.type,
                fault=outcome.error.fault,
                message=outcome.error.message,
                next=outcome.error.next,
            )
        answer = OperationAnswer(token=self._token, state=state, result=outcome.result, error=error)
        for _ in range(ANSWER_TRIES):
            try:
                await self._server.answer_operation(operation.id, answer)
            except Conflict as conflict:
                raise LeaseLost(f"The server refuses our answer: {conflict.message}") from conflict
            except NetwrightError as failed:
                log.warning("not answered", operation=operation.id, why=failed.message)
                if failed.category is not Category.UNAVAILABLE:
                    return
                await asyncio.sleep(ANSWER_AGAIN_S)
            else:
                return
