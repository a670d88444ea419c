"""Quotas where several servers decide at once on one PostgreSQL: held, and never exceeded."""

import asyncio
import itertools
import random
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import ADMIN, WAIT_S, opened, outcome, port
from tests.unit.server.test_shared_races import held_before_its_turn

from netwright.model.errors import OverQuota
from netwright.server.commands import DeletePorts, ResetQuota, SetQuota
from netwright.server.core import Core
from netwright.server.counted import COUNTED
from netwright.server.store.checking import check
from netwright.server.store.quotas import count


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


def limit(number: int) -> SetQuota:
    return SetQuota(caller=ADMIN, project_id="p", limits={"port": number}, check=False)


def made(outcomes: list[Any]) -> int:
    for one in outcomes:
        assert isinstance(one, tuple | OverQuota), one
    return sum(isinstance(one, tuple) for one in outcomes)


async def ports(core: Core) -> int:
    return await core._database.read(lambda tx: count(tx, "p", "port"))


async def test_the_last_one_is_given_once(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(limit(1))
        async with held_before_its_turn(a) as reached:
            late = asyncio.create_task(outcome(a, port("late")))
            await reached.wait()
            assert isinstance(await outcome(b, port("first")), tuple)
        assert isinstance(await late, OverQuota)
        assert (await ports(a), (await check(url)).wrong) == (1, [])


async def test_both_are_counted_where_there_is_room(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(limit(9))
        async with held_before_its_turn(a) as reached:
            late = asyncio.create_task(outcome(a, port("late")))
            await reached.wait()
            assert isinstance(await outcome(b, port("first")), tuple)
            assert isinstance(await outcome(b, port("second")), tuple)
        assert isinstance(await late, tuple)
        assert (await a.reader.usage("p"))["port"] == 3
        assert (await check(url)).wrong == []


async def test_a_limit_that_comes_meanwhile_holds(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(port("there"))
        async with held_before_its_turn(a) as reached:
            late = asyncio.create_task(outcome(a, port("late")))
            await reached.wait()
            await b.commit(limit(1))
        assert isinstance(await late, OverQuota)
        assert (await check(url)).wrong == []


async def test_what_is_counted_and_then_changed_is_counted_anew(url: str) -> None:
    """The one that sets the limit waits for its turn; ports come and go before it."""
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await b.commit(port("goes"))
        async with held_before_its_turn(a) as reached:
            late = asyncio.create_task(outcome(a, limit(2)))
            await reached.wait()
            await b.commit(port("comes"))
            await b.commit(port("too"))
            await b.commit(DeletePorts(caller=ADMIN, ids=("goes",)))
        await late
        assert (await a.reader.usage("p"))["port"] == 2
        assert isinstance(await outcome(b, port("more")), OverQuota)
        assert (await check(url)).wrong == []


async def test_deletions_that_are_decided_before_it_is_counted(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await b.commit(port("goes"))
        async with held_before_its_turn(a) as reached:
            late = asyncio.create_task(outcome(a, DeletePorts(caller=ADMIN, ids=("goes",))))
            await reached.wait()
            await b.commit(limit(5))
        assert await late == ()
        assert (await a.reader.usage("p"))["port"] == 0


async def most_at_once(core: Core) -> int:
    """How many ports there were at most after any commit, by the log of events."""
    sql = "SELECT CAST(xmin AS text), id, body IS NULL FROM event WHERE kind = 'port' ORDER BY seq"
    rows = await core._database.read(lambda tx: tx.rows(sql))
    alive: set[str] = set()
    most = 0
    for _, changes in itertools.groupby(rows, lambda row: row[0]):
        for _, port_id, is_gone in changes:
            (alive.discard if is_gone else alive.add)(port_id)
        most = max(most, len(alive))
    return most


@pytest.mark.parametrize("resets", [False, True])
async def test_many_at_once_never_exceed_it(url: str, *, resets: bool) -> None:
    chance = random.Random(1)
    async with opened(url, 4) as cores, asyncio.timeout(WAIT_S * 4):
        await cores[0].commit(limit(20))
        alive: set[str] = set()

        async def life(core: Core, worker: int) -> list[Any]:
            seen = []
            for n in range(25):
                name = f"w{worker}-{n}"
                result = await outcome(core, port(name))
                seen.append(result)
                if isinstance(result, tuple):
                    alive.add(name)
                if alive and chance.random() < 0.4:
                    gone = chance.choice(sorted(alive))
                    alive.discard(gone)
                    await core.commit(DeletePorts(caller=ADMIN, ids=(gone,)))
                if resets and worker == 0 and n in (8, 16):
                    await core.commit(ResetQuota(caller=ADMIN, project_id="p"))
                    await core.commit(limit(20))
            return seen

        lives = [life(core, worker) for worker, core in enumerate((*cores, *cores))]
        outcomes = [one for each in await asyncio.gather(*lives) for one in each]
        assert 0 < made(outcomes) < len(outcomes)
        assert await ports(cores[0]) == len(alive)
        assert resets or await most_at_once(cores[0]) == 20
        assert (await check(url)).wrong == []
        assert set(await cores[0].reader.usage("p")) == set(COUNTED)
