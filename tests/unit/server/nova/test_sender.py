"""The sender in virtual time: when it sends, how much at once, how long it waits."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec.structs import replace
from tests.doubles.virtual_time import run

from netwright.model.errors import LeaseHeld, Unavailable
from netwright.server.nova.answers import Answer, Reception
from netwright.server.nova.notices import Name, Notice, Telling
from netwright.server.nova.sender import EVENTS_MAX, HELD_S, IDLE_S, SWEEP_S, Sender

A = "11111111-2222-4333-8444-555555555555"
T = TypeVar("T")


def now() -> float:
    return asyncio.get_running_loop().time()


class OutboxDouble:
    """Notices in a dictionary, by port. `failure` fails whatever is asked next."""

    def __init__(self) -> None:
        self.rows: dict[str, Telling] = {}
        self.failure: Exception | None = None
        self.looked_at: list[float] = []
        self.swept_at: list[float] = []
        self.left = 0

    def write(self, *port_ids: str, number: int = 1) -> None:
        for port_id in port_ids:
            notice = Notice(port_id=port_id, server_uuid=A, name=Name.PLUGGED)
            self.rows[port_id] = Telling(
                notice=notice, number=number, created_at=now(), next_try_at=now()
            )

    @property
    def waiting(self) -> set[str]:
        return {key for key, each in self.rows.items() if each.ended_at is None}

    async def next_due(self) -> float | None:
        self.looked_at.append(now())
        self._fail()
        times = [each.next_try_at for each in self.rows.values() if each.next_try_at is not None]
        return min(times, default=None)

    async def exchange(
        self, settled: Sequence[Telling], now: float, limit: int
    ) -> Sequence[Telling]:
        self._fail()
        self._settle(settled)
        due = [e for e in self.rows.values() if e.next_try_at is not None and e.next_try_at <= now]
        return sorted(due, key=lambda each: each.next_try_at or 0)[:limit]

    async def leave(self, settled: Sequence[Telling], now: float) -> None:
        self._settle(settled)
        self.left += 1

    async def sweep(self, now: float) -> Sequence[Telling]:
        self.swept_at.append(now)
        return ()

    def _settle(self, settled: Sequence[Telling]) -> None:
        for each in settled:
            if self.rows[each.notice.port_id].number == each.number:
                self.rows[each.notice.port_id] = each

    def _fail(self) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure


class EndpointDouble:
    """Takes `takes_s` for a request; `judge` says how it is received."""

    def __init__(self) -> None:
        self.requests: list[tuple[float, list[str]]] = []
        self.takes_s = 0.0
        self.judge: Callable[[list[str]], Answer] = accepted
        self.running = 0
        self.closed = False

    async def tell(self, notices: Sequence[Notice]) -> Answer:
        assert not self.running, "one request at a time"
        ids = [notice.port_id for notice in notices]
        self.requests.append((now(), ids))
        self.running += 1
        await asyncio.sleep(self.takes_s)
        self.running -= 1
        return self.judge(ids)

    async def close(self) -> None:
        self.closed = True


def accepted(ids: list[str]) -> Answer:
    return Answer(reception=Reception.EACH, codes=[200] * len(ids), status=200)


def away(_ids: list[str]) -> Answer:
    return Answer(reception=Reception.AWAY, why="down")


class Rig:
    def __init__(self) -> None:
        self.outbox = OutboxDouble()
        self.endpoint = EndpointDouble()
        self.counts: dict[str, int] = {}
        self.sender = Sender(self.outbox, self.endpoint, now, self._count)

    def commit(self, *port_ids: str, number: int = 1) -> None:
        self.outbox.write(*port_ids, number=number)
        self.sender.wake()

    @property
    def times(self) -> list[float]:
        return [at - 1_000.0 for at, _ in self.endpoint.requests]

    def _count(self, outcome: str, count: int) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + count


def sending(test: Callable[[Rig], Awaitable[T]]) -> T:
    async def main() -> T:
        rig = Rig()
        task = asyncio.create_task(rig.sender.run())
        try:
            return await test(rig)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await rig.sender.close()
            assert rig.endpoint.closed

    return run(main())


def test_a_commit_is_told_without_delay_and_once() -> None:
    async def test(rig: Rig) -> None:
        await asyncio.sleep(3.2)
        rig.commit("a", "b")
        await asyncio.sleep(60)
        assert [(round(at, 3), ids) for at, ids in rig.endpoint.requests] == [(1003.2, ["a", "b"])]
        assert rig.counts == {"acknowledged": 2}
        assert not rig.outbox.waiting

    sending(test)


def test_what_another_process_left_is_found() -> None:
    async def test(rig: Rig) -> None:
        await asyncio.sleep(1)
        rig.outbox.write("a")
        await asyncio.sleep(IDLE_S)
        assert not rig.outbox.waiting
        assert len(rig.endpoint.requests) == 1

    sending(test)


def test_many_go_in_pages_one_after_the_other() -> None:
    async def test(rig: Rig) -> None:
        rig.endpoint.takes_s = 0.5
        rig.commit(*(f"p{n}" for n in range(EVENTS_MAX * 2 + 50)))
        await asyncio.sleep(0.7)
        rig.commit("late")
        await asyncio.sleep(5)
        assert [len(ids) for _, ids in rig.endpoint.requests] == [100, 100, 51]
        assert rig.times == [0.0, 0.5, 1.0]
        assert not rig.outbox.waiting

    sending(test)


def test_a_nova_that_is_away_is_tried_less_and_less_and_nothing_is_lost() -> None:
    async def test(rig: Rig) -> None:
        rig.endpoint.judge = away
        rig.commit("a")
        for n in range(400):
            await asyncio.sleep(1)
            if n == 100:
                rig.commit("b")
        gaps = [
            round(after - before) for before, after in zip(rig.times, rig.times[1:], strict=False)
        ]
        assert gaps[:7] == [1, 2, 4, 8, 16, 32, 60]
        assert set(gaps[6:]) == {60}
        assert rig.outbox.left == len(rig.endpoint.requests)  # others may send between tries
        rig.endpoint.judge = accepted
        await asyncio.sleep(61)
        assert not rig.outbox.waiting
        rig.commit("c")  # and all is as it was
        await asyncio.sleep(0.01)
        assert not rig.outbox.waiting

    sending(test)


def test_one_that_is_not_acknowledged_holds_up_no_other() -> None:
    async def test(rig: Rig) -> None:
        rig.endpoint.judge = lambda ids: Answer(
            reception=Reception.EACH, codes=[422 if each == "a" else 200 for each in ids]
        )
        rig.commit("a")
        await asyncio.sleep(0.5)
        rig.commit("b")
        await asyncio.sleep(130)
        assert rig.outbox.waiting == {"a"}
        tries = [at - 1_000 for at, ids in rig.endpoint.requests if ids == ["a"]]
        assert [round(at, 1) for at in tries] == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 123.0]
        assert rig.endpoint.requests[1] == (1_000.5, ["b"])
        assert rig.counts == {"acknowledged": 1, "retried": 8}

    sending(test)


def test_an_event_that_spoils_its_request_is_found_and_the_others_go() -> None:
    async def test(rig: Rig) -> None:
        def spoiled(ids: list[str]) -> Answer:
            if "p37" in ids:
                return Answer(reception=Reception.REFUSED, status=400, why="bad")
            return accepted(ids)

        rig.endpoint.judge = spoiled
        rig.commit(*(f"p{n}" for n in range(100)))
        await asyncio.sleep(0.5)
        assert rig.outbox.waiting == {"p37"}
        assert len(rig.endpoint.requests) < 30
        assert rig.outbox.rows["p37"].code == 400

    sending(test)


def test_a_newer_notice_that_comes_while_the_older_is_sent_is_sent_too() -> None:
    async def test(rig: Rig) -> None:
        rig.endpoint.takes_s = 2
        rig.commit("a", number=1)
        await asyncio.sleep(1)
        rig.commit("a", number=2)
        await asyncio.sleep(5)
        assert [ids for _, ids in rig.endpoint.requests] == [["a"], ["a"]]
        assert rig.outbox.rows["a"].number == 2
        assert not rig.outbox.waiting

    sending(test)


def test_while_another_process_sends_this_one_waits_shortly() -> None:
    async def test(rig: Rig) -> None:
        rig.commit("a")
        rig.outbox.failure = LeaseHeld("held")
        # The first look is `next_due`'s: let it pass, and fail the exchange.
        looked = rig.outbox.next_due
        failure, rig.outbox.failure = rig.outbox.failure, None

        async def once() -> float | None:
            at = await looked()
            rig.outbox.next_due = looked  # type: ignore[method-assign]
            rig.outbox.failure = failure
            return at

        rig.outbox.next_due = once  # type: ignore[method-assign]
        await asyncio.sleep(HELD_S + 0.01)
        assert rig.times == [HELD_S]
        assert not rig.outbox.waiting

    sending(test)


def test_it_outlives_a_database_that_is_away_and_defects() -> None:
    async def test(rig: Rig) -> None:
        for failure in (Unavailable("locked"), RuntimeError("a defect")):
            rig.outbox.failure = failure
            rig.commit("a", number=len(rig.times) + 1)
            await asyncio.sleep(2 * IDLE_S + 0.1)
            assert not rig.outbox.waiting

    sending(test)


def test_it_sweeps_now_and_then_and_idles_quietly() -> None:
    async def test(rig: Rig) -> None:
        await asyncio.sleep(600)
        assert len(rig.outbox.swept_at) <= 600 / SWEEP_S + 1
        assert len(rig.outbox.swept_at) >= 600 / SWEEP_S - 1
        assert len(rig.outbox.looked_at) <= 600 / IDLE_S + 1

    sending(test)


def test_what_is_over_is_never_sent_again() -> None:
    async def test(rig: Rig) -> None:
        rig.outbox.write("a")
        rig.outbox.rows["a"] = replace(rig.outbox.rows["a"], next_try_at=None, ended_at=1_000.0)
        rig.sender.wake()
        await asyncio.sleep(300)
        assert not rig.endpoint.requests

    sending(test)
