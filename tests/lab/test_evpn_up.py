"""The preset `evpn`: it converges, carries between VTEPs, and survives what it should survive.

No fabric controller runs here: what a leaf carries for its hosts is tested with the drivers.
"""

import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.test_up_down import assert_nothing_left, host_interfaces

from netwright.lab import (
    convergence,
    down,
    faults,
    links,
    netns,
    probe,
    processes,
    spec,
    state,
    up,
)
from netwright.lab.broken import Fault, broken
from netwright.lab.errors import UnknownLabObjectError
from netwright.lab.nodes import frr, host, lldp, observer, ovs, reached, switch, vty
from netwright.lab.orchestrator import eventually
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab

pytestmark = pytest.mark.lab

VNI = 10001
_ETH_P_ALL = 0x0003


@pytest.fixture(scope="module")
def lab(lab_root: Path) -> Iterator[Lab]:
    """Hosts are wired by the agents' stand-in. Tests heal what they break."""
    unique = f"e{time.time_ns() % 10**9}"
    try:
        yield up.bring_up(spec.preset("evpn"), unique, root=lab_root, stand_in_agents=True)
    finally:
        down.take_down(unique, lab_root)


@pytest.fixture
def breaking(lab: Lab) -> Iterator[list[str]]:
    """What a test breaks it names here; it is mended afterwards, and converged."""
    names: list[str] = []
    yield names
    for what in names:
        faults.heal(lab, what)
    for one in lab.layout.fabric:
        for port in frr.held(lab, one.speaker.node):
            links.set_state(lab.namespace(one.speaker.node), port, up=True)
        frr.hold_path(lab, one.speaker.node).unlink(missing_ok=True)
    convergence.await_converged(lab)


def loopback(lab: Lab, node: str) -> str:
    return frr.fabric_switch(lab, node).speaker.loopback


def next_hops(lab: Lab, node: str, target: str) -> list[str]:
    """The interfaces by which the kernel may send to an address."""
    (route,) = json.loads(inside(lab, node, "ip", "-json", "route", "show", target))
    return sorted(hop["dev"] for hop in route.get("nexthops", [route]))


def inside(lab: Lab, node: str, *argv: str) -> str:
    return processes.run(lab.namespace(node), list(argv))


def test_every_leaf_reaches_every_loopback_over_both_spines(lab: Lab) -> None:
    tops = [one for one in lab.layout.fabric if one.speaker.kind != "spine"]
    assert [one.speaker.node for one in tops] == ["leaf1", "leaf2", "leaf3", "leaf4", "border1"]
    for one in tops:
        for other in tops:
            if one is not other:
                target = other.speaker.loopback
                assert next_hops(lab, one.speaker.node, target) == ["up0", "up1"]
                assert probe.ping(lab, one.speaker.node, target, count=1).lost == 0


def test_bfd_watches_every_session_and_the_bonds_of_hosts(lab: Lab) -> None:
    answer = json.loads(
        vty.ask(frr.vty_path(lab, "leaf1", "bfdd"), "enable", "show bfd peers json")
    )
    found = {peer["interface"]: (peer["status"], peer["transmit-interval"]) for peer in answer}
    assert found == dict.fromkeys(("up0", "up1", "host1-eth0", "host2-eth0"), ("up", 100))
    assert {peer["detect-multiplier"] for peer in answer} == {3}


def test_a_vxlan_frame_of_full_size_fits(lab: Lab) -> None:
    """1,500 octets and their VXLAN, UDP, IP and Ethernet headers, not in fragments."""
    outer_ip_octets = 1500 + 50
    payload = outer_ip_octets - 28  # IP's and ICMP's headers
    target = loopback(lab, "leaf4")
    inside(lab, "leaf1", "ping", "-c1", "-W2", "-Mdo", f"-s{payload}", target)


def test_hosts_and_leaves_hear_each_other(lab: Lab) -> None:
    """By LLDP, as the inventory says that they are cabled; a NIC that stands by hears as well."""

    def heard(node: str) -> set[tuple[str, str, str]]:
        argv = [
            "lldpcli",
            "-u",
            str(lldp.socket_path(lab, node)),
            "-f",
            "json0",
            "show",
            "neighbors",
        ]
        (told,) = json.loads(inside(lab, node, *argv))["lldp"]
        return {
            (one["name"], one["chassis"][0]["name"][0]["value"], one["port"][0]["id"][0]["value"])
            for one in told.get("interface", [])
        }

    nics = {("eth0", "leaf3", "host4-eth0"), ("eth1", "leaf4", "host4-eth1")}
    assert eventually(lambda: heard("host4") == nics, 10.0)
    ports = {("host3-eth1", "host3", "eth1"), ("host4-eth1", "host4", "eth1")}
    assert eventually(lambda: heard("leaf4") == ports, 10.0)


def test_a_management_address_for_every_node_that_has_one(lab: Lab) -> None:
    for leg in lab.layout.legs:
        assert probe.ping(lab, MANAGEMENT_NODE, leg.address.partition("/")[0], count=1).lost == 0
    assert {leg.node for leg in lab.layout.legs} >= {"host1", "vhost1", "leaf1", "spine2"}


@pytest.fixture
def vni(lab: Lab) -> Iterator[None]:
    """A VNI on leaf1 and leaf4, as an operator might make it by hand."""
    for node in ("leaf1", "leaf4"):
        inside(lab, node, "ip", "link", "add", "br-t", "type", "bridge", "stp_state", "0")
        vxlan = f"add vx-t type vxlan id {VNI} dstport 4789 nolearning local {loopback(lab, node)}"
        inside(lab, node, "ip", "link", *vxlan.split())
        inside(lab, node, "ip", "link", "set", "vx-t", "master", "br-t", "up")
        inside(lab, node, "ip", "link", "set", "br-t", "up")
    yield
    for node in ("leaf1", "leaf4"):
        links.remove(lab.namespace(node), ["vx-t", "br-t"])


def multicast_routes(lab: Lab, node: str) -> dict[str, set[str]]:
    """Next hops of the type-3 routes that a switch has, by the VTEP in their prefix."""
    command = "show bgp l2vpn evpn route type multicast json"
    answer = json.loads(vty.ask(frr.vty_path(lab, node, "bgpd"), command))
    found: dict[str, set[str]] = {}
    for distinguished in answer.values():
        for prefix, route in distinguished.items() if isinstance(distinguished, dict) else ():
            if isinstance(route, dict):
                hops = {
                    hop["ip"]
                    for paths in route["paths"]
                    for path in (paths if isinstance(paths, list) else [paths])
                    for hop in path["nexthops"]
                }
                found.setdefault(prefix.rpartition(":")[2].strip("[]"), set()).update(hops)
    return found


@pytest.mark.usefixtures("vni")
def test_the_vtep_stays_the_leafs_loopback(lab: Lab) -> None:
    """A spine hands EVPN routes on with their next hop unchanged; the observer hears them too."""
    one = loopback(lab, "leaf1")
    assert eventually(lambda: one in multicast_routes(lab, "leaf4"), 5.0)
    for node in ("leaf4", "spine1", "border1"):
        assert multicast_routes(lab, node)[one] == {one}
    assert eventually(lambda: {one, loopback(lab, "leaf4")} <= observed(lab), 5.0)
    peers = {"10001"} & set(
        vty.ask(frr.vty_path(lab, "leaf4", "zebra"), f"show evpn vni {VNI}").split()
    )
    assert peers == {"10001"}
    assert one in vty.ask(frr.vty_path(lab, "leaf4", "zebra"), f"show evpn vni {VNI}")


def gobgp(lab: Lab, *arguments: str) -> str:
    return inside(lab, MANAGEMENT_NODE, "gobgp", "-p", str(observer.API_PORT), *arguments)


def observed(lab: Lab) -> set[str]:
    """Next hops of all EVPN routes that the observer has heard."""
    told = json.loads(gobgp(lab, "-j", "global", "rib", "-a", "evpn") or "{}")
    return {
        attribute["nexthop"]
        for paths in told.values()
        for path in paths
        for attribute in path["attrs"]
        if "nexthop" in attribute
    }


def told_spines(lab: Lab) -> list[str]:
    """What the observer has sent to each spine."""
    addresses = [leg.address for leg in lab.layout.legs if leg.node.startswith("spine")]
    return [
        gobgp(lab, "neighbor", address.partition("/")[0], "adj-out", "-a", "evpn")
        for address in addresses
    ]


def test_the_observer_says_nothing_that_a_spine_believes(lab: Lab) -> None:
    route = "multicast 192.0.2.9 etag 0 rd 192.0.2.9:9 rt 65000:9 encap vxlan"
    forged = f"{route} pmsi ingress-repl 9 192.0.2.9"
    gobgp(lab, "global", "rib", "-a", "evpn", "add", *forged.split())
    try:
        # The control: it was sent, to both spines.
        assert eventually(lambda: all("192.0.2.9" in text for text in told_spines(lab)), 5.0)
        for spine in ("spine1", "spine2"):
            assert "192.0.2.9" not in multicast_routes(lab, spine)
    finally:
        gobgp(lab, "global", "rib", "-a", "evpn", "del", *route.split())


def test_a_spine_that_dies_silently_costs_half_a_second_at_most(
    lab: Lab, breaking: list[str]
) -> None:
    """Pings 10 ms apart between the loopbacks of two leaves; BFD has 0.3 s. No timer is read."""
    target = loopback(lab, "leaf4")
    with probe.pinging(lab, "leaf1", target, count=400) as run:
        what = f"node:{spine_of_pings(lab, 'leaf1', target)}"
        breaking.append(what)
        faults.fail(lab, what, silent=True)
        result = run.finish()
    assert broken(lab) == (Fault(what, silent=True),)
    assert 1 <= result.lost <= 50
    assert next_hops(lab, "leaf1", target) == next_hops(lab, "leaf4", loopback(lab, "leaf1"))


def spine_of_pings(lab: Lab, leaf: str, target: str) -> str:
    """The spine by which a leaf sends a ping that runs."""
    cable = lab.layout.cable_at(leaf, probe.interface_of_pings(lab, leaf, target))
    assert cable is not None
    return cable.upper.node


def test_a_dead_daemon_is_a_fault_and_is_mended(lab: Lab, breaking: list[str]) -> None:
    for daemon in ("bgpd", "bfdd", "zebra", "staticd"):
        what = f"process:leaf2/{daemon}"
        breaking.append(what)
        faults.fail(lab, what)
        assert broken(lab) == (Fault(what, silent=False),)
        faults.heal(lab, what)
        assert broken(lab) == ()
        convergence.await_converged(lab)
    what = f"process:mgmt/{observer.GOBGPD}"
    breaking.append(what)
    faults.fail(lab, what)
    assert broken(lab) == (Fault(what, silent=False),)


def test_a_switch_that_lost_its_power_comes_back_empty_and_holds_its_host_ports(
    lab: Lab, breaking: list[str]
) -> None:
    breaking.append("node:leaf1")
    first = reached.first_process(lab, "leaf1")
    inside(lab, "leaf1", "ip", "link", "add", "br-t", "type", "bridge")
    assert switch.active_member(lab, "host1", host.BOND) == "eth0"
    faults.fail(lab, "node:leaf1")
    assert broken(lab) == (Fault("node:leaf1", silent=False),)
    assert netns.processes_in([lab.namespace("leaf1")]) == []
    ovs.vsctl(lab, "host1", ["wait-until", "Interface", "eth0", "link_state=down"])
    assert eventually(lambda: switch.active_member(lab, "host1", host.BOND) == "eth1", 5.0)
    assert eventually(lambda: next_hops(lab, "leaf2", "10.255.0.5") == ["up0", "up1"], 5.0)

    faults.heal(lab, "node:leaf1")
    assert broken(lab) == ()
    assert reached.first_process(lab, "leaf1") not in (None, first)
    assert "br-t" not in links.interfaces_in(lab.namespace("leaf1"))
    assert frr.held(lab, "leaf1") == {"host1-eth0", "host2-eth0"}
    assert links.interfaces_down(lab.namespace("leaf1")) == {"host1-eth0", "host2-eth0"}
    convergence.await_converged(lab)
    assert "down" in ovs.vsctl(lab, "host1", ["get", "Interface", "eth0", "link_state"])
    # Whoever has completed it raises them:
    for port in frr.held(lab, "leaf1"):
        links.set_state(lab.namespace("leaf1"), port, up=True)
    frr.hold_path(lab, "leaf1").unlink()
    ovs.vsctl(lab, "host1", ["wait-until", "Interface", "eth0", "link_state=up"])


def test_only_a_switch_of_the_fabric_has_a_plug(lab: Lab) -> None:
    with pytest.raises(UnknownLabObjectError, match=r"host1 is no switch .*border1"):
        faults.fail(lab, "node:host1")
    faults.heal(lab, "node:leaf1")  # it is on: nothing happens
    assert frr.held(lab, "leaf1") == set()


@pytest.mark.parametrize("silent", [False, True])
def test_management_is_cut_while_the_switch_forwards(
    lab: Lab, breaking: list[str], *, silent: bool
) -> None:
    breaking.append("link:mgmt-leaf3")
    directory = lab.node_directory("leaf3")
    first = int((directory / "pid").read_text())
    faults.fail(lab, "link:mgmt-leaf3", silent=silent)
    assert broken(lab) == (Fault("link:leaf3-mgmt", silent=silent),)
    assert not (directory / "pid").exists()
    assert not frr.is_off(lab, "leaf3")
    address = next(leg.address for leg in lab.layout.legs if leg.node == "leaf3")
    assert probe.ping(lab, "mgmt", address.partition("/")[0], count=1).received == 0
    assert probe.ping(lab, "leaf1", loopback(lab, "leaf3")).lost == 0
    faults.heal(lab, "link:mgmt-leaf3")
    assert int((directory / "pid").read_text()) == first


def test_an_agent_is_cut_off_while_its_host_forwards(lab: Lab, breaking: list[str]) -> None:
    breaking.append("link:mgmt-host1")
    assert probe.ping(lab, "host1", "10.0.0.2", count=1).lost == 0
    faults.fail(lab, "link:mgmt-host1", silent=True)
    assert broken(lab) == (Fault("nic:host1/mgmt0", silent=True),)
    assert probe.ping(lab, "host1", "10.0.0.2", count=1).received == 0
    faults.heal(lab, "link:mgmt-host1")
    assert probe.ping(lab, "host1", "10.0.0.2", count=1).lost == 0


def test_the_border_has_the_vlan_stages_trunk(lab: Lab) -> None:
    """A tagged ARP request from the border is answered by the core router's gateway."""
    sender, asked = socket.inet_aton("10.101.0.250"), socket.inet_aton("10.101.0.1")
    mac = bytes.fromhex("024e57000001")
    arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, sender, b"\0" * 6, asked)
    frame = b"\xff" * 6 + mac + struct.pack("!HHH", 0x8100, 101, 0x0806) + arp

    def answered() -> bool:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as port:
            port.bind(("peer0", _ETH_P_ALL))
            port.settimeout(2.0)
            port.send(frame)
            while heard := port.recv(2048):
                if heard[:6] == mac and asked in heard:
                    return True
        return False

    assert netns.run_in(lab.namespace("border1"), answered)


def test_programs_run_inside_a_switch(lab: Lab) -> None:
    """Its own daemons are found by vtysh, as on a switch."""
    program = (
        "from pathlib import Path; from netwright.lab import places, state\n"
        f"lab = state.load({lab.name!r}, Path({str(lab.root)!r}))\n"
        "places.execute(lab, 'leaf1', ['vtysh', '-c', 'show bgp summary'])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert "local AS number 65101" in said.stdout


def test_nothing_of_a_fabric_is_left(name: str, lab_root: Path) -> None:
    """VRFs of switches, which are namespaces inside their mounts, go as well."""
    interfaces = host_interfaces()
    lab = up.bring_up(spec.preset("evpn", hosts=1), name, root=lab_root)
    first = reached.first_process(lab, "leaf1")
    assert first is not None
    processes.run(
        lab.namespace("leaf1"), [*reached.in_mounts_of(first), "ip", "netns", "add", "vrf-t"]
    )
    assert "vrf-t" not in netns.existing("")
    down.take_down(name, lab_root)
    assert_nothing_left(name, lab_root)
    assert host_interfaces() == interfaces
    with pytest.raises(UnknownLabObjectError):
        state.load(name, lab_root)


def test_sixteen_leaves_and_thirty_two_hosts(name: str, lab_root: Path) -> None:
    lab = up.bring_up(spec.preset("evpn", hosts=32), name, root=lab_root)
    assert len(lab.nodes("leaf")) == 16
    assert len(lab.nodes("host")) == 33
    assert probe.ping(lab, "leaf1", loopback(lab, "leaf16"), count=1).lost == 0
    assert next_hops(lab, "leaf1", loopback(lab, "border1")) == ["up0", "up1"]
