"""A provider network over two racks, each a physical network with a VLAN and a subnet of its own.

`rack2` is host2's name for the wire that others call physnet1; the core router has both gateways.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from netwright.client.api import Client
from netwright.client.networking import Collection, Networking
from netwright.lab import down, faults, probe, spec, start, up
from netwright.lab.nodes import host as hosts
from netwright.lab.orchestrator import Orchestrator, Spawned, Wanted, eventually
from netwright.lab.services import AGENT

pytestmark = pytest.mark.lab

SOON_S = 30.0


@pytest.fixture(scope="module")
def nova(lab_root: Path) -> Iterator[Orchestrator]:
    """host2's agent names `rack2` in place of `physnet1`; `routed` is on both."""
    name = "routed"
    described = replace(spec.preset("vlan"), further_physical_networks=("rack2",))
    try:
        lab = up.bring_up(described, name, root=lab_root)
        nova = start.start(lab)
        configuration = hosts.agent_configuration_path(lab, "host2")
        text = configuration.read_text()
        configuration.write_text(text.replace("physnet1 =", "rack2 ="))
        faults.fail(lab, f"process:host2/{AGENT}")
        faults.heal(lab, f"process:host2/{AGENT}")
        assert eventually(lambda: "rack2" in named_by(nova, "host2"), SOON_S)
        nova.ask(make_network)
        yield nova
    finally:
        down.take_down(name, lab_root)


def named_by(nova: Orchestrator, host: str) -> frozenset[str]:
    """A host's physical networks."""
    (found,) = (each for each in nova.hosts() if each.name == host)
    return frozenset(found.physical_networks)


async def make_network(client: Client) -> None:
    """VLAN 101 on physnet1, VLAN 102 on rack2."""
    api = Networking(client)
    own = {
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": 101,
    }
    network = await api.create(Collection.NETWORKS, {"name": "routed", **own})
    of_it = {"network_id": network["id"]}
    (first,) = await api.list(Collection.SEGMENTS, of_it)
    further = {"network_type": "vlan", "physical_network": "rack2", "segmentation_id": 102}
    second = await api.create(Collection.SEGMENTS, {**of_it, **further})
    for segment in (first, second):
        cidr = f"10.{segment['segmentation_id']}.0.0/24"
        subnet = {"cidr": cidr, "ip_version": 4, "segment_id": segment["id"]}
        await api.create(Collection.SUBNETS, {**of_it, **subnet})


def bound_at(nova: Orchestrator, **places: str) -> list[Spawned]:
    """Instances whose ports know their hosts from the beginning: these give them addresses."""
    made = nova.spawn(
        Wanted(name, host, "routed", {"binding:host_id": host}) for name, host in places.items()
    )
    refused = [why for one in made if (why := nova.refusal(one))]
    assert not refused, refused
    nova.await_status(made)
    return made


def test_each_rack_has_its_segment_and_routers_lead_between_them(nova: Orchestrator) -> None:
    """Instances of one rack meet within their VLAN, and those of the other by the gateways."""
    lab = nova.lab
    near, beside, far = bound_at(nova, near="host1", beside="host3", far="host2")
    assert [one.address().split(".")[1] for one in (near, beside, far)] == ["101", "101", "102"]
    nobody = "arp and arp[24:4] = 0x0a6500fa"  # for 10.101.0.250
    with (
        probe.capture(lab, beside.instance.id, "eth0", nobody) as same_rack,
        probe.capture(lab, far.instance.id, "eth0", nobody) as other_rack,
    ):
        probe.ping(lab, near.instance.id, "10.101.0.250", count=1)
        assert same_rack.stop() >= 1
        assert other_rack.stop() == 0
    for other in (beside, far):
        assert probe.ping(lab, near.instance.id, other.address()).lost == 0
    nova.end([one.instance.id for one in (near, beside, far)])


def test_a_port_is_not_bound_in_a_rack_where_its_address_is_of_no_use(nova: Orchestrator) -> None:
    (one,) = bound_at(nova, mover="host2")
    nova.bind({one.instance.id: "host3"})
    (port,) = (port for port in nova.ports() if port["id"] == one.instance.id)
    assert port["binding:vif_type"] == "binding_failed"
    assert port["fixed_ips"] == one.port["fixed_ips"]  # its own for life
    assert "physical network physnet1" in (why := nova.refusal(one))
    assert "bind the port where that is" in why
    nova.end([one.instance.id])
