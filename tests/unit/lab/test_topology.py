"""The inventory that a lab gives to its server."""

from netwright.lab import spec
from netwright.lab.layout import lay_out
from netwright.lab.topology import topology_of
from netwright.model.topology import Gateway
from netwright.model.topology_checks import check


def test_the_preset_vlan() -> None:
    layout = lay_out(spec.preset("vlan"))
    topology = topology_of(layout, "physnet1")
    check(topology)
    assert {one.name: str(one.kind) for one in topology.switches} == {
        "agg1": "aggregation",
        "agg2": "aggregation",
        "tor1": "tor",
        "tor2": "tor",
        "core1": "core",
    }
    assert [str(link.lower) for link in topology.links if link.peer] == ["agg1/peer0"]
    upward = [str(link.upper) for link in topology.links if link.lower.node == "tor1"]
    assert upward == ["agg1/tor1-up0", "agg2/tor1-up1"]
    assert topology.gateways[0] == Gateway(
        switch="core1", interface="vlan101", physical_network="physnet1", vlan=101
    )
