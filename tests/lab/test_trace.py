"""The computed trace against the packet: seen on every interface that it names, and on no other.

Every interface of the lab is listened on at once. Open vSwitch's bridges are no interfaces that a
packet crosses, so they are asked for the way that they would give it (ofproto/trace).
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from netwright.client.networking import Collection, Networking
from netwright.lab import down, faults, probe, spec, start, up
from netwright.lab.nodes import host, ovs, switch
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually
from netwright.lab.processes import run
from netwright.lab.sightings import Sighting, ping_sightings
from netwright.lab.state import Lab
from netwright.model.trace import DeviceKind, Trace

pytestmark = pytest.mark.lab

INSTANCES = (
    Wanted("web1", "host1", "blue"),
    Wanted("web2", "host1", "blue"),
    Wanted("web3", "host2", "blue"),
    Wanted("db1", "host1", "green"),
    Wanted("db3", "host3", "green"),
    Wanted("metal", "metal1", "blue"),
)
# Source and target; web1 and web2, web1 and db1 are on one host.
WAYS = [
    ("web1", "web2"),
    ("web1", "web3"),
    ("web1", "db1"),
    ("web3", "db3"),
    ("web1", "metal"),
    ("metal", "db3"),
]
PINGS = 5
TOLD_S_MAX = 15.0


class Stage(Struct, frozen=True):
    lab: Lab
    orchestrator: Orchestrator
    made: dict[str, Spawned]

    def place(self, name: str) -> str:
        one = self.made[name]
        return one.host if self.lab.node(one.host).kind == "baremetal" else one.instance.id

    def lab_has(self, node: str) -> bool:
        return any(one.name == node for one in self.lab.layout.nodes)

    def trace(self, source: str, target: str) -> Trace:
        return self.orchestrator.ask(lambda client: client.trace(source, target))


@pytest.fixture(scope="module")
def stage(lab_root: Path) -> Iterator[Stage]:
    name = f"r{os.getpid()}"
    try:
        lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
        orchestrator = start.start(lab)
        orchestrator.create_networks()
        made = orchestrator.spawn(INSTANCES)
        orchestrator.await_status(made)
        # Which NIC a bond uses is known once its agent's next heartbeat has told.
        assert eventually(lambda: actives_are_reported(lab, orchestrator), TOLD_S_MAX)
        yield Stage(lab, orchestrator, {one.name: one for one in made})
    finally:
        down.take_down(name, lab_root)


def actives_are_reported(lab: Lab, orchestrator: Orchestrator) -> bool:
    return all(
        [nic.name for nic in one.nics if nic.active]
        == [switch.active_member(lab, one.name, host.BOND)]
        for one in orchestrator.hosts()
    )


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(("source", "target"), WAYS)
def test_the_packet_is_seen_where_the_trace_says_and_nowhere_else(
    stage: Stage, source: str, target: str, version: int
) -> None:
    assert_seen_where_traced(stage, source, target, version)


def assert_seen_where_traced(stage: Stage, source: str, target: str, version: int = 4) -> Trace:
    address = stage.made[target].address(version)
    probe.ping(stage.lab, stage.place(source), address, count=2)  # every switch knows them now
    found = stage.trace(stage.made[source].address(version), address)
    assert found.complete
    seen = ping_sightings(stage.lab, stage.place(source), address, count=PINGS)
    assert seen == {one: PINGS * times for one, times in crossed_by(stage, found).items()}
    return found


def crossed_by(stage: Stage, found: Trace) -> Counter[Sighting]:
    """How often a packet crosses each of the kernel's interfaces, as a trace says it."""
    crossed = Counter(
        Sighting(end.node, end.interface)
        for crossing in found.links
        for end in (crossing.leaves, crossing.enters)
    )
    for device in found.devices:
        here = Sighting(device.node, device.device)
        match device.kind:
            case DeviceKind.TAP:
                crossed[here] += 1
            case DeviceKind.NIC:
                assert here in crossed
            case DeviceKind.GATEWAY:  # in the lab a veth, whose other end is the line card's
                crossed[here] += 1
                crossed[Sighting(device.node, f"{device.device}-port")] += 1
            case DeviceKind.VNIC if stage.lab_has(device.node):
                assert here in crossed
            case DeviceKind.VNIC:
                one = stage.made[device.node]
                assert device.device == one.instance.mac
                crossed[Sighting(one.instance.id, "eth0")] += 1
    return crossed


def test_the_counts_of_the_page(stage: Stage) -> None:
    """docs/trace.md; which ToR a host uses does not change these."""
    assert stage.trace("web1", "web2").count == 5
    assert stage.trace("web1", "db1").count == 16


def test_open_vswitch_would_give_it_the_same_way(stage: Stage) -> None:
    """br-int, br-bond and its NIC on the host; on switches, the port that leads to the next."""
    found = stage.trace("web1", "db1")
    probe.ping(stage.lab, stage.place("web1"), stage.made["db1"].address(), count=2)
    web1 = stage.made["web1"]
    frame = (
        f"dl_src={web1.instance.mac},dl_dst={gateway_mac(stage, 'vlan101')},icmp,"
        f"nw_src={web1.address()},nw_dst={stage.made['db1'].address()},nw_ttl=64,icmp_type=8"
    )
    on_host = ofproto_trace(stage.lab, "host1", "br-int", f"in_port={web1.instance.tap},{frame}")
    assert [one.device for one in found.devices[1:5]] == [web1.instance.tap, *on_host]
    passed = 0
    for entering, leaving in zip(found.links, found.links[1:], strict=False):
        if entering.enters.node == "core1":
            break
        port = f"in_port={entering.enters.interface},dl_vlan=101,{frame}"
        way = ofproto_trace(stage.lab, entering.enters.node, switch.BRIDGE, port)
        assert way == [switch.BRIDGE, leaving.leaves.interface]
        passed += 1
    assert passed == 2, "a ToR and an aggregation switch"


def gateway_mac(stage: Stage, interface: str) -> str:
    """The MAC in `ip -oneline link`."""
    said = run(stage.lab.namespace("core1"), ["ip", "-oneline", "link", "show", interface])
    found = re.search(r"link/ether (\S+)", said)
    assert found, said
    return found[1]


def ofproto_trace(lab: Lab, node: str, bridge: str, flow: str) -> list[str]:
    """The bridges that a packet passes and the interface that it leaves by."""
    said = ovs.appctl(lab, node, "ofproto/trace", bridge, flow)
    bridges = re.findall(r'^bridge\("(.+?)"\)', said, re.MULTILINE)
    output = re.search(r"^Datapath actions: (?:.*,)?(\d+)$", said, re.MULTILINE)
    assert output, said  # one port at the end: known, not flooded
    ports = dict(re.findall(r"port (\d+): (\S+)", ovs.appctl(lab, node, "dpctl/show")))
    return [*bridges, ports[output[1]]]


def test_a_port_that_is_not_bound_ends_the_way(stage: Stage) -> None:
    draft = {"name": "nowhere", "network_id": stage.orchestrator.network("green")["id"]}
    stage.orchestrator.ask(lambda client: Networking(client).create(Collection.PORTS, draft))
    found = stage.trace("web1", "nowhere")
    assert not found.complete
    assert found.devices[-1].kind is DeviceKind.GATEWAY
    assert "nowhere" in found.reason
    assert "is bound to no host" in found.reason


def test_the_trace_follows_a_bond_that_fails_over(stage: Stage) -> None:
    """Last in this module: traffic does not return to the first NIC when that is mended."""
    before = switch.active_member(stage.lab, "host1", host.BOND)
    faults.fail(stage.lab, f"nic:host1/{before}", silent=True)
    try:
        moved = eventually(lambda: nic_of(stage.trace("web1", "db1")) != before, TOLD_S_MAX)
        assert moved, "host1 did not report that its bond failed over"
        found = assert_seen_where_traced(stage, "web1", "db1")
        assert nic_of(found) == switch.active_member(stage.lab, "host1", host.BOND) != before
    finally:
        faults.heal(stage.lab, f"nic:host1/{before}")


def nic_of(found: Trace) -> str:
    return next(one.device for one in found.devices if one.kind is DeviceKind.NIC)
