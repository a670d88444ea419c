"""From any configuration of a switch to any other: in an order that a strict switch takes."""

import re

from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.switches import SimulatedSwitch
from tests.property.fabric.configs import configs, steady

from netwright.fabric.changes import difference, restoring, reverse, summary
from netwright.fabric.config import EMPTY, SwitchConfig
from netwright.fabric.words import contrast, document, words


def switch(config: SwitchConfig) -> SimulatedSwitch:
    made = SimulatedSwitch("leaf1")
    made.become(config)
    return made


@given(configs(), configs())
def test_it_comes_from_any_to_any(before: SwitchConfig, after: SwitchConfig) -> None:
    simulated = switch(before)
    simulated.observe = steady(before, after)
    for change in difference(before, after):
        simulated.carry_out(change)
    assert simulated.config == after
    assert difference(after, after) == ()


@given(configs(), configs(), st.integers(0, 40))
def test_what_was_carried_out_is_undone(
    before: SwitchConfig, after: SwitchConfig, done: int
) -> None:
    """However far it came: the reverse of the changes so far leads back."""
    simulated = switch(before)
    carried_out = difference(before, after)[:done]
    for change in carried_out:
        simulated.carry_out(change)
    for change in reverse(carried_out):
        simulated.carry_out(change)
    assert simulated.config == before


@given(configs())
def test_interfaces_stay_down_until_a_switch_that_started_anew_is_whole(
    after: SwitchConfig,
) -> None:
    simulated = switch(EMPTY)

    def observe(state: SwitchConfig) -> None:
        is_whole = (state.vrfs, state.segments, state.gateways, state.routes) == (
            after.vrfs,
            after.segments,
            after.gateways,
            after.routes,
        )
        for name, interface in state.interfaces.items():
            wanted = after.interfaces[name]
            is_joined = (interface.tagged, interface.untagged) == (wanted.tagged, wanted.untagged)
            assert interface.is_down or (is_whole and is_joined), f"{name} opened too early"

    simulated.observe = observe
    for change in restoring(EMPTY, after):
        simulated.carry_out(change)
    assert simulated.config == after


@given(configs(), configs())
def test_a_summary_has_each_element_once(before: SwitchConfig, after: SwitchConfig) -> None:
    found = summary(before, after)
    heads = [words(change).split(": ")[0][2:] for change in found]
    routes = [head for head in heads if head.startswith("route ")]
    others = [head for head in heads if not head.startswith("route ")]
    assert len(set(others)) == len(others)
    assert len(routes) == len(before.routes ^ after.routes)
    assert bool(found) == (before != after)
    assert all("\n" not in words(change) for change in found)
    assert all(document(change)["verb"] for change in found)


@given(configs(), configs())
def test_what_an_element_lacks_is_said_in_words(before: SwitchConfig, after: SwitchConfig) -> None:
    """Nothing of it is there to be half shown: `RD 1:1 → ;`, `vrf is None`."""
    for change in difference(before, after):
        line = f"{words(change)};"
        assert not re.search(r"→ ;|\(\)|None|  ", line), line
        if change.before is not None and change.after is not None:
            assert contrast(change.before, change.after)
