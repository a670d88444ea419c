"""Group commit: one queue and one commit in flight per process, without linger.

    submit ──▶ queue ──▶ take all that queued while the last commit ran ──▶ commit_batch ──▶ reply

Batches fill by themselves under load, and a lone command waits for nothing. A reply is given after
the commit only (law 4). `docs/adr/0002` has the measurements.

After a large batch its callers ask again, one after the other. Who took the first of them alone
would have all others wait for a commit: they are waited for, as long as turns of the loop bring
more (`docs/adr/0011`).

Who can be patient lets others pass while both wait (`lanes`).

A database that falls silent fails a batch only after seconds. Who has waited for so long behind it
is refused with it, not made to wait for the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from netwright.db.lanes import Lanes, Waiting
from netwright.model.errors import Unavailable

CommandT = TypeVar("CommandT")
ResultT = TypeVar("ResultT")

BATCH_ITEMS_MAX = 500
QUEUE_ITEMS_MAX = 20_000

WAITED_S_MAX = 1.0
"""Behind a batch that fails as Unavailable: who waited for longer is not tried after it."""

GATHERED_ITEMS_MIN = 16
_TURNS_WITHOUT_MAX = 4  # of the loop: a request is submitted some turns after its bytes have come

CommitBatch = Callable[[Sequence[CommandT]], Awaitable[Sequence[ResultT | Exception]]]


class _Queued(NamedTuple, Generic[CommandT, ResultT]):
    command: CommandT
    done: asyncio.Future[ResultT]


class Committer(Generic[CommandT, ResultT]):
    """Collects commands into batches and hands each batch to `commit_batch`.

    `commit_batch` answers one result or exception a command, in order, after its commit; what it
    raises itself fails every command of the batch. `weigh` is a command's number of items: a batch
    holds at most `BATCH_ITEMS_MAX` of them, or one command that is heavier. `is_patient` says of a
    command that others may pass it.
    """

    def __init__(
        self,
        commit_batch: CommitBatch[CommandT, ResultT],
        weigh: Callable[[CommandT], int] = lambda _: 1,
        is_patient: Callable[[CommandT], bool] = lambda _: False,
    ) -> None:
        self._commit_batch = commit_batch
        self._weigh = weigh
        self._is_patient = is_patient
        self._queue: Lanes[_Queued[CommandT, ResultT]] = Lanes()
        self._last_items = 0
        self._filled = asyncio.Event()
        self._closing = False
        self._is_committing = False
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._worker = asyncio.create_task(self._run(), name="committer")

    async def submit(self, command: CommandT) -> ResultT:
        """The command's result, once it is committed.

        Raises what the batch says of this command; `Unavailable` when the queue is full or closing.
        """
        if self._closing or self._worker is None:
            raise Unavailable(
                "the server is stopping and takes no more changes",
                next="send the request again in a few seconds",
            )
        weight = self._weigh(command)
        if self._queue.weight + weight > QUEUE_ITEMS_MAX:
            raise Unavailable(
                f"{self._queue.weight} changes wait for the database, which is the most that may",
                next="send the request again in a second; if it lasts, the database is too slow",
            )
        loop = asyncio.get_running_loop()
        done: asyncio.Future[ResultT] = loop.create_future()
        waiting = Waiting(_Queued(command, done), weight, since=loop.time())
        self._queue.put(waiting, is_patient=self._is_patient(command))
        self._filled.set()
        return await done

    @property
    def queued_items(self) -> int:
        """How many items wait for the next batches."""
        return self._queue.weight

    @property
    def is_committing(self) -> bool:
        """Whether a commit is in flight."""
        return self._is_committing

    async def close(self) -> None:
        """Commit what is queued, then stop."""
        self._closing = True
        self._filled.set()
        if self._worker is not None:
            await self._worker

    async def _run(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._filled.clear()
                await self._filled.wait()
                continue
            await self._gather()
            await self._commit(self._take())

    async def _gather(self) -> None:
        """Let the callers of a large batch ask again before one of them is served alone."""
        turns = 0
        while (
            GATHERED_ITEMS_MIN <= self._last_items > self._queue.weight
            and turns < _TURNS_WITHOUT_MAX
            and not self._closing
        ):
            before = self._queue.weight
            await asyncio.sleep(0)
            turns = turns + 1 if self._queue.weight == before else 0

    def _take(self) -> list[_Queued[CommandT, ResultT]]:
        batch = self._queue.take(BATCH_ITEMS_MAX)
        self._last_items = sum(each.weight for each in batch)
        return [each.item for each in batch]

    async def _commit(self, batch: list[_Queued[CommandT, ResultT]]) -> None:
        outcomes: Sequence[ResultT | Exception]
        self._is_committing = True
        try:
            outcomes = await self._commit_batch([each.command for each in batch])
        except Exception as error:  # noqa: BLE001 - whoever's fault: it belongs to the callers, and the worker lives on
            outcomes = [error] * len(batch)
            if isinstance(error, Unavailable):
                self._refuse_who_waited(error)
        finally:
            self._is_committing = False
        for (_, done), outcome in zip(batch, outcomes, strict=True):
            if done.done():  # the caller has gone; what is committed stays
                continue
            if isinstance(outcome, Exception):
                done.set_exception(outcome)
            else:
                done.set_result(outcome)

    def _refuse_who_waited(self, why: Unavailable) -> None:
        latest = asyncio.get_running_loop().time() - WAITED_S_MAX
        for each in self._queue.take_older(latest):
            if not each.item.done.done():
                each.item.done.set_exception(why)
