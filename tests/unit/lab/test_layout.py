"""From description to cables, ports, addresses, and what the agent is told."""

import tomllib
from pathlib import Path

from netwright.lab import spec, state
from netwright.lab.layout import Bridge, Cable, End, Layout, Port, lay_out
from netwright.lab.nodes import host, switch


def bridge(layout: Layout, node: str) -> Bridge:
    return next(bridge for bridge in layout.bridges if bridge.node == node)


def test_every_interface_exists_once_and_fits() -> None:
    layout = lay_out(spec.preset("vlan", hosts=200))
    ends = [end for cable in layout.cables for end in (cable.lower, cable.upper)]
    assert len(ends) == len(set(ends))
    assert all(len(end.interface) <= 15 for end in ends)


def test_each_end_of_a_switch_cable_is_a_port_or_bond_member() -> None:
    layout = lay_out(spec.preset("vlan"))
    for one in layout.bridges:
        cabled = {
            end.interface
            for cable in layout.cables
            for end in (cable.lower, cable.upper)
            if end.node == one.node
        }
        gateways = {g.bridge_port for g in layout.gateways if g.router == one.node}
        assert {port.interface for port in one.ports} | set(one.bond) == cabled | gateways


def test_the_ports_of_a_tor_switch() -> None:
    layout = lay_out(spec.preset("vlan"))
    tor = bridge(layout, "tor2")
    assert tor.bond == ("up0", "up1")
    assert Port("host1-eth1", "native", 10, bfd=True) in tor.ports
    assert Port("metal1-eth0", "closed") in tor.ports
    assert layout.cables_between("tor2", "agg1") == [
        Cable(End("tor2", "up0"), End("agg1", "tor2-up0"))
    ]
    assert layout.cable_at("host3", "eth0") == Cable(
        End("host3", "eth0"), End("tor1", "host3-eth0")
    )


def test_a_single_uplink_is_a_plain_trunk() -> None:
    text = """\
management: {vlan: 10, subnet: 10.0.0.0/24, server: core1}
networks: {}
routers: {core1: {uplinks: [tor1]}}
switches: {tor1: {}}
hosts: {count: 1, uplinks: [tor1]}
"""
    layout = lay_out(spec.parse(text, source="x"))
    assert bridge(layout, "core1").bond == ()
    assert Port("up0", "trunk") in bridge(layout, "core1").ports
    assert Port("core1-up0", "trunk") in bridge(layout, "tor1").ports


def test_a_bridge_is_one_transaction_that_marks_what_it_makes() -> None:
    layout = lay_out(spec.preset("vlan"))
    arguments = " ".join(switch.bridge_arguments("demo", bridge(layout, "tor1")))
    made = arguments.count(" add-port ") + arguments.count(" add-bond ") + 1
    assert arguments.count("external_ids:netwright-lab=demo") == made
    assert "add-bond br0 uplinks up0 up1 bond_mode=active-backup" in arguments
    assert "vlan_mode=native-untagged tag=10" in arguments


def test_the_agents_configuration() -> None:
    lab = state.make_handle(spec.preset("vlan"), "demo")
    link = lab.layout.hosts[1]
    text = host.agent_configuration(lab, link, Path("/etc/token"))
    assert tomllib.loads(text) == {
        "agent": {
            "host": "host2",
            "server": "http://10.0.0.2:9696",
            "driver": "ovs",
            "datapath_type": "netdev",
            "ovsdb": "unix:/run/netwright/lab/demo/host2/ovs/db.sock",
            "physical_networks": {"physnet1": "br-bond"},
            "bond": {
                "bridge": "br-bond",
                "members": ["eth0", "eth1"],
                "mode": "active-backup",
            },
            "cni_socket": "/run/netwright/lab/demo/host2/cni.sock",
            "cni_state_directory": "/run/netwright/lab/demo/host2/cni",
            "management_ip": "10.0.0.12/24",
            "token_file": "/etc/token",
        }
    }
    assert "token_file" not in host.agent_configuration(lab, link, None)
