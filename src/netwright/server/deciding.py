"""One process's batches: each decided, written, committed; anew when another process was faster.

commands ─▶ a batch in a transaction ─▶ outcomes, events
             │ overtaken: once more, with the turn taken first
             └ cannot be written: cut in two, until one command fails alone
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from netwright.db.transaction import Database, KeyTaken, Transaction
from netwright.ipam.ledger import Ledger
from netwright.model.errors import Unavailable
from netwright.model.segments import SegmentRules
from netwright.server import batch
from netwright.server.commands import Command
from netwright.server.history import HistoryKept
from netwright.server.overlay.room import Room
from netwright.server.store.event_rows import EventRow
from netwright.server.store.memory import Memory
from netwright.server.weighing import is_brief

log = structlog.get_logger(__name__)

ROUNDS_MAX = 8
TOLD_FIRST_MAX = 4
"""So few events go to watchers before who asked is answered: as a rule a watcher has more to do for
them, as a host's agent that is to wire the port it claimed."""

ObserveCommit = Callable[[int, float], None]
"""Told of each commit: how many commands it held, how many seconds it took."""

Noticed = Callable[[], None]
"""Called after each commit of this process that left notices for Nova."""

Told = Callable[[Sequence[EventRow], Sequence[EventRow]], None]
"""Told of each commit, in order: its events, and those of others that were read for it."""


class Decider:
    """Decides and commits batches, one at a time, with this process's ledger of addresses.

    Nova is left notices when somebody is `noticed` of them.
    """

    def __init__(
        self,
        database: Database,
        epoch: str,
        ledger: Ledger,
        clock: Callable[[], float],
        told: Told,
        *,
        observe_commit: ObserveCommit,
        segment_rules: SegmentRules,
        history: HistoryKept,
        noticed: Noticed | None = None,
        quota_defaults: Mapping[str, int],
    ) -> None:
        self._database = database
        self._epoch = epoch
        self._ledger = ledger
        self._memory = Memory()
        self._clock = clock
        self._told = told
        self._observe_commit = observe_commit
        self._segment_rules = segment_rules
        self._history = history
        self._noticed = noticed
        self._quota_defaults = quota_defaults
        self._is_deciding = False
        self._untold: deque[tuple[batch.Decided, int, float]] = deque()

    async def commit(self, commands: Sequence[Command]) -> Sequence[Any]:
        """An outcome for each command, once they are durable. Raises Unavailable."""
        started = time.perf_counter()
        try:
            decided = await self._write(commands)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a defect of ours in one command, maybe: which?
            return await self._commit_apart(commands, error)
        self._ledger.commit()
        decided.remember()
        took_s = time.perf_counter() - started
        for line in decided.news:
            (log.warning if line.is_warning else log.info)(line.event, **line.fields)
        loop = asyncio.get_running_loop()
        self._untold.append((decided, len(commands), took_s))
        if len(decided.events) <= TOLD_FIRST_MAX:
            self._tell()
        else:  # after the replies, which are given next
            loop.call_soon(loop.call_soon, self._tell)
        if decided.notices and self._noticed is not None:
            loop.call_soon(loop.call_soon, self._noticed)
        return decided.outcomes

    def _tell(self) -> None:
        """Of all commits that were not told of yet, in their order."""
        while self._untold:
            decided, commands, took_s = self._untold.popleft()
            try:
                self._told(decided.events, decided.others)
                self._observe_commit(commands, took_s)
            except Exception:  # a defect of ours: it is committed, and who asked is to hear so
                log.exception("a commit could not be told of", events=len(decided.events))

    def follow(self, events: Sequence[EventRow]) -> None:
        """Events of the log, in its order, whoever wrote them: the next batch need not read them.

        One that is being decided reads itself what others do meanwhile.
        """
        if not self._is_deciding:
            self._memory.follow(events)

    def learn_room(self, room: Room | None) -> None:
        """What leaves have left, as it was just counted."""
        self._memory.room = room

    async def _write(self, commands: Sequence[Command]) -> batch.Decided:
        self._is_deciding = True
        try:
            return await self._decided(commands)
        finally:
            self._is_deciding = False

    async def _decided(self, commands: Sequence[Command]) -> batch.Decided:
        """Decide the batch and commit it; whatever this raises, nothing of it is stored."""
        brief = len(commands) == 1 and is_brief(commands[0])
        for round_ in range(1, ROUNDS_MAX + 1):
            try:
                return await self._database.write(partial(self._run, commands, round_), brief=brief)
            except (batch.Overtaken, KeyTaken) as why:  # the latter: a deadlock was broken
                wanted = why.wanted if isinstance(why, batch.Overtaken) else ()
                self._ledger.abort()  # first: the read may fail
                conflicts = await self._database.read(partial(batch.taken, wanted=wanted))
                self._ledger.abort(conflicts)
                if round_ == ROUNDS_MAX:
                    raise
            except BaseException:
                self._ledger.forget()
                self._memory.forget()
                raise
        raise AssertionError("the last round returns or raises")

    async def _run(
        self, commands: Sequence[Command], round_: int, tx: Transaction
    ) -> batch.Decided:
        return await batch.run(
            tx,
            commands,
            aside=partial(self._database.aside, tx),
            ledger=self._ledger,
            memory=self._memory,
            now=self._clock(),
            epoch=self._epoch,
            segment_rules=self._segment_rules,
            history=self._history,
            tells_nova=self._noticed is not None,
            quota_defaults=self._quota_defaults,
            turn_first=round_ > 1,
        )

    async def _commit_apart(self, commands: Sequence[Command], error: Exception) -> Sequence[Any]:
        """The outcomes of a batch that cannot be written: cut in two, until one fails alone."""
        if len(commands) == 1:
            if isinstance(error, batch.Overtaken | KeyTaken):
                error = Unavailable(
                    f"other servers were faster {ROUNDS_MAX} times in a row; nothing was changed",
                    next="send the request again",
                )
            return [error]
        log.error("a batch cannot be written; it is cut", commands=len(commands), exc_info=error)
        outcomes: list[Any] = []
        half = len(commands) // 2
        for part in (commands[:half], commands[half:]):
            try:
                outcomes += await self.commit(part)
            except Unavailable as why:  # what was written of the other part stands
                outcomes += [why] * len(part)
        return outcomes
