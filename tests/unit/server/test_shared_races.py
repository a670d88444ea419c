"""Races between servers on one PostgreSQL, made to happen: a batch is held before its turn.

Each was found by an attack on an earlier version.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import (
    ADMIN,
    REGISTRATION,
    WAIT_S,
    network,
    opened,
    outcome,
    port,
    subnet,
    withdrawn,
)

from netwright.db.postgres import PostgresDatabase
from netwright.db.postgres_transaction import PostgresTransaction
from netwright.db.transaction import Transaction, Work
from netwright.model.errors import Unavailable
from netwright.model.resources import Pool, Port
from netwright.model.wire import Kind, LineType
from netwright.server.commands import (
    AddressWish,
    CreatePorts,
    DeletePorts,
    PortChange,
    PortDraft,
    RegisterHost,
    Tick,
    UpdateNetwork,
    UpdatePorts,
    UpdateSubnet,
)
from netwright.server.core import Core
from netwright.server.queries import Query
from netwright.server.store import events

FIFTY = (AddressWish(ip_address="10.0.0.50"),)


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


@asynccontextmanager
async def held_before_its_turn(core: Core) -> AsyncIterator[asyncio.Event]:
    """The core's next batch is decided, then waits until this ends; the event says it does."""
    database = core._database
    assert isinstance(database, PostgresDatabase)
    reached, go = asyncio.Event(), asyncio.Event()
    write = database.write

    async def gated(work: Work[Any], *, brief: bool = False) -> Any:
        async def held(tx: Transaction) -> Any:
            assert isinstance(tx, PostgresTransaction)
            take_turn = tx.take_turn

            async def wait() -> bool:
                reached.set()
                await go.wait()
                return await take_turn()

            tx.take_turn = wait  # type: ignore[method-assign]
            return await work(tx)

        return await write(held, brief=brief)

    database.write = gated  # type: ignore[method-assign]
    try:
        yield reached
    finally:
        del database.write
        go.set()


async def resting_fifty(core: Core) -> None:
    """10.0.0.50 rests: a port that was wired had it."""
    await core.commit(RegisterHost(caller=ADMIN, host="h1", registration=REGISTRATION))
    await core.commit(port("p1", host="h1", fixed_ips=FIFTY))
    await core.commit(DeletePorts(caller=ADMIN, ids=("p1",)))
    await core.commit(withdrawn("p1"))


def holders(ports: Any, address: str) -> list[str]:
    return [each.id for each in ports if address in [ip.ip_address for ip in each.fixed_ips]]


@pytest.mark.parametrize("is_over", [False, True])
async def test_a_resting_address_that_two_reclaim_has_one_holder(
    url: str, *, is_over: bool
) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await resting_fifty(a)
        if is_over:  # and its row is not swept yet
            await a._database.write(lambda tx: tx.run("UPDATE allocation SET rests_until = 1"))
        async with held_before_its_turn(a) as reached:
            pair = [
                asyncio.create_task(outcome(a, port("p2", fixed_ips=FIFTY))),
                asyncio.create_task(outcome(a, DeletePorts(caller=ADMIN, ids=("p2",)))),
            ]
            await reached.wait()
            assert isinstance(await outcome(b, port("p3", fixed_ips=FIFTY)), tuple)
        await asyncio.gather(*pair)
        await outcome(b, port("p4", fixed_ips=FIFTY))
        assert holders(await b.reader.many(Port, Query()), "10.0.0.50") == ["p3"]


async def test_a_host_that_joins_a_network_while_it_changes_hears_of_the_change(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(RegisterHost(caller=ADMIN, host="h1", registration=REGISTRATION))
        async with held_before_its_turn(a) as reached:
            change = asyncio.create_task(a.commit(UpdateNetwork(caller=ADMIN, id="net", mtu=9000)))
            await reached.wait()
            await b.commit(port("p1", host="h1"))
        await change
        found = await b._database.read(lambda tx: events.events_after(tx, 0, 100))
        told = [each for each in found if each.kind is Kind.NETWORK and each.body]
        assert b"9000" in (told[-1].body or b"")
        assert told[-1].hosts == frozenset({"h1"})


async def test_a_change_of_pools_leaves_no_block_of_the_old_ones(url: str) -> None:
    low = (Pool(start="10.0.0.10", end="10.0.0.200"),)
    high = (Pool(start="10.0.3.0", end="10.0.3.200"),)
    async with opened(url, 3) as (a, b, c), asyncio.timeout(WAIT_S * 3):
        for round_ in range(12):
            pools = low if round_ % 2 else high
            update = UpdateSubnet(caller=ADMIN, id="sub", allocation_pools=pools)
            names = [f"r{round_}-{n}" for n in range(8)]
            made, *_ = await asyncio.gather(
                outcome(b, update),
                *(outcome((a, c)[n % 2], port(name)) for n, name in enumerate(names)),
            )
            assert isinstance(await outcome(a, port(f"last{round_}")), tuple), made
            ids = tuple(each.id for each in await b.reader.many(Port, Query()))
            await b.commit(DeletePorts(caller=ADMIN, ids=ids))


async def test_a_mac_that_another_port_had_meanwhile_is_not_given_away(url: str) -> None:
    mac = "02:00:00:00:00:07"
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(RegisterHost(caller=ADMIN, host="h1", registration=REGISTRATION))
        async with held_before_its_turn(a) as reached:
            thief = asyncio.create_task(outcome(a, port("thief", mac_address=mac)))
            await reached.wait()
            await b.commit(port("q", mac_address=mac, host="h1"))
            await b.commit(update_mac("q", "02:00:00:00:00:08"))
        assert not isinstance(await thief, tuple)


def update_mac(port_id: str, mac: str) -> Any:
    change = PortChange(id=port_id, mac_address=mac)
    return UpdatePorts(caller=ADMIN, changes=(change,))


async def test_a_ledger_forgets_a_batch_whose_conflicts_cannot_be_read(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(network("small", 300))
        await a.commit(subnet("tiny", "small", "10.9.0.0/29"))

        async def fail(_: Any) -> Any:
            raise Unavailable("gone", next="wait")

        async with held_before_its_turn(a) as reached:
            five = asyncio.create_task(outcome(a, CreatePorts(caller=ADMIN, drafts=drafts("x", 5))))
            await reached.wait()
            await b.commit(UpdateNetwork(caller=ADMIN, id="small", mtu=9000))
            monkeypatch.setattr(a._database, "read", fail)
        assert isinstance(await five, Unavailable)
        monkeypatch.undo()
        made = await outcome(a, CreatePorts(caller=ADMIN, drafts=drafts("y", 5)))
        assert isinstance(made, tuple), made


def drafts(prefix: str, count: int) -> tuple[PortDraft, ...]:
    return tuple(
        PortDraft(id=f"{prefix}{n}", project_id="p", network_id="small") for n in range(count)
    )


async def test_connections_that_are_cut_stop_nothing_and_lose_nothing(url: str) -> None:
    async with opened(url, 1) as (core,), asyncio.timeout(WAIT_S * 2):
        made: list[str] = []
        stop = asyncio.Event()

        async def load(worker: int) -> None:
            for n in range(10_000):
                if stop.is_set():
                    return
                each = await outcome(core, port(f"p{worker}-{n}", fixed_ips=()))
                if isinstance(each, tuple):
                    made.append(each[0].id)
                else:
                    assert isinstance(each, Unavailable), each

        loads = [asyncio.create_task(load(worker)) for worker in range(3)]
        admin = await asyncpg.connect(url)
        for _ in range(40):
            await asyncio.sleep(0.05)
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        stop.set()
        await asyncio.gather(*loads)
        await admin.close()
        assert not [task for task in core._tasks if task.done()]
        for _ in range(100):
            last = await outcome(core, port("last"))
            if isinstance(last, tuple):
                break
            await asyncio.sleep(0.05)
        stored = {each.id for each in await core.reader.many(Port, Query())}
        assert stored >= {*made, "last"}
        async for chunk in core.watch(after=None, kinds=frozenset({Kind.PORT}), host=None):
            if b'"last"' in chunk:  # the feed lives
                return


async def test_watchers_of_a_process_that_missed_what_was_forgotten_are_cut_off(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "EVENTS_KEPT", 5)
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        lines = b.watch(after=None, kinds=frozenset({Kind.PORT}), host=None)
        await anext(lines)
        assert b._feed is not None

        async def away(_: Any) -> Any:
            raise Unavailable("away", next="wait")

        monkeypatch.setattr(b._feed._database, "look", away)
        for n in range(30):
            await a.commit(port(f"p{n}"))
        await a.commit(Tick(caller=ADMIN))
        monkeypatch.undo()
        async for chunk in lines:
            if LineType.ERROR.encode() in chunk:
                return
    raise AssertionError("the watch ended without a word")


async def test_a_batch_that_is_the_victim_of_a_deadlock_is_decided_anew(url: str) -> None:
    async with opened(url, 1) as (core,), asyncio.timeout(WAIT_S):
        database = core._database
        assert isinstance(database, PostgresDatabase)
        write, victims = database.write, [True]

        async def once(
            work: Callable[[Transaction], Awaitable[Any]], *, brief: bool = False
        ) -> Any:
            async def killed(tx: Transaction) -> Any:
                result = await work(tx)
                if victims:
                    victims.pop()
                    raise asyncpg.DeadlockDetectedError("deadlock detected")
                return result

            return await write(killed, brief=brief)

        database.write = once  # type: ignore[method-assign]
        made = await outcome(core, port("p1"))
        assert isinstance(made, tuple), made
        assert not victims
