"""What an ADD makes before the server has answered, and what becomes of it."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doubles.cni_host import HostDouble, subnet
from tests.doubles.cni_verbs import BROKEN, IN_B, add, eventually, failure, running
from tests.doubles.values import network

from netwright.agent.cni.abreast import Gate
from netwright.agent.cni.ahead import STEADY, Answered
from netwright.agent.cni.namespaces import begin_apart
from netwright.agent.cni.records import Stage
from netwright.agent.wiring import Outcome, WiringStatus
from netwright.cni.protocol import Code
from netwright.model.errors import NoNetworkForLabels
from netwright.model.wire import ContainerPorts

B = ("b", "eth0")
IN_C = {"container_id": "c", "netns": "/netns/c"}


@pytest.fixture
async def host(tmp_path: Path) -> HostDouble:
    """A container is there, of whose network the next one will be."""
    found = HostDouble(tmp_path / "records")
    found.veths.namespaces.add("/netns/c")
    await add(found)
    found.calls.clear()
    found.server.answers.clear()
    return found


def is_plugged(host: HostDouble, container_id: str = "b") -> bool:
    return any(one.owner == f"{container_id}@eth0" for one in host.plugs.devices.values())


async def test_it_is_plugged_beside_the_last_one_while_the_server_answers(host: HostDouble) -> None:
    (first,) = host.server.ports.values()
    adding = asyncio.create_task(add(host, environment=IN_B))
    await eventually(lambda: is_plugged(host))
    (device,) = (one for one in host.plugs.devices.values() if one.owner == "b@eth0")
    assert (device.beside, device.mac_address, device.mtu) == (first.id, "", 1500)
    assert host.containers.is_awaited(device.port_id)
    record = host.records.get(B)
    assert record is not None
    assert (record.stage, record.port_id) == (Stage.ADDING, "")
    assert record.fit is not None
    assert record.fit.device == device.name
    host.server.answers.set()
    result = await adding
    assert result["interfaces"][0]["name"] == device.name
    assert result["interfaces"][1]["mac"]
    assert result["ips"][0]["address"] == "10.0.0.6/24"
    assert host.calls == [f"make {device.name}", f"plug {device.name}"]
    assert not host.containers.is_awaited(device.port_id)
    attached = host.records.get(B)
    assert attached is not None
    assert (attached.stage, attached.port_id) == (Stage.ATTACHED, device.port_id)
    assert attached.claim is not None
    assert attached.claim.port_id == "", "an agent of an older release reads the record too"


async def test_its_end_is_not_up_before_its_port_is_wired(host: HostDouble) -> None:
    host.plugs.outcome = Outcome(status=WiringStatus.PENDING)
    host.server.answers.set()
    adding = asyncio.create_task(add(host, environment=IN_B))
    (before,) = host.veths.gates
    await eventually(lambda: len(host.veths.gates) > 1)
    (device,) = host.veths.gates.keys() - {before}
    await asyncio.sleep(0.01)
    assert not host.veths.gates[device].is_set()
    host.plugs.outcome = Outcome(status=WiringStatus.UP)
    host.look()
    await adding
    assert host.veths.gates[device].is_set()


async def test_its_end_is_furnished_while_its_device_is_opened(host: HostDouble) -> None:
    """All flows stand by then. Its runtime is answered when it was read back."""
    opening = Outcome(status=WiringStatus.PENDING, is_opening=True)
    host.plugs.outcome = opening
    host.server.answers.set()
    adding = asyncio.create_task(add(host, environment=IN_B))
    (before,) = host.veths.gates
    await eventually(lambda: len(host.veths.gates) > 1)
    (device,) = host.veths.gates.keys() - {before}
    await eventually(host.veths.gates[device].is_set)
    await asyncio.sleep(0.01)
    assert not adding.done()
    assert host.loop.last is not None
    assert host.loop.last.wired.outcomes[host.plugs.devices[device].port_id] == opening
    host.plugs.outcome = Outcome(status=WiringStatus.UP)
    host.look()
    assert await adding


async def test_what_the_server_refuses_is_unmade(host: HostDouble) -> None:
    await eventually(lambda: bool(host.server.ports))
    refused = asyncio.create_task(failure(host, environment=IN_B))
    await eventually(lambda: is_plugged(host))
    host.server.refused["env=prod"] = NoNetworkForLabels("None has a free address.", next="Wait.")
    host.server.answers.set()
    assert (await refused).code is Code.REFUSED
    await host.containers.delete("a", "eth0")
    assert host.is_empty()


async def test_it_is_made_anew_where_the_server_puts_it_elsewhere(host: HostDouble) -> None:
    adding = asyncio.create_task(add(host, environment=IN_B))
    await eventually(lambda: is_plugged(host))
    host.loop.mirror.networks["net-2"] = replace(network(), id="net-2")
    host.loop.mirror.subnets["sub-2"] = subnet("sub-2", "10.2.0.0/24")
    host.server.moved = "net-2"
    host.server.answers.set()
    await adding
    device = next(name for name, one in host.plugs.devices.items() if one.owner == "b@eth0")
    once = [f"make {device}", f"plug {device}"]
    assert host.calls == [*once, f"unplug {device}", f"remove {device}", *once]
    assert host.plugs.devices[device].beside == ""
    record = host.records.get(B)
    assert record is not None
    assert record.stage is Stage.ATTACHED


async def test_a_namespace_that_is_gone_ends_the_port_that_is_asked_for(host: HostDouble) -> None:
    host.veths.namespaces.discard("/netns/b")
    failed = asyncio.create_task(failure(host, environment=IN_B))
    await eventually(lambda: len(host.server.requests) > 1)
    host.server.answers.set()
    assert (await failed).code is Code.UNKNOWN_CONTAINER
    async with running(host):
        await eventually(lambda: host.records.get(B) is None)
    await host.containers.delete("a", "eth0")
    assert host.is_empty()


async def test_a_silent_server_leaves_nothing_behind(host: HostDouble) -> None:
    failed = await failure(host, environment=IN_B, deadline_ms=300)
    assert failed.code is Code.TRY_AGAIN
    assert not is_plugged(host)
    assert ("/netns/b", "eth0") not in host.veths.interfaces
    ended = host.records.get(B)
    assert ended is not None
    assert ended.claim is not None
    assert ended.claim.port_id == "", "an agent of an older release reads the record too"
    host.server.answers.set()
    async with running(host):
        await eventually(lambda: host.records.get(B) is None)
    await host.containers.delete("a", "eth0")
    assert host.is_empty()


async def test_an_open_vswitch_that_is_away_fails_it_and_is_tried_again(host: HostDouble) -> None:
    host.server.answers.set()
    host.plugs.failure = BROKEN
    assert (await failure(host, environment=IN_B)).code is Code.TRY_AGAIN
    host.plugs.failure = None
    async with running(host):
        await eventually(lambda: host.records.get(B) is None)
    await host.containers.delete("a", "eth0")
    assert host.is_empty()


async def test_an_agents_next_life_unmakes_it(host: HostDouble) -> None:
    adding = asyncio.create_task(add(host, environment=IN_B))
    await eventually(lambda: is_plugged(host))
    before = host.containers
    host.live()  # the earlier life does nothing more
    host.server.answers.set()
    async with running(host):
        await eventually(lambda: not is_plugged(host))
        await eventually(lambda: host.records.get(B) is None)
    assert before is not host.containers
    adding.cancel()
    await asyncio.gather(adding, return_exceptions=True)
    await host.containers.delete("a", "eth0")
    assert host.veths.interfaces == {}
    assert host.plugs.devices == {}


async def test_labels_of_several_networks_are_not_foreseen(host: HostDouble) -> None:
    host.server.answers.set()
    host.loop.mirror.networks["net-2"] = replace(network(), id="net-2")
    host.loop.mirror.subnets["sub-2"] = subnet("sub-2", "10.2.0.0/24")
    chosen = []
    for network_id, environment in (("net-2", IN_B), ("", IN_C)):
        host.server.moved = network_id
        await add(host, environment=environment)
        asked = host.server.requests[-1]
        assert isinstance(asked, ContainerPorts)
        chosen.append(bool(asked.ports[0].port_id))
    assert chosen == [True, False]


def test_labels_that_are_answered_alike_for_a_while_are_trusted_again() -> None:
    answered = Answered(network_id="net-1")
    assert answered.is_steady
    steady = []
    for _ in range(STEADY):
        answered = answered.then("net-2")
        steady.append(answered.is_steady)
    assert steady == [False] * (STEADY - 1) + [True]


async def test_one_at_a_time_is_foreseen(host: HostDouble) -> None:
    adding = [asyncio.create_task(add(host, environment=each)) for each in (IN_B, IN_C)]
    await eventually(lambda: is_plugged(host))
    await asyncio.sleep(0.01)
    assert not is_plugged(host, "c")
    host.server.answers.set()
    assert all(each["ips"] for each in await asyncio.gather(*adding))


async def test_a_name_that_lasts_is_not_foreseen(host: HostDouble) -> None:
    host.server.answers.set()
    config = {"portName": "db/{pod}"}
    await add(
        host, environment={**IN_B, "args": "K8S_POD_NAMESPACE=n;K8S_POD_NAME=db-0"}, config=config
    )
    asked = [one for each in host.server.requests if isinstance(each, ContainerPorts)
             for one in each.ports]  # fmt: skip
    assert asked[-1].unique_name == "db/db-0"
    assert asked[-1].port_id == ""


async def test_a_thread_goes_on_when_its_caller_gives_up() -> None:
    gate = Gate[str]()
    waiting = begin_apart(gate.wait)
    gate.give_up()
    assert await waiting is None
    gate.open("too late")
    assert gate.word is None
