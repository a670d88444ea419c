"""How containers end on one host, and what outlives the agent and the server."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doubles.cni_host import HostDouble
from tests.doubles.cni_verbs import (
    A_WHILE_MS,
    AWAY,
    BROKEN,
    IN_B,
    SOON_S,
    A,
    add,
    check,
    eventually,
    failure,
    running,
)

from netwright.agent.cni.records import Stage
from netwright.agent.wiring import NewDevice, Outcome, WiringStatus
from netwright.cni.protocol import CniError, Code
from netwright.model.errors import (
    Unavailable,
)
from netwright.model.wire import ContainerPorts, EndedContainerPorts


@pytest.fixture
def host(tmp_path: Path) -> HostDouble:
    return HostDouble(tmp_path / "records")


async def test_a_port_whose_answer_comes_too_late_is_ended_after_it(host: HostDouble) -> None:
    """Else the server would hear of the end first, and make the port then."""
    host.server.answers.clear()
    adding = asyncio.create_task(failure(host, deadline_ms=30))
    failed = await adding
    assert failed.code is Code.TRY_AGAIN
    assert len(host.server.requests) == 1
    async with running(host):
        host.server.answers.set()
        await eventually(host.is_empty)
    assert [type(each) for each in host.server.requests][:2] == [
        ContainerPorts,
        EndedContainerPorts,
    ]


@pytest.mark.parametrize("verb", ["ADD", "DEL"])
async def test_what_a_verb_leaves_is_ended_soon_after_it(host: HostDouble, verb: str) -> None:
    """Also when the errand looks while the verb has not quite returned."""
    async with running(host):
        if verb == "DEL":
            await add(host)
        host.server.failure = Unavailable("for a moment")
        if verb == "ADD":
            await failure(host, deadline_ms=A_WHILE_MS)
        else:
            await host.containers.delete(*A)
        host.server.failure = None
        await eventually(host.is_empty)


async def test_an_end_does_not_wait_for_a_server_that_is_away(host: HostDouble) -> None:
    await add(host)
    host.server.failure = AWAY
    await host.containers.delete(*A)
    assert (host.veths.interfaces, host.plugs.devices) == ({}, {})
    record = host.records.get(A)
    assert record is not None
    assert record.stage is Stage.RELEASING
    again = await failure(host)  # the same container's, which is still there at the server
    assert again.code is Code.TRY_AGAIN
    host.server.failure = None
    async with running(host):
        await eventually(host.is_empty)
    assert (await add(host))["ips"]


async def test_an_end_does_not_wait_for_what_tells_the_server_of_it(host: HostDouble) -> None:
    """An agent that starts while its server is away tells it of what an earlier life left."""
    await add(host)
    left = host.records.get(A)
    assert left is not None
    host.records.put(replace(left, stage=Stage.ADDING))
    host.registered.clear()
    host.live()
    async with running(host):
        await eventually(lambda: host.containers._turns.is_busy(A))
        async with asyncio.timeout(SOON_S):
            await host.containers.delete(*A)
        assert host.server.ports
        host.registered.set()
        await eventually(host.is_empty)


async def test_the_next_life_keeps_what_is_attached_and_ends_what_is_half_made(
    host: HostDouble,
) -> None:
    result = await add(host)
    host.plugs.outcome = Outcome(status=WiringStatus.PENDING)
    half = asyncio.create_task(add(host, environment=IN_B))
    await eventually(lambda: len(host.plugs.devices) == 2)
    host.containers._ending.undo = _nothing  # type: ignore[method-assign,assignment] # as when killed
    half.cancel()
    with suppress(asyncio.CancelledError):
        await half
    assert len(host.server.ports) == 2
    host.plugs.outcome = Outcome(status=WiringStatus.UP)
    host.live()
    async with running(host):
        await eventually(lambda: host.records.all().keys() == {A})
    assert (len(host.server.ports), len(host.plugs.devices)) == (1, 1)
    host.look()
    await check(host, result)
    await host.containers.delete(*A)
    assert host.is_empty()


async def test_nothing_is_asked_for_before_this_life_is_registered(host: HostDouble) -> None:
    """The server would take it for a life that a newer one has replaced, which ends the agent."""
    await add(host)
    host.server.failure = AWAY
    await host.containers.delete(*A)
    host.server.failure = None
    host.registered.clear()
    host.live()
    host.server.requests.clear()
    async with running(host):
        failed = await failure(host, environment=IN_B, deadline_ms=30)
        assert failed.code is Code.TRY_AGAIN
        assert not host.server.requests
        host.registered.set()
        await eventually(host.is_empty)


async def test_an_add_whose_turn_does_not_come_in_time_is_not_begun(host: HostDouble) -> None:
    host.server.answers.clear()
    first = asyncio.create_task(add(host))
    await eventually(lambda: bool(host.server.requests))
    late = await failure(host, deadline_ms=30)
    assert (late.code, "earlier request" in late.message) == (Code.TRY_AGAIN, True)
    host.server.answers.set()
    assert (await first)["ips"]
    assert host.records.all().keys() == {A}


async def test_what_is_being_plugged_when_an_add_is_given_up_is_unplugged(
    host: HostDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open vSwitch does what it was asked, whoever waits for its answer."""
    plug, asked_for, done = host.plugs.plug, list[asyncio.Task[None]](), asyncio.Event()

    async def once_asked(device: NewDevice) -> None:
        await done.wait()
        await plug(device)

    async def asks(device: NewDevice) -> None:
        asked_for.append(asyncio.create_task(once_asked(device)))
        await asyncio.shield(asked_for[0])

    monkeypatch.setattr(host.plugs, "plug", asks)
    adding = asyncio.create_task(failure(host, deadline_ms=A_WHILE_MS))
    await eventually(lambda: bool(asked_for))
    await asyncio.sleep(2 * A_WHILE_MS / 1000)
    done.set()
    assert (await adding).code is Code.TRY_AGAIN
    await asked_for[0]
    assert host.is_empty()


async def test_what_undoes_an_add_keeps_its_turn_to_the_end(
    host: HostDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it is cancelled once more: the next ADD's would be undone by it."""
    unplug, goes_on = host.plugs.unplug, asyncio.Event()

    async def slowly(name: str, owner: str | None = None) -> None:
        await goes_on.wait()
        await unplug(name, owner)

    monkeypatch.setattr(host.plugs, "unplug", slowly)
    host.plugs.outcome = Outcome(status=WiringStatus.PENDING)
    adding = asyncio.create_task(add(host))
    await eventually(lambda: bool(host.plugs.devices))
    for _ in range(3):
        adding.cancel()
        await asyncio.sleep(0.01)
    assert host.containers._turns.is_busy(A)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert host.is_empty()


async def _nothing(_key: object) -> None:
    return


async def test_an_end_that_open_vswitch_refuses_is_told_again(host: HostDouble) -> None:
    await add(host)
    host.plugs.failure = BROKEN
    with pytest.raises(CniError) as failed:
        await host.containers.delete(*A)
    assert failed.value.code is Code.TRY_AGAIN
    assert host.server.ports  # while it may answer here, its address is nobody else's
    host.plugs.failure = None
    await host.containers.delete(*A)
    assert host.is_empty()


async def test_an_end_that_the_kernel_refuses_is_tried_again(
    host: HostDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(host)

    async def refuse(device: str) -> None:
        raise OSError(16, f"{device} is busy")

    monkeypatch.setattr(host.veths, "remove", refuse)
    with pytest.raises(CniError) as failed:
        await host.containers.delete(*A)
    assert (failed.value.code, "busy" in failed.value.message) == (Code.TRY_AGAIN, True)
    monkeypatch.undo()
    await host.containers.delete(*A)
    assert host.is_empty()


async def test_collecting_ends_what_the_runtime_does_not_name(host: HostDouble) -> None:
    await add(host)
    await add(host, environment=IN_B)
    other = {"container_id": "a", "netns": "/netns/a", "ifname": "net1"}
    await add(host, environment=other, config={"name": "storage"})
    await host.containers.collect("pods", frozenset({A}))
    assert host.records.all().keys() == {A, ("a", "net1")}
    assert len(host.server.ports) == 2
    host.plugs.failure = BROKEN
    with pytest.raises(CniError):
        await host.containers.collect("pods", frozenset())
    host.plugs.failure = None
    await host.containers.collect("pods", frozenset())
    assert host.records.all().keys() == {("a", "net1")}


async def test_collecting_ends_what_is_half_made_or_half_told_and_spares_an_add_at_work(
    host: HostDouble,
) -> None:
    await add(host)
    host.server.failure = AWAY
    await host.containers.delete(*A)
    record = host.records.get(A)
    assert record is not None
    half = replace(record, container_id="b", stage=Stage.ADDING, unique_name="h1/b/eth0")
    host.records.put(half)  # as an earlier life left it
    host.server.failure = None
    host.veths.namespaces.add("/netns/c")
    host.plugs.outcome = Outcome(status=WiringStatus.PENDING)
    at_work = asyncio.create_task(add(host, environment={"container_id": "c", "netns": "/netns/c"}))
    await eventually(lambda: bool(host.plugs.devices))
    await host.containers.collect("other", frozenset())
    assert len(host.records.all()) == 3
    await host.containers.collect("pods", frozenset())
    assert host.records.all().keys() == {("c", "eth0")}
    host.plugs.outcome = Outcome(status=WiringStatus.UP)
    host.look()
    assert (await at_work)["ips"]


async def test_a_record_that_cannot_be_read_does_not_stop_the_others(
    host: HostDouble, tmp_path: Path
) -> None:
    await add(host)
    (tmp_path / "records" / "odd@eth0.json").write_bytes(b"{")
    (tmp_path / "records" / "half@eth0.new").write_bytes(b"{")
    host.live()
    assert host.records.all().keys() == {A}
    assert not (tmp_path / "records" / "half@eth0.new").exists()
