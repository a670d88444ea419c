"""Sends notices to Nova until it has acknowledged them: one request at a time, one process at once.

    idle ──(own commit; a notice's time; every IDLE_S)──▶ burst: lease, then page after page
      ▲                                                     │ nothing is due: lease given back
      └── paused (1 s, 2 s, … 60 s) ◀── Nova is away ◀──────┘

The process that commits a notice sends it, without delay. What it leaves behind, any other finds
within `IDLE_S` (and the lease's end, if it died as it sent). At least once: an answer that was
lost, or not noted before a crash, is asked for again.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import structlog

from netwright.model.errors import LeaseHeld, Unavailable
from netwright.server.nova.answers import Answer, delay_s, judge
from netwright.server.nova.notices import Notice, Telling

log = structlog.get_logger(__name__)

EVENTS_MAX = 100
"""Events in one request."""

IDLE_S = 5.0
HELD_S = 0.5
SWEEP_S = 60.0
LEASE_MARGIN_S = 5.0
"""How much longer than a request the lease lasts: for what stands around it."""

_NAMED_MAX = 20


class Outbox(Protocol):
    """Where notices wait (`store.outbox`)."""

    async def next_due(self) -> float | None: ...
    async def exchange(
        self, settled: Sequence[Telling], now: float, limit: int
    ) -> Sequence[Telling]: ...
    async def leave(self, settled: Sequence[Telling], now: float) -> None: ...
    async def sweep(self, now: float) -> Sequence[Telling]: ...


class Endpoint(Protocol):
    """Nova (`nova.endpoint`)."""

    async def tell(self, notices: Sequence[Notice]) -> Answer: ...
    async def close(self) -> None: ...


ObserveTold = Callable[[str, int], None]
"""Told of each request's notices: an outcome (acknowledged, retried, dropped), and of how many."""


class _Pause(NamedTuple):
    """How long to wait, and whether a commit does not end it."""

    seconds: float
    is_deaf: bool = False


class Sender:
    """Sends while `run` runs. `wake` it when notices were committed here."""

    def __init__(
        self,
        outbox: Outbox,
        endpoint: Endpoint,
        clock: Callable[[], float],
        observe: ObserveTold = lambda _outcome, _count: None,
    ) -> None:
        self._outbox = outbox
        self._endpoint = endpoint
        self._clock = clock
        self._observe = observe
        self._wake = asyncio.Event()
        self._failures = 0  # of whole requests, in a row
        self._page = EVENTS_MAX
        self._sweeps_at = 0.0
        self._is_sending = False

    def wake(self) -> None:
        """Notices were committed."""
        self._wake.set()

    def state(self) -> Mapping[str, Any]:
        """What an operator looks at when Nova does not hear."""
        return {"requests_failed_in_a_row": self._failures, "is_sending": self._is_sending}

    async def run(self) -> None:
        """Until cancelled; a database that is away is waited for."""
        while True:
            self._wake.clear()
            pause = await self._guarded()
            if pause.is_deaf:
                await asyncio.sleep(pause.seconds)
                continue
            try:
                async with asyncio.timeout(pause.seconds):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """After `run` has ended: let others send, at once if the database answers."""
        await self._endpoint.close()
        if self._is_sending:
            with suppress(LeaseHeld, Unavailable):
                await self._outbox.leave((), self._clock())

    async def _guarded(self) -> _Pause:
        try:
            return await self._round()
        except LeaseHeld:
            return _Pause(HELD_S, is_deaf=True)
        except Unavailable as error:
            log.warning("notices to Nova wait for the database", why=error.message)
        except Exception:  # a defect of ours; Nova must not be left without its events
            log.exception("notices to Nova wait")
        return _Pause(IDLE_S, is_deaf=True)

    async def _round(self) -> _Pause:
        """Send what is due; how long to wait then."""
        now = self._clock()
        if now >= self._sweeps_at:
            self._sweeps_at = now + SWEEP_S
            self._say_dropped(await self._outbox.sweep(now))
        due_at = await self._outbox.next_due()
        if due_at is not None and due_at <= now:
            return await self._burst()
        return _Pause(IDLE_S if due_at is None else min(due_at - now, IDLE_S))

    async def _burst(self) -> _Pause:
        """Page after page, until nothing is due or Nova is away."""
        settled: Sequence[Telling] = ()
        self._is_sending = True
        while sent := await self._outbox.exchange(settled, self._clock(), self._page):
            answer = await self._endpoint.tell([each.notice for each in sent])
            verdict = judge(sent, answer, self._clock())
            settled = verdict.settled
            self._resize(is_split=verdict.is_split)
            self._note(verdict.settled, is_away=verdict.is_away)
            if verdict.is_away:
                return await self._give_way(settled, answer)
            if self._failures:
                self._failures = 0
                log.info("nova can be told again")
        await self._outbox.leave((), self._clock())
        self._is_sending = False
        return _Pause(0.0)  # look once more: something may have come as the lease was given back

    async def _give_way(self, settled: Sequence[Telling], answer: Answer) -> _Pause:
        """Nova is away: what is new waits with the rest, longer each time."""
        self._failures += 1
        pause = _Pause(delay_s(self._failures), is_deaf=True)
        log.warning(
            "nova cannot be told; it is tried again",
            failures=self._failures,
            again_in_s=pause.seconds,
            status=answer.status,
            why=answer.why,
        )
        await self._outbox.leave(settled, self._clock())
        self._is_sending = False
        return pause

    def _resize(self, *, is_split: bool) -> None:
        """Fewer at once after a failure, to find the event that is to blame, if one is."""
        self._page = max(1, self._page // 2) if is_split else min(self._page * 2, EVENTS_MAX)

    def _note(self, settled: Sequence[Telling], *, is_away: bool) -> None:
        outcomes = Counter(
            "acknowledged" if each.is_acknowledged else "dropped" if each.ended_at else "retried"
            for each in settled
        )
        for outcome, count in outcomes.items():
            self._observe(outcome, count)
        if outcomes and not is_away:
            log.info("nova was told", **dict(sorted(outcomes.items())))
        self._say_dropped(each for each in settled if each.ended_at and not each.is_acknowledged)

    def _say_dropped(self, dropped: Iterable[Telling]) -> None:
        listed = list(dropped)
        for each in listed[:_NAMED_MAX]:
            log.warning(
                "nova is told no more",
                port=each.notice.port_id,
                instance=each.notice.server_uuid,
                notice=each.notice.name.value,
                tries=each.attempts,
                code=each.code,
                why=each.error,
            )
        if len(listed) > _NAMED_MAX:
            log.warning("nova is told no more", others=len(listed) - _NAMED_MAX)
