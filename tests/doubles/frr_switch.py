"""A switch of Linux and FRR that does what operations say, on values: no kernel, no daemon."""

import msgspec
from tests.doubles.switch_configs import LOOPBACK

from netwright.fabric.config import SwitchConfig
from netwright.fabric.drivers.frr import reading
from netwright.fabric.drivers.frr.observed import Observed, Space
from netwright.fabric.drivers.frr.planning import Plan
from netwright.fabric.drivers.frr.shows import BgpConfiguration, Instance
from netwright.fabric.drivers.linux.links import Link


def empty_plan(*ports: str) -> Plan:
    """A switch with these interfaces and a BGP instance, and nothing of ours."""
    links = {n: Link(index=n, name=name, is_up=True) for n, name in enumerate(ports, start=2)}
    bgp = BgpConfiguration(asn=65103)
    return Plan(Observed(spaces={"": Space(links=links)}, bgp=bgp), frozenset(), LOOPBACK)


def told(plan: Plan, config: SwitchConfig) -> None:
    """The daemons have taken what they were told: here they are as the configuration says."""
    segments = {
        each.vni: Instance(rd=each.rd, targets=each.route_targets)
        for each in config.segments.values()
    }
    vrfs = {
        each.name: Instance(rd=each.rd, targets=each.route_targets, lines=reading.L3VNI_LINES)
        for each in config.vrfs.values()
        if each.l3vni or each.rd
    }
    plan._projection.observed = msgspec.structs.replace(
        plan.observed,
        bgp=BgpConfiguration(asn=65103, vnis=segments, vrfs=vrfs),
        vnis=segments,
        l3vnis={each.name: each.l3vni for each in config.vrfs.values() if each.l3vni},
    )
