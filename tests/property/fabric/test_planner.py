"""The planner that follows changes has the same plan as one that begins with the last intent."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.property.fabric.intents import Step, beginning, steps

from netwright.fabric.plan import Planner, plan


@settings(max_examples=60)
@given(st.lists(steps(), min_size=8, max_size=30))
def test_it_equals_the_whole_plan_after_every_change(made: list[Step]) -> None:
    intent = beginning()
    planner = Planner(intent)
    for step in made:
        before, intent = planner.plan, step(intent)
        told = planner.update(intent)
        whole = plan(intent)
        assert planner.plan.refusals == whole.refusals
        assert planner.plan.switches == whole.switches
        names = before.switches.keys() | whole.switches.keys()
        assert told == {
            name for name in names if before.switches.get(name) != whole.switches.get(name)
        }


@settings(max_examples=60)
@given(st.lists(steps(), min_size=8, max_size=30), st.randoms(use_true_random=False))
def test_the_order_in_which_the_server_told_does_not_matter(
    made: list[Step], random: Random
) -> None:
    intent = beginning()
    for step in made:
        intent = step(intent)
    shuffled = intent
    for part in ("networks", "subnets", "routers", "attachments"):
        items = list(getattr(intent, part).items())
        random.shuffle(items)
        shuffled = replace(shuffled, **{part: dict(items)})
    assert plan(shuffled) == plan(intent)
