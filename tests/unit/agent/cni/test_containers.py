"""The verbs on one host: what is made, what is undone, what outlives the agent and the server."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.doubles.cni_host import Ask, HostDouble

from netwright.agent.cni import asked
from netwright.agent.cni.ports import AT_ONCE_MAX
from netwright.agent.cni.records import Stage
from netwright.agent.wiring import NewDevice, Outcome, WiringError, WiringStatus
from netwright.cni.protocol import CniError, Code
from netwright.model.errors import (
    HostNotFound,
    InternalError,
    NetwrightError,
    NoNetworkForLabels,
    OverQuota,
    StaleEpoch,
    Unavailable,
)
from netwright.model.resources import Port
from netwright.model.states import PortState
from netwright.model.wire import ContainerPorts, EndedContainerPorts

SOON_S = 5.0
A = ("a", "eth0")
IN_B = {"container_id": "b", "netns": "/netns/b"}
A_WHILE_MS = 300
AWAY = Unavailable("The server cannot be reached.", next="Look at it.")
BROKEN = WiringError("Open vSwitch cannot be changed now.", next="Look at it.")


@pytest.fixture
def host(tmp_path: Path) -> HostDouble:
    return HostDouble(tmp_path / "records")


@asynccontextmanager
async def running(host: HostDouble) -> AsyncIterator[None]:
    task = asyncio.create_task(host.containers.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def add(host: HostDouble, **ask: Any) -> dict[str, Any]:
    return await host.containers.add(asked.parse(Ask(**ask).request()))


async def failure(host: HostDouble, **ask: Any) -> CniError:
    with pytest.raises(CniError) as failed:
        await add(host, **ask)
    assert failed.value.next
    return failed.value


async def check(host: HostDouble, before: dict[str, Any]) -> None:
    ask = Ask("CHECK", config={"prevResult": before})
    await host.containers.check(asked.parse(ask.request()))


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not holds():  # noqa: ASYNC110 - doubles tell nobody
            await asyncio.sleep(0.005)


async def test_a_container_is_added_in_order_and_answered_when_it_is_up(host: HostDouble) -> None:
    host.plugs.outcome = Outcome(status=WiringStatus.PENDING)
    adding = asyncio.create_task(add(host, environment={"args": "K8S_POD_NAME=web-0"}))
    await eventually(lambda: bool(host.plugs.devices))
    await asyncio.sleep(0.01)
    assert not adding.done()
    record = host.records.get(A)
    assert record is not None
    assert record.stage is Stage.ADDING
    host.plugs.outcome = replace(host.plugs.outcome, status=WiringStatus.UP)
    host.look()
    result = await adding
    assert result["ips"][0]["address"] == "10.0.0.5/24"
    (port,) = host.server.ports.values()
    assert (port.unique_name, port.name, port.device_id) == ("@h1/a/eth0/1", "web-0", "a")
    device = result["interfaces"][0]["name"]
    assert host.calls == [f"make {device}", f"plug {device}"]
    assert host.plugs.devices[device].owner == "a@eth0"
    assert host.records.get(A) == replace(
        record,
        stage=Stage.ATTACHED,
        port_id=port.id,
        fit=host.veths.interfaces["/netns/a", "eth0"],
        namespace=await host.veths.namespace("/netns/a"),
    )


async def test_a_container_is_furnished_while_it_is_plugged_and_answered_after_both(
    host: HostDouble,
) -> None:
    host.veths.furnished.clear()
    adding = asyncio.create_task(add(host))
    await eventually(lambda: host.loop.last is not None)  # it is up
    await asyncio.sleep(0.01)
    assert not adding.done()
    host.veths.furnished.set()
    assert (await adding)["ips"]


async def test_nothing_is_plugged_before_the_loop_knows_the_port(host: HostDouble) -> None:
    """It would ask the server for it, with hundreds of hosts that do."""
    tell, made = host.server.made, list[Port]()
    host.server.made = made.append
    adding = asyncio.create_task(add(host))
    await eventually(lambda: bool(host.veths.interfaces))
    await asyncio.sleep(0.01)
    assert host.plugs.devices == {}
    for one in made:
        tell(one)
    host.look()
    assert (await adding)["ips"]


async def test_what_the_kernel_refuses_when_it_is_plugged_is_undone_and_told(
    host: HostDouble,
) -> None:
    host.plugs.outcome = Outcome(status=WiringStatus.PENDING)
    host.veths.late_failure = OSError(errno.ENOSPC, "no space")
    host.veths.furnished.clear()
    adding = asyncio.create_task(failure(host))
    await eventually(lambda: bool(host.plugs.devices))
    host.veths.furnished.set()
    failed = await adding
    assert (failed.code, "no space" in failed.message) == (Code.IO_FAILURE, True)
    assert host.is_empty()


async def test_the_end_takes_all_of_it_away_and_may_be_told_twice(host: HostDouble) -> None:
    await host.containers.delete(*A)  # before there is any
    result = await add(host)
    host.calls.clear()
    host.veths.namespaces.clear()  # as when the container is gone first
    await host.containers.delete(*A)
    device = result["interfaces"][0]["name"]
    assert host.calls == [f"unplug {device}", f"remove {device}"]
    assert host.is_empty()
    await host.containers.delete(*A)
    assert host.is_empty()


async def test_adds_at_once_are_few_requests(host: HostDouble) -> None:
    host.server.answers.clear()
    host.veths.namespaces |= {f"/netns/{n}" for n in range(30)}
    asks = [{"container_id": f"c{n}", "netns": f"/netns/{n}"} for n in range(30)]
    adding = [asyncio.create_task(add(host, environment=each)) for each in asks]
    await eventually(lambda: bool(host.server.requests))
    await asyncio.sleep(0.01)
    host.server.answers.set()
    await asyncio.gather(*adding)
    sizes = [len(each.ports) for each in host.server.requests if isinstance(each, ContainerPorts)]
    assert sum(sizes) == 30
    assert len(sizes) <= 2
    assert max(sizes) <= AT_ONCE_MAX
    await asyncio.gather(*(host.containers.delete(f"c{n}", "eth0") for n in range(30)))
    assert host.is_empty()
    ends = [each for each in host.server.requests if isinstance(each, EndedContainerPorts)]
    assert len(ends) < 30


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AWAY, Code.TRY_AGAIN),
        (HostNotFound("Host h1 has never registered."), Code.TRY_AGAIN),
        (InternalError("a defect"), Code.TRY_AGAIN),
        (StaleEpoch("a newer agent"), Code.TRY_AGAIN),
        (OverQuota("too many ports"), Code.REFUSED),
    ],
)
async def test_a_server_that_fails_leaves_nothing(
    host: HostDouble, error: NetwrightError, code: Code
) -> None:
    host.server.failure = error
    failed = await failure(host, deadline_ms=A_WHILE_MS)
    assert failed.code is code
    assert failed.message.startswith("eth0 of container a: ")
    assert error.message in failed.message
    host.server.failure = None
    if not isinstance(error, StaleEpoch):
        async with running(host):
            await eventually(host.is_empty)


async def test_an_add_waits_for_a_server_that_is_away(host: HostDouble) -> None:
    """Asked again under the same name: one port, however often."""
    host.server.failure = AWAY
    waiting = asyncio.create_task(add(host))
    await eventually(lambda: len(host.server.requests) > 1)
    assert not waiting.done()
    host.server.failure = None
    assert (await waiting)["ips"]
    assert len(host.server.ports) == 1
    asked = [one for one in host.server.requests if isinstance(one, ContainerPorts)]
    assert len({one.ports for one in asked}) == 1


async def test_labels_that_no_network_has_are_refused_with_the_servers_words(
    host: HostDouble,
) -> None:
    why = "None of the 2 networks that match 'env=prod' has a free address"
    host.server.refused["env=prod"] = NoNetworkForLabels(why, next="label another network")
    failed = await failure(host)
    assert (failed.code, failed.next) == (Code.REFUSED, "label another network")
    assert why in failed.message
    assert host.is_empty()


async def test_one_of_many_fails_alone(host: HostDouble) -> None:
    host.server.refused["env=full"] = NoNetworkForLabels("full")
    good, bad = await asyncio.gather(
        add(host), failure(host, environment=IN_B, config={"labels": "env=full"})
    )
    assert good["ips"]
    assert bad.code is Code.REFUSED
    assert host.records.all().keys() == {A}


async def test_a_binding_that_the_host_cannot_serve_is_undone(host: HostDouble) -> None:
    host.server.binding_cause = "host h1 has no physical network physnet9"
    failed = await failure(host)
    assert failed.code is Code.REFUSED
    assert "physnet9" in failed.message
    assert host.is_empty()


async def test_what_the_container_lacks_or_has_already_is_said(host: HostDouble) -> None:
    gone = await failure(host, environment={"netns": "/netns/gone"})
    assert (gone.code, "/netns/gone" in gone.message) == (Code.UNKNOWN_CONTAINER, True)
    host.veths.foreign.add(("/netns/a", "eth0"))
    taken = await failure(host)
    assert taken.code is Code.EXISTS
    assert host.is_empty()


async def test_a_second_add_is_refused_and_the_first_stays(host: HostDouble) -> None:
    result = await add(host)
    again = await failure(host)
    assert again.code is Code.EXISTS
    assert "port-1" in again.message
    await check(host, result)
    both = await asyncio.gather(
        add(host, environment=IN_B), add(host, environment=IN_B), return_exceptions=True
    )
    (refused,) = [each for each in both if isinstance(each, CniError)]
    assert refused.code is Code.EXISTS
    assert len(host.server.ports) == 2


async def test_a_container_that_starts_again_under_its_id_gets_an_interface(
    host: HostDouble,
) -> None:
    """As podman's do after the host's restart, of which no DEL told."""
    await add(host)
    host.veths.end("/netns/a", again=True)
    host.plugs.devices.clear()
    host.look()
    assert (await add(host))["ips"]
    assert len(host.plugs.devices) == len(host.server.ports) == 1


@pytest.mark.parametrize("where", ["kernel", "plug"])
async def test_an_add_that_fails_midway_leaves_nothing(host: HostDouble, where: str) -> None:
    if where == "kernel":
        host.veths.failure = OSError(12, "no memory for it")
    else:
        host.plugs.failure = BROKEN
    failed = await failure(host)
    assert failed.code is (Code.IO_FAILURE if where == "kernel" else Code.TRY_AGAIN)
    host.veths.failure = host.plugs.failure = None
    async with running(host):  # with Open vSwitch away, later
        await eventually(host.is_empty)


@pytest.mark.parametrize("wait_for", ["underlay", "active"])
async def test_an_add_that_does_not_come_up_in_time_says_why_and_leaves_nothing(
    host: HostDouble, wait_for: str
) -> None:
    if wait_for == "underlay":
        host.plugs.outcome = Outcome(status=WiringStatus.REFUSED, cause="no such device")
    failed = await failure(host, config={"waitFor": wait_for}, deadline_ms=50)
    assert failed.code is Code.TRY_AGAIN
    said = "no such device" if wait_for == "underlay" else "it is ALLOCATED"
    assert said in failed.message
    assert host.is_empty()


async def test_active_is_waited_for_where_it_is_asked_for(host: HostDouble) -> None:
    adding = asyncio.create_task(add(host, config={"waitFor": "active"}))
    await eventually(lambda: bool(host.plugs.devices))
    await asyncio.sleep(0.01)
    assert not adding.done()
    (port,) = host.server.ports.values()
    host.loop.mirror.ports[port.id] = replace(port, state=PortState.ACTIVE)
    host.look()
    assert (await adding)["ips"]


async def test_an_add_is_answered_by_its_own_binding(host: HostDouble) -> None:
    """The answer to its claim overtakes the watch, which has not told of the last one's end yet."""
    named = {"portName": "pods/{container}", "keep": "1h"}
    await add(host, config=named)
    before = dict(host.loop.mirror.ports)
    await host.containers.delete(*A)
    host.loop.mirror.ports.update(before)
    told: list[Port] = []
    host.server.made = told.append
    adding = asyncio.create_task(add(host, config=named))
    await eventually(lambda: bool(host.plugs.devices))
    await asyncio.sleep(0.01)
    host.look()
    await asyncio.sleep(0.01)
    assert not adding.done()
    (port,) = told
    host.loop.mirror.ports[port.id] = port
    host.look()
    assert (await adding)["ips"]


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


async def test_check_names_what_differs(host: HostDouble) -> None:
    result = await add(host)
    await check(host, result)
    host.plugs.outcome = Outcome(status=WiringStatus.REFUSED, cause="unplugged by hand")
    host.look()
    host.veths.interfaces.clear()
    with pytest.raises(CniError) as failed:
        await check(host, result)
    assert failed.value.code is Code.DIFFERS
    assert "there is no eth0" in failed.value.message
    assert "unplugged by hand" in failed.value.message


async def test_check_of_what_is_not_ours_or_gone(host: HostDouble) -> None:
    with pytest.raises(CniError) as failed:
        await check(host, {})
    assert failed.value.code is Code.UNKNOWN_CONTAINER
    result = await add(host)
    host.veths.namespaces.clear()
    with pytest.raises(CniError) as failed:
        await check(host, result)
    assert failed.value.code is Code.UNKNOWN_CONTAINER


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
