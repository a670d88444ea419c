"""A lab with a fabric: what a description may say, who hangs where, what switches are told."""

import tomllib

import pytest

from netwright.lab import services, spec, state
from netwright.lab.errors import SpecError
from netwright.lab.layout import End, FabricSwitch, Port, lay_out
from netwright.lab.nodes import frr, host, observer
from netwright.lab.nodes.frr_config import configurations, daemons
from netwright.lab.state import Lab

GOOD = """\
management: {subnet: 10.0.0.0/24}
networks: {}
routers: {core1: {uplinks: [tor1]}}
switches:
  tor1:
provider_hosts:
  vhost1: {uplinks: [tor1, tor1]}
fabric:
  asn: 65000
  leaf_asn: 65101
  observer_asn: 64999
  loopbacks: 10.255.0.0/28
  spines: 2
  leaf_pairs: 2
  hosts_per_pair: 4
  borders:
    border1: {router: core1}
  vlans: [1000, 1999]
  vnis: [10000, 19999]
  l3vnis: [20000, 20999]
fabric_networks:
  red: {gateways: [10.8.0.1/24]}
hosts: {count: 4}
baremetal:
  metal1: {port: leaf4}
"""


def preset(hosts: int | None = None) -> Lab:
    return state.make_handle(spec.preset("evpn", hosts=hosts), "demo")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("spines: 2", "spine: 2", r"x.yaml:13: fabric.spine: unknown key.*'spines'"),
        ("spines: 2", "spines: 0", r"x.yaml:13: fabric.spines: .*at least 1"),
        ("router: core1", "router: tor1", r"x.yaml:17: fabric.borders.border1.router: 'tor1'"),
        ("router: core1", "port: core1", r"x.yaml:17: fabric.borders.border1.port: unknown key"),
        ("border1:", "leaf3:", r"x.yaml:17: fabric.borders.leaf3: another node has this name"),
        ("[1000, 1999]", "[1000, 1]", r"x.yaml:18: fabric.vlans: it begins at 1000, after its"),
        ("[1000, 1999]", "[1000]", r"x.yaml:18: fabric.vlans: "),
        ("[20000,", "[19999,", r"x.yaml:20: fabric.l3vnis: it overlaps vnis"),
        ("255.0.0/28", "255.0.0/30", r"x.yaml:12: fabric.loopbacks: .*of more than 7 addresses"),
        ("10.255.0.0/28", "fd00::/64", r"x.yaml:12: fabric.loopbacks: .*must be an IPv4 subnet"),
        ("asn: 65000", "asn: 65103", r"x.yaml:9: fabric.asn: leaves have 65101 to 65105"),
        ("asn: 64999", "asn: 65000", r"x.yaml:11: fabric.observer_asn: the spines have it"),
        ("count: 4", "count: 200", r"x.yaml:12: fabric.loopbacks: "),
        ("0.0/24}", "0.0/28}", r"x.yaml:1: management.subnet: .*for 4 hosts and 8 other nodes"),
        ("0.0/24}", "0.0/24, vlan: 10}", r"x.yaml:1: management: vlan and server go together"),
        (
            "0.0/24}",
            "0.0/24, vlan: 10, server: tor1}",
            r"x.yaml:1: management.server: leaves carry",
        ),
        (
            "port: leaf4",
            "port: leaf5",
            r"x.yaml:25: baremetal.metal1.port: 'leaf5' cannot be meant",
        ),
        ("leaf4}", "leaf4, vlan: 9}", r"x.yaml:25: baremetal.metal1.vlan: leaf4 is a leaf"),
        ("[tor1, tor1]", "[leaf1]", r"x.yaml:7: provider_hosts.vhost1.uplinks: 'leaf1' cannot"),
        ("[10.8.0.1/24]", "[10.8.0.1]", r"x.yaml:22: fabric_networks.red.gateways: .*its prefix"),
        ("[10.8.0.1/24]", "[]", r"x.yaml:22: fabric_networks.red.gateways: .*must have an item"),
        ("0.1/24]}", "0.1/24], labels: {-: a}}", r"x.yaml:22: fabric_networks.red.labels: "),
        (
            "0.1/24]}",
            "0.1/24], drift_domain: zone}",
            r"x.yaml:22: fabric_networks.red.drift_domain: the fabric has no zones",
        ),
        (
            "0.1/24]}",
            "0.1/24], drift_domain: [leaf1, leaf9]}",
            r"x.yaml:22: fabric_networks.red.drift_domain: there is no leaf leaf9; there are",
        ),
        ("0.1/24]}", "0.1/24], drift_domain: row}", r"x.yaml:22: fabric_networks.red.drift_domain"),
        ("spines: 2", "spines: 2\n  zones: ['']", r"x.yaml:14: fabric.zones"),
        ("vhost1:", "host1:", r"x.yaml:7: provider_hosts.host1: another node has this name"),
        ("metal1:", "spine2:", r"x.yaml:25: baremetal.spine2: another node has this name"),
    ],
)
def test_an_error_names_line_and_element(old: str, new: str, message: str) -> None:
    assert old in GOOD
    spec.parse(GOOD, source="x.yaml")
    with pytest.raises(SpecError, match=message):
        spec.parse(GOOD.replace(old, new), source="x.yaml")


def test_hosts_need_something_to_hang_on() -> None:
    text = "management: {subnet: 10.0.0.0/24}\nnetworks: {}\nswitches: {}\nrouters: {}\n"
    with pytest.raises(
        SpecError, match=r"x.yaml:5: hosts: uplinks are missing, and there is no fab"
    ):
        spec.parse(f"{text}hosts: {{count: 1}}\n", source="x.yaml")


def test_hosts_hang_on_both_leaves_of_their_pair() -> None:
    layout = preset().layout
    upper = {
        end.node: sorted(c.upper.node for c in layout.cables if c.lower.node == end.node)
        for end in (c.lower for c in layout.cables)
    }
    assert upper["host1"] == upper["host2"] == ["leaf1", "leaf2", "mgmt"]
    assert upper["host3"] == upper["host4"] == ["leaf3", "leaf4", "mgmt"]
    assert upper["leaf1"] == ["mgmt", "spine1", "spine2"]
    assert upper["border1"] == ["core1", "mgmt", "spine1", "spine2"]
    nic = layout.cable_at("host3", "eth1")
    assert nic is not None
    assert nic.upper == End("leaf4", "host3-eth1")


@pytest.mark.parametrize(("hosts", "leaves"), [(1, 4), (4, 4), (8, 4), (9, 6), (32, 16)])
def test_leaves_scale_with_hosts(hosts: int, leaves: int) -> None:
    layout = preset(hosts).layout
    assert len([node for node in layout.nodes if node.kind == "leaf"]) == leaves
    facing = [
        len([port for port in one.edge_ports if port.startswith("host")])
        for one in layout.fabric
        if one.speaker.kind == "leaf"
    ]
    assert max(facing) <= 4
    assert sum(facing) == 2 * hosts


def test_racks_stand_in_the_zones_in_turn() -> None:
    lab = state.make_handle(spec.preset("containers", hosts=9), "demo")
    zones = {one.speaker.node: one.speaker.zone for one in lab.layout.fabric}
    assert [zones[f"leaf{number}"] for number in range(1, 7)] == [
        *("zone-a", "zone-a", "zone-b", "zone-b"),
        *("zone-a", "zone-a"),
    ]
    assert zones["spine1"] == zones["border1"] == ""
    assert {one.speaker.zone for one in preset().layout.fabric} == {""}


def test_every_name_and_address_stands_once() -> None:
    lab = state.make_handle(spec.preset("evpn", hosts=200), "demo")
    ends = [end for cable in lab.layout.cables for end in (cable.lower, cable.upper)]
    assert len(ends) == len(set(ends))
    assert all(len(end.interface) <= 15 for end in ends)
    addresses = [leg.address for leg in lab.layout.legs] + [lab.layout.server_ip]
    loopbacks = [one.speaker.loopback for one in lab.layout.fabric]
    leaf_asns = [one.speaker.asn for one in lab.layout.fabric if one.speaker.kind != "spine"]
    for unique in (addresses, loopbacks, leaf_asns):
        assert len(unique) == len(set(unique))


def switch_of(lab: Lab, name: str) -> FabricSwitch:
    return frr.fabric_switch(lab, name)


def test_the_interfaces_of_a_switch_by_what_they_lead_to() -> None:
    lab = preset()
    leaf, border, spine = (switch_of(lab, name) for name in ("leaf4", "border1", "spine1"))
    assert leaf.fabric_ports == border.fabric_ports == ("up0", "up1")
    assert leaf.edge_ports == ("host3-eth1", "host4-eth1", "metal1-eth0")
    assert border.edge_ports == ("peer0",)
    assert spine.fabric_ports == tuple(
        f"{leaf}-up0" for leaf in ["leaf1", "leaf2", "leaf3", "leaf4", "border1"]
    )
    assert spine.edge_ports == ()
    core = next(bridge for bridge in lab.layout.bridges if bridge.node == "core1")
    assert Port("border1-peer0", "trunk") in core.ports


def test_a_leaf_is_told_the_underlay_alone() -> None:
    lab = preset()
    leaf = switch_of(lab, "leaf1")
    told = configurations(leaf, frr.observer_of(lab))
    assert tuple(told) == daemons(leaf) == ("zebra", "staticd", "bfdd", "bgpd")
    assert "router bgp 65101\n bgp router-id 10.255.0.3\n" in told["bgpd"]
    assert " neighbor up1 interface peer-group fabric\n" in told["bgpd"]
    assert "  network 10.255.0.3/32\n" in told["bgpd"]
    assert "  advertise-all-vni\n" in told["bgpd"]
    assert "10.0.0.2" not in told["bgpd"]
    assert "vni " not in "".join(told.values())


def test_a_leaf_speaks_bfd_with_bonds_and_with_nothing_else_below_it() -> None:
    lab = preset()
    told = configurations(switch_of(lab, "leaf1"), None)["bfdd"]
    peers = [line.split()[-1] for line in told.splitlines() if line.startswith(" peer ")]
    assert peers == ["host1-eth0", "host2-eth0"]
    assert " peer 169.254.1.1 local-address 169.254.1.0 interface host1-eth0\n" in told
    assert " peer " not in configurations(switch_of(lab, "border1"), None)["bfdd"]


def test_a_spine_takes_nothing_from_the_observer() -> None:
    lab = preset()
    spine = switch_of(lab, "spine2")
    told = configurations(spine, frr.observer_of(lab))
    assert tuple(told) == ("zebra", "bfdd", "bgpd")
    assert " neighbor 10.0.0.2 remote-as 64999\n" in told["bgpd"]
    assert "  neighbor 10.0.0.2 route-map nothing in\n" in told["bgpd"]
    assert "route-map nothing deny 1\n" in told["bgpd"]
    assert "advertise-all-vni" not in told["bgpd"]


def test_the_observer_hears_both_spines() -> None:
    lab = preset()
    told = tomllib.loads(observer.gobgpd_configuration(lab.layout, "10.0.0.2", 64999))
    assert told["global"]["config"] == {"as": 64999, "router-id": "10.0.0.2"}
    heard = [one["config"] for one in told["neighbors"]]
    assert heard == [{"neighbor-address": f"10.0.0.{last}", "peer-as": 65000} for last in (16, 17)]


def test_a_host_of_the_fabric_has_no_management_address_on_its_bond() -> None:
    lab = preset()
    links = {link.host: link for link in lab.layout.hosts}
    text = host.agent_configuration(lab, links["host1"], None)
    assert tomllib.loads(text)["agent"] == {
        "host": "host1",
        "server": "http://10.0.0.2:9696",
        "driver": "ovs",
        "datapath_type": "netdev",
        "ovsdb": "unix:/run/netwright/lab/demo/host1/ovs/db.sock",
        "fabric_bridge": "br-bond",
        "bond": {
            "bridge": "br-bond",
            "members": ["eth0", "eth1"],
            "mode": "active-backup",
        },
        "cni_socket": "/run/netwright/lab/demo/host1/cni.sock",
        "cni_state_directory": "/run/netwright/lab/demo/host1/cni",
    }
    provider = tomllib.loads(host.agent_configuration(lab, links["vhost1"], None))["agent"]
    assert provider["physical_networks"] == {"physnet1": "br-bond"}
    assert "fabric_bridge" not in provider


def test_the_server_gives_the_fabrics_vnis() -> None:
    told = tomllib.loads(services.server_configuration(preset(), "token"))["server"]
    assert told["vni_ranges"] == ["10000:19999"]
    assert told["tenant_network_types"] == ["vxlan", "vlan"]
    assert told["fabric_mtu"] == 1550


def test_a_layout_without_a_fabric_has_none_of_it() -> None:
    layout = lay_out(spec.preset("vlan"))
    assert layout.fabric == ()
    assert layout.legs == ()
