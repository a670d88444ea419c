"""ADD and CHECK on one host: what is made, what is undone, what is said."""

import asyncio
import errno
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doubles.cni_host import HostDouble
from tests.doubles.cni_verbs import (
    A_WHILE_MS,
    AWAY,
    BROKEN,
    IN_B,
    A,
    add,
    check,
    eventually,
    failure,
    running,
)

from netwright.agent.cni.ports import AT_ONCE_MAX
from netwright.agent.cni.records import Stage
from netwright.agent.wiring import Outcome, WiringStatus
from netwright.cni.protocol import CniError, Code
from netwright.model.errors import (
    HostNotFound,
    InternalError,
    NetwrightError,
    NoNetworkForLabels,
    OverQuota,
    StaleEpoch,
)
from netwright.model.resources import Port
from netwright.model.states import PortState
from netwright.model.wire import ContainerPorts, EndedContainerPorts


@pytest.fixture
def host(tmp_path: Path) -> HostDouble:
    return HostDouble(tmp_path / "records")


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
    await eventually(lambda: host.loop.last is not None and bool(host.loop.last.wired.outcomes))
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


async def test_the_hosts_own_namespace_is_no_containers(host: HostDouble) -> None:
    host.veths.unfit.add("/netns/a")
    failed = await failure(host)
    assert failed.code is Code.INVALID_ENVIRONMENT
    assert "/netns/a is the host's own" in failed.message
    assert "CNI_NETNS" in failed.next
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
