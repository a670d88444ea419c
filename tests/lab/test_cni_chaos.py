"""Containers on a fabric's hosts while everything dies: nothing leaks, is given twice, taken away.

`CHAOS_S` says for how many seconds (`make chaos`: ten minutes), `CHAOS_SEED` which ones.
"""

import os
import random
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.lab import leaves as leaves_of
from tests.lab.audited import Container
from tests.lab.auditor import DUPLICATED, FREED, LEAKED
from tests.lab.bpf_maps import maps_of
from tests.lab.chaos import Chaos
from tests.lab.chaos_rig import CLEAN_S, HOSTS, Rig, away, chaos_rig, container
from tests.lab.leaves import FENCED, TAGGED, Leaf

from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.lab import netns, processes
from netwright.lab.gates import Gate
from netwright.lab.nodes import ovs
from netwright.lab.orchestrator import eventually
from netwright.lab.state import Lab
from netwright.model.wire import CONTAINER_OWNER

pytestmark = pytest.mark.lab

CHAOS_S = float(os.environ.get("CHAOS_S", "32"))
CALM_EVERY_S = 60.0
AUDIT_EVERY = 3
CONTROLLER = "process:mgmt/fabric"
SOMEBODY = "fa:16:3e:00:00:99"
OTHER_VLAN = 77


@pytest.fixture
def rig(rig_of_all: Rig) -> Iterator[Rig]:
    """Nothing is left of one test's containers in the next one."""
    yield rig_of_all
    for one in rig_of_all.runtimes:
        one.end()


@pytest.fixture(scope="module")
def rig_of_all(lab_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with chaos_rig(lab_root, tmp_path_factory.mktemp("cni")) as rig:
        yield rig


# -- the auditor can fail


def test_the_auditor_finds_each_fault_and_the_reconciler_mends_what_is_proven(rig: Rig) -> None:
    near = rig.runtimes[0]
    kept, robbed = container(near, "kept"), container(near, "robbed")
    live = kept, robbed
    rig.await_clean(*live)
    with away(rig.lab, "process:host1/agent"):
        network = rig.nova.network("a")["id"]
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
    near.end_namespaces("double")

    def is_mended() -> bool:
        left = rig.faults(*live)
        return bool(left) and all(each.kind == FREED and robbed.id in each.what for each in left)

    assert eventually(is_mended, CLEAN_S), rig.faults(*live)

    def is_told() -> bool:
        return robbed.id in rig.evpn.host("host1").conditions.get("containers", "")

    assert eventually(is_told, CLEAN_S)
    assert victim in rig.log_of("host1")
    for name in ("kept", "robbed"):
        assert near.run("DEL", name).code == 0
        near.end_namespaces(name)
    rig.await_clean()


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


def test_the_auditor_finds_each_fault_of_leaves_and_the_controller_mends_them(rig: Rig) -> None:
    near, _, far = rig.runtimes
    kept, there = container(near, "kept", "net=a"), container(far, "there", "net=a")
    ended = container(near, "ended", "net=b")
    rig.await_clean(kept, there, ended)
    vni, other = rig.evpn.vni("a"), rig.evpn.vni("b")
    vlan, vlan_there = rig.evpn.vlan("a", "host1"), rig.evpn.vlan("a", "host3")
    vlan_of_ended = rig.evpn.vlan("b", "host1")
    leaf1, _, leaf3, _ = rig.leaves()
    # a word of it, a router solicitation even, would tell leaf3 where it really is
    silence = Gate.build(near.namespace("kept"), "eth0", is_open=True)
    with closing(silence), away(rig.lab, CONTROLLER, silent=True):
        assert near.run("DEL", "ended").code == 0
        near.end_namespaces("ended")
        silence.shut()
        _plant_in_maps(leaf3, vlan_there)
        _plant_links(leaf1, leaf3, vlan, vlan_there, kept)
        found = rig.faults(kept, there)
        silence.open()
        for name in ("brloose", "loose"):  # these bear no mark of ours
            processes.run(leaf3.namespace, ["ip", "link", "del", name])
    elsewhere, instead = f"MAC {kept.mac} of VNI {vni} is behind host3", f"not VLAN {vlan_there}"
    expected = {
        *(
            (LEAKED, f"{leaf} leads VLAN {vlan_of_ended} of host1 to VNI {other}")
            for leaf in ("leaf1", "leaf2")
        ),
        *(
            (LEAKED, f"VNI {other} on leaf1, as {where} has it")
            for where in ("the kernel", "zebra", "bgpd")
        ),
        (LEAKED, f"attachment of VNI {other} on host1"),
        (LEAKED, f"leaf3 drops {SOMEBODY} from host3"),
        (LEAKED, "brloose on leaf3, which belongs to nothing"),
        (LEAKED, "loose on leaf3, which belongs to nothing"),
        (FREED, f"leaf1 leads no VLAN of host1 to VNI {vni}, where container {kept.id} is"),
        (DUPLICATED, f"{elsewhere}; container {kept.id} is on host1"),
        (DUPLICATED, f"leaf3 leads VLAN {OTHER_VLAN} of host3 to VNI {vni}, {instead}"),
    }
    assert expected <= set(found), expected - set(found)

    def speaks() -> bool:
        """So that leaves hear again where it is."""
        ping = ["ping", "-n", "-c1", "-W1", next(one for one in there.addresses if "." in one)]
        done = near.inside("kept", ["sh", "-c", f"{' '.join(ping)} || true"])
        return " 0% packet loss" in done

    assert eventually(speaks, CLEAN_S)
    rig.await_clean(kept, there)


def _plant_in_maps(leaf: Leaf, vlan: int) -> None:
    """A fence that is nobody's; and another VLAN that leads where the network's own does."""
    index = _index(leaf, "host3-eth0")
    with maps_of(next(leaves_of.programs(leaf))) as maps:
        maps[FENCED].put(leaves_of.fence_key(index, SOMEBODY), b"nobody")
        outer = maps[TAGGED].content()[struct.pack("=II", index, vlan)]
        maps[TAGGED].put(struct.pack("=II", index, OTHER_VLAN), outer)


def _plant_links(leaf: Leaf, other: Leaf, vlan: int, other_vlan: int, kept: Container) -> None:
    """One leaf has lost a VLAN, another has too much, and hears the container behind its host."""
    outer = f"nw{_index(leaf, 'host1-eth0')}.{vlan}"
    inner = f"nwi{_index(other, 'host3-eth0')}.{other_vlan}"
    for at, words in (
        (leaf, f"ip link del {outer}"),
        (other, "ip link add brloose type bridge"),
        (other, "ip link add loose type veth peer name loose-peer"),
        (other, f"bridge fdb replace {kept.mac} dev {inner} master dynamic"),
    ):
        processes.run(at.namespace, words.split())


def _index(leaf: Leaf, port: str) -> int:
    links = leaves_of.read_links(leaf.namespace)
    return next(index for index, link in links.items() if link["ifname"] == port)


# -- chaos


def test_nothing_leaks_or_is_given_twice_or_taken_from_the_living(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
    leaves = [one.name for one in rig.leaves()]
    chaos = Chaos(rig.lab, rig.runtimes, rig.proxies, leaves, seed)
    began = time.monotonic()
    try:
        while (left_s := began + CHAOS_S - time.monotonic()) > 0:
            rage(rig, chaos, min(left_s, CALM_EVERY_S), seed)
            chaos.settle()
            rig.await_clean(*chaos.live.values(), words=f"seed {seed}: ")
        chaos.end_all()
        rig.await_clean(words=f"seed {seed}: ")
    finally:
        lost = sum(each.lost for each in rig.proxies)
        told = {host: rig.log_of(host).count("event=leak ") for host in HOSTS}
        with capsys.disabled():
            sys.stdout.write(
                f"\nchaos, seed {seed}: {dict(chaos.counts)}; requests lost: {lost};"
                f" findings of the reconcilers: {told}\n"
            )
    assert chaos.counts["added"] > chaos.counts["rounds"] / 2


def rage(rig: Rig, chaos: Chaos, for_s: float, seed: int) -> None:
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        for _ in range(AUDIT_EVERY):
            chaos.round()
        left = frozenset(chaos.left_behind())
        found = rig.faults(*chaos.live.values(), settled=False, left_behind=left)
        assert not found, f"seed {seed}, after {chaos.counts['rounds']} rounds: {found}"
