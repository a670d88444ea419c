"""What the driver `frr` does for a configuration, and for its end, as text."""

import msgspec
from tests.doubles.switch_configs import LOOPBACK, border
from tests.golden.golden import check

from netwright.fabric.changes import difference
from netwright.fabric.config import SwitchConfig
from netwright.fabric.drivers.frr import planning, reading
from netwright.fabric.drivers.frr.observed import Observed, Space
from netwright.fabric.drivers.frr.planning import Plan
from netwright.fabric.drivers.frr.shows import BgpConfiguration, Instance
from netwright.fabric.drivers.linux.links import Link
from netwright.fabric.drivers.wording import element_words

PORTS = ("core1", "swp1", "swp2")


def empty_plan() -> Plan:
    links = {n: Link(index=n, name=name, is_up=True) for n, name in enumerate(PORTS, start=2)}
    bgp = BgpConfiguration(asn=65103)
    return Plan(Observed(spaces={"": Space(links=links)}, bgp=bgp), frozenset(), LOOPBACK)


def told(plan: Plan, config: SwitchConfig) -> None:
    """The daemons have taken what they were told: here they are as the configuration says."""
    segments = {
        vni: Instance(rd=each.rd, targets=each.route_targets)
        for vni, each in config.segments.items()
    }
    vrfs = {
        name: Instance(rd=each.rd, targets=each.route_targets, lines=reading.L3VNI_LINES)
        for name, each in config.vrfs.items()
        if each.l3vni
    }
    plan._projection.observed = msgspec.structs.replace(
        plan.observed,
        bgp=BgpConfiguration(asn=65103, vnis=segments, vrfs=vrfs),
        vnis=segments,
        l3vnis={name: each.l3vni for name, each in config.vrfs.items() if each.l3vni},
    )


def words(plan: Plan, before: SwitchConfig, after: SwitchConfig) -> str:
    lines = []
    for change in difference(before, after):
        lines.append(f"# {element_words(change)}")
        lines += [str(each) for each in planning.operations(plan, change)]
    return "\n".join([*lines, ""])


def test_a_border_is_made_read_back_and_taken_down() -> None:
    plan, wanted = empty_plan(), border()
    check("fabric/border-made.txt", words(plan, SwitchConfig(), wanted))
    told(plan, wanted)
    assert reading.config(plan.observed, frozenset(), LOOPBACK) == wanted
    check("fabric/border-again.txt", words(plan, SwitchConfig(), wanted))  # what is, stays
    check("fabric/border-removed.txt", words(plan, wanted, SwitchConfig()))
    told(plan, SwitchConfig())
    assert plan.observed == msgspec.structs.replace(
        empty_plan().observed, bgp=plan.observed.bgp, vnis={}, l3vnis={}
    )
