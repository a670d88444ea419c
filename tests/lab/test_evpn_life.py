"""The preset `evpn` with Netwright in it: server and agents, as `netwright lab up evpn` has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from netwright.client.networking import Collection, Networking
from netwright.lab import down, faults, probe, spec, start, up
from netwright.lab.nodes import lldp
from netwright.lab.orchestrator import Orchestrator, Wanted, eventually
from netwright.lab.topology import topology_of
from netwright.model.resources import Host, HostState

pytestmark = pytest.mark.lab

WAIT_S = 20.0


@pytest.fixture
def nova(name: str, lab_root: Path) -> Iterator[Orchestrator]:
    lab = up.bring_up(spec.preset("evpn"), name, root=lab_root)
    yield start.start(lab)
    down.take_down(name, lab_root)


def test_server_and_agents_know_the_fabric(nova: Orchestrator) -> None:
    lab = nova.lab
    assert nova.ask(lambda client: client.topology()) == topology_of(lab)
    networks = {str(one["name"]): one for one in nova.create_networks()}
    for name in ("red", "yellow"):
        assert networks[name]["provider:network_type"] == "vxlan"
        assert 10000 <= networks[name]["provider:segmentation_id"] <= 19999
        assert networks[name]["mtu"] == 1500

    # The VLAN stage works as ever, beside the fabric.
    (provider,) = nova.spawn([Wanted("v1", "vhost1", "blue")])
    nova.await_status([provider])
    heard = probe.ping(lab, provider.instance.id, "10.101.0.1", patience_s=probe.ANSWERS_S)
    assert heard.lost == 0

    # The agents hear the leaves that the inventory says that they hang on.
    hosts = {one.name: one for one in nova.hosts()}
    assert set(hosts) == {"host1", "host2", "host3", "host4", "vhost1"}
    assert lldp.runs_on(lab, "host1")
    cables = {"eth0": "leaf1/host1-eth0", "eth1": "leaf2/host1-eth1"}
    assert eventually(lambda: host(nova, "host1").neighbours == cables, WAIT_S)

    # A port of the fabric, and bare metal by the leaf's interface that it hangs on.
    (instance, metal) = nova.spawn([Wanted("r1", "host1", "red"), Wanted("m1", "metal1", "red")])
    profile = nova.ask(
        lambda client: Networking(client).show(Collection.PORTS, str(metal.port["id"]))
    )["binding:profile"]
    assert profile == {
        "local_link_information": [{"switch_info": "leaf4", "port_id": "metal1-eth0"}]
    }
    assert not nova.refusal(instance)
    assert not nova.refusal(metal)

    # Control is cut out of band: the server hears host2 no more, and nobody touches its NICs.
    faults.fail(lab, "link:mgmt-host2", silent=True)
    assert eventually(lambda: host(nova, "host2").state is not HostState.UP, 40.0)
    faults.heal(lab, "link:mgmt-host2")
    assert eventually(lambda: host(nova, "host2").state is HostState.UP, 40.0)


def host(nova: Orchestrator, name: str) -> Host:
    return next(one for one in nova.hosts() if one.name == name)
