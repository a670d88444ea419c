"""The server without its edge, on a real SQLite file."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.doubles.clock import Clock

from netwright.model.errors import (
    IpAddressAlreadyAllocated,
    IpAddressGenerationFailure,
    MacAddressInUse,
    NetworkInUse,
    PortNotFound,
    StaleEpoch,
    SubnetInUse,
    UniqueNameConflict,
)
from netwright.model.resources import Host, NetworkType, Pool, Port, Segment, VifType
from netwright.model.segments import SegmentRules, parse_vlan_range
from netwright.model.states import Plane, PortState
from netwright.model.wire import (
    Heartbeat,
    HostRegistration,
    Kind,
    LineType,
    Report,
    ReportBatch,
    ReportOutcome,
    ReportResults,
    ReportStatus,
    WatchLine,
)
from netwright.server.commands import (
    AddressWish,
    ApplyReports,
    Caller,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeleteNetwork,
    DeletePorts,
    DeleteSubnet,
    FenceHost,
    HeartbeatHost,
    NetworkDraft,
    PortChange,
    PortDraft,
    RegisterHost,
    SubnetDraft,
    UnfenceHost,
    UpdatePorts,
    UpdateSubnet,
)
from netwright.server.core import Core
from netwright.server.deciding import TOLD_FIRST_MAX
from netwright.server.queries import Query
from netwright.server.store import writing

ADMIN = Caller(project_id="p", is_admin=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def core(database_url: str, clock: Clock) -> AsyncIterator[Core]:
    core = await Core.open(database_url, clock)
    await core.start()
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100
    )
    network = NetworkDraft(id="net", project_id="p", segment=segment)
    subnet = SubnetDraft(
        id="sub", project_id="p", network_id="net", cidr="10.0.0.0/28", ip_version=4
    )
    await core.commit(CreateNetworks(caller=ADMIN, drafts=(network,)))
    await core.commit(CreateSubnets(caller=ADMIN, drafts=(subnet,)))
    yield core
    await core.close()


async def create(core: Core, port_id: str, **attributes: object) -> Port:
    draft = msgspec.convert(
        {"id": port_id, "project_id": "p", "network_id": "net", **attributes},
        PortDraft,
        from_attributes=True,
    )
    (port,) = await core.commit(CreatePorts(caller=ADMIN, drafts=(draft,)))
    assert isinstance(port, Port)
    return port


async def register(core: Core, host: str, epoch: str = "life1") -> None:
    registration = HostRegistration(
        epoch=epoch, driver="ovs", physical_networks={"physnet1": "br-bond"}
    )
    await core.commit(RegisterHost(caller=ADMIN, host=host, registration=registration))


async def report(
    core: Core, port: Port, status: ReportStatus, host: str = "h1", generation: int | None = None
) -> ReportOutcome:
    one = Report(
        plane=Plane.UNDERLAY,
        generation=port.generation if generation is None else generation,
        status=status,
        port_id=port.id,
    )
    batch = ReportBatch(host=host, epoch="life1", reports=(one,))
    results = await core.commit(ApplyReports(caller=ADMIN, batch=batch))
    assert isinstance(results, ReportResults)
    return results.results[0].result


async def bind(core: Core, port_id: str, host: str) -> Port:
    change = PortChange(id=port_id, host=host)
    (port,) = await core.commit(UpdatePorts(caller=ADMIN, changes=(change,)))
    assert isinstance(port, Port)
    return port


async def delete(core: Core, port_id: str) -> None:
    await core.commit(DeletePorts(caller=ADMIN, ids=(port_id,)))


def address(port: Port) -> str:
    return port.fixed_ips[0].ip_address


async def state(core: Core, port_id: str) -> PortState:
    port = await core.reader.port(port_id)
    assert port is not None
    return port.state


async def test_a_port_becomes_active_when_its_underlay_is_up(core: Core) -> None:
    await register(core, "h1")
    port = await create(core, "a", host="h1")
    assert port.state is PortState.WIRING
    assert await report(core, port, ReportStatus.UP) is ReportOutcome.APPLIED
    assert await state(core, "a") is PortState.ACTIVE
    history = await core.reader.history("a")
    assert [(each.event, each.to_state) for each in history] == [
        ("bind", PortState.WIRING),
        ("plane_up", PortState.ACTIVE),
    ]


async def test_a_host_that_cannot_serve_refuses_and_is_tried_again_when_it_can(core: Core) -> None:
    port = await create(core, "a", host="h1")
    assert port.state is PortState.ERROR
    assert port.bindings[0].vif_type is VifType.BINDING_FAILED
    assert "host h1 is not registered" in port.cause
    await register(core, "h1")
    after = await core.reader.port("a")
    assert after is not None
    assert after.state is PortState.WIRING
    assert after.bindings[0].vif_type is VifType.OVS


async def test_a_moved_port_waits_for_the_old_host(core: Core) -> None:
    await register(core, "h1")
    await register(core, "h2")
    port = await create(core, "a", host="h1")
    await report(core, port, ReportStatus.UP)
    moved = await bind(core, "a", "h2")
    assert moved.state is PortState.MOVING
    assert await report(core, port, ReportStatus.UP) is ReportOutcome.STALE
    await report(core, port, ReportStatus.WITHDRAWN)
    assert await state(core, "a") is PortState.WIRING
    assert await report(core, moved, ReportStatus.UP, "h2") is ReportOutcome.APPLIED
    assert await state(core, "a") is PortState.ACTIVE


async def test_a_late_withdrawal_of_an_older_generation_frees_nothing(core: Core) -> None:
    await register(core, "h1")
    first = await create(core, "a", host="h1")
    await report(core, first, ReportStatus.UP)
    await bind(core, "a", "")
    again = await bind(core, "a", "h1")
    assert again.generation > first.generation
    await delete(core, "a")
    outcome = await report(core, first, ReportStatus.WITHDRAWN)
    assert outcome is ReportOutcome.APPLIED
    with pytest.raises(IpAddressAlreadyAllocated):
        await create(core, "b", fixed_ips=(AddressWish(ip_address=address(first)),))
    await report(core, again, ReportStatus.WITHDRAWN)
    reclaimed = await create(core, "b", fixed_ips=(AddressWish(ip_address=address(first)),))
    assert address(reclaimed) == address(first)


async def test_an_address_that_was_on_a_host_rests_and_then_returns(
    core: Core, clock: Clock
) -> None:
    await register(core, "h1")
    ports = [await create(core, f"p{n}", host="h1") for n in range(13)]
    assert len({address(port) for port in ports}) == 13
    await delete(core, "p3")
    with pytest.raises(IpAddressGenerationFailure, match="all 13 are in use"):
        await create(core, "q")
    await report(core, ports[3], ReportStatus.WITHDRAWN)
    with pytest.raises(IpAddressGenerationFailure, match="1 rest; the next returns in 60 s"):
        await create(core, "q")
    clock.now += 60
    assert address(await create(core, "q")) == address(ports[3])


async def test_an_address_that_no_host_knew_is_free_at_once(core: Core) -> None:
    for n in range(13):
        await create(core, f"p{n}")
    await delete(core, "p5")
    await create(core, "q")
    with pytest.raises(IpAddressGenerationFailure):
        await create(core, "r")


async def test_a_fence_frees_what_a_dead_host_cannot_withdraw(core: Core) -> None:
    await register(core, "h1")
    port = await create(core, "a", host="h1")
    await report(core, port, ReportStatus.UP)
    await delete(core, "a")
    with pytest.raises(NetworkInUse):
        await core.commit(DeleteNetwork(caller=ADMIN, id="net"))
    await core.commit(FenceHost(caller=ADMIN, host="h1", reason="power is off"))
    await core.commit(DeleteSubnet(caller=ADMIN, id="sub"))
    await core.commit(DeleteNetwork(caller=ADMIN, id="net"))


async def test_a_host_can_be_fenced_again_before_it_was_heard(core: Core) -> None:
    await register(core, "h1")
    await create(core, "a", host="h1")
    for _ in range(2):
        await core.commit(FenceHost(caller=ADMIN, host="h1", reason="power is off"))
        assert await state(core, "a") is PortState.DEGRADED
        await core.commit(UnfenceHost(caller=ADMIN, host="h1"))


async def test_a_network_without_a_segment_gets_a_vlan_of_the_configured_range(
    tmp_path: Path,
) -> None:
    core = await Core.open(
        f"sqlite:///{tmp_path}/ranged.db",
        segment_rules=SegmentRules(vlan_ranges=(parse_vlan_range("physnet1:7:8"),)),
    )
    await core.start()
    drafts = tuple(NetworkDraft(id=name, project_id="p") for name in ("one", "two"))
    made = await core.commit(CreateNetworks(caller=ADMIN, drafts=drafts))
    assert [network.segment.segmentation_id for network in made] == [7, 8]
    await core.close()


async def test_conflicts_name_the_holder(core: Core) -> None:
    port = await create(core, "a", mac_address="02:00:00:00:00:01", unique_name="db/0")
    with pytest.raises(MacAddressInUse, match="in use by port a"):
        await create(core, "b", mac_address="02:00:00:00:00:01")
    with pytest.raises(IpAddressAlreadyAllocated, match=address(port)):
        await create(core, "b", fixed_ips=(AddressWish(ip_address=address(port)),))
    assert (await create(core, "b", unique_name="db/0")).id == "a"
    other = (AddressWish(ip_address="10.0.0.9"),)
    with pytest.raises(UniqueNameConflict, match="port a"):
        await create(core, "b", unique_name="db/0", fixed_ips=other)
    with pytest.raises(SubnetInUse):
        await core.commit(DeleteSubnet(caller=ADMIN, id="sub"))
    with pytest.raises(PortNotFound):
        await delete(core, "b")


async def test_a_failed_item_leaves_nothing_of_its_request(core: Core) -> None:
    good = PortDraft(id="good", project_id="p", network_id="net")
    bad = PortDraft(id="bad", project_id="p", network_id="nowhere")
    outcome = await asyncio.gather(
        core.commit(CreatePorts(caller=ADMIN, drafts=(good, bad))),
        create(core, "other"),
        return_exceptions=True,
    )
    assert isinstance(outcome[0], Exception)
    assert isinstance(outcome[1], Port)
    assert [port.id for port in await core.reader.many(Port, Query())] == ["other"]
    for n in range(12):  # the failed request's address is free again: all thirteen can be had
        await create(core, f"p{n}")


async def test_a_command_that_cannot_be_written_fails_alone(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defective(port: Port, seq: int, body: str) -> tuple[Any, ...]:
        if port.name == "bad":
            raise ValueError("no column can hold this")
        return row(port, seq, body)

    row = writing.port_row
    monkeypatch.setattr(writing, "port_row", defective)
    made = [create(core, f"p{n}", name="bad" if n == 5 else "good") for n in range(11)]
    outcomes = await asyncio.gather(*made, return_exceptions=True)
    assert [n for n, each in enumerate(outcomes) if isinstance(each, Exception)] == [5]
    assert len(await core.reader.many(Port, Query())) == 10
    addresses = {address(each) for each in outcomes if isinstance(each, Port)}
    assert len(addresses) == 10


async def test_a_cursor_that_is_no_place_proves_nothing(core: Core) -> None:
    await register(core, "h1")
    cursor = f"{core._hub.epoch}-{'9' * 5000}"
    batch = ReportBatch(host="h1", epoch="life1", full_set_at=cursor)
    assert await core.commit(ApplyReports(caller=ADMIN, batch=batch)) == ReportResults(results=())


async def test_an_agents_earlier_life_is_refused(core: Core) -> None:
    await register(core, "h1")
    port = await create(core, "a", host="h1")
    await register(core, "h1", epoch="life2")
    with pytest.raises(StaleEpoch, match="registered anew"):
        await report(core, port, ReportStatus.UP)


Watch = Callable[[str | None], AsyncIterator[WatchLine]]


async def lines(core: Core, after: str | None, host: str | None) -> AsyncIterator[WatchLine]:
    decode = msgspec.json.Decoder(WatchLine).decode
    async for chunk in core.watch(after=after, kinds=frozenset({Kind.PORT}), host=host):
        for line in chunk.splitlines():
            yield decode(line)


async def test_a_watcher_resumes_after_its_cursor_and_sees_ports_leave_its_host(core: Core) -> None:
    await register(core, "h1")
    await register(core, "h2")
    port = await create(core, "a", host="h1")
    stream = lines(core, None, "h1")
    first = [await anext(stream), await anext(stream)]
    assert [line.type for line in first] == [LineType.PUT, LineType.SNAPSHOT_END]
    await stream.aclose()  # type: ignore[attr-defined]

    await bind(core, "a", "h2")
    await report(core, port, ReportStatus.WITHDRAWN)
    resumed = lines(core, first[1].cursor, "h1")
    seen = [await anext(resumed), await anext(resumed)]
    assert [(line.type, line.id) for line in seen] == [(LineType.PUT, "a"), (LineType.DELETE, "a")]
    await resumed.aclose()  # type: ignore[attr-defined]


async def test_a_cursor_of_another_store_gets_a_snapshot(core: Core) -> None:
    await create(core, "a")
    stream = lines(core, "elsewhere-3", None)
    assert [(await anext(stream)).type, (await anext(stream)).type] == [
        LineType.PUT,
        LineType.SNAPSHOT_END,
    ]
    await stream.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_was_acknowledged_is_there_after_a_crash(tmp_path: Path, core: Core) -> None:
    port = await create(core, "a")
    crashed = tmp_path.with_suffix(".crashed")
    shutil.copytree(tmp_path, crashed)  # what a crash would leave at this moment
    again = await Core.open(f"sqlite:///{crashed}/netwright.db")
    await again.start()
    assert await again.reader.port("a") == port
    other = await create(again, "b")
    assert address(other) != address(port)
    await again.close()


async def test_ports_get_addresses_of_the_pools_as_they_are_now(core: Core) -> None:
    assert address(await create(core, "before")) == "10.0.0.2"
    for pool in (Pool(start="10.0.0.9", end="10.0.0.9"), Pool(start="10.0.0.4", end="10.0.0.4")):
        change = UpdateSubnet(caller=ADMIN, id="sub", allocation_pools=(pool,))
        # In one batch and in the next: what was leased under the old pools is not handed out.
        outcomes = await asyncio.gather(
            core.commit(change), create(core, f"at-{pool.start}"), return_exceptions=True
        )
        assert isinstance(outcomes[1], Port), outcomes
        assert address(outcomes[1]) == pool.start
        with pytest.raises(IpAddressGenerationFailure, match="all 1 are in use"):
            await create(core, "too-many")


async def test_one_command_may_use_up_two_subnets_that_are_nearly_full(core: Core) -> None:
    second = SubnetDraft(
        id="sub2", project_id="p", network_id="net", cidr="10.1.0.0/20", ip_version=4
    )
    await core.commit(CreateSubnets(caller=ADMIN, drafts=(second,)))
    # One free address in each of the second subnet's blocks.
    taken = [f"10.1.{number >> 8}.{number & 255}" for number in range(2, 4095) if number % 64 != 7]
    for start in range(0, len(taken), 500):
        await core.commit(
            CreatePorts(
                caller=ADMIN,
                drafts=tuple(
                    _draft(f"named-{text}", AddressWish(ip_address=text))
                    for text in taken[start : start + 500]
                ),
            )
        )
    drafts = tuple(_draft(f"any-{number}") for number in range(13 + 64))
    ports = await core.commit(CreatePorts(caller=ADMIN, drafts=drafts))
    assert len({address(port) for port in ports}) == 13 + 64
    with pytest.raises(IpAddressGenerationFailure):
        await create(core, "too-many")


async def test_hosts_are_read_with_the_heartbeats_that_are_not_committed(
    core: Core, clock: Clock
) -> None:
    await register(core, "h1")
    clock.now += 60.0
    beat = Heartbeat(epoch="life1")
    await core.commit(HeartbeatHost(caller=ADMIN, host="h1", heartbeat=beat))
    (listed,), shown = await core.reader.hosts(), await core.reader.host("h1")
    assert shown is not None
    assert listed.heard_at == pytest.approx(clock.now, abs=10.0)
    assert shown.heard_at == pytest.approx(clock.now, abs=10.0)


async def test_what_was_heard_before_this_process_is_read_as_it_was_heard(
    database_url: str, clock: Clock
) -> None:
    before = await Core.open(database_url, clock)
    await before.start()
    await register(before, "h1")
    clock.now += 3_600.0
    beat = Heartbeat(epoch="life1")
    await before.commit(HeartbeatHost(caller=ADMIN, host="h1", heartbeat=beat))
    await before.close()
    clock.now += 60.0
    after = await Core.open(database_url, clock)
    await after.start()
    (host,) = await after.reader.hosts()
    await after.close()
    assert host.heard_at == pytest.approx(4_600.0, abs=10.0)


@pytest.mark.parametrize("count", [1, TOLD_FIRST_MAX + 1])
async def test_watchers_hear_of_few_events_before_who_asked_and_of_many_afterwards(
    core: Core, count: int
) -> None:
    order: asyncio.Queue[str] = asyncio.Queue()

    async def watch() -> None:
        async for chunk in core.watch(after=None, kinds=frozenset({Kind.PORT}), host=None):
            order.put_nowait("told" if b'"p0"' in chunk else "of what was before")

    watching = asyncio.create_task(watch())
    assert await order.get() == "of what was before"
    drafts = tuple(_draft(f"p{number}") for number in range(count))
    await core.commit(CreatePorts(caller=ADMIN, drafts=drafts))
    order.put_nowait("answered")
    while (first := await order.get()) == "of what was before":
        continue
    assert first == ("told" if count <= TOLD_FIRST_MAX else "answered")
    watching.cancel()


async def test_watchers_are_told_hosts_as_heard(core: Core, clock: Clock) -> None:
    async def told(after: str | None) -> tuple[Host, str]:
        stream = core.watch(after=after, kinds=frozenset({Kind.HOST}), host=None)
        decode = msgspec.json.Decoder(WatchLine).decode
        lines = [decode(line) for line in (await anext(stream)).splitlines()]
        assert not isinstance(lines[0].object, msgspec.UnsetType)
        return msgspec.json.decode(lines[0].object, type=Host), lines[-1].cursor

    await register(core, "h1")
    clock.now += 60.0
    await core.commit(HeartbeatHost(caller=ADMIN, host="h1", heartbeat=Heartbeat(epoch="life1")))
    host, cursor = await told(None)
    assert host.heard_at == pytest.approx(1_060.0, abs=10.0)
    await core.commit(FenceHost(caller=ADMIN, host="h1", reason="burnt"))
    clock.now += 60.0
    host, _ = await told(cursor)
    assert host.heard_at == pytest.approx(1_120.0, abs=10.0)


def _draft(port_id: str, *wishes: AddressWish) -> PortDraft:
    return PortDraft(
        id=port_id, project_id="p", network_id="net", fixed_ips=wishes or msgspec.UNSET
    )
