"""The preset `vlan`: the tree carries, isolates, and survives what it should survive.

Instances are wired by hand (a tag on their tap) on hosts that the agents' stand-in wired.
"""

from collections.abc import Iterator

import pytest

from netwright.lab import faults, instances, netns, probe, processes
from netwright.lab.broken import Fault, broken
from netwright.lab.errors import SpecError, UnknownLabObjectError
from netwright.lab.nodes import host, ovs, switch
from netwright.lab.places import Instance, find_instance, placed
from netwright.lab.state import Lab

pytestmark = pytest.mark.lab

VLANS = {"blue": 101, "green": 102}


def instance(network: str, number: int) -> Instance:
    vlan = VLANS[network]
    return Instance(
        id=f"{vlan:04x}{number:04x}-0000-4000-8000-000000000000",
        mac=f"fa:16:3e:00:{vlan:02x}:{number:02x}",
        addresses=(f"10.{vlan}.0.{number}/24", f"fd00:{vlan}::{number}/64"),
        gateways=(f"10.{vlan}.0.1", f"fd00:{vlan}::1"),
        device_id=f"{network}-{number}",
    )


BLUE1, BLUE2, BLUE3 = (instance("blue", number) for number in (11, 12, 13))
GREEN1 = instance("green", 11)
METAL = instance("blue", 99)


def ipv4(one: Instance) -> str:
    return one.addresses[0].partition("/")[0]


def ipv6(one: Instance) -> str:
    return one.addresses[1].partition("/")[0]


@pytest.fixture(scope="module")
def lab(vlan: Lab) -> Lab:
    """Two blue instances on host1, one on host2, a green one on host1, blue bare metal."""
    for node, ones in (("host1", [BLUE1, GREEN1, BLUE3]), ("host2", [BLUE2])):
        instances.spawn(vlan, node, ones)
        for one in ones:
            tag = VLANS[one.device_id.split("-")[0]]
            ovs.vsctl(vlan, node, ["set", "Port", one.tap, f"tag={tag}"])
    instances.attach_baremetal(vlan, "metal1", VLANS["blue"], METAL)
    return vlan


@pytest.fixture
def breaking(lab: Lab) -> Iterator[list[str]]:
    """What a test breaks it names here; it is mended afterwards, and settled."""
    broken: list[str] = []
    yield broken
    for what in broken:
        faults.heal(lab, what)
    for node, interface in (
        *((node, f"up{i}") for node in ("tor1", "tor2", "core1") for i in (0, 1)),
        *((node, f"eth{i}") for node in lab.nodes("host") for i in (0, 1)),
    ):
        ovs.vsctl(lab, node, ["wait-until", "Interface", interface, "bfd_status:state=up"])


def test_management_crosses_the_tree(lab: Lab) -> None:
    for link in lab.layout.hosts:
        address = link.management_ip.partition("/")[0]
        assert probe.ping(lab, "mgmt", address).lost == 0
        assert probe.tcp(lab, link.host, "mgmt", "10.0.0.2").octets > 0


@pytest.mark.parametrize("other", [BLUE2, BLUE3, METAL, GREEN1], ids=lambda one: one.device_id)
def test_instances_reach_each_other(lab: Lab, other: Instance) -> None:
    """Across hosts, on one host, to bare metal, and to another VLAN by the core's gateway."""
    for address in (ipv4(other), ipv6(other)):
        assert probe.ping(lab, BLUE1.id, address).lost == 0
        assert probe.tcp(lab, BLUE1.id, other.id, address).octets > 0


def test_vlans_are_isolated(lab: Lab) -> None:
    """A broadcast reaches every instance of its VLAN (the control) and none of the other."""
    asked = "arp and arp[24:4] = 0x0a6500c8"  # for 10.101.0.200, which nobody has
    with (
        probe.capture(lab, "host2", BLUE2.tap, asked) as control,
        probe.capture(lab, "metal1", "eth0", asked) as metal,
        probe.capture(lab, "host1", GREEN1.tap, asked) as green,
        probe.capture(lab, "mgmt", "eth0", asked) as management,
    ):
        assert probe.ping(lab, BLUE1.id, "10.101.0.200", count=1).received == 0
        assert control.stop() >= 1
        assert metal.stop() >= 1
        assert green.stop() == 0
        assert management.stop() == 0


def test_bare_metal_without_a_vlan_is_alone(lab: Lab) -> None:
    instances.set_baremetal_vlan(lab, "metal1", None)
    assert probe.ping(lab, METAL.id, ipv4(BLUE1), count=1).received == 0
    instances.set_baremetal_vlan(lab, "metal1", VLANS["blue"])
    with probe.pinging(lab, METAL.id, ipv4(BLUE1), count=3) as run:  # once ARP has got through
        assert run.finish().received > 0


def in_use(lab: Lab, what: str) -> str:
    """A fault expression for what carries host1's traffic now: NIC, ToR, aggregation, cables."""
    nic = switch.active_member(lab, "host1", host.BOND)
    tor = opposite(lab, "host1", nic)
    agg = opposite(lab, tor, switch.active_member(lab, tor, switch.BOND))
    core_agg = opposite(lab, "core1", switch.active_member(lab, "core1", switch.BOND))
    return what.format(nic=nic, tor=tor, agg=agg, core_agg=core_agg)


def opposite(lab: Lab, node: str, interface: str) -> str:
    cable = lab.layout.cable_at(node, interface)
    assert cable is not None
    return cable.upper.node


SILENT = ["nic:host1/{nic}", "link:{tor}-{agg}", "link:core1-{core_agg}"]


@pytest.mark.parametrize(
    ("what", "silent"),
    [
        *((what, True) for what in (*SILENT, "process:{tor}/ovs-vswitchd")),
        *((what, False) for what in (*SILENT, "process:{agg}/ovs-vswitchd")),
    ],
)
def test_a_failure_moves_traffic(lab: Lab, breaking: list[str], what: str, *, silent: bool) -> None:
    """Pings between VLANs (host1 to core to host2), 10 ms apart, go on; few are lost.

    A lost carrier costs 0 to 8 (measured), all else the 0.3 s of BFD, 14 to 20; the bound leaves
    room for a loaded machine.
    """
    target = in_use(lab, what)
    breaking.append(target)
    with probe.pinging(lab, GREEN1.id, ipv4(BLUE2), count=200) as run:
        faults.fail(lab, target, silent=silent)
        result = run.finish()
    assert broken(lab) == (Fault(target, silent),)
    assert result.lost <= 60
    assert probe.tcp(lab, GREEN1.id, BLUE2.id, ipv4(BLUE2)).octets > 0


def test_without_detection_nothing_would_move(lab: Lab, breaking: list[str]) -> None:
    """The control: with both NICs dead no ping passes, so the faults are real."""
    breaking += ["nic:host2/eth0", "nic:host2/eth1"]
    for what in breaking:
        faults.fail(lab, what, silent=True)
    assert probe.ping(lab, BLUE1.id, ipv4(BLUE2), count=2).received == 0


def test_a_process_is_halted_killed_and_mended(lab: Lab, breaking: list[str]) -> None:
    what = "process:tor2/ovsdb-server"
    breaking.append(what)
    before = processes.find(lab, "tor2", ovs.DATABASE_SERVER)
    faults.fail(lab, what, silent=True)
    assert processes.is_stopped(before)
    assert broken(lab) == (Fault(what, silent=True),)
    faults.heal(lab, what)
    assert broken(lab) == ()
    assert not processes.is_stopped(before)
    faults.fail(lab, what)
    assert not processes.is_alive(before)
    faults.heal(lab, what)
    after = processes.find(lab, "tor2", ovs.DATABASE_SERVER)
    assert processes.is_alive(after)
    assert after.pid != before.pid


def test_faults_name_what_there_is(lab: Lab) -> None:
    with pytest.raises(UnknownLabObjectError, match=r"no node 'host9'; there are: .*host3"):
        faults.fail(lab, "nic:host9/eth0")
    with pytest.raises(UnknownLabObjectError, match="there are: eth0, eth1"):
        faults.fail(lab, "nic:host1/eth7")
    with pytest.raises(UnknownLabObjectError, match="there are: agg1, agg2"):
        faults.fail(lab, "link:core1-tor1")
    with pytest.raises(UnknownLabObjectError, match="known there: ovs-vswitchd, ovsdb-server"):
        faults.fail(lab, "process:tor1/agent")


def test_many_instances_are_plugged_at_once_and_killed(lab: Lab) -> None:
    many = [instance("blue", number) for number in range(100, 120)]
    instances.create(lab, "host3", many)
    assert "iface-id" not in ovs.vsctl(lab, "host3", ["list", "Interface"])
    instances.plug(lab, "host3", many)
    ids = ovs.vsctl(lab, "host3", ["--bare", "--columns=external_ids", "list", "Interface"])
    assert all(f"iface-id={one.id}" in ids and "attached-mac=" in ids for one in many)
    with pytest.raises(SpecError, match="kill it first"):
        instances.spawn(lab, "host3", many[:1])
    namespace = find_instance(lab, many[0].id).namespace
    instances.kill(lab, [one.id for one in many])
    assert "iface-id" not in ovs.vsctl(lab, "host3", ["list", "Interface"])
    assert namespace not in netns.existing(namespace)
    assert not any(one.node == "host3" for one in placed(lab))


def test_places_are_named_when_wrong(lab: Lab) -> None:
    with pytest.raises(UnknownLabObjectError, match="no node 'nowhere'"):
        probe.ping(lab, "nowhere", "10.0.0.2")
    with pytest.raises(SpecError, match="tor1 is a switch, not a host; these are: host1"):
        instances.spawn(lab, "tor1", [instance("blue", 50)])
    with pytest.raises(SpecError, match="metal1 is instance"):
        instances.attach_baremetal(lab, "metal1", 101, instance("blue", 51))
