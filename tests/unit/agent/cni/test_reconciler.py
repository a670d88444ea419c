"""What is left of containers: what is ended, what is only told, and what is left alone."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.doubles.cni_host import HOST, PROJECT, Ask, HostDouble

from netwright.agent.cni import asked
from netwright.agent.cni.reconciler import CONDITION, CONFIRM_S, EVERY_S
from netwright.agent.cni.reconciling import Case
from netwright.agent.cni.records import Stage
from netwright.agent.wiring import WiringError
from netwright.model.errors import Unavailable
from netwright.model.resources import Port
from netwright.model.states import BindingState
from netwright.model.wire import ContainerPort, ContainerPorts

A, B = ("a", "eth0"), ("b", "eth0")
NETNS = {A: "/netns/a", B: "/netns/b"}


@pytest.fixture
def host(tmp_path: Path) -> HostDouble:
    return HostDouble(tmp_path / "records")


async def add(host: HostDouble, key: tuple[str, str] = A) -> Port:
    ask = Ask(environment={"container_id": key[0], "ifname": key[1], "netns": NETNS[key]})
    await host.containers.add(asked.parse(ask.request()))
    record = host.records.get(key)
    assert record is not None
    return host.loop.mirror.ports[record.port_id]


async def looks(host: HostDouble, times: int = 2) -> float:
    """The second look acts upon what the first has found as well."""
    for _ in range(times):
        delay_s = await host.reconciler.look()
    return delay_s


async def asked_times(host: HostDouble, count: int) -> None:
    async with asyncio.timeout(5):
        while len(host.server.requests) < count:  # noqa: ASYNC110 - doubles tell nobody
            await asyncio.sleep(0)


def condition(host: HostDouble) -> str:
    return host.reconciler.conditions().get(CONDITION, "")


def lose_records(host: HostDouble) -> None:
    for key in host.records.all():
        host.records.drop(key)


async def test_containers_that_live_are_let_alone(host: HostDouble) -> None:
    await add(host)
    await add(host, B)
    host.calls.clear()
    assert await looks(host, 3) >= EVERY_S / 2
    assert (host.calls, host.reconciler.found, condition(host)) == ([], {}, "")
    assert len(host.server.ports) == 2


@pytest.mark.parametrize("again", [False, True], ids=["no namespace", "another at its path"])
async def test_a_container_that_died_without_del_is_ended_as_by_del(
    host: HostDouble, *, again: bool
) -> None:
    await add(host)
    kept = await add(host, B)
    host.veths.end(NETNS[A], again=again)
    assert await host.reconciler.look() == CONFIRM_S
    assert len(host.server.ports) == 2  # seen once: a DEL may be on its way
    await host.reconciler.look()
    assert [port.id for port in host.server.ports.values()] == [kept.id]
    assert host.records.all().keys() == {B}
    assert host.reconciler.found == {Case.DEAD: 1}
    assert condition(host) == ""


async def test_a_dead_container_is_ended_while_the_server_is_away(host: HostDouble) -> None:
    await add(host)
    host.veths.end(NETNS[A])
    host.loop.mirror.is_current = False
    host.server.failure = Unavailable("away")
    await looks(host)
    record = host.records.get(A)
    assert record is not None
    assert (record.stage, host.plugs.devices) == (Stage.RELEASING, {})


async def test_a_veth_that_is_there_proves_life_whatever_became_of_the_path(
    host: HostDouble,
) -> None:
    await add(host)
    host.veths.namespaces.clear()  # unlinked; its processes hold the namespace
    await looks(host, 3)
    assert host.records.all().keys() == {A}
    assert host.reconciler.found == {}


async def test_a_container_without_its_interface_is_told_and_kept(host: HostDouble) -> None:
    port = await add(host)
    host.veths.interfaces.clear()
    host.veths.marks.clear()
    await looks(host, 4)
    assert host.server.ports
    assert host.reconciler.found == {Case.CUT: 1}  # told once, however often it is looked at
    assert "eth0 of container a" in condition(host)
    assert "Delete the container" in condition(host)
    await host.containers.delete(*A)
    await looks(host)
    assert (condition(host), host.server.ports) == ("", {})
    assert port.id not in host.loop.mirror.ports


async def test_a_namespace_that_cannot_be_looked_at_proves_nothing(
    host: HostDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(host)
    host.veths.end(NETNS[A])

    async def refuse(_netns: str) -> str:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(host.veths, "namespace", refuse)
    await looks(host, 3)
    assert host.records.all().keys() == {A}
    monkeypatch.undo()
    await looks(host)
    assert host.is_empty()


async def test_a_container_whose_port_was_deleted_is_told_and_kept(host: HostDouble) -> None:
    port = await add(host)
    del host.loop.mirror.ports[port.id]
    await looks(host, 3)
    assert host.reconciler.found == {Case.PORTLESS: 1}
    assert host.veths.interfaces
    assert host.records.all().keys() == {A}
    assert "without its port" in condition(host)


@pytest.mark.parametrize("lack", ["complete", "is_current", "broken"])
async def test_absence_says_nothing_before_all_ports_are_known(host: HostDouble, lack: str) -> None:
    port = await add(host)
    lose_records(host)
    del host.loop.mirror.ports[port.id]
    setattr(host.loop.mirror, lack, {"a port": "why"} if lack == "broken" else False)
    assert await looks(host, 3) == CONFIRM_S
    assert (host.reconciler.found, len(host.veths.interfaces)) == ({}, 1)


async def test_a_container_whose_record_is_lost_gets_one_again(host: HostDouble) -> None:
    port = await add(host)
    before = host.records.get(A)
    lose_records(host)
    host.live()
    await looks(host)
    record = host.records.get(A)
    assert record is not None
    assert before is not None
    assert (record.stage, record.port_id, record.fit) == (Stage.ATTACHED, port.id, before.fit)
    assert host.reconciler.found == {Case.UNRECORDED: 1}
    assert len(host.server.ports) == 1
    await host.containers.delete(*A)
    assert host.is_empty()


async def test_a_container_that_was_unplugged_is_plugged_again(host: HostDouble) -> None:
    """As when the database of Open vSwitch was made anew: nobody else would."""
    await add(host)
    before = dict(host.plugs.devices)
    host.plugs.devices.clear()
    await looks(host)
    assert host.plugs.devices == before
    assert host.reconciler.found == {Case.UNPLUGGED: 1}


async def test_devices_without_record_and_port_are_removed(host: HostDouble) -> None:
    port = await add(host)
    lose_records(host)
    host.server.ports.clear()
    del host.loop.mirror.ports[port.id]
    await looks(host)
    assert host.is_empty()
    assert host.reconciler.found == {Case.STRAY: 1}


async def test_a_device_that_another_container_made_meanwhile_stays(host: HostDouble) -> None:
    """The same port for a newer container: the same name, another mark."""
    port = await add(host)
    lose_records(host)
    host.server.ports.clear()
    del host.loop.mirror.ports[port.id]
    await host.reconciler.look()
    (device,) = host.plugs.devices
    host.plugs.devices[device] = replace(host.plugs.devices[device], owner="b@eth0")
    host.veths.marks[device] = "netwright container b"
    await host.reconciler.look()
    assert host.plugs.devices.keys() == host.veths.marks.keys() == {device}


async def test_what_bears_no_mark_is_told_and_left(host: HostDouble) -> None:
    host.veths.marks["nwcsomebodys"] = "of somebody's"
    await looks(host, 3)
    assert host.veths.marks
    assert host.reconciler.found == {Case.UNMARKED: 1}
    assert condition(host).startswith("nwcsomebodys: ")


async def late_port(host: HostDouble, container: str = "late") -> Port:
    """The server makes a port whose container's end it has heard of before."""
    wanted = ContainerPort(
        unique_name=f"@{HOST}/{container}/eth0/1", network_labels="env=prod", device_id=container
    )
    body = ContainerPorts(epoch="e1", project_id=PROJECT, ports=(wanted,))
    (outcome,) = (await host.server.make_container_ports(HOST, body)).outcomes
    assert outcome.port is not None
    return outcome.port


async def test_a_port_of_no_container_is_ended_at_the_server(host: HostDouble) -> None:
    await add(host)
    await late_port(host)
    await looks(host)
    assert host.server.ports.keys() == {"@h1/a/eth0/1"}
    assert host.reconciler.found == {Case.PORT: 1}


OTHERS: list[tuple[str, Callable[[Port], Port]]] = [
    ("no container's", lambda port: replace(port, device_owner="compute:nova")),
    ("without name", lambda port: replace(port, unique_name=None)),
    ("elsewhere", lambda port: _bound(port, host="h2")),
    ("a standby", lambda port: _bound(port, active=False)),
    ("withdrawing", lambda port: _bound(port, state=BindingState.WITHDRAWING)),
    ("kept", lambda port: replace(port, bindings=())),
]


def _bound(port: Port, **fields: Any) -> Port:
    return replace(port, bindings=tuple(replace(one, **fields) for one in port.bindings))


@pytest.mark.parametrize(("_name", "change"), OTHERS, ids=[name for name, _ in OTHERS])
async def test_ports_that_are_not_its_own_are_left_alone(
    host: HostDouble, _name: str, change: Callable[[Port], Port]
) -> None:
    port = await late_port(host)
    host.loop.mirror.ports[port.id] = change(port)
    await looks(host, 3)
    assert (len(host.server.ports), host.reconciler.found) == (1, {})


async def test_the_port_of_an_add_under_way_is_left_alone(host: HostDouble) -> None:
    """The watch may tell of it before the server's answer does."""
    host.server.answers.clear()
    ask = Ask(environment={"container_id": "late"})
    host.veths.namespaces.add("/netns/a")
    adding = asyncio.create_task(host.containers.add(asked.parse(ask.request())))
    await asked_times(host, 1)
    host.server.answers.set()
    port = await late_port(host)
    await host.reconciler.look()
    await host.reconciler.look()
    assert port.unique_name in host.server.ports
    await adding
    assert host.reconciler.found == {}


async def test_an_add_that_begins_while_its_old_port_is_ended_comes_after_it(
    host: HostDouble,
) -> None:
    await late_port(host, "a")
    await host.reconciler.look()
    host.server.answers.clear()
    looking = asyncio.create_task(host.reconciler.look())
    await asked_times(host, 2)
    adding = asyncio.create_task(add(host))
    await asyncio.sleep(0.01)
    host.server.answers.set()
    await looking
    port = await adding
    assert host.server.ports == {"@h1/a/eth0/1": port}


async def test_what_cannot_be_ended_is_told_once_and_tried_again(host: HostDouble) -> None:
    await add(host)
    host.veths.end(NETNS[A])
    host.plugs.failure = WiringError("Open vSwitch cannot be changed now.")
    await looks(host, 4)
    assert "cannot be ended: Open vSwitch" in condition(host)
    assert host.reconciler.found == {Case.DEAD: 1}
    host.plugs.failure = None
    await host.reconciler.look()
    assert host.is_empty()
    assert condition(host) == ""


async def test_a_verb_at_work_comes_first(
    host: HostDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime ends the container and adds it again, under its old id, before the turn comes."""
    await add(host)
    host.veths.end(NETNS[A])
    await host.reconciler.look()
    began, goes_on = asyncio.Event(), asyncio.Event()
    unplug = host.plugs.unplug

    async def slowly(name: str, owner: str | None = None) -> None:
        began.set()
        await goes_on.wait()
        await unplug(name, owner)

    monkeypatch.setattr(host.plugs, "unplug", slowly)
    ending = asyncio.create_task(host.containers.delete(*A))
    await began.wait()
    looking = asyncio.create_task(host.reconciler.look())
    await asyncio.sleep(0.01)
    assert not looking.done()
    host.veths.namespaces.add(NETNS[A])
    adding = asyncio.create_task(add(host))
    await asyncio.sleep(0)
    goes_on.set()
    await asyncio.gather(ending, adding, looking)
    assert len(host.server.ports) == len(host.veths.interfaces) == 1
    assert host.reconciler.found == {}


async def test_records_that_cannot_be_read_go_when_nothing_is_left_of_their_containers(
    host: HostDouble, tmp_path: Path
) -> None:
    port = await add(host)
    path = tmp_path / "records" / "a@eth0.json"
    path.write_bytes(b"{")
    (tmp_path / "records" / "gone@eth0.json").write_bytes(b"")
    host.live()
    await looks(host)
    assert host.records.all().keys() == {A}  # made anew, from what is there
    assert [each.name for each in path.parent.iterdir()] == ["a@eth0.json"]
    assert host.reconciler.found == {Case.UNRECORDED: 1, Case.UNREADABLE: 1}
    assert host.server.ports == {"@h1/a/eth0/1": port}


async def test_many_that_died_at_once_are_few_requests(host: HostDouble) -> None:
    """As after the host's power was cut: records are there, and nothing else."""
    for number in range(50):
        NETNS[f"c{number}", "eth0"] = netns = f"/netns/c{number}"
        host.veths.namespaces.add(netns)
        await add(host, (f"c{number}", "eth0"))
    for number in range(50):
        host.veths.end(f"/netns/c{number}")
    host.plugs.devices.clear()
    host.live()
    host.server.requests.clear()
    await looks(host)
    assert host.is_empty()
    assert len(host.server.requests) < 50
    assert host.reconciler.found == {Case.DEAD: 50}
