"""When a process counts what leaves have left, and that it decides by it."""

import asyncio
from collections.abc import Callable

import pytest
from tests.doubles import virtual_time
from tests.doubles.store import create, register
from tests.unit.server.overlay_scene import LEAVES, fabric_network, leaf, replaced, topology

from netwright.model.errors import Unavailable
from netwright.model.states import PortState
from netwright.model.topology import Capacities
from netwright.model.wire import Kind
from netwright.server import surveying
from netwright.server.core import Core
from netwright.server.overlay.room import Room
from netwright.server.store.event_rows import EventRow
from netwright.server.surveying import COST_MAX, COUNT_S, Surveyor

FULL = Room({}, {}, {}, {})


def counted_at(seconds: float, read: Callable[[], float], *, note_at: float = 0.0) -> list[float]:
    """When a surveyor counted, in that many seconds; `read` says how long each count takes."""

    async def scenario() -> list[float]:
        loop = asyncio.get_running_loop()
        began, found = loop.time(), list[float]()

        async def count() -> Room:
            found.append(loop.time() - began)
            await asyncio.sleep(read())
            return FULL

        surveyor = Surveyor(count, lambda _room: None, clock=loop.time)
        if note_at:
            loop.call_later(note_at, surveyor.note, [event(Kind.PORT), event(Kind.TOPOLOGY)])
            loop.call_later(note_at + 1, surveyor.note, [event(Kind.PORT)])
        task = asyncio.create_task(surveyor.run())
        await asyncio.sleep(seconds)
        task.cancel()
        return found

    return virtual_time.run(scenario())


def event(kind: Kind) -> EventRow:
    return EventRow(1, kind, "x", None, frozenset(), b"{}")


def test_it_counts_every_ten_seconds_and_when_the_inventory_changed() -> None:
    assert counted_at(35.0, lambda: 0.0) == [0.0, 10.0, 20.0, 30.0]
    assert counted_at(26.0, lambda: 0.0, note_at=4.0) == [0.0, 4.0, 14.0, 24.0]


def test_a_count_that_takes_long_is_made_seldom() -> None:
    first, second, *_ = counted_at(300.0, lambda: 2.0)
    assert second - first == pytest.approx(2.0 + 2.0 / COST_MAX)
    assert second - first > COUNT_S


def test_a_database_that_is_away_is_asked_again() -> None:
    def away() -> float:
        raise Unavailable("It is away.")

    def defect() -> float:
        raise ValueError

    assert len(counted_at(25.0, away)) == len(counted_at(25.0, defect)) == 3


async def test_a_server_refuses_what_a_leaf_has_no_room_for(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "COUNT_S", 0.05)
    few = (leaf(1, capacities=Capacities(macs=1)), *LEAVES[1:])
    await core.commit(replaced(topology()))
    await core.commit(fabric_network("red", 5000))
    await core.commit(register("h1"))
    await core.commit(create("a", "red", host="h1", fixed_ips=()))
    await core.commit(replaced(topology(switches=few)))
    async with asyncio.timeout(10.0):
        number = 0
        while True:  # until the other inventory was counted
            number += 1
            (port,) = await core.commit(create(f"b{number}", "red", host="h1", fixed_ips=()))
            if port.state is PortState.ERROR:
                break
            await asyncio.sleep(0.02)
    assert "leaf leaf1 has room for 1 MACs" in port.cause
