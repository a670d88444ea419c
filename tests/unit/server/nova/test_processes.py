"""Several processes that tell one Nova: one at a time, each notice once while nothing fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doubles.nova import NovaDouble, nova
from tests.doubles.postgres import Postgres
from tests.doubles.store import create as create_port
from tests.doubles.store import update
from tests.unit.server.nova.telling import (
    OWNED,
    PLUGGED,
    UNPLUGGED,
    Nova,
    prepare,
    running,
    settled,
    until,
    wire,
)

from netwright.model.errors import LeaseHeld
from netwright.model.wire import ReportStatus
from netwright.server.core import Core
from netwright.server.nova.sender import Sender
from netwright.server.store.outbox import Claim, StoreOutbox

TTL_S = 15.0


@pytest.fixture
def double() -> Iterator[NovaDouble]:
    with nova() as serving:
        yield serving
        assert not serving.wrong


@pytest.fixture
async def cores(
    postgres_server: Postgres, double: NovaDouble, tmp_path: Path
) -> AsyncIterator[list[Core]]:
    url, to_nova = postgres_server.new_database(), Nova(double.url, tmp_path)
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(running(url, to_nova.told())) for _ in range(3)]
        await prepare(opened[0])
        yield opened


async def come_up(core: Core, port_id: str) -> None:
    await core.commit(create_port(port_id, host="h1", **OWNED))
    await wire(core, port_id)


def sender_of(core: Core) -> asyncio.Task[None]:
    (task,) = [each for each in core._tasks if each.get_name() == "notices to Nova"]
    return task


async def test_one_sends_at_a_time_and_each_notice_once(
    cores: list[Core], double: NovaDouble
) -> None:
    names = [f"p{n}" for n in range(60)]
    await asyncio.gather(*(come_up(cores[n % 3], name) for n, name in enumerate(names)))
    for name in names:
        await settled(cores[0], name)
    assert sorted(str(event.tag) for event in double.heard) == sorted(names)
    assert double.running_max == 1


async def test_what_is_heard_last_is_true_whichever_process_told_it(
    cores: list[Core], double: NovaDouble
) -> None:
    names = [f"p{n}" for n in range(5)]
    await asyncio.gather(*(come_up(cores[0], name) for name in names))
    for round_ in range(1, 10):
        status = ReportStatus.DOWN if round_ % 2 else ReportStatus.UP
        core = cores[round_ % 3]
        await asyncio.gather(*(wire(core, name, status) for name in names))
    for name in names:
        (one,) = await settled(cores[0], name)
        assert double.heard_of(name)[-1] == UNPLUGGED == f"{one.notice.name} {one.notice.status}"
    assert double.running_max == 1


async def test_what_a_process_that_cannot_send_has_written_another_sends(
    postgres_server: Postgres, double: NovaDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, to_nova = postgres_server.new_database(), Nova(double.url, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Sender, "wake", lambda _: None)  # as if it had died after its commit
        async with running(url, to_nova.told()) as core:
            await prepare(core)
            sender_of(core).cancel()
            await come_up(core, "x")
    async with running(url, to_nova.told()):
        await until(lambda: double.heard_of("x") == [PLUGGED])


async def test_whose_lease_has_lapsed_sends_and_notes_nothing(
    postgres_server: Postgres, tmp_path: Path
) -> None:
    url = postgres_server.new_database()
    async with running(url, Nova("http://127.0.0.1:1/v2.1", tmp_path).told()) as core:
        await prepare(core)
        sender_of(core).cancel()
        await come_up(core, "x")
        now = core._clock()
        outbox = partial(StoreOutbox, core._database)
        first, second = (outbox(Claim(holder=name, ttl_s=TTL_S)) for name in ("a", "b"))
        (sent,) = await first.exchange((), now, 100)
        with pytest.raises(LeaseHeld):
            await second.exchange((), now + TTL_S - 1, 100)
        (again,) = await second.exchange((), now + TTL_S + 1, 100)
        assert again == sent
        failed = replace(sent, attempts=1, code=500, error="it was halted", next_try_at=now + 1)
        with pytest.raises(LeaseHeld):
            await first.exchange([failed], now + TTL_S + 2, 100)
        with pytest.raises(LeaseHeld):
            await first.leave([failed], now + TTL_S + 2)
        assert (await core.reader.notices("x"))[0].attempts == 0
        done = replace(sent, attempts=1, code=200, next_try_at=None, ended_at=now)
        await second.leave([done], now + TTL_S + 3)
        assert (await core.reader.notices("x"))[0].is_acknowledged
        assert await first.exchange((), now + TTL_S + 4, 100) == []


async def test_what_was_replaced_as_it_was_sent_is_not_taken_for_told(
    database_url: str, tmp_path: Path
) -> None:
    async with running(database_url, Nova("http://127.0.0.1:1/v2.1", tmp_path).told()) as core:
        await prepare(core)
        sender_of(core).cancel()
        await come_up(core, "x")
        outbox = StoreOutbox(core._database, None)
        (sent,) = await outbox.exchange((), core._clock(), 100)
        await core.commit(update("x", host=""))
        done = replace(sent, attempts=1, code=200, next_try_at=None, ended_at=core._clock())
        (newer,) = await outbox.exchange([done], core._clock() + 1, 100)
        assert newer.notice.name == "network-vif-unplugged"
        assert newer.number > sent.number
        assert newer.attempts == 0
