"""What the driver `frr` does for a configuration, and for its end, as text."""

from tests.doubles.frr_switch import empty_plan, told
from tests.doubles.switch_configs import LOOPBACK, border
from tests.golden.golden import check

from netwright.fabric import elements
from netwright.fabric.changes import difference
from netwright.fabric.config import SwitchConfig
from netwright.fabric.drivers.frr import planning, reading
from netwright.fabric.drivers.frr.planning import Plan
from netwright.fabric.drivers.wording import element_words

PORTS = ("core1", "swp1", "swp2")


def words(plan: Plan, before: SwitchConfig, after: SwitchConfig) -> str:
    lines = []
    for change in difference(before, after):
        lines.append(f"# {element_words(change)}")
        lines += [str(each) for each in planning.operations(plan, change)]
    if swept := planning.sweep(plan):
        lines += ["# what nothing needs any more", *map(str, swept)]
    return "\n".join([*lines, ""])


def test_a_border_is_made_read_back_and_taken_down() -> None:
    plan, wanted = empty_plan(*PORTS), border()
    check("fabric/border-made.txt", words(plan, SwitchConfig(), wanted))
    told(plan)
    assert reading.config(plan.observed, frozenset(), LOOPBACK) == wanted
    check("fabric/border-again.txt", words(plan, SwitchConfig(), wanted))  # what is, stays
    check("fabric/border-removed.txt", words(plan, wanted, SwitchConfig()))
    told(plan)
    assert plan.observed == empty_plan(*PORTS).observed


def test_host_ports_are_held_down_and_raised_again() -> None:
    plan, wanted = empty_plan(*PORTS), border()
    words(plan, SwitchConfig(), wanted)
    held = elements.held_down(wanted)
    check("fabric/border-held.txt", words(plan, wanted, held))
    told(plan)
    assert reading.config(plan.observed, frozenset(), LOOPBACK) == held
    check("fabric/border-raised.txt", words(plan, held, wanted))
    assert reading.config(plan.observed, frozenset(), LOOPBACK) == wanted
