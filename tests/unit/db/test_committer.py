import asyncio
from collections.abc import Sequence

import pytest
from tests.doubles import virtual_time

from netwright.db.committer import BATCH_ITEMS_MAX, Committer
from netwright.db.lanes import PATIENT_SHARE
from netwright.model.errors import Unavailable


class Log:
    """Commits by noting batches; each commit waits until the test lets it go on."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(self, commands: Sequence[str]) -> Sequence[str | Exception]:
        await self.gate.wait()
        self.batches.append(list(commands))
        return [ValueError(each) if each.startswith("bad") else each.upper() for each in commands]


@pytest.fixture
async def log() -> Log:
    return Log()


async def test_a_lone_command_waits_for_nothing_but_its_commit(log: Log) -> None:
    committer = Committer(log.commit)
    committer.start()
    assert await committer.submit("a") == "A"
    assert log.batches == [["a"]]
    await committer.close()


async def test_what_queues_during_a_commit_makes_the_next_batch(log: Log) -> None:
    committer = Committer(log.commit)
    committer.start()
    log.gate.clear()
    first = asyncio.create_task(committer.submit("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(committer.submit(each)) for each in "bcd"]
    await asyncio.sleep(0)
    log.gate.set()
    assert await asyncio.gather(first, *others) == ["A", "B", "C", "D"]
    assert log.batches == [["a"], ["b", "c", "d"]]
    await committer.close()


async def test_one_that_fails_fails_alone(log: Log) -> None:
    committer = Committer(log.commit)
    committer.start()
    tasks = [asyncio.create_task(committer.submit(each)) for each in ("a", "bad", "c")]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[0] == "A"
    assert isinstance(outcomes[1], ValueError)
    assert outcomes[2] == "C"
    await committer.close()


async def test_a_commit_that_raises_fails_its_batch_and_the_next_goes_on() -> None:
    attempts = 0

    async def commit(commands: Sequence[str]) -> Sequence[str | Exception]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise Unavailable("disk full")
        return list(commands)

    committer = Committer(commit)
    committer.start()
    with pytest.raises(Unavailable, match="disk full"):
        await committer.submit("a")
    assert await committer.submit("b") == "b"
    await committer.close()


def test_who_waited_long_behind_a_silent_database_is_refused_with_its_batch() -> None:
    tried: list[str] = []

    async def commit(commands: Sequence[str]) -> Sequence[str | Exception]:
        tried.extend(commands)
        await asyncio.sleep(6)
        if "first" in commands:
            raise Unavailable("silent")
        return list(commands)

    async def main() -> None:
        committer = Committer(commit)
        committer.start()
        asked = [asyncio.create_task(committer.submit("first"))]
        for name, after_s in (("second", 0.1), ("third", 4.0), ("last", 1.5)):
            await asyncio.sleep(after_s)
            asked.append(asyncio.create_task(committer.submit(name)))
        *refused, last = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, Unavailable) for each in refused)
        assert last == "last"
        assert tried == ["first", "last"]
        assert committer.queued_items == 0
        await committer.close()

    virtual_time.run(main())


async def test_batches_hold_a_bounded_number_of_items(log: Log) -> None:
    weights = {"big": BATCH_ITEMS_MAX * 2}
    committer = Committer(log.commit, lambda command: weights.get(command, 1))
    log.gate.clear()
    committer.start()
    many = [f"c{n}" for n in range(BATCH_ITEMS_MAX + 1)]
    tasks = [asyncio.create_task(committer.submit(each)) for each in ("first", "big", *many)]
    await asyncio.sleep(0)
    log.gate.set()
    await asyncio.gather(*tasks)
    assert [len(batch) for batch in log.batches[-3:]] == [1, BATCH_ITEMS_MAX, 1]
    assert ["big"] in log.batches
    await committer.close()


async def test_close_commits_what_is_queued_and_refuses_the_rest(log: Log) -> None:
    committer = Committer(log.commit)
    committer.start()
    task = asyncio.create_task(committer.submit("a"))
    await asyncio.sleep(0)
    await committer.close()
    assert await task == "A"
    with pytest.raises(Unavailable, match="stopping"):
        await committer.submit("b")


async def test_those_who_come_one_by_one_after_a_large_batch_go_together() -> None:
    batches: list[int] = []

    async def commit(commands: Sequence[int]) -> Sequence[int]:
        batches.append(len(commands))
        return commands

    committer: Committer[int, int] = Committer(commit)
    committer.start()
    await asyncio.gather(*(committer.submit(each) for each in range(40)))

    async def later(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await committer.submit(turns)

    await asyncio.gather(*(later(2 * each) for each in range(30)))
    await committer.submit(0)  # alone: after those it is waited for some turns, and no longer
    await committer.submit(0)
    await committer.close()
    assert batches == [40, 30, 1, 1]


async def test_who_can_be_patient_lets_others_pass(log: Log) -> None:
    committer = Committer(log.commit, is_patient=lambda command: command.startswith("p"))
    log.gate.clear()
    committer.start()
    asked = [f"{lane}{n}" for lane in "pf" for n in range(BATCH_ITEMS_MAX)]
    tasks = [asyncio.create_task(committer.submit(each)) for each in asked]
    await asyncio.sleep(0)
    assert committer.queued_items == len(asked)
    log.gate.set()
    await asyncio.gather(*tasks)
    first, second = log.batches
    assert sum(each.startswith("p") for each in first) == BATCH_ITEMS_MAX * PATIENT_SHARE
    assert len(second) == BATCH_ITEMS_MAX
    assert committer.queued_items == 0
    await committer.close()
