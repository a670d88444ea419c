"""Claims where several servers decide at once on one PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.containers.scene import begin, claim, confirm, end, outcome, stored
from tests.unit.server.test_shared_database import WAIT_S
from tests.unit.server.test_shared_races import held_before_its_turn

from netwright.model.container_errors import NoSlotFree
from netwright.model.resources import Port
from netwright.model.states import BindingState
from netwright.server.core import Core
from netwright.server.queries import Query
from netwright.server.store.checking import check

Cores = list[Core]


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


@pytest.fixture
async def cores(url: str) -> AsyncIterator[Cores]:
    """Four servers, and four hosts."""
    cores = []
    for _ in range(4):
        core = await Core.open(url)
        await core.start()
        cores.append(core)
    await begin(cores[0], ["h0", "h1", "h2", "h3"])
    yield cores
    for core in cores:
        await core.close()


async def test_a_hundred_slots_that_four_servers_give_are_given_once_each(
    cores: Cores, url: str
) -> None:
    async with asyncio.timeout(WAIT_S * 2):
        claims = [
            cores[n % 4].commit(claim(f"h{n % 4}", "web/{slot}", f"c{n}", slots=100))
            for n in range(100)
        ]
        ports: list[Port] = await asyncio.gather(*claims)
    assert {port.unique_name for port in ports} == {f"web/{n}" for n in range(100)}
    late = await outcome(cores[1], claim("h1", "web/{slot}", "late", slots=100))
    assert isinstance(late, NoSlotFree)
    again = await asyncio.gather(
        *(
            cores[(n + 1) % 4].commit(claim(f"h{n % 4}", "web/{slot}", f"c{n}", slots=100))
            for n in range(100)
        )
    )
    assert again == ports
    assert (await check(url)).wrong == []


async def test_slots_that_are_kept_are_taken_once_each(cores: Cores) -> None:
    async with asyncio.timeout(WAIT_S * 2):
        first = await asyncio.gather(
            *(cores[0].commit(claim("h0", "web/{slot}", f"a{n}", slots=40)) for n in range(40))
        )
        await asyncio.gather(
            *(cores[0].commit(end("h0", str(p.unique_name), p.device_id)) for p in first)
        )
        second: list[Port] = await asyncio.gather(
            *(
                cores[n % 4].commit(claim(f"h{n % 4}", "web/{slot}", f"b{n}", slots=40))
                for n in range(40)
            )
        )
    assert {port.id for port in second} == {port.id for port in first}


@pytest.mark.parametrize("kept", [True, False])
async def test_one_slot_that_two_servers_choose_is_one_ones(cores: Cores, *, kept: bool) -> None:
    """Kept, its port's event tells the later one; new, the unique key does."""
    a, b, *_ = cores
    async with asyncio.timeout(WAIT_S):
        if kept:
            port = await a.commit(claim("h0", "web/{slot}", "old", slots=2))
            await a.commit(end("h0", str(port.unique_name), "old"))
        async with held_before_its_turn(a) as reached:
            late = asyncio.create_task(a.commit(claim("h0", "web/{slot}", "a", slots=2)))
            await reached.wait()
            early = await b.commit(claim("h1", "web/{slot}", "b", slots=2))
        assert (early.unique_name, (await late).unique_name) == ("web/0", "web/1")


async def test_an_old_containers_end_that_was_decided_before_a_claim_changes_nothing(
    cores: Cores,
) -> None:
    a, b, *_ = cores
    async with asyncio.timeout(WAIT_S):
        await a.commit(claim("h0", "web-0", "old"))
        async with held_before_its_turn(a) as reached:
            ending = asyncio.create_task(outcome(a, end("h0", "web-0", "old")))
            await reached.wait()
            moved = await b.commit(claim("h1", "web-0", "new"))
        assert await ending == ()
        port = await stored(a, "web-0")
        assert port is not None
        assert port.claim is not None
        assert (port.claim.container_id, port.bindings) == ("new", moved.bindings)


async def test_hosts_that_claim_one_name_at_four_servers_have_one_holder(
    cores: Cores, url: str
) -> None:
    async with asyncio.timeout(WAIT_S * 2):
        for round_ in range(5):
            claims = [
                claim(f"h{n}", "web-0", f"c{n}-{round_}", replaces=f"c{n}-{round_ - 1}")
                for n in range(4)
            ]
            ports: list[Port] = await asyncio.gather(
                *(core.commit(each) for core, each in zip(cores, claims, strict=True))
            )
            assert len({port.id for port in ports}) == 1
            port = await stored(cores[0], "web-0")
            assert port is not None
            assert port.claim is not None
            active = [binding.host for binding in port.bindings if binding.active]
            assert active == [port.claim.host]
            for n in range(4):
                await confirm(cores[n], f"h{n}")
            await confirm(cores[0], active[0])
            port = await stored(cores[0], "web-0")
            assert port is not None
            assert [(b.host, b.state) for b in port.bindings] == [(active[0], BindingState.UP)]
    names = Counter(port.unique_name for port in await cores[0].reader.many(Port, Query()))
    assert names == {"web-0": 1}
    assert (await check(url)).wrong == []
