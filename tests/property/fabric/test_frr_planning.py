"""The driver `frr` brings a switch from any configuration to any other, and to nothing.

On values: the operations' effects as `projection` has them; tests/lab holds those to the kernel.
"""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.frr_switch import empty_plan, told
from tests.doubles.switch_configs import LOOPBACK
from tests.property.fabric.configs import configs

from netwright.fabric.changes import difference
from netwright.fabric.config import SwitchConfig
from netwright.fabric.drivers.frr import planning, reading
from netwright.fabric.drivers.frr.planning import Plan

PORTS = ("up0", "i1", "i2", "i3")


def bring(plan: Plan, before: SwitchConfig, after: SwitchConfig) -> int:
    """How many operations it took."""
    count = sum(len(planning.operations(plan, each)) for each in difference(before, after))
    count += len(planning.sweep(plan))
    told(plan)
    return count


def possible(config: SwitchConfig) -> SwitchConfig:
    """A border's trunk has tagged VLANs, and a sender is dropped for one port at a time."""
    replace = msgspec.structs.replace
    gateways = (
        replace(each, vlan=int(each.interface.rpartition(".")[2]))
        for each in config.gateways.values()
    )
    interfaces = (replace(each, fenced=each.fenced[:1]) for each in config.interfaces.values())
    return replace(
        config,
        gateways={each.key: each for each in gateways},
        interfaces={each.name: each for each in interfaces},
    )


@given(configs(), configs())
def test_from_any_configuration_to_any_other(one: SwitchConfig, other: SwitchConfig) -> None:
    one, other = possible(one), possible(other)
    plan = empty_plan(*PORTS)
    bring(plan, SwitchConfig(), one)
    assert read(plan) == one
    bring(plan, one, other)
    assert read(plan) == other
    bring(plan, other, SwitchConfig())
    assert plan.observed == empty_plan(*PORTS).observed


@given(configs(), configs(), st.data())
def test_from_a_change_that_broke_off_anywhere(
    one: SwitchConfig, other: SwitchConfig, data: st.DataObject
) -> None:
    """After any number of operations: what stands is read, and its difference leads to the end."""
    one, other = possible(one), possible(other)
    plan = empty_plan(*PORTS)
    bring(plan, SwitchConfig(), one)
    broken = Plan(plan.observed, frozenset(), LOOPBACK)
    operations = [
        operation
        for change in difference(one, other)
        for operation in planning.operations(plan, change)
    ]
    broken.add(*operations[: data.draw(st.integers(0, len(operations)))])
    again = Plan(broken.observed, frozenset(), LOOPBACK)
    bring(again, reading.config(again.observed, frozenset(), LOOPBACK), other)
    assert read(again) == other
    bring(again, other, SwitchConfig())
    empty = empty_plan(*PORTS).observed  # lines for daemons are not replayed above
    left = msgspec.structs.replace(again.observed, bgp=empty.bgp, vnis={}, l3vnis={})
    assert left == empty


def read(plan: Plan) -> SwitchConfig:
    """Without ports that only have our filter left: nothing is on them."""
    config = reading.config(plan.observed, frozenset(), LOOPBACK)
    used = {name: each for name, each in config.interfaces.items() if each != type(each)(name=name)}
    return msgspec.structs.replace(config, interfaces=used)
