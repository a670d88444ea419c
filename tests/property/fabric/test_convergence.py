"""Intents and faults in any sequence: the fabric always comes to the plan, and nobody else suffers.

The controller here is the simplest there can be, without memory: read each switch, take the
difference to the plan, apply it, until there is none. Whatever holds for it holds for any that does
the same; what it must never need is to know how a switch became what it is.
"""

import asyncio

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace
from tests.doubles.switches import SimulatedSwitch, without
from tests.property.fabric.configs import configs, steady
from tests.property.fabric.intents import Step, beginning, steps

from netwright.fabric.changes import Element, difference
from netwright.fabric.config import RouteTargets, Segment, SwitchConfig, Vrf
from netwright.fabric.plan import Planner, plan
from netwright.model.errors import DeviceError

NAMES = ("leaf1", "leaf2", "leaf3", "leaf4", "border1", "border2", "core1")
THEIRS = SwitchConfig(
    segments={
        999: Segment(
            vni=999,
            network_id="theirs",
            vlan=99,
            rd="10.0.0.1:999",
            route_targets=RouteTargets(imports=(), exports=()),
        )
    },
    vrfs={
        "theirs": Vrf(
            name="theirs",
            router_id="theirs",
            rd="",
            route_targets=RouteTargets(imports=(), exports=()),
        )
    },
)
"""On every switch, without our mark: the simulated switch refuses whatever touches it."""
WRONG = RouteTargets(imports=("65000:1",), exports=("65000:1",))
_switches = st.sampled_from(NAMES)


class FabricLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.switches = {name: SimulatedSwitch(name, THEIRS) for name in NAMES}
        self.intent = beginning()
        self.planner = Planner(self.intent)

    @initialize(made=st.lists(steps(), max_size=12))
    def begin(self, made: list[Step]) -> None:
        for step in made:
            self.intent = step(self.intent)
        self.planner.update(self.intent)

    @rule(made=st.lists(steps(), min_size=1, max_size=4))
    def want(self, made: list[Step]) -> None:
        for step in made:
            self.intent = step(self.intent)
            self.planner.update(self.intent)

    @rule(name=_switches)
    def reboot(self, name: str) -> None:
        self.switches[name].reboot()

    @rule(name=_switches, choice=st.integers(0, 1000))
    def take_something_away(self, name: str, choice: int) -> None:
        switch = self.switches[name]
        if there := _elements(switch.config):
            switch.become(without(switch.config, there[choice % len(there)]))

    @rule(name=_switches, choice=st.integers(0, 1000))
    def give_a_wrong_route_target(self, name: str, choice: int) -> None:
        switch = self.switches[name]
        config = switch.config
        if config.segments:
            vni = sorted(config.segments)[choice % len(config.segments)]
            wrong = replace(config.segments[vni], route_targets=WRONG)
            switch.become(replace(config, segments={**config.segments, vni: wrong}))

    @rule(name=_switches, config=configs())
    def make_it_anything(self, name: str, config: SwitchConfig) -> None:
        self.switches[name].become(config)

    @rule(
        name=_switches,
        failures=st.lists(st.sampled_from([None, None, "refuse", "hang"]), max_size=6),
    )
    def fail_halfway(self, name: str, failures: list[str | None]) -> None:
        """The next round stops there; what it had done stands."""
        self.switches[name].failures = failures
        self.converge(name)

    @rule(name=_switches)
    def converge(self, name: str) -> None:
        """One round on one switch."""
        asyncio.run(self._converge(name))

    @rule()
    def come_to_rest(self) -> None:
        """Faults end: two rounds do whatever there is to do, and the second has nothing."""
        for name in self.planner.plan.switches:
            self.switches[name].failures = []
            self.converge(name)
            assert self.switches[name].config == self.planner.plan.switches[name]
            self.switches[name].applied = []
            self.converge(name)
            assert self.switches[name].applied == []

    @invariant()
    def the_planner_follows(self) -> None:
        assert self.planner.plan == plan(self.intent)

    def teardown(self) -> None:
        self.come_to_rest()

    async def _converge(self, name: str) -> None:
        wanted = self.planner.plan.switches.get(name)
        if wanted is None:
            return
        switch = self.switches[name]
        actual = await switch.read()
        switch.observe = steady(actual.config, wanted)
        try:
            await switch.apply(difference(actual.config, wanted))
        except DeviceError as error:
            assert "says no" in str(error) or "did not answer" in str(error), error  # noqa: PT017


def _elements(config: SwitchConfig) -> list[Element]:
    found: list[Element] = [*config.vrfs.values(), *config.segments.values()]
    found += [*config.interfaces.values(), *config.gateways.values()]
    return found + sorted(config.routes, key=repr)


TestFabricLife = FabricLife.TestCase
TestFabricLife.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow],  # a loaded machine
)
