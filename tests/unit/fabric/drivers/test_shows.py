"""What FRR 8.4.4 showed on a leaf with a VPC, a transit VNI and one network, as values."""

from pathlib import Path

from netwright.fabric.config import RouteTargets
from netwright.fabric.drivers.frr import reading, shows
from netwright.fabric.drivers.frr.observed import Observed, Space
from netwright.fabric.drivers.linux import marks
from netwright.linux.links import Link

RECORDED = Path(__file__).parent / "recorded"


def recorded(line: str) -> str:
    return (RECORDED / f"{line.replace(' ', '-')}.txt").read_text()


def targets(number: int) -> RouteTargets:
    return RouteTargets(imports=(f"65000:{number}",), exports=(f"65000:{number}",))


def test_the_running_configuration() -> None:
    found = shows.bgp_configuration(recorded(shows.SHOW_RUNNING))
    assert found.asn == 65002
    assert set(found.vnis) == {7901}
    assert (found.vnis[7901].rd, found.vnis[7901].targets) == ("10.255.0.3:7901", targets(7901))
    vrf = found.vrfs["vpc-s"]
    assert (vrf.rd, vrf.targets) == ("10.255.0.3:9900", targets(9900))
    assert vrf.lines >= reading.L3VNI_LINES


def test_targets_for_both_ways_and_several_in_a_line() -> None:
    running = """router bgp 65001 vrf vpc-x
 address-family l2vpn evpn
  route-target both 1:1
  route-target import 2:2 3:3
 exit-address-family
exit
"""
    found = shows.bgp_configuration(running)
    assert found.asn is None
    assert found.vrfs["vpc-x"].targets == RouteTargets(
        imports=("1:1", "2:2", "3:3"), exports=("1:1",)
    )


def test_vnis_in_force_are_those_of_the_kernel() -> None:
    found = shows.vnis_in_force(recorded(shows.SHOW_VNIS))
    assert set(found) == {7901}  # 9900 is a transit VNI
    assert (found[7901].rd, found[7901].targets) == ("10.255.0.3:7901", targets(7901))
    shown = recorded(shows.SHOW_VNIS).replace('"inKernel":"True"', '"inKernel":"False"')
    assert shows.vnis_in_force(shown) == {}


def test_what_zebra_shows() -> None:
    assert shows.active_vrfs(recorded(shows.SHOW_VRFS)) == {"vpc-s"}
    assert shows.active_vrfs("vrf vpc-d inactive (configured)\n") == frozenset()
    assert shows.l3vnis(recorded(shows.SHOW_VRF_VNIS)) == {"vpc-s": 9900}
    assert shows.remote_vteps(recorded(shows.SHOW_EVPN)) == {7901: frozenset()}
    for parse in (shows.l3vnis, shows.remote_vteps, shows.vnis_in_force):
        assert parse("") == {}


def test_what_zebra_has_heard_of_an_interface() -> None:
    """It showed this on a leaf where it had lost two addresses of the interface; and a stranger."""
    lost = """Interface br15141 is up, line protocol is up
  vrf: vpc-13f979ea016
  flags: <UP,BROADCAST,RUNNING,MULTICAST>
  inet6 fe80::f816:3eff:fec4:42c9/64
  Interface Type Bridge
"""
    whole = lost.replace("  inet6", "  inet 10.8.0.1/24\n  inet6 fd00:8::1/64\n  inet6", 1)
    assert shows.is_known(lost)
    assert shows.addresses(lost) == {"fe80::f816:3eff:fec4:42c9/64"}
    assert shows.addresses(whole) >= {"10.8.0.1/24", "fd00:8::1/64"}
    assert not shows.is_known("% Can't find interface br15141\n")
    assert shows.show_interface("br1", "") == "show interface br1"
    assert shows.show_interface("br1", "vpc-1") == "show interface br1 vrf vpc-1"


def alone(shown: str, running: str) -> str:
    """What is said of a leaf that shows these sessions, with a network of ours."""
    bridge = Link(index=9, name="br7901", kind="bridge", alias=marks.write(vni=7901))
    found = Observed(
        spaces={"": Space(links={9: bridge})},
        sessions=shows.sessions(shown),
        bgp=shows.bgp_configuration(running),
    )
    return reading.isolation(found)


def test_a_leaf_is_isolated_when_none_of_its_sessions_is_established() -> None:
    running = recorded(shows.SHOW_RUNNING)
    shown = recorded(shows.SHOW_SESSIONS)
    assert shows.sessions(shown) == {"up0": True, "up1": True}
    assert not alone(shown, running)
    one_is_left = shown.replace("Established", "Idle", 1)
    assert not alone(one_is_left, running)
    none_is = one_is_left.replace("Established", "Active")
    assert "None of its EVPN sessions" in alone(none_is, running)
    assert not alone("{}", running)  # no neighbours: it has nobody to hear


def test_a_leaf_that_announces_nothing_is_isolated_too() -> None:
    running, shown = recorded(shows.SHOW_RUNNING), recorded(shows.SHOW_SESSIONS)
    silent = running.replace("  advertise-all-vni\n", "")
    assert silent != running
    assert "put it back there" in alone(shown, silent)
