"""What is held, left or refused never keeps the rest from being carried out, on any switch."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.switches import SimulatedSwitch
from tests.property.fabric.configs import configs

from netwright.fabric import elements, goals
from netwright.fabric.bringing import Bringer
from netwright.fabric.changes import Change, Element, difference
from netwright.fabric.config import Interface, Route, Segment, SwitchConfig, VlanGateway, Vrf
from netwright.fabric.elements import ElementKey
from netwright.model.errors import DeviceError

Choice = st.lists(st.integers(0, 1000), max_size=4)


@given(actual=configs(), wanted=configs(), held=Choice, left=Choice)
def test_any_goal_can_be_carried_out(
    actual: SwitchConfig, wanted: SwitchConfig, held: list[int], left: list[int]
) -> None:
    switch = SimulatedSwitch("leaf1")
    switch.become(actual)
    goal = goals.goal(
        wanted,
        actual,
        held=_chosen(actual, wanted, held),
        before=actual,
        left=_chosen(actual, wanted, left),
    )
    for change in difference(actual, goal):
        switch.carry_out(change)
    assert not difference(switch.config, goal)


@given(actual=configs(), wanted=configs())
def test_nothing_held_is_the_plan_itself(actual: SwitchConfig, wanted: SwitchConfig) -> None:
    assert not difference(goals.goal(wanted, actual, before=actual), wanted)


@given(
    actual=configs(),
    wanted=configs(),
    failures=st.lists(st.sampled_from([None, "refuse", "hang"]), max_size=12),
)
def test_refusals_end_and_the_plan_is_reached(
    actual: SwitchConfig, wanted: SwitchConfig, failures: list[str | None]
) -> None:
    """What stands is told, whatever is refused; without more whims of the switch, it is brought."""

    async def main() -> None:
        switch, clock = SimulatedSwitch("leaf1"), [1000.0]
        switch.become(actual)
        switch.failures = list(failures)
        bringer = Bringer(
            "leaf1", switch, token=lambda: 1, clock=lambda: clock[0], jitter=lambda: 0.5
        )
        found = await bringer.bring(await switch.read(), wanted, begin=_begin)
        assert found.config == switch.config
        if difference(found.config, wanted):
            assert bringer.held or bringer.half
        switch.failures = []
        for _ in range(20):
            clock[0] += 100.0
            found = await bringer.bring(await switch.read(), wanted, begin=_begin)
            if not difference(found.config, wanted):
                break
        assert not difference(switch.config, wanted)
        assert not bringer.half

    asyncio.run(main())


@given(actual=configs(), wanted=configs(), bad=st.integers(0, 1000))
def test_a_bad_element_fails_alone(actual: SwitchConfig, wanted: SwitchConfig, bad: int) -> None:
    """What needs nothing of the element that the switch never takes comes all the same."""
    keys = sorted(elements.elements(wanted).keys() - elements.elements(actual).keys(), key=str)
    if not keys:
        return
    refused = keys[bad % len(keys)]

    async def main() -> None:
        switch = _Stubborn(refused)
        switch.become(actual)
        bringer = Bringer("leaf1", switch, token=lambda: 1, clock=lambda: 0.0, jitter=lambda: 0.5)
        found = await bringer.bring(await switch.read(), wanted, begin=_begin)
        there = elements.elements(found.config)
        assert refused not in there
        for key, element in elements.elements(wanted).items():
            if not _needs(element, refused):
                assert there.get(key) == element, f"{key} was not brought, because of {refused}"

    asyncio.run(main())


class _Stubborn(SimulatedSwitch):
    def __init__(self, refused: ElementKey) -> None:
        super().__init__("leaf1")
        self._refused = refused

    def carry_out(self, change: Change) -> None:
        if change.after is not None and elements.key_of(change.after) == self._refused:
            raise DeviceError(f"leaf1 never takes {self._refused}")
        super().carry_out(change)


def _needs(element: Element, refused: ElementKey) -> bool:
    """Whether it is the refused element, is in it, or carries it, maybe by a VRF's segment."""
    if elements.key_of(element) == refused:
        return True
    name = refused.name
    match element:
        case Segment():
            return refused.kind is Vrf and element.vrf == name
        case Interface():
            return refused.kind in {Segment, Vrf}
        case VlanGateway() | Route():
            return refused.kind is Vrf and element.vrf == name
    return False


def _chosen(one: SwitchConfig, other: SwitchConfig, choice: list[int]) -> set[ElementKey]:
    keys = sorted(elements.elements(one).keys() | elements.elements(other).keys(), key=str)
    return {keys[each % len(keys)] for each in choice} if keys else set()


async def _begin(_aim: SwitchConfig) -> None:
    pass
