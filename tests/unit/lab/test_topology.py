"""The inventory that a lab gives to its server."""

from netwright.lab import spec, state
from netwright.lab.topology import topology_of
from netwright.model.topology import (
    FabricSettings,
    Gateway,
    Switch,
    SwitchKind,
    VlanInterval,
    VniInterval,
)
from netwright.model.topology_checks import check


def test_the_preset_vlan() -> None:
    lab = state.make_handle(spec.preset("vlan"), "demo")
    topology = topology_of(lab)
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


def test_the_preset_evpn() -> None:
    lab = state.make_handle(spec.preset("evpn"), "demo")
    topology = topology_of(lab)
    check(topology)
    kinds = {one.name: str(one.kind) for one in topology.switches}
    assert kinds.pop("core1") == "core"
    assert kinds.pop("tor1") == "tor"
    assert kinds.pop("border1") == "border"
    assert sorted(kinds.items()) == [
        *((f"leaf{number}", "leaf") for number in range(1, 5)),
        *((f"spine{number}", "spine") for number in range(1, 3)),
    ]
    switches = {one.name: one for one in topology.switches}
    assert switches["leaf2"] == Switch(
        name="leaf2",
        kind=SwitchKind.LEAF,
        driver="frr",
        address="local:/run/netwright/lab/demo/leaf2",
        asn=65102,
        loopback="10.255.0.4",
    )
    assert switches["core1"].driver == "core"
    assert switches["tor1"].driver == ""
    links = {str(link.lower): link for link in topology.links}
    assert str(links["host4/eth1"].upper) == "leaf4/host4-eth1"
    assert str(links["metal1/eth0"].upper) == "leaf4/metal1-eth0"
    assert str(links["border1/peer0"].upper) == "core1/border1-peer0"
    assert [name for name, link in links.items() if link.peer] == ["border1/peer0"]
    assert not [name for name in links if name.endswith("mgmt0")]
    trunks = {(each.switch, each.interface) for each in topology.gateways if each.vlan is None}
    assert trunks == {("border1", "peer0"), ("core1", "br0")}
    assert topology.fabric == FabricSettings(
        asn=65000,
        vlans=(VlanInterval(first=1000, last=1999),),
        l3vnis=(VniInterval(first=20000, last=20999),),
    )


def test_the_preset_containers_has_racks_in_zones_with_bare_metal_in_each() -> None:
    lab = state.make_handle(spec.preset("containers"), "demo")
    topology = topology_of(lab)
    check(topology)
    zones = {one.name: one.zone for one in topology.switches if one.kind is SwitchKind.LEAF}
    racks = {"zone-a": ["leaf1", "leaf2"], "zone-b": ["leaf3", "leaf4"]}
    assert zones == {leaf: zone for zone, leaves in racks.items() for leaf in leaves}
    uppers = {str(link.lower): link.upper.node for link in topology.links}
    assert uppers["metal1/eth0"] in racks["zone-a"]
    assert uppers["metal2/eth0"] in racks["zone-b"]
