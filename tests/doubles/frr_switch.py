"""A switch of Linux and FRR that does what operations say, on values: no kernel, no daemon."""

import msgspec
from tests.doubles.switch_configs import LOOPBACK

from netwright.fabric.drivers.frr.observed import Observed, Space
from netwright.fabric.drivers.frr.planning import Plan
from netwright.fabric.drivers.frr.shows import BgpConfiguration
from netwright.linux.links import Link


def empty_plan(*ports: str) -> Plan:
    """A switch with these interfaces and a BGP instance, and nothing of ours."""
    links = {n: Link(index=n, name=name, is_up=True) for n, name in enumerate(ports, start=2)}
    bgp = BgpConfiguration(asn=65103)
    return Plan(Observed(spaces={"": Space(links=links)}, bgp=bgp), frozenset(), LOOPBACK)


def told(plan: Plan) -> None:
    """Bgpd has in force what it was told, of VNIs whose vxlan is there."""
    links = (link for space in plan.observed.spaces.values() for link in space.links.values())
    there = {link.vni for link in links if link.kind == "vxlan"}
    plan.projection.observed = msgspec.structs.replace(
        plan.observed,
        vnis={vni: each for vni, each in plan.observed.bgp.vnis.items() if vni in there},
    )
