"""What a plan costs grows as what is planned does. Counted in steps, not in time.

What one step does in C is not counted; `bench fabric_plan` has the time.
"""

from functools import partial

from msgspec.structs import replace
from tests.doubles import fabrics
from tests.doubles.steps import steps

from netwright.fabric.intent import Intent
from netwright.fabric.overlays import overlays
from netwright.fabric.plan import Planner, plan

GROWTH_MAX = 1.05
"""What is done once for all weighs less in what is larger."""


def fabric(pairs: int) -> Intent:
    """A fabric of so many pairs of leaves, each with four hosts, and a VPC of its own."""
    networks = [fabrics.network(number) for number in range(1, 2 * pairs + 1)]
    return fabrics.intent(
        fabrics.topology(2 * pairs, 4 * pairs),
        networks=networks,
        routers=[
            fabrics.router(
                pair + 1,
                fabrics.interface(
                    fabrics.subnet(networks[2 * pair], "10.0.0.0/24", None), "10.0.0.1"
                ),
            )
            for pair in range(pairs)
        ],
        attachments=[
            fabrics.attachment(network, f"host{pair + pairs * host + 1}", 100 + which)
            for pair in range(pairs)
            for which, network in enumerate(networks[2 * pair : 2 * pair + 2])
            for host in range(4)
        ],
    )


def test_a_plan_costs_each_leaf_the_same_however_many_there_are() -> None:
    small, large = fabric(5), fabric(40)
    assert len(plan(large).switches) == 8 * (len(plan(small).switches) - 1) + 1  # a core each
    growth = steps(partial(plan, large)) / steps(partial(plan, small)) / 8
    assert growth <= GROWTH_MAX


def test_vpcs_cost_the_same_each() -> None:
    small, large = fabric(5), fabric(80)
    growth = steps(partial(overlays, large)) / steps(partial(overlays, small)) / 16
    assert growth <= GROWTH_MAX


def test_a_plan_begun_anew_is_the_one_that_followed_each_attachment() -> None:
    intent = fabric(3)
    followed = Planner(replace(intent, attachments={}))
    followed.update(intent)
    assert followed.plan == plan(intent)
