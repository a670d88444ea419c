"""Ports whose names outlive their containers: claimed, handed on, moved, found again."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.doubles.cni_host import HOST, Ask, HostDouble, PodsDouble
from tests.doubles.values import binding

from netwright.agent.cni import asked
from netwright.agent.cni.claiming import NETWORK_LABELS
from netwright.agent.cni.pods import Pod
from netwright.agent.cni.records import Record, Stage
from netwright.agent.wiring import Outcome, WiringStatus
from netwright.cni.protocol import CniError, Code
from netwright.model.containers import OwnerReference, PodIdentity
from netwright.model.errors import NoNetworkForLabels, Unavailable
from netwright.model.states import BindingState
from netwright.model.wire import ContainerPort, ContainerPorts, EndedContainerPorts

SOON_S = 5.0
A, B = ("a", "eth0"), ("b", "eth0")
IN_B = {"container_id": "b", "netns": "/netns/b"}
NAMED = {"cluster": "c1", "portName": "{cluster}/{namespace}/{pod}"}
SLOTTED = {"portName": "{labels.app}/{slot}", "slots": 2}
OWNER = OwnerReference(api_version="apps/v1", kind="StatefulSet", name="web", uid="u-web")
WEB = Pod(namespace="shop", name="web-0", uid="u0", node="n1", labels={"app": "web"}, owner=OWNER)
OF_WEB = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u0"
AWAY = Unavailable("The server cannot be reached.", next="Look at it.")


@pytest.fixture
def host(tmp_path: Path) -> HostDouble:
    """Without Kubernetes."""
    return HostDouble(tmp_path / "records")


@pytest.fixture
def node(tmp_path: Path) -> HostDouble:
    """With Kubernetes."""
    return HostDouble(tmp_path / "records", PodsDouble(WEB))


@asynccontextmanager
async def running(host: HostDouble) -> AsyncIterator[None]:
    containers = host.containers
    tasks = [asyncio.create_task(each) for each in (containers.run(), containers.follow())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def add(
    host: HostDouble,
    config: Mapping[str, Any] = NAMED,
    args: str = OF_WEB,
    **more: Any,
) -> dict[str, Any]:
    environment = {"args": args, **more.pop("environment", {})}
    ask = Ask(config=config, environment=environment, **more)
    return await host.containers.add(asked.parse(ask.request()))


async def failure(host: HostDouble, *rest: Any, **ask: Any) -> CniError:
    with pytest.raises(CniError) as failed:
        await add(host, *rest, **ask)
    assert failed.value.next
    return failed.value


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not holds():  # noqa: ASYNC110 - doubles tell nobody
            await asyncio.sleep(0.005)


def claims(host: HostDouble) -> list[ContainerPort]:
    asked_for = (each for each in host.server.requests if isinstance(each, ContainerPorts))
    return [port for each in asked_for for port in each.ports]


def ends(host: HostDouble) -> list[tuple[str, str]]:
    told = (each for each in host.server.requests if isinstance(each, EndedContainerPorts))
    return [(one.unique_name, one.container_id) for each in told for one in each.ended]


def record(host: HostDouble, key: tuple[str, str] = A) -> Record:
    found = host.records.get(key)
    assert found is not None
    return found


# -- pods and their labels


async def test_kubernetes_pod_is_claimed_with_its_identity(node: HostDouble) -> None:
    await add(node, {**NAMED, "keep": "while-owner-exists"})
    (claim,) = claims(node)
    assert (claim.unique_name, claim.name, claim.device_id) == ("c1/shop/web-0", "shop/web-0", "a")
    assert (claim.keep, claim.slots) == ("while-owner-exists", 0)
    assert claim.pod == PodIdentity(
        cluster="c1", namespace="shop", name="web-0", uid="u0", owner=OWNER
    )
    assert record(node).subject == "pod shop/web-0"
    await node.containers.delete(*A)
    assert ends(node) == [("c1/shop/web-0", "a")]
    (kept,) = node.server.ports.values()
    assert kept.device_id == ""


async def test_without_kubernetes_labels_are_arguments(host: HostDouble) -> None:
    told = {
        "args": {"cni": {"labels": [{"key": "app", "value": "db"}, {"key": "n", "value": "1"}]}}
    }
    await add(
        host,
        {"portName": "{labels.app}/{labels.n}/{pod}", **told},
        "IgnoreUnknown=1;K8S_POD_NAME=x;NETWRIGHT_LABEL_app=web",
    )
    (claim,) = claims(host)
    assert (claim.unique_name, claim.name, claim.pod) == ("web/1/x", "x", None)


@pytest.mark.parametrize(
    ("of_pod", "of_namespace", "sent"),
    [
        ({}, {}, "env=prod"),
        ({}, {NETWORK_LABELS: "tier=db"}, "tier=db"),
        ({NETWORK_LABELS: "tier in (web)"}, {NETWORK_LABELS: "tier=db"}, "tier in (web)"),
    ],
)
async def test_networks_are_selected_by_pod_then_namespace_then_configuration(
    node: HostDouble, of_pod: dict[str, str], of_namespace: dict[str, str], sent: str
) -> None:
    pod = replace(WEB, annotations=of_pod, namespace_annotations=of_namespace)
    node.pods.pods["shop", "web-0"] = pod  # type: ignore[union-attr] # the double
    await add(node, {})
    assert [each.network_labels for each in claims(node)] == [sent]


async def test_an_annotation_that_is_wrong_is_named_with_its_pod(node: HostDouble) -> None:
    pods = node.pods
    assert isinstance(pods, PodsDouble)
    pods.pods["shop", "web-0"] = replace(WEB, annotations={NETWORK_LABELS: "env=("})
    failed = await failure(node)
    assert failed.code is Code.POD
    assert "annotation netwright.io/network-labels of pod shop/web-0 is 'env=('" in failed.message
    pods.pods["shop", "web-0"] = replace(WEB, namespace_annotations={NETWORK_LABELS: "env=none"})
    node.server.refused["env=none"] = NoNetworkForLabels("No network has 'env=none'.")
    failed = await failure(node)
    assert failed.code is Code.REFUSED
    assert "annotation netwright.io/network-labels of namespace shop of pod" in failed.message
    assert node.is_empty()


async def test_a_pod_without_the_label_is_refused_before_anything_is_made(
    node: HostDouble,
) -> None:
    failed = await failure(node, {"portName": "{labels.tier}"})
    assert failed.code is Code.POD
    assert "pod shop/web-0 has no label tier, which portName '{labels.tier}'" in failed.message
    assert (node.server.requests, node.is_empty()) == ([], True)


async def test_a_pod_that_kubernetes_does_not_have_is_refused(node: HostDouble) -> None:
    failed = await failure(node, args=OF_WEB.replace("u0", "u9"))
    assert (failed.code, "no pod shop/web-0 of uid 'u9'" in failed.message) == (Code.POD, True)
    failed = await failure(node, args="K8S_POD_NAME=web-0")
    assert (failed.code, failed.next.count("false")) == (Code.INVALID_ENVIRONMENT, 1)
    assert node.server.requests == []


async def test_a_pod_is_waited_for_and_the_delay_explained(node: HostDouble) -> None:
    pods = node.pods
    assert isinstance(pods, PodsDouble)
    pods.answers.clear()
    late = await failure(node, deadline_ms=30)
    assert late.code is Code.TRY_AGAIN
    assert "Kubernetes has not told of pod shop/web-0: kube-apiserver is away" in late.message
    adding = asyncio.create_task(add(node))
    await asyncio.sleep(0.01)
    pods.answers.set()
    assert (await adding)["ips"]


@pytest.mark.parametrize(("said", "is_pods"), [(False, False), (True, True), (None, True)])
async def test_a_configuration_says_whose_pods_its_containers_are(
    node: HostDouble, *, said: bool | None, is_pods: bool
) -> None:
    await add(node, {"cluster": "k", **({} if said is None else {"kubernetes": said})})
    assert [each.pod is not None for each in claims(node)] == [is_pods]


async def test_without_a_cluster_there_is_nobody_to_ask_about_a_pod(node: HostDouble) -> None:
    config = {"portName": "{namespace}/{pod}"}
    await add(node, config)
    assert [each.pod for each in claims(node)] == [None]
    owned = await failure(
        node, {**config, "keep": "while-owner-exists"}, environment={"container_id": "b"}
    )
    assert (owned.code, "cluster is not given" in owned.message) == (
        Code.INVALID_CONFIGURATION,
        True,
    )


async def test_kubernetes_that_the_agent_does_not_have_is_refused(host: HostDouble) -> None:
    assert (await failure(host, {"kubernetes": True})).code is Code.INVALID_CONFIGURATION
    owned = await failure(host, {**NAMED, "keep": "while-owner-exists"})
    assert (owned.code, "is not Kubernetes'" in owned.message) == (
        Code.INVALID_CONFIGURATION,
        True,
    )


# -- one container after the other


async def test_the_next_container_of_a_pod_waits_for_the_end_of_the_last(
    host: HostDouble,
) -> None:
    first = await add(host)
    adding = asyncio.create_task(add(host, environment=IN_B))
    await asyncio.sleep(0.01)
    assert not adding.done()
    assert [each.device_id for each in claims(host)] == ["a"]
    await host.containers.delete(*A)
    second = await adding
    assert second["ips"] == first["ips"]
    assert host.records.all().keys() == {B}


async def test_what_the_loop_found_of_the_last_container_is_not_taken_for_the_next(
    host: HostDouble,
) -> None:
    await add(host)
    found = host.loop.last
    await host.containers.delete(*A)
    host.loop.last = found  # it has not looked since
    host.server.made = lambda port: host.loop.mirror.ports.update({port.id: port})
    adding = asyncio.create_task(add(host, environment=IN_B))
    await eventually(lambda: bool(host.veths.interfaces))
    await asyncio.sleep(0.01)
    assert host.plugs.devices == {}
    assert not adding.done()
    host.look()
    assert (await adding)["ips"]


async def test_a_name_that_is_not_given_up_in_time_is_refused_with_its_holder(
    host: HostDouble,
) -> None:
    await add(host)
    late = await failure(host, environment=IN_B, deadline_ms=50)
    assert late.code is Code.TRY_AGAIN
    assert "'c1/shop/web-0' is still container a's on this host" in late.message
    assert host.records.all().keys() == {A}
    assert len(host.plugs.devices) == 1


async def test_who_waits_for_a_name_does_not_look_at_the_host_for_each_change_of_others(
    host: HostDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a hundred that wait, while hundreds come and go, each look is a list of all links."""
    looks, links = list[object](), host.veths.links

    async def counted() -> Mapping[str, str]:
        looks.append(None)
        return await links()

    monkeypatch.setattr(host.veths, "links", counted)
    await add(host)
    other = host.records.get(A)
    assert other is not None
    adding = asyncio.create_task(add(host, environment=IN_B))
    await eventually(lambda: bool(looks))
    for number in range(50):
        host.records.put(
            replace(other, container_id=f"c{number}", claim=None, unique_name="c", fit=None)
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert len(looks) < 10
    await host.containers.delete(*A)
    assert (await adding)["ips"]


async def test_a_container_that_died_makes_way_by_itself(host: HostDouble) -> None:
    await add(host)
    host.veths.end("/netns/a")
    assert (await add(host, environment=IN_B))["ips"]
    assert host.records.all().keys() == {B}
    assert len(host.plugs.devices) == 1


async def test_what_the_server_was_not_told_of_is_replaced(host: HostDouble) -> None:
    await add(host)
    host.server.failure = AWAY
    await host.containers.delete(*A)
    host.server.failure = None
    assert (await add(host, environment=IN_B))["ips"]
    assert claims(host)[-1].replaces == "a"
    async with running(host):
        await eventually(lambda: host.records.all().keys() == {B})
    assert ends(host)[-1] == ("c1/shop/web-0", "a")
    assert [port.device_id for port in host.server.ports.values()] == ["b"]


async def test_two_interfaces_of_a_container_must_not_have_one_name(host: HostDouble) -> None:
    await add(host)
    failed = await failure(host, environment={"ifname": "net1"})
    assert failed.code is Code.INVALID_CONFIGURATION
    assert "eth0 and net1 of container a would have one port name" in failed.message
    per_interface = {"portName": "{pod}/{ifname}"}
    await add(host, per_interface, environment=IN_B)
    await add(host, per_interface, environment={**IN_B, "ifname": "net1"})
    assert len(host.server.ports) == 3


async def test_a_host_whose_clock_is_late_after_its_restart_ends_what_it_adds(
    host: HostDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the end of a container that started again would count as one before its start."""
    monkeypatch.setattr(host, "attempts", None)
    host.live()
    await add(host)
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)
    host.live()
    host.veths.end("/netns/a", again=True)
    host.plugs.devices.clear()
    host.look()
    await add(host)
    await host.containers.delete(*A)
    assert [port.device_id for port in host.server.ports.values()] == [""]


# -- slots


async def test_slots_are_numbers_of_the_server(host: HostDouble) -> None:
    args = "NETWRIGHT_LABEL_app=web"
    await asyncio.gather(add(host, SLOTTED, args), add(host, SLOTTED, args, environment=IN_B))
    assert {one.unique_name for one in host.records.all().values()} == {"web/0", "web/1"}
    host.veths.namespaces.add("/netns/c")
    in_c = {"container_id": "c", "netns": "/netns/c"}
    full = await failure(host, SLOTTED, args, environment=in_c)
    assert full.code is Code.REFUSED
    name = record(host).unique_name
    await host.containers.delete(*A)
    assert ends(host)[-1] == (name, "a")
    await add(host, SLOTTED, args, environment=in_c)
    assert record(host, ("c", "eth0")).unique_name == name


@pytest.mark.parametrize("was_made", [True, False])
async def test_a_slot_is_given_back_though_its_number_was_told_to_nobody(
    host: HostDouble, *, was_made: bool
) -> None:
    """As when the agent is killed between the claim's answer and the record of it."""
    await add(host, SLOTTED, "NETWRIGHT_LABEL_app=web")
    whole = record(host)
    assert whole.claim is not None
    half = replace(
        whole, stage=Stage.ADDING, unique_name=whole.claim.unique_name, port_id="", fit=None
    )
    host.records.put(half)
    if not was_made:
        host.server.ports["web/0"] = replace(host.server.ports["web/0"], device_id="other")
        host.server.ports["web/1"] = replace(host.server.ports["web/0"], unique_name="web/1")
    host.live()
    async with running(host):
        await eventually(lambda: not host.records.all())
    held = {name: port.device_id for name, port in host.server.ports.items()}
    assert held == ({"web/0": ""} if was_made else {"web/0": "other", "web/1": "other"})


async def test_collecting_ends_named_containers_and_keeps_their_ports(host: HostDouble) -> None:
    await add(host)
    await add(host, {**SLOTTED, "portName": "x/{pod}/{slot}"}, environment=IN_B)
    await host.containers.collect("pods", frozenset())
    assert set(ends(host)) == {("c1/shop/web-0", "a"), ("x/web-0/0", "b")}
    assert (host.records.all(), host.plugs.devices, host.veths.interfaces) == ({}, {}, {})
    assert len(host.server.ports) == 2


# -- ports that went elsewhere, or come from there


async def test_a_host_that_does_not_let_go_is_named_with_the_way_out(host: HostDouble) -> None:
    host.plugs.outcome = Outcome(status=WiringStatus.PENDING)
    adding = asyncio.create_task(failure(host, deadline_ms=300))
    await eventually(lambda: bool(host.loop.mirror.ports))
    ((id_, port),) = host.loop.mirror.ports.items()
    older = replace(binding("h9"), state=BindingState.WITHDRAWING)
    host.loop.mirror.ports[id_] = replace(port, bindings=(*port.bindings, older))
    late = await adding
    assert late.code is Code.TRY_AGAIN
    assert "netwright host fence h9" in late.next


async def test_a_port_that_went_to_another_host_is_marked_and_its_end_frees_nothing(
    host: HostDouble,
) -> None:
    result = await add(host)
    (port,) = host.server.ports.values()
    there = replace(port, device_id="x", bindings=(binding("h2"),))
    host.server.ports["c1/shop/web-0"] = host.loop.mirror.ports[port.id] = there
    async with running(host):
        host.look()
        await eventually(lambda: bool(record(host).moved))
    assert record(host).moved == "it is bound to host h2"
    assert host.plugs.devices == {}
    assert host.veths.interfaces  # the container keeps it, dead, until its runtime ends it
    ask = Ask("CHECK", config={"prevResult": result})
    with pytest.raises(CniError) as differs:
        await host.containers.check(asked.parse(ask.request()))
    assert "no longer its own: it is bound to host h2" in differs.value.message
    await host.containers.delete(*A)
    assert host.veths.interfaces == {}
    assert host.server.ports["c1/shop/web-0"] == there


async def test_a_port_that_went_is_marked_while_an_add_is_at_work(host: HostDouble) -> None:
    """Else a container that comes to its name would wait for one that has another."""
    await add(host)
    gone = record(host)
    host.records.drop(A)
    host.server.answers.clear()
    adding = asyncio.create_task(add(host, {"portName": "x/{pod}"}, environment=IN_B))
    await eventually(lambda: B in host.records.all())
    host.records.put(gone)
    host.loop.mirror.ports.clear()
    async with running(host):
        host.look()
        await eventually(lambda: bool(record(host).moved))
    host.server.answers.set()
    assert (await adding)["ips"]


async def test_a_port_that_is_gone_after_a_partition_is_marked_in_the_next_life_too(
    host: HostDouble,
) -> None:
    await add(host)
    host.loop.mirror.ports.clear()
    host.live()
    async with running(host):
        host.look()
        await eventually(lambda: "another host, or deleted" in record(host).moved)
    await add(host, environment=IN_B)  # the pod comes back, in a new container
    assert host.records.all().keys() == {B}
    assert len(host.plugs.devices) == len(host.veths.interfaces) == 1


async def test_a_port_that_is_bound_nowhere_or_not_served_now_has_gone_nowhere(
    host: HostDouble,
) -> None:
    await add(host)
    (port,) = host.server.ports.values()
    for bindings in ((), (replace(binding(HOST), cause="no bridge"),)):
        host.loop.mirror.ports[port.id] = replace(port, bindings=bindings)
        host.look()
        assert host.following.departed(port.id, "a") == ""
    host.loop.mirror.ports[port.id] = replace(port, device_id="z")
    host.look()
    assert host.following.departed(port.id, "a") == "it is container z's"
