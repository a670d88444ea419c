"""Containers by CNI: with namespaces for containers, and under podman.

One lab for all tests; each ends what it made.
"""

import json
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.lab.cni_runtime import (
    Answer,
    Runtime,
    address_of,
    containers_ports,
    devices,
    is_empty,
)
from tests.lab.podman import Podman

from netwright.client.networking import Collection, Networking
from netwright.lab import down, faults, spec, start, up
from netwright.lab.links import VethEnd, create_veths
from netwright.lab.nodes import ovs
from netwright.lab.orchestrator import Orchestrator, eventually

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
NETWORK, LABELS, SELECTOR = "blue", {"app": "pods"}, "app in (pods)"
SOON_S = 20.0
AT_ONCE = 20
MTU = 1500

Hosts = tuple[Runtime, Runtime]


@pytest.fixture(scope="module")
def nova(lab_root: Path) -> Iterator[Orchestrator]:
    """The preset `vlan`, with server and agents; network blue is labelled for containers."""
    name = "cni"
    try:
        lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
        orchestrator = start.start(lab)
        orchestrator.create_networks()

        async def label(client: Networking) -> None:
            network = await client.find(Collection.NETWORKS, NETWORK)
            await client.update(Collection.NETWORKS, str(network["id"]), {"labels": LABELS})

        orchestrator.ask(lambda client: label(Networking(client)))
        yield orchestrator
    finally:
        down.take_down(name, lab_root)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cni") / "netwright"
    subprocess.run([ROOT / "scripts/build-cni", path], check=True, timeout=60)
    return path


@pytest.fixture
def hosts(nova: Orchestrator, program: Path) -> Iterator[Hosts]:
    runtimes = (
        Runtime(nova.lab, "host1", program, SELECTOR),
        Runtime(nova.lab, "host2", program, SELECTOR),
    )
    yield runtimes
    for one in runtimes:
        one.end()


def statuses(nova: Orchestrator) -> set[str]:
    return {str(port["status"]) for port in containers_ports(nova)}


def reaches(one: Runtime, container: str, address: str, count: int = 3) -> bool:
    argv = ["ping", "-c", str(count), "-i", "0.1", "-W", "2", address]
    return " 0% packet loss" in one.inside(container, argv)


@contextmanager
def pinging(one: Runtime, container: str, address: str, count: int) -> Iterator[list[int]]:
    """Pings every 10 ms; how many were lost is in the list afterwards."""
    lost: list[int] = []

    def run() -> None:
        argv = ["ping", "-q", "-c", str(count), "-i", "0.01", "-W", "2", address]
        said = one.inside(container, ["sh", "-c", f"{' '.join(argv)} || true"])
        (line,) = [line for line in said.splitlines() if "packets transmitted" in line]
        sent, received = (int(part.split()[0]) for part in line.split(", ")[:2])
        lost.append(sent - received)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lost
    finally:
        thread.join()


def test_containers_of_two_hosts_reach_each_other_by_both_families(
    nova: Orchestrator, hosts: Hosts
) -> None:
    near, far = hosts
    near.begin("a")
    far.begin("b")
    near.add("a")
    result = far.add("b")
    four, six = (str(ip["address"]).partition("/")[0] for ip in result["ips"])
    assert reaches(near, "a", four)
    assert reaches(near, "a", six)
    assert reaches(near, "a", str(result["ips"][0]["gateway"]))
    (link,) = json.loads(far.inside("b", ["ip", "-json", "address", "show", "dev", "eth0"]))
    _, inside = result["interfaces"]
    assert (link["address"], link["mtu"]) == (inside["mac"], MTU)
    assert eventually(
        lambda: {port["status"] for port in containers_ports(nova)} == {"ACTIVE"}, SOON_S
    )


def test_tcp_passes(hosts: Hosts) -> None:
    """Checksums that the sender leaves to a NIC would be wrong: ping knows nothing of that."""
    near, far = hosts
    near.begin("a")
    far.begin("b")
    near.add("a")
    address = address_of(far.add("b"))
    far.inside("b", ["iperf3", "-s", "-1", "-D"])
    assert eventually(lambda: ":5201" in far.inside("b", ["ss", "-ltn"]), SOON_S)
    said = json.loads(near.inside("a", ["iperf3", "-J", "-t", "1", "-c", address]))
    assert said["end"]["sum_received"]["bytes"] >= 1 << 20


def test_a_containers_life_leaves_nothing(nova: Orchestrator, hosts: Hosts) -> None:
    near, _ = hosts
    near.begin("a")
    assert near.run("DEL", "a").code == 0  # before there is anything
    result = near.add("a")
    before = {"prevResult": result}
    assert near.run("CHECK", "a", config=before).code == 0
    again = near.run("ADD", "a")
    assert (again.code, again.out["code"]) == (1, 100)
    address = str(result["ips"][0]["address"])
    near.inside("a", ["ip", "address", "del", address, "dev", "eth0"])
    changed = near.run("CHECK", "a", config=before)
    assert (changed.code, changed.out["code"]) == (1, 102)
    assert address in changed.out["msg"]
    assert near.run("DEL", "a", config=before).code == 0
    assert near.run("DEL", "a").code == 0
    assert eventually(lambda: is_empty(nova, "host1"), SOON_S)


def test_the_end_of_a_container_whose_namespace_went_first(
    nova: Orchestrator, hosts: Hosts
) -> None:
    near, _ = hosts
    near.begin("a")
    near.add("a")
    near.end_namespaces("a")
    assert near.run("DEL", "a", CNI_NETNS="").code == 0
    assert eventually(lambda: is_empty(nova, "host1"), SOON_S)


def test_what_cannot_be_added_leaves_nothing(nova: Orchestrator, hosts: Hosts) -> None:
    near, _ = hosts
    nowhere = near.run("ADD", "a")
    assert (nowhere.code, nowhere.out["code"]) == (1, 3)
    near.begin("a")
    strange = near.run("ADD", "a", config={"labels": "app=nowhere"})
    assert (strange.code, strange.out["code"]) == (1, 101)
    assert "app=nowhere" in strange.out["msg"]
    name = near.namespace("a")
    create_veths([(VethEnd(name, "eth0"), VethEnd(name, "other"))])
    taken = near.run("ADD", "a")
    assert (taken.code, taken.out["code"]) == (1, 100)
    assert eventually(lambda: is_empty(nova, "host1"), SOON_S)


def test_agents_come_and_go_under_running_containers(nova: Orchestrator, hosts: Hosts) -> None:
    near, far = hosts
    near.begin("a")
    far.begin("b", "late")
    near.add("a")
    result = far.add("b")
    with pinging(near, "a", address_of(result), 300) as lost:
        faults.fail(nova.lab, "process:host2/agent")
        away = far.run("ADD", "late")
        assert (away.code, away.out["code"]) == (1, 11)
        assert far.run("STATUS").out["code"] == 50
        faults.heal(nova.lab, "process:host2/agent")
        assert eventually(lambda: far.run("STATUS").code == 0, SOON_S)
    assert lost == [0]
    assert eventually(
        lambda: far.run("CHECK", "b", config={"prevResult": result}).code == 0, SOON_S
    )
    far.add("late")
    assert far.run("DEL", "b").code == 0
    assert len(containers_ports(nova)) == 2


def test_an_agent_that_dies_amid_an_add_undoes_it_in_its_next_life(
    nova: Orchestrator, hosts: Hosts
) -> None:
    """The server stands still, so that the port is made, and nobody told of it."""
    _, far = hosts
    far.begin("b")
    faults.fail(nova.lab, "process:mgmt/server", silent=True)
    try:
        adding = far.start("ADD", "b")
        record = nova.lab.node_directory("host2") / "cni"
        assert eventually(lambda: any(record.glob("*b@eth0.json")), SOON_S)
        faults.fail(nova.lab, "process:host2/agent")
    finally:
        faults.heal(nova.lab, "process:mgmt/server")
    answer = adding.finish()
    assert (answer.code, answer.out["code"]) == (1, 11)
    faults.heal(nova.lab, "process:host2/agent")
    assert eventually(lambda: not any(record.iterdir()), SOON_S)
    assert eventually(lambda: is_empty(nova, "host2"), SOON_S)


def test_while_the_server_is_away_containers_end_and_those_that_begin_wait(
    nova: Orchestrator, hosts: Hosts
) -> None:
    near, _ = hosts
    near.begin("a", "b", "c")
    near.add("a")
    with ThreadPoolExecutor(1) as pool:
        faults.fail(nova.lab, "process:mgmt/server")
        try:
            ended = near.run("DEL", "a")
            assert (ended.code, devices(nova, "host1")) == (0, set())
            refused = near.run("ADD", "b", config={"deadlineSeconds": 3})
            assert (refused.code, refused.out["code"]) == (1, 11)
            assert eventually(lambda: near.run("STATUS").code == 1, SOON_S)
            assert near.run("STATUS").out["code"] == 50
            waiting = pool.submit(near.add, "c")
        finally:
            faults.heal(nova.lab, "process:mgmt/server")
        assert waiting.result()["ips"]
    one = {waiting.result()["interfaces"][0]["name"]}
    assert eventually(lambda: devices(nova, "host1") == one, SOON_S)
    assert eventually(lambda: len(containers_ports(nova)) == 1, SOON_S)
    assert eventually(lambda: near.run("STATUS").code == 0, SOON_S)


def test_many_at_once_get_addresses_of_their_own_and_are_collected(
    nova: Orchestrator, hosts: Hosts
) -> None:
    near, _ = hosts
    names = [f"c{n}" for n in range(AT_ONCE)]
    near.begin(*names)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(near.add, names))
    assert len({address_of(result) for result in results}) == AT_ONCE
    kept = near.environment("ADD", names[0])
    valid = [{"containerID": kept["CNI_CONTAINERID"], "ifname": "eth0"}]
    assert near.run("GC", config={"cni.dev/valid-attachments": valid}).code == 0
    assert len(devices(nova, "host1")) == 1
    assert eventually(lambda: len(containers_ports(nova)) == 1, SOON_S), containers_ports(nova)
    (port,) = containers_ports(nova)
    assert port["device_id"] == kept["CNI_CONTAINERID"]


def named(one: Runtime, verb: str, container: str, before: Any = None) -> Answer:
    """For a container of pod web-0, whose port's name outlives it."""
    config: dict[str, Any] = {"portName": "lab/{pod}/{labels.app}", "keep": "1h"}
    if before is not None:
        config["prevResult"] = before
    return one.run(
        verb, container, config=config, CNI_ARGS="K8S_POD_NAME=web-0;NETWRIGHT_LABEL_app=web"
    )


def test_a_name_takes_its_address_along_and_the_end_of_the_older_container_frees_nothing(
    nova: Orchestrator, hosts: Hosts
) -> None:
    near, far = hosts
    near.begin("a")
    far.begin("b")
    first = named(near, "ADD", "a").out
    second = named(far, "ADD", "b").out  # while the older one lives
    assert second["ips"] == first["ips"]
    assert reaches(far, "b", str(second["ips"][0]["gateway"]))
    assert reaches(far, "b", str(second["ips"][1]["gateway"]))

    def is_told() -> bool:
        return "no longer its own" in str(named(near, "CHECK", "a", first).out)

    assert eventually(is_told, SOON_S)
    assert named(near, "DEL", "a").code == 0
    (port,) = containers_ports(nova)
    assert (port["unique_name"], port["binding:host_id"]) == ("lab/web-0/web", "host2")
    assert named(far, "CHECK", "b", second).code == 0
    assert named(far, "DEL", "b").code == 0
    near.begin("c")
    assert named(near, "ADD", "c").out["ips"] == first["ips"]  # kept meanwhile
    assert named(near, "DEL", "c").code == 0
    nova.ask(lambda client: Networking(client).delete(Collection.PORTS, str(port["id"])))
    assert eventually(lambda: is_empty(nova, "host1", "host2"), SOON_S)


def megabits(
    one: tuple[Runtime, str], other: tuple[Runtime, str], address: str, port: int, *, received: bool
) -> float:
    """What TCP carries a second from one container to the other, or back."""
    near, far = (partial(runtime.inside, container) for runtime, container in (one, other))
    far(["iperf3", "-s", "-1", "-D", "-p", str(port)])
    assert eventually(lambda: f":{port} " in far(["ss", "-Hltn"]), SOON_S)
    argv = ["iperf3", "-J", "-t", "2", "-c", address, "-p", str(port), *["-R"] * received]
    said = json.loads(near(argv))
    return float(said["end"]["sum_received"]["bits_per_second"]) / 1e6


def test_what_a_container_sends_and_receives_is_limited(nova: Orchestrator, hosts: Hosts) -> None:
    near, far = hosts
    near.begin("limited", "free")
    far.begin("b")
    bandwidth = {"ingressRate": 10_000_000, "egressRate": 10_000_000, "egressBurst": 800_000}
    config = {"capabilities": {"bandwidth": True}, "runtimeConfig": {"bandwidth": bandwidth}}
    assert near.run("ADD", "limited", config=config).code == 0
    near.add("free")
    address = address_of(far.add("b"))
    ports = count(5301)
    for received in (False, True):
        rates = {
            one: megabits((near, one), (far, "b"), address, next(ports), received=received)
            for one in ("limited", "free")
        }
        assert 5 <= rates["limited"] <= 15, rates
        assert rates["free"] >= 30, rates
    assert near.run("DEL", "limited").code == 0
    rows = ovs.vsctl(nova.lab, "host1", ["--columns=type", "list", "qos"])
    assert "linux-noop" not in rows


def test_other_plugins_of_a_conflist_get_the_result_as_it_is(
    nova: Orchestrator, hosts: Hosts
) -> None:
    near, _ = hosts
    near.begin("a", "late")
    key = "net.ipv4.conf.eth0.arp_filter"
    others = [{"type": "tuning", "sysctl": {key: "1"}}]
    result = near.chain("ADD", "a", others)
    assert near.inside("a", ["sysctl", "-n", key]).strip() == "1"
    (port,) = containers_ports(nova)
    assert {ip["ip_address"] for ip in port["fixed_ips"]} == {
        str(ip["address"]).partition("/")[0] for ip in result["ips"]
    }
    near.chain("CHECK", "a", others, result)
    behind = near.run("ADD", "late", config={"prevResult": result})
    assert (behind.code, behind.out["code"]) == (1, 7)
    near.chain("DEL", "a", others, result)
    assert eventually(lambda: is_empty(nova, "host1"), SOON_S)


@pytest.fixture(scope="module")
def podmen(
    nova: Orchestrator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Podman, Podman]]:
    made = [
        Podman(nova.lab, host, tmp_path_factory.mktemp(host), SELECTOR)
        for host in ("host1", "host2")
    ]
    near, far = made
    yield near, far
    for one in made:
        one.end()


def test_podmans_containers_reach_each_other_and_end(
    nova: Orchestrator, podmen: tuple[Podman, Podman]
) -> None:
    near, far = podmen
    near.start("a")
    far.start("b")
    for address in far.addresses("b"):
        assert " 0% packet loss" in near.exec("a", "/bin/ping", "-c", "3", address)
    assert {port["binding:host_id"] for port in containers_ports(nova)} == {"host1", "host2"}
    far.restart("b")  # DEL and ADD of one container's id
    assert " 0% packet loss" in near.exec("a", "/bin/ping", "-c", "3", far.addresses("b")[0])
    near.remove("a")
    far.remove("b")
    assert eventually(lambda: is_empty(nova, "host1", "host2"), SOON_S)
