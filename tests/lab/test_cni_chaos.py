"""Containers on two hosts while everything dies: nothing leaks, is given twice, or taken away.

`CHAOS_S` says for how many seconds (`make chaos`: ten minutes), `CHAOS_SEED` which ones.
"""

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.lab import auditor
from tests.lab.auditor import DUPLICATED, FREED, LEAKED, Container, Fault
from tests.lab.chaos import Chaos
from tests.lab.cni_runtime import Runtime, build_front_end
from tests.lab.cutting_proxy import CuttingProxy, listening

from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.lab import down, faults, netns, processes, spec, start, up
from netwright.lab.nodes import host as hosts_of
from netwright.lab.nodes import ovs
from netwright.lab.orchestrator import Orchestrator, eventually
from netwright.lab.services import server_directory
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab, write_atomically
from netwright.model.wire import CONTAINER_OWNER

pytestmark = pytest.mark.lab

HOSTS = ("host1", "host2")
LABELS, SELECTOR = {"app": "chaos"}, "app=chaos"
VLAN, CIDRS = 210, ("10.210.0.0/23", "fd00:210::/64")
PROXY_PORT = 9710
CLEAN_S = 90.0
"""For what the reconciler finds twice, and what it asks a server for that has just come back."""
CHAOS_S = float(os.environ.get("CHAOS_S", "60"))
AUDIT_EVERY = 3


class Rig(NamedTuple):
    nova: Orchestrator
    runtimes: tuple[Runtime, ...]
    proxies: tuple[CuttingProxy, ...]

    @property
    def lab(self) -> Lab:
        return self.nova.lab

    def look(self) -> auditor.Seen:
        hosts = [
            auditor.Host(
                name,
                self.lab.namespace(name),
                ovs.run_directory(self.lab, name),
                self.lab.node_directory(name) / "cni",
            )
            for name in HOSTS
        ]
        database = server_directory(self.lab) / "netwright.db"
        return auditor.look(hosts, database, self.lab.namespace("ct-"))

    def faults(self, *live: Container, settled: bool = True) -> list[Fault]:
        return auditor.faults(self.look(), live, settled=settled)

    def is_clean(self, *live: Container) -> bool:
        return not self.faults(*live)


@pytest.fixture
def rig(rig_of_all: Rig) -> Iterator[Rig]:
    """Nothing is left of one test's containers in the next one."""
    yield rig_of_all
    for one in rig_of_all.runtimes:
        one.end()


@pytest.fixture(scope="module")
def rig_of_all(lab_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Two hosts whose agents reach the server by way of what may lose their requests."""
    name = "chaos"
    program = build_front_end(tmp_path_factory.mktemp("cni"))
    proxies: list[CuttingProxy] = []
    try:
        lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
        nova = start.start(lab)
        nova.ask(_create_network)
        for number, host in enumerate(HOSTS):
            proxies.append(_proxy(lab, PROXY_PORT + number))
            _lead_by(lab, host, PROXY_PORT + number)
        runtimes = tuple(Runtime(lab, host, program, SELECTOR) for host in HOSTS)
        for one in runtimes:
            assert eventually(partial(can_serve, one), CLEAN_S), one.host
        yield Rig(nova, runtimes, tuple(proxies))
    finally:
        for each in proxies:
            each.end()
        down.take_down(name, lab_root)


async def _create_network(client: Client) -> None:
    api = Networking(client)
    network = await api.create(
        Collection.NETWORKS,
        {
            "name": "chaos",
            "labels": LABELS,
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": VLAN,
        },
    )
    for cidr in CIDRS:
        subnet = {"network_id": network["id"], "cidr": cidr, "ip_version": 6 if ":" in cidr else 4}
        await api.create(Collection.SUBNETS, subnet)


def _proxy(lab: Lab, port: int) -> CuttingProxy:
    address, _, _ = lab.layout.server_ip.partition("/")
    inside = lab.namespace(MANAGEMENT_NODE)
    listener = netns.run_in(inside, lambda: listening(address, port))
    return CuttingProxy(listener, inside, (address, hosts_of.SERVER_PORT), seed=port)


def _lead_by(lab: Lab, host: str, port: int) -> None:
    path = hosts_of.agent_configuration_path(lab, host)
    text = path.read_text().replace(f":{hosts_of.SERVER_PORT}", f":{port}")
    write_atomically(path, text.encode())
    with away(lab, host):
        pass


@contextmanager
def away(lab: Lab, host: str) -> Iterator[None]:
    """Its agent is killed, and starts anew afterwards."""
    faults.fail(lab, f"process:{host}/agent")
    try:
        yield
    finally:
        faults.heal(lab, f"process:{host}/agent")


def can_serve(runtime: Runtime) -> bool:
    return runtime.run("STATUS").code == 0


def container(runtime: Runtime, name: str) -> Container:
    """A live one."""
    runtime.begin(name)
    result = runtime.add(name)
    return Container(
        id=runtime.environment("ADD", name)["CNI_CONTAINERID"],
        host=runtime.host,
        namespace=runtime.namespace(name),
        mac=result["interfaces"][1]["mac"],
        addresses=frozenset(str(ip["address"]).partition("/")[0] for ip in result["ips"]),
    )


def log_of(rig: Rig, host: str) -> str:
    return (rig.lab.node_directory(host) / "agent.log").read_text()


def test_the_auditor_finds_each_fault_and_the_reconciler_mends_what_is_proven(rig: Rig) -> None:
    near, _ = rig.runtimes
    kept, robbed = container(near, "kept"), container(near, "robbed")
    live = kept, robbed
    assert eventually(lambda: rig.is_clean(*live), CLEAN_S), rig.faults(*live)
    with away(rig.lab, "host1"):
        network = rig.nova.network("chaos")["id"]
        orphan, victim = rig.nova.ask(lambda client: _plant_ports(client, str(network), robbed.id))
        _plant_on_host(rig.lab, kept)
        found = rig.faults(*live)
    expected = {
        (LEAKED, f"port {orphan} of container nobody"),
        (LEAKED, "link nwcmarked on host1"),
        (LEAKED, "link nwcplugged on host1"),
        (LEAKED, "nwcplugged on host1, of container nobody"),
        (LEAKED, "record of container nobody on host1"),
        (FREED, f"the port of container {robbed.id}"),
    }
    assert expected <= set(found)
    address = next(one for one in kept.addresses if "." in one)
    twice = [each for each in found if each.kind == DUPLICATED and address in each.what]
    assert twice, found
    rig.runtimes[0].end_namespaces("double")

    def is_mended() -> bool:
        left = rig.faults(*live)
        return bool(left) and all(each.kind == FREED and robbed.id in each.what for each in left)

    assert eventually(is_mended, CLEAN_S), rig.faults(*live)

    def is_told() -> bool:
        (host,) = [each for each in rig.nova.hosts() if each.name == "host1"]
        return robbed.id in host.conditions.get("containers", "")

    assert eventually(is_told, CLEAN_S)
    assert victim in log_of(rig, "host1")
    for name in ("kept", "robbed"):
        assert near.run("DEL", name).code == 0
        near.end_namespaces(name)
    assert eventually(rig.is_clean, CLEAN_S), rig.faults()


async def _plant_ports(client: Client, network_id: str, robbed: str) -> tuple[str, str]:
    """A port that no container has; and of a container its port is taken away."""
    api = Networking(client)
    orphan = await api.create(
        Collection.PORTS,
        {
            "network_id": network_id,
            "unique_name": "host1/nobody/eth0",
            "device_id": "nobody",
            "device_owner": CONTAINER_OWNER,
            "binding:host_id": "host1",
        },
    )
    (victim,) = await api.list(Collection.PORTS, {"device_id": robbed})
    await api.delete(Collection.PORTS, str(victim["id"]))
    return str(orphan["id"]), str(victim["id"])


def _plant_on_host(lab: Lab, kept: Container) -> None:
    inside = lab.namespace(kept.host)
    for name in ("nwcmarked", "nwcplugged"):
        peer = name.replace("nwc", "peer")
        processes.run(inside, ["ip", "link", "add", name, "type", "veth", "peer", "name", peer])
        alias = "netwright container nobody"
        processes.run(inside, ["ip", "link", "set", name, "alias", alias])
    ids = ["external_ids:iface-id=nothing", "external_ids:netwright-container=nobody@eth0"]
    plug = ["add-port", "br-int", "nwcplugged", "tag=4095", "--", "set", "Interface", "nwcplugged"]
    ovs.vsctl(lab, kept.host, [*plug, *ids])
    (lab.node_directory(kept.host) / "cni" / "nobody@eth0.json").write_bytes(b"{")
    double = lab.namespace(f"ct-{kept.host}-double")
    netns.create([double])
    processes.run(double, ["ip", "link", "add", "some", "type", "veth", "peer", "other"])
    address = next(one for one in kept.addresses if "." in one)
    processes.run(double, ["ip", "address", "add", f"{address}/32", "dev", "some"])


def test_nothing_leaks_or_is_given_twice_or_taken_from_the_living(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
    chaos = Chaos(rig.lab, rig.runtimes, rig.proxies, seed)
    until = time.monotonic() + CHAOS_S
    try:
        while time.monotonic() < until:
            for _ in range(AUDIT_EVERY):
                chaos.round()
            found = rig.faults(*chaos.live.values(), settled=False)
            assert not found, f"seed {seed}, after {chaos.counts['rounds']} rounds: {found}"
        chaos.settle()
        live = tuple(chaos.live.values())
        _await_clean(rig, live, seed)
        chaos.end_all()
        _await_clean(rig, (), seed)
    finally:
        lost = sum(each.lost for each in rig.proxies)
        told = {host: log_of(rig, host).count("event=leak ") for host in HOSTS}
        with capsys.disabled():
            sys.stdout.write(
                f"\nchaos, seed {seed}: {dict(chaos.counts)}; requests lost: {lost};"
                f" findings of the reconcilers: {told}\n"
            )
    assert chaos.counts["added"] > chaos.counts["rounds"] / 2


def _await_clean(rig: Rig, live: tuple[Container, ...], seed: int) -> None:
    assert eventually(lambda: rig.is_clean(*live), CLEAN_S), f"seed {seed}: {rig.faults(*live)}"
