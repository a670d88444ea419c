"""VPCs on real leaves: server, agents and fabric controller, and who meets whom by which way.

Every test runs with asymmetric and then with symmetric routing (RFC 9135), which the fabric is
changed to while its instances stay.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.fabric.drivers.linux import marks
from netwright.lab import down, fabric_state, probe, processes, sightings, spec, start, up
from netwright.lab.nodes import reached
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually
from netwright.lab.state import Lab
from netwright.lab.topology import topology_of
from netwright.model.operations import Action
from netwright.model.topology import Irb

pytestmark = pytest.mark.lab

WAIT_S = 30.0
PINGS = 3
TWIN = "twin-red"
PLACES = {
    "web1": ("host1", "red"),
    "web3": ("host3", "red"),
    "db1": ("host1", "yellow"),
    "db4": ("host4", "yellow"),
    "twin1": ("host1", TWIN),
    "twin3": ("host3", TWIN),
    "metal": ("metal1", "red"),
    "old": ("vhost1", "blue"),
}
SHOP = ("web1", "web3", "db1", "db4", "metal")


class Scene:
    """Two VPCs on the same hosts: `shop` (red, yellow, a way out into blue), `twin` (its red)."""

    def __init__(self, nova: Orchestrator) -> None:
        self.nova = nova
        self.lab: Lab = nova.lab
        self.leaves = self.lab.nodes("leaf")
        self.spines = set(self.lab.nodes("spine"))
        self.vpcs: list[str] = []
        self.made: dict[str, Spawned] = {}

    def populate(self) -> None:
        nova = self.nova
        nova.create_networks()
        nova.create_fabric_network(TWIN, self.lab.spec.fabric_networks["red"].gateways)
        shop = nova.create_vpc("shop", ["red", "yellow"], ["blue"])
        twin = nova.create_vpc("twin", [TWIN])
        self.vpcs = [shop["id"], twin["id"]]
        made = nova.spawn(Wanted(name, host, net) for name, (host, net) in PLACES.items())
        nova.await_status(made)
        self.made = {one.name: one for one in made}

    def place(self, name: str) -> str:
        one = self.made[name]
        return one.host if one.host == "metal1" else one.instance.id

    def address(self, name: str, version: int = 4) -> str:
        return self.made[name].address(version)

    def answers(self, source: str, target: str, version: int = 4) -> bool:
        return self.lost(source, target, version) == 0

    def is_silent(self, source: str, target: str, version: int = 4) -> bool:
        return self.lost(source, target, version, probe.REPLY_TIMEOUT_S) == PINGS

    def lost(
        self, source: str, target: str, version: int = 4, patience_s: int = probe.ANSWERS_S
    ) -> int:
        """How many of the pings."""
        address, place = self.address(target, version), self.place(source)
        return probe.ping(self.lab, place, address, count=PINGS, patience_s=patience_s).lost

    def leaf(self, host: str) -> str:
        return fabric_state.port_in_use(self.lab, host).node

    def fabric_nodes(self, source: str, target: str) -> set[str]:
        """The switches of the fabric that see pings to an address."""
        seen = sightings.ping_sightings(self.lab, self.place(source), target)
        return {one.place for one in seen} & {one.speaker.node for one in self.lab.layout.fabric}


@pytest.fixture(scope="module")
def nova(lab_root: Path) -> Iterator[Orchestrator]:
    name = f"p{os.getpid()}"
    try:
        yield start.start(up.bring_up(spec.preset("evpn"), name, root=lab_root))
    finally:
        down.take_down(name, lab_root)


@pytest.fixture(scope="module")
def populated(nova: Orchestrator) -> Scene:
    scene = Scene(nova)
    scene.populate()
    return scene


@pytest.fixture(scope="module", params=[Irb.ASYMMETRIC, Irb.SYMMETRIC])
def scene(populated: Scene, request: pytest.FixtureRequest) -> Scene:
    topology = topology_of(populated.lab)
    fabric = replace(topology.fabric, irb=request.param)
    populated.nova.ask(lambda client: client.replace_topology(replace(topology, fabric=fabric)))
    await_planned(populated)
    return populated


def await_planned(scene: Scene) -> None:
    """Until every switch is as planned, by what it says then."""

    async def differing(client: Client) -> dict[str, Any]:
        asked = await client.ask_fabric(Action.PLAN, {"switches": []})
        done = await client.operation(asked.id, wait_s=20)
        assert done.error is None, done.error
        switches = done.result["switches"]
        return {name: one["diff"] or one["cause"] for name, one in switches.items()}

    last: dict[str, Any] = {}

    def is_planned() -> bool:
        last.update(scene.nova.ask(differing))
        return not any(last.values())

    assert eventually(is_planned, WAIT_S), last


@pytest.mark.parametrize("version", [4, 6])
def test_all_of_a_vpc_meet(scene: Scene, version: int) -> None:
    """In one network and between two, on one leaf and across, bare metal too."""
    pairs = [(source, target) for source in SHOP for target in SHOP if source != target]

    def silent() -> list[str]:
        return [f"{one} → {other}" for one, other in pairs if scene.lost(one, other, version)]

    # an ACTIVE one's IP address may not be known to all leaves yet: EVPN tells of it once heard
    assert eventually(lambda: not silent(), WAIT_S), silent()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("client", "server"), [("web1", "db4"), ("web3", "metal"), ("metal", "db1")]
)
def test_tcp_is_whole(scene: Scene, client: str, server: str, version: int) -> None:
    address = scene.address(server, version)
    assert probe.tcp(scene.lab, scene.place(client), scene.place(server), address).octets


def test_the_first_hop_is_the_local_leaf(scene: Scene) -> None:
    """Said by the packet that dies there, and seen: no other switch has the gateway's answer."""
    for name, host in (("web1", "host1"), ("web3", "host3")):
        gateways = scene.made[name].instance.gateways
        assert len(gateways) == 2
        for gateway in gateways:
            assert scene.fabric_nodes(name, gateway) == {scene.leaf(host)}
        said = ping_once(scene, name, scene.address("db4"), hops=1)
        assert f"From {gateways[0]} " in said
        assert "Time to live exceeded" in said
    assert scene.fabric_nodes("metal", scene.made["metal"].instance.gateways[0]) == {"leaf4"}


def test_what_is_routed_on_one_host_turns_round_at_its_leaf(scene: Scene) -> None:
    assert scene.fabric_nodes("web1", scene.address("db1")) == {scene.leaf("host1")}
    across = scene.fabric_nodes("web1", scene.address("db4"))
    assert across & set(scene.leaves) == {scene.leaf("host1"), scene.leaf("host4")}
    assert across & scene.spines  # there and back may take different ones


def test_every_leaf_and_no_spine_has_the_gateway(scene: Scene) -> None:
    """What the spines carry is VXLAN: they have neither VRFs nor VNIs, nor bridges."""
    gateway = scene.made["web1"].instance.gateways[0]
    holders = set(fabric_state.holders(scene.lab, gateway))
    assert holders & scene.spines == set()
    assert holders >= set(scene.leaves)
    for spine in scene.spines:
        assert spaces(scene.lab, spine) == []
        said = processes.run(scene.lab.namespace(spine), ["ip", "-json", "-details", "link"])
        kinds = {
            one["ifname"]: one.get("linkinfo", {}).get("info_kind") for one in json.loads(said)
        }
        assert kinds.pop(marks.TOKEN_LINK) == "bridge"  # bears the controller's token, no frames
        assert set(kinds.values()) <= {None, "veth"}


def test_vpcs_with_the_same_addresses_do_not_hear_each_other(scene: Scene) -> None:
    """Broadcast, and unicast to an address that both have; the controls hear theirs."""
    lab, address = scene.lab, scene.address("web1")
    assert address == scene.address("twin1")
    assert scene.made["web1"].host == scene.made["twin1"].host
    nobody = address.rpartition(".")[0] + ".250"
    who_has = f"arp and arp[24:4] = {int.from_bytes(bytes(map(int, nobody.split('.')))):#x}"
    with (
        probe.capture(lab, scene.place("web3"), "eth0", who_has) as control,
        probe.capture(lab, "metal1", "eth0", who_has) as untagged,
        probe.capture(lab, scene.place("twin1"), "eth0", who_has) as near,
        probe.capture(lab, scene.place("twin3"), "eth0", who_has) as far,
        probe.capture(lab, scene.place("db1"), "eth0", who_has) as routed,
    ):
        probe.ping(lab, scene.place("web1"), nobody, count=5)
        heard = [each.stop() for each in (control, untagged)]
        leaked = [each.stop() for each in (near, far, routed)]
    assert all(heard), heard
    assert leaked == [0, 0, 0]
    echo = f"icmp[icmptype] = icmp-echo and dst host {address}"
    for source, meant, namesake in (("twin3", "twin1", "web1"), ("web3", "web1", "twin1")):
        with (
            probe.capture(lab, scene.place(meant), "eth0", echo) as control,
            probe.capture(lab, scene.place(namesake), "eth0", echo) as other,
        ):
            assert scene.answers(source, meant)
            assert (control.stop(), other.stop()) == (PINGS, 0)


def test_a_vpc_reaches_no_network_of_another(scene: Scene) -> None:
    """db1's network is only the other VPC's; the control asks from there."""
    for version in (4, 6):
        assert scene.answers("web3", "db1", version)
        assert scene.is_silent("twin3", "db1", version)
        assert scene.is_silent("twin3", "old", version)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", SHOP)
def test_a_vpc_meets_the_vlan_stage_through_the_border(
    scene: Scene, name: str, version: int
) -> None:
    assert scene.answers(name, "old", version)
    assert scene.answers("old", name, version)
    seen = sightings.ping_sightings(scene.lab, scene.place(name), scene.address("old", version))
    assert {"border1", "core1"} <= {one.place for one in seen}
    old = scene.place("old")
    assert probe.tcp(scene.lab, old, scene.place(name), scene.address(name, version)).octets


def test_bare_metal_is_bound_by_its_link(scene: Scene) -> None:
    """As Ironic tells it; the leaf has its network untagged there, and no agent takes part."""
    port_id = scene.made["metal"].port["id"]
    port = scene.nova.ask(lambda client: Networking(client).show(Collection.PORTS, port_id))
    assert port["binding:vnic_type"] == "baremetal"
    (link,) = port["binding:profile"]["local_link_information"]
    assert (link["switch_info"], link["port_id"]) == ("leaf4", "metal1-eth0")
    attachment = fabric_state.attachments(scene.nova)[f"{port['network_id']}@metal1"]
    assert [(one.switch, one.interface) for one in attachment.access] == [("leaf4", "metal1-eth0")]
    assert attachment.vlan is None
    assert fabric_state.vlans_at(scene.lab, "leaf4", "metal1-eth0") == {0}


def test_what_is_deleted_leaves_no_trace_on_any_switch(populated: Scene) -> None:
    """Ports, VPCs, networks: VRFs, VNIs, VLANs and routes go, the fabric itself stays."""
    scene, lab = populated, populated.lab
    assert all(spaces(lab, leaf) for leaf in scene.leaves)
    scene.nova.end([str(one.port["id"]) for one in scene.made.values()])
    scene.nova.ask(lambda client: delete_all(client, scene.vpcs))

    def left() -> dict[str, list[str]]:
        found = {}
        for leaf in (*scene.leaves, "border1"):
            links = json.loads(processes.run(lab.namespace(leaf), ["ip", "-json", "link"]))
            ours = [one["ifname"] for one in links if one["ifname"].startswith(("nw", "br", "vni"))]
            there = [*(name for name in ours if name != "netwright"), *spaces(lab, leaf)]
            if there:
                found[leaf] = there
        return found

    assert eventually(lambda: not left(), WAIT_S), left()
    routes = processes.run(lab.namespace("core1"), ["ip", "route"])
    assert "10.8.0.0" not in routes
    assert probe.ping(lab, "leaf1", "10.255.0.6", count=1).lost == 0


def ping_once(scene: Scene, name: str, target: str, *, hops: int) -> str:
    """What ping says of a packet that may cross so many routers; it dies, which is no error."""
    argv = ["sh", "-c", f"ping -n -c1 -W2 -t{hops} {target} || true"]
    namespace = scene.lab.namespace
    one = scene.made[name]
    where = namespace("metal1") if one.host == "metal1" else namespace(f"vm-{one.instance.id[:11]}")
    return processes.run(where, argv)


def spaces(lab: Lab, node: str) -> list[str]:
    """The VRFs of a switch: namespaces that only it sees."""
    first = reached.first_process(lab, node)
    assert first is not None
    inside = reached.in_mounts_of(first)
    return processes.run(lab.namespace(node), [*inside, "ls", "/run/netns"]).split()


async def delete_all(client: Client, routers: list[str]) -> None:
    api = Networking(client)
    for router in routers:
        for port in await api.list(Collection.PORTS, {"device_id": router}):
            await api.remove_router_interface(router, {"port_id": port["id"]})
        await api.delete(Collection.ROUTERS, router)
    for network in await api.list(Collection.NETWORKS):
        await api.delete(Collection.NETWORKS, network["id"])
