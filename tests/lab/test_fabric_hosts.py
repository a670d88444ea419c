"""Hosts of a fabric, as far as their agents make them, on the VLAN lab's wires.

The switches of that lab carry every VLAN, as a VLAN domain's leaves would between their hosts: what
the server gives a fabric network there, its hosts speak to each other by. Above the leaf nothing is
configured: the underlay is up, and the overlay is waited for until a test says that it is.
"""

import os
import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, aclosing, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from msgspec.structs import replace

from netwright.client.api import Client
from netwright.client.mirror import Mirror
from netwright.client.networking import Collection, Networking
from netwright.lab import down, netns, probe, processes, spec, start, up
from netwright.lab.nodes import lldp, ovs
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually
from netwright.lab.state import Lab
from netwright.lab.topology import topology_of
from netwright.model.fabric import LEASE, AttachmentReport, FabricReports
from netwright.model.resources import Attachment
from netwright.model.states import Plane
from netwright.model.topology import FabricSettings, SwitchKind, Topology, VlanInterval
from netwright.model.wire import (
    Kind,
    LeaseGrant,
    LeaseRequest,
    ReportOutcome,
    ReportResults,
    ReportStatus,
)

pytestmark = pytest.mark.lab

WAIT_S = 20.0
VLAN = 500
"""The only one of the domain's pool."""

LOST_MAX = 100
"""Of pings at 10 ms: whoever is away for longer has not announced where it is now."""

NICS = {"eth0": "tor1", "eth1": "tor2"}


@pytest.fixture(scope="module")
def nova(lab_root: Path) -> Iterator[Orchestrator]:
    """The preset `vlan`, whose access switches are leaves in the inventory; `red` is a VXLAN."""
    name = f"f{os.getpid()}"
    try:
        lab = up.bring_up(spec.preset("vlan"), name, root=lab_root)
        for tor in NICS.values():
            lldp.start(lab, tor, ["host*"])
        lldp.start(lab, "host1", NICS)
        orchestrator = start.start(lab)
        inventory = as_fabric(topology_of(lab))
        orchestrator.ask(lambda client: client.replace_topology(inventory))
        orchestrator.ask(create_red)
        yield orchestrator
    finally:
        down.take_down(name, lab_root)


def as_fabric(topology: Topology) -> Topology:
    switches = tuple(
        replace(one, kind=SwitchKind.LEAF, asn=65000 + number, loopback=f"10.255.0.{number}")
        if one.kind is SwitchKind.TOR
        else one
        for number, one in enumerate(topology.switches, start=1)
    )
    pool = FabricSettings(vlans=(VlanInterval(first=VLAN, last=VLAN),))
    return replace(topology, switches=switches, fabric=pool)


async def create_red(client: Client) -> None:
    api = Networking(client)
    segment = {"provider:network_type": "vxlan", "provider:segmentation_id": 5000}
    red = await api.create(Collection.NETWORKS, {"name": "red", **segment})
    for version, cidr in ((4, "10.150.0.0/24"), (6, "fd00:150::/64")):
        subnet = {"network_id": red["id"], "ip_version": version, "cidr": cidr}
        await api.create(Collection.SUBNETS, {**subnet, "gateway_ip": None})


@pytest.fixture
def made(nova: Orchestrator) -> Iterator[list[Spawned]]:
    """What is in it is ended after the test, and waited for."""
    made: list[Spawned] = []
    yield made
    nova.end([one.instance.id for one in made])
    ids = {one.instance.id for one in made}
    assert eventually(lambda: all(is_gone(nova, one) for one in ids), WAIT_S), (
        "not all that was made is withdrawn"
    )


def is_gone(nova: Orchestrator, port_id: str) -> bool:
    return "rested" in [each.event for each in nova.history(port_id)]


def spawn(nova: Orchestrator, made: list[Spawned], **hosts: str) -> list[Spawned]:
    new = nova.spawn(Wanted(name, host, "red") for name, host in hosts.items())
    made += new
    for one in new:
        assert eventually(lambda one=one: is_up(nova, one), WAIT_S), nova.history(one.instance.id)  # type: ignore[misc]
    return new


def is_up(nova: Orchestrator, one: Spawned) -> bool:
    return "plane_up" in [each.event for each in nova.history(one.instance.id)]


def status(nova: Orchestrator, one: Spawned) -> str:
    return str({port["id"]: port["status"] for port in nova.ports()}[one.instance.id])


def answers(lab: Lab, source: Spawned, target: Spawned, version: int = 4, count: int = 3) -> bool:
    address = target.address(version)
    return probe.ping(lab, source.instance.id, address, count=count).lost == 0


def flows(lab: Lab, node: str, bridge: str) -> str:
    socket = f"unix:{ovs.run_directory(lab, node)}/{bridge}.mgmt"
    argv = ["ovs-ofctl", "-O", "OpenFlow14", "dump-flows", socket]
    return processes.run(lab.namespace(node), argv)


def carries_vlan(lab: Lab, node: str) -> bool:
    return f"dl_vlan={VLAN}" in flows(lab, node, "br-bond")


def test_two_hosts_speak_by_their_domains_vlan(nova: Orchestrator, made: list[Spawned]) -> None:
    lab = nova.lab
    one, two = spawn(nova, made, one="host1", two="host2")
    by_vlan, untagged = f"vlan {VLAN} and icmp", "not vlan and icmp"
    with (
        probe.capture(lab, "host1", "eth0", by_vlan) as first,
        probe.capture(lab, "host1", "eth1", by_vlan) as second,
        probe.capture(lab, "host1", "eth0", untagged) as outside,
    ):
        assert answers(lab, one, two)
        heard = first.stop() + second.stop()
        assert heard == 2 * 3  # three requests and their replies, by the NIC in use
        assert outside.stop() == 0
    assert answers(lab, one, two, version=6)
    assert {status(nova, each) for each in (one, two)} == {"BUILD"}
    assert not carries_vlan(lab, "host3")


def test_a_provider_network_of_the_same_vlan_is_refused_where_the_fabrics_stands(
    nova: Orchestrator, made: list[Spawned]
) -> None:
    lab = nova.lab
    one, two = spawn(nova, made, one="host1", two="host2")

    async def create_clash(client: Client) -> str:
        api = Networking(client)
        segment = {
            "provider:network_type": "vlan",
            "provider:physical_network": lab.spec.physical_network,
            "provider:segmentation_id": VLAN,
        }
        network = await api.create(Collection.NETWORKS, {"name": "clash", **segment})
        subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.151.0.0/24"}
        await api.create(Collection.SUBNETS, subnet)
        return str(network["id"])

    clash_id = nova.ask(create_clash)
    (clash,) = nova.spawn([Wanted("clash", "host1", "clash")])
    made.append(clash)
    assert eventually(lambda: nova.refusal(clash) != "", WAIT_S)
    why = nova.refusal(clash)
    red_id = str(nova.network("red")["id"])
    assert f"provider network {clash_id} and fabric network {red_id}" in why
    assert f"the same VLAN {VLAN}" in why
    assert answers(lab, one, two)
    nova.end([one.instance.id])
    made.remove(one)
    # Once red has left the host, the VLAN is free there.
    assert eventually(lambda: status(nova, clash) == "ACTIVE", WAIT_S)


def test_what_is_withdrawn_takes_the_vlan_with_it(nova: Orchestrator) -> None:
    lab, made = nova.lab, list[Spawned]()
    (one,) = spawn(nova, made, one="host1")
    assert carries_vlan(lab, "host1")
    nova.end([one.instance.id])
    assert eventually(lambda: is_gone(nova, one.instance.id), WAIT_S)
    assert not carries_vlan(lab, "host1")
    assert one.instance.mac not in flows(lab, "host1", "br-int")


def test_a_guest_migrates_within_its_fabric_network(
    nova: Orchestrator, made: list[Spawned]
) -> None:
    """Its standby is prepared on the VLAN before it comes, and is silent until it is activated."""
    lab = nova.lab
    near, mover = spawn(nova, made, near="host1", mover="host2")
    assert not carries_vlan(lab, "host3")
    with probe.pinging(lab, near.instance.id, mover.address(), count=300, interval_s=0.01) as run:
        nova.live_migrate(mover.instance.id, "host3", planes=frozenset({Plane.UNDERLAY}))
        assert run.finish().lost < LOST_MAX
    assert eventually(lambda: not carries_vlan(lab, "host2"), WAIT_S)
    assert answers(lab, near, mover)


def test_an_agent_hears_who_its_nics_hang_on(nova: Orchestrator) -> None:
    """By lldpd, though Open vSwitch has both NICs, and one of them only stands by."""
    links = topology_of(nova.lab).links
    cables = {one.lower.interface: str(one.upper) for one in links if one.lower.node == "host1"}
    assert cables.keys() == NICS.keys()

    def heard(host: str) -> Mapping[str, str]:
        return next(one.neighbours for one in nova.hosts() if one.name == host)

    assert eventually(lambda: heard("host1") == cables, WAIT_S), heard("host1")
    assert heard("host2") == {}


def test_a_port_is_active_once_the_fabric_carries_it_and_then_it_speaks_again(
    nova: Orchestrator, made: list[Spawned]
) -> None:
    """What it said when it was wired would have ended at a leaf without the VLAN."""
    with listening(nova.lab, "host1") as heard:
        (one,) = spawn(nova, made, one="host1")
        heard.await_gratuitous_arp(one)
        assert status(nova, one) == "BUILD"
        nova.ask(overlay_up)
        nova.await_status([one])
        heard.await_gratuitous_arp(one)


async def overlay_up(client: Client) -> None:
    """The fabric controller's part: all that is wanted on host1 is up."""
    lease = LeaseRequest(holder="test", ttl_s=60.0)
    grant = await client.call("POST", f"/v1/leases/{LEASE}", LeaseGrant, body=lease)
    reports = tuple(
        AttachmentReport(
            network_id=attachment.network_id,
            host=attachment.host,
            generation=attachment.generation,
            status=ReportStatus.UP,
        )
        for attachment in (await attachments_on(client, "host1"))
        if attachment.vlan == VLAN
    )
    assert len(reports) == 1
    told = FabricReports(token=grant.token, attachments=reports)
    done = await client.call("POST", "/v1/fabric/reports", ReportResults, body=told)
    assert [one.result for one in done.results] == [ReportOutcome.APPLIED]


async def attachments_on(client: Client, host: str) -> tuple[Attachment, ...]:
    mirror = Mirror()
    mirror.opened()
    async with aclosing(client.watch((Kind.ATTACHMENT,), host, None)) as stream:
        async for lines in stream:
            for line in lines:
                mirror.feed(line)
            if mirror.complete:
                break
    return tuple(mirror.attachments.values())


@contextmanager
def listening(lab: Lab, host: str) -> Iterator["Listening"]:
    """Every frame on the host's NICs from now on."""
    with ExitStack() as opened:
        sockets = [netns.run_in(lab.namespace(host), packet_socket) for _ in NICS]
        for nic, one in zip(NICS, sockets, strict=True):
            opened.enter_context(one)
            netns.run_in(lab.namespace(host), lambda nic=nic, one=one: one.bind((nic, ALL)))  # type: ignore[misc]
        yield Listening(sockets)


ALL = 3
"""ETH_P_ALL (linux/if_ether.h)."""


def packet_socket() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)


class Listening:
    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets

    def await_gratuitous_arp(self, one: Spawned) -> None:
        """The next frame in which the port says where its IPv4 address is."""
        address = IPv4Address(one.address()).packed
        mac = bytes.fromhex(one.instance.mac.replace(":", ""))
        wanted = mac + address + bytes(6) + address
        give_up = time.monotonic() + WAIT_S
        while (left := give_up - time.monotonic()) > 0:
            readable, _, _ = select.select(self._sockets, [], [], left)
            if any(wanted in each.recv(2048) for each in readable):
                return
        raise AssertionError(f"{one.name} has not announced itself within {WAIT_S:g} s")
