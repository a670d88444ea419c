"""What somebody at leaf `l1` may do to what the driver `frr` made there: one deed each, by name.

It is of `vpc-d` with transit VNI 9401: VNI 7401, VLAN 1401 at `swp1`, gateway 10.74.0.254, and a
route to 198.51.100.0/24.
"""

from collections.abc import Callable, Mapping
from functools import partial

from tests.lab.fabric_rig import Rig

from netwright.fabric.drivers.bpf import programs
from netwright.fabric.drivers.frr import observing
from netwright.fabric.drivers.frr.driver import FrrDriver
from netwright.fabric.drivers.frr.session import Session

LEAF = "l1"

Deeds = Mapping[str, Callable[[], object]]


def deeds(rig: Rig, driver: FrrDriver) -> Deeds:
    each = {**at_daemons(rig), **in_the_vrf(rig), **at_the_port(rig, driver)}
    three = [each[one] for one in ("the bridge", "one target more", "the port's filter")]
    return {**each, "bridge, target and filter at once": lambda: [one() for one in three]}


def at_daemons(rig: Rig) -> Deeds:
    router = rig.routers[LEAF]
    bgp = f"router bgp {router.asn}"
    of_vni = f"{bgp}\naddress-family l2vpn evpn\nvni 7401\n"
    of_vrf = f"{bgp} vrf vpc-d\naddress-family l2vpn evpn\n"

    def told(daemon: str, lines: str) -> Callable[[], object]:
        return partial(router.tell, daemon, f"configure terminal\n{lines}\nend")

    return {
        "a wrong route target": told(
            "bgpd", f"{of_vni}no route-target import 65000:7401\nroute-target import 65000:1"
        ),
        "one target more": told("bgpd", f"{of_vni}route-target export 65000:2"),
        "another RD": told("bgpd", f"{of_vni}rd 192.0.2.1:1"),
        "targets of its own making": told("bgpd", of_vni.replace("vni 7401", "no vni 7401")),
        "the VRF's target": told(
            "bgpd", f"{of_vrf}no route-target export 65000:9401\nroute-target export 65000:3"
        ),
        "no type-5 routes": told("bgpd", f"{of_vrf}no advertise ipv4 unicast"),
        "no transit VNI": told("zebra", "vrf vpc-d\nno vni 9401"),
    }


def in_the_vrf(rig: Rig) -> Deeds:
    index = port_index(rig)

    def ip(words: str) -> Callable[[], object]:
        return partial(rig.inside, LEAF, "ip", "-n", "vpc-d", *words.split())

    def bridge(words: str) -> Callable[[], object]:
        return partial(rig.inside, LEAF, "bridge", "-n", "vpc-d", *words.split())

    return {
        "a gateway's address": ip("addr del 10.74.0.254/24 dev br7401"),
        "another address beside it": ip("addr add 10.74.0.253/24 dev br7401"),
        "the gateway's MAC": ip("link set br7401 address 02:00:00:00:00:77"),
        "the vxlan": ip("link del vni7401"),
        "the vxlan's bridge": ip("link set vni7401 nomaster"),
        "the vxlan's state": ip("link set vni7401 down"),
        "neighbour suppression": bridge("link set dev vni7401 neigh_suppress off"),
        "the bridge": ip("link del br7401"),
        "the MTU": ip("link set br7401 mtu 1400"),
        "the veth's bridge": ip(f"link set nwi{index}.1401 nomaster"),
        "the route": ip("route del 198.51.100.0/24"),
        "the transit VNI's bridge": ip("link del br9401"),
        "the whole VRF": partial(rig.inside, LEAF, "ip", "netns", "del", "vpc-d"),
    }


def at_the_port(rig: Rig, driver: FrrDriver) -> Deeds:
    index = port_index(rig)

    def here(words: str) -> Callable[[], object]:
        return partial(rig.inside, LEAF, *words.split())

    return {
        "the VLAN's entry in the map": partial(delete_map_entry, driver, index, 1401),
        "the veth": here(f"ip link del nw{index}.1401"),
        "the port's filter": here("tc filter del dev swp1 ingress"),
        "the port's hook": here("tc qdisc del dev swp1 clsact"),
        "the veth's filter": here(f"tc filter del dev nw{index}.1401 ingress"),
    }


def port_index(rig: Rig) -> int:
    return int(rig.inside(LEAF, "cat", "/sys/class/net/swp1/ifindex"))


def delete_map_entry(driver: FrrDriver, port: int, vlan: int) -> None:
    with Session(driver._node, driver._loopback) as session:
        tagged = session.maps(observing.filters(session))[programs.TAGGED.name]
        tagged.delete(programs.tagged_key(port, vlan))
