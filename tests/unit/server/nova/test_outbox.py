"""Notices from the change to Nova's double and back, on either database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.doubles.clock import Clock
from tests.doubles.nova import NovaDouble, nova
from tests.doubles.places import Place, SqlitePlace
from tests.doubles.sql import execute
from tests.doubles.store import ADMIN, Store, delete, register, report, reports, update
from tests.doubles.store import create as create_port
from tests.unit.server.nova.telling import (
    CHANGED,
    DELETED,
    FAILED,
    OWNED,
    PLUGGED,
    UNPLUGGED,
    A,
    B,
    Nova,
    prepare,
    running,
    settled,
    until,
    wire,
)

from netwright.model.resources import Port
from netwright.model.wire import ReportStatus
from netwright.server.commands import (
    CreatePorts,
    PortDraft,
)
from netwright.server.store.outbox import GONE, GONE_AFTER_S, KEPT_S, StoreOutbox


@pytest.fixture
def double() -> Iterator[NovaDouble]:
    with nova() as serving:
        yield serving
        assert not serving.wrong


async def test_nova_hears_of_a_ports_whole_life(
    database_url: str, double: NovaDouble, tmp_path: Path
) -> None:
    to_nova = Nova(double.url, tmp_path)
    async with running(database_url, to_nova.told()) as core:
        await prepare(core)
        await core.commit(create_port("x", device_id=A))
        await core.commit(update("x", host="h1", **OWNED))
        await wire(core, "x")
        expected = [PLUGGED]
        await until(lambda: double.heard_of("x") == expected)
        await wire(core, "x", ReportStatus.DOWN)
        expected.append(UNPLUGGED)
        await until(lambda: double.heard_of("x") == expected)
        await wire(core, "x", ReportStatus.REFUSED)
        expected.append(FAILED)
        await until(lambda: double.heard_of("x") == expected)
        await wire(core, "x")
        expected.append(PLUGGED)
        await until(lambda: double.heard_of("x") == expected)
        await core.commit(update("x", fixed_ips=()))
        expected.append(CHANGED)
        await until(lambda: double.heard_of("x") == expected)
        await core.commit(update("x", host="", device_id="", device_owner=""))
        expected.append(UNPLUGGED)
        await until(lambda: double.heard_of("x") == expected)
        await core.commit(update("x", **OWNED))
        await core.commit(delete("x"))
        expected.append(DELETED)
        await until(lambda: double.heard_of("x") == expected)
        assert {event.server_uuid for event in double.heard} == {A}
        assert {each.code for each in await settled(core, "x")} == {200}
    assert to_nova.counts == {"acknowledged": len(expected)}


async def test_others_ports_and_a_server_without_nova_write_nothing(
    database_url: str, double: NovaDouble, tmp_path: Path
) -> None:
    async with running(database_url, None) as core:
        await prepare(core)
        await core.commit(create_port("a", host="h1", **OWNED))
        await wire(core, "a")
        assert not await core.reader.notices("a")
    async with running(database_url, Nova(double.url, tmp_path).told()) as core:
        await core.commit(create_port("b", host="h1", device_owner="network:dhcp", device_id=A))
        await core.commit(create_port("c", **OWNED))
        await wire(core, "b")
        await core.commit(delete("b"))
        await core.commit(create_port("d", host="h1", **OWNED))
        await wire(core, "d")
        await until(lambda: double.heard)
    assert [event.tag for event in double.heard] == ["d"]
    assert await execute(database_url, "SELECT port_id FROM notice") == [("d",)]


async def test_it_is_tried_until_the_instance_has_a_host(
    database_url: str, double: NovaDouble, tmp_path: Path
) -> None:
    double.instances = {A: None}
    async with running(database_url, Nova(double.url, tmp_path).told()) as core:
        await prepare(core)
        await core.commit(create_port("x", host="h1", **OWNED))
        await wire(core, "x")
        await until(lambda: double.asked)
        (one,) = await core.reader.notices("x")
        while not one.attempts:  # its answer is noted a moment later
            (one,) = await core.reader.notices("x")
        assert (one.code, one.ended_at, one.error) == (422, None, "the instance has no host yet")
        census = await core.reader.census()
        assert (census.notices_pending, census.notices_oldest_at) == (1, one.created_at)
        double.instances = {A: "h1"}
        (one,) = await settled(core, "x")
        assert one.is_acknowledged
        assert one.attempts > 1
        assert (await core.reader.census()).notices_pending == 0
    assert double.heard_of("x") == [PLUGGED]


async def test_what_is_void_is_never_sent(
    database_url: str, double: NovaDouble, tmp_path: Path
) -> None:
    double.status = 503
    async with running(database_url, Nova(double.url, tmp_path).told()) as core:
        await prepare(core)
        for name in ("x", "y"):
            await core.commit(create_port(name, host="h1", **OWNED))
        for _ in range(3):
            for status in (ReportStatus.UP, ReportStatus.DOWN):
                await wire(core, "x", status)
                await wire(core, "y", status)
        await wire(core, "y")
        await until(lambda: double.asked)
        double.status = None
        await settled(core, "x")
        await settled(core, "y")
    assert double.heard_of("x") == [UNPLUGGED]
    assert double.heard_of("y") == [PLUGGED]


async def test_what_changes_while_it_is_sent_is_told_after_it(
    database_url: str, double: NovaDouble, tmp_path: Path
) -> None:
    double.gate.clear()
    async with running(database_url, Nova(double.url, tmp_path).told()) as core:
        await prepare(core)
        await core.commit(create_port("x", host="h1", **OWNED))
        await wire(core, "x")
        await until(lambda: double.running)
        await wire(core, "x", ReportStatus.DOWN)
        double.gate.set()
        (one,) = await settled(core, "x")
    assert one.notice.name == "network-vif-unplugged"
    assert double.heard_of("x") == [PLUGGED, UNPLUGGED]


@pytest.mark.parametrize("trouble", ["breaks", "delays", "fails", "answers nonsense"])
async def test_a_restart_in_the_middle_loses_nothing(
    database_url: str, double: NovaDouble, tmp_path: Path, trouble: str
) -> None:
    match trouble:
        case "breaks":
            double.breaks = True
        case "delays":
            double.gate.clear()
        case "fails":
            double.status = 500
        case _:
            double.status = 200
    to_nova = Nova(double.url, tmp_path)
    async with running(database_url, to_nova.told()) as core:
        await prepare(core)
        drafts = [f"p{n}" for n in range(5)]
        for name in drafts:
            await core.commit(create_port(name, host="h1", **OWNED))
            await wire(core, name)
        await until(lambda: double.peers)
    assert not double.heard
    double.breaks, double.status = False, None
    async with running(database_url, to_nova.told()) as core:
        await until(lambda: double.running or double.heard)
        double.gate.set()
        for name in drafts:
            (one,) = await settled(core, name)
            assert one.is_acknowledged
            assert PLUGGED in double.heard_of(name)


async def test_five_hundred_at_once(database_url: str, double: NovaDouble, tmp_path: Path) -> None:
    to_nova = Nova(double.url, tmp_path)
    count = 500
    async with running(database_url, to_nova.told()) as core:
        await prepare(core)
        names = [f"p{n}" for n in range(count)]
        drafts = tuple(
            PortDraft(id=name, project_id="p", network_id="net", host="h1", **OWNED)
            for name in names
        )
        made: list[Port] = list(await core.commit(CreatePorts(caller=ADMIN, drafts=drafts)))
        up = [report(port, "h1", ReportStatus.UP) for port in made]
        await core.commit(reports("h1", *up))
        await until(lambda: len(double.heard) == count)
        await settled(core, names[-1])
    assert len(double.asked) == 5
    assert {event.tag for event in double.heard} == set(names)
    assert double.running_max == 1


async def test_what_is_over_is_kept_for_a_while_and_gone_ports_are_given_up(
    database_url: str, double: NovaDouble, tmp_path: Path
) -> None:
    clock = Clock()
    double.instances = {A: None, B: "h1"}
    async with running(database_url, Nova(double.url, tmp_path).told(), clock) as core:
        await prepare(core)
        for name, instance in (("a", A), ("b", A), ("c", A), ("d", B)):
            owned = OWNED | {"device_id": instance}
            await core.commit(create_port(name, host="h1", **owned))
            await wire(core, name)
        await settled(core, "d")
        await core.commit(delete("a"))
        await core.commit(update("b", device_id=B))
        await until(lambda: "d" in {event.tag for event in double.heard})
        outbox = StoreOutbox(core._database, None)
        assert not await outbox.sweep(clock.now + GONE_AFTER_S - 1)
        dropped = await outbox.sweep(clock.now + GONE_AFTER_S)
        told_a = {(each.notice.port_id, each.notice.name.value) for each in dropped}
        assert told_a == {("a", "network-vif-deleted"), ("b", "network-vif-unplugged")}
        (one,) = await core.reader.notices("a")
        assert (one.error, one.next_try_at, one.is_acknowledged) == (GONE, None, False)
        (one,) = await core.reader.notices("c")  # its port is there, so it is tried for ever
        assert one.ended_at is None
        assert await core.reader.notices("d")
        await outbox.sweep(clock.now + KEPT_S)
        assert not await core.reader.notices("d")
        (one,) = await core.reader.notices("c")
        assert one.ended_at is None


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = Store(place, tells_nova=True)
    store.make_network()
    store.do(register("h1"))
    yield store
    store.close()


def test_the_hot_path_asks_nothing_more() -> None:
    place = SqlitePlace()
    store = Store(place, tells_nova=True)
    store.make_network()
    store.do(register("h1"))
    with place.listening() as said:
        store.do(create_port("a", **OWNED))
        store.do(update("a", host="h1"))
        store.do(create_port("b"))
        store.do(delete("b"))
    assert not [each for each in said if "notice" in each]
    port = store.port("a")
    assert port is not None
    with place.listening() as said:
        store.do(reports("h1", report(port, "h1", ReportStatus.UP)))
    assert len([each for each in said if "notice" in each]) == 1
    store.close()


def test_a_notice_is_of_the_event_that_it_tells_of(store: Store) -> None:
    store.do(create_port("a", host="h1", **OWNED))
    port = store.port("a")
    assert port is not None
    store.do(reports("h1", report(port, "h1", ReportStatus.UP)))
    (row,) = store.rows("SELECT number, created_at, next_try_at, attempts FROM notice")
    assert row == (store.events[-1].seq, store.now, store.now, 0)


def test_a_command_that_fails_leaves_none(store: Store) -> None:
    store.do(create_port("a", host="h1", **OWNED))
    port = store.port("a")
    assert port is not None
    up = reports("h1", report(port, "h1", ReportStatus.UP))
    (_, failed) = store.batch(up, delete("a", "nobody's"))
    assert isinstance(failed, Exception)
    rows = store.rows("SELECT name FROM notice")
    assert rows == [("network-vif-plugged",)]


def test_what_a_batch_does_and_undoes_is_nobodys_business(store: Store) -> None:
    store.do(create_port("a", host="h1", **OWNED))
    port = store.port("a")
    assert port is not None
    up, down = (
        reports("h1", report(port, "h1", status)) for status in (ReportStatus.UP, ReportStatus.DOWN)
    )
    store.batch(up, down)
    assert not store.rows("SELECT name FROM notice")
    store.do(up)
    store.now += 1
    store.batch(down, up)  # its device was plugged anew: Nova may wait for that
    ((name, created_at),) = store.rows("SELECT name, created_at FROM notice")
    assert (name, created_at) == ("network-vif-plugged", store.now)
