"""A leaf that no other switch hears, the whole controller around it, in virtual time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.doubles import fabrics
from tests.doubles.fabric_world import NETWORK, ONE, TWO, UP, World

from netwright.model.fabric import SwitchStatus

FOUR_LEAVES = fabrics.topology(leaves=4, hosts=2)
"""host1 on leaf1 and leaf2, host2 on leaf3 and leaf4."""

NETWORK_VNI = NETWORK.segment.segmentation_id
SUBJECTS = ("net-1@host1", "net-1@host2")


def is_down(world: World, leaf: str, port: str = "h1") -> bool:
    return world[leaf].config.interfaces[port].is_down


@asynccontextmanager
async def carrying(world: World) -> AsyncIterator[None]:
    """A controller, and a network that is up at both pairs of leaves."""
    await world.fill(ONE, TWO)
    async with world.controller():
        await world.until_up(*SUBJECTS)
        yield


def test_its_hosts_go_to_the_other_leaf_and_come_back_to_a_complete_one(
    run: Callable[..., None],
) -> None:
    async def scenario(world: World) -> None:
        async with carrying(world):
            world["leaf1"].isolate(isolated=True)
            await world.until(lambda: is_down(world, "leaf1"), 1.0)
            assert not is_down(world, "leaf2")
            state = world.server.status("leaf1")
            assert state.status is SwitchStatus.ISOLATED
            assert "Held down, so that hosts use their other leaf: h1." in state.cause
            assert {world.server.state(one) for one in SUBJECTS} == {UP}
            # Its session is back, and the others do not import what it says yet.
            world["leaf1"].is_mute = True
            world["leaf1"].isolate(isolated=False)
            await world.until(
                lambda: "have not confirmed" in world.server.status("leaf1").cause, 5.0
            )
            assert is_down(world, "leaf1")
            world["leaf1"].is_mute = False
            await world.until(lambda: not is_down(world, "leaf1"), 5.0)
            in_sync = SwitchStatus.IN_SYNC
            await world.until(lambda: world.server.status("leaf1").status is in_sync, 5.0)
            assert {world.server.state(one) for one in SUBJECTS} == {UP}

    run(scenario, FOUR_LEAVES)


def test_both_leaves_of_a_pair_isolated_keep_their_ports_up(run: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        async with carrying(world):
            world["leaf1"].isolate(isolated=True)
            await world.until(lambda: is_down(world, "leaf1"), 1.0)
            world["leaf2"].isolate(isolated=True)
            await world.until(lambda: not is_down(world, "leaf1"), 5.0)
            assert not is_down(world, "leaf2")
            cause = world.server.status("leaf2").cause
            assert "no other leaf serves all of its hosts" in cause

    run(scenario, FOUR_LEAVES)


def test_a_controller_that_starts_anew_goes_on_holding(run: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        async with carrying(world):
            world["leaf1"].isolate(isolated=True)
            await world.until(lambda: is_down(world, "leaf1"), 1.0)
        async with world.controller():
            isolated = SwitchStatus.ISOLATED
            await world.until(lambda: world.server.status("leaf1").status is isolated, 10.0)
            await world.until(lambda: is_down(world, "leaf1"), 5.0)
            assert world["leaf2"].config.interfaces["h1"].tagged == {10: NETWORK_VNI}
            world["leaf1"].isolate(isolated=False)
            await world.until(lambda: not is_down(world, "leaf1"), 10.0)

    run(scenario, FOUR_LEAVES)


def test_a_leaf_whose_control_plane_is_silent_sends_its_hosts_away_and_is_not_drifted(
    run: Callable[..., None],
) -> None:
    async def scenario(world: World) -> None:
        async with carrying(world):
            before = world["leaf1"].config
            world["leaf1"].silence(silent=True)
            await world.until(lambda: is_down(world, "leaf1"), 5.0)
            await world.until(
                lambda: world.server.status("leaf1").status is SwitchStatus.ISOLATED, 5.0
            )
            assert not world.server.status("leaf1").drift
            assert {world.server.state(one) for one in SUBJECTS} == {UP}
            world["leaf1"].silence(silent=False)
            await world.until(lambda: not is_down(world, "leaf1"), 10.0)
            assert world["leaf1"].config == before
            await world.until(
                lambda: world.server.status("leaf1").status is SwitchStatus.IN_SYNC, 5.0
            )
            assert "Repaired" not in world.server.status("leaf1").cause

    run(scenario, FOUR_LEAVES)


def test_a_silent_leaf_that_nobody_can_stand_in_for_takes_its_networks_down(
    run: Callable[..., None],
) -> None:
    async def scenario(world: World) -> None:
        async with carrying(world):
            world["leaf2"].is_reachable = False
            unreachable = SwitchStatus.UNREACHABLE
            await world.until(lambda: world.server.status("leaf2").status is unreachable, 10.0)
            world["leaf1"].silence(silent=True)
            await world.until(lambda: world.server.state("net-1@host1") is not UP, 10.0)
            assert not is_down(world, "leaf1")
            assert world.server.state("net-1@host2") is UP

    run(scenario, FOUR_LEAVES)
