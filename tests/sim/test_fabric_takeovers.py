"""A fabric controller that comes back after another has acted, in virtual time."""

import asyncio
from collections.abc import Callable

from tests.doubles.fabric_world import ONE, SUBJECTS, TWO, World

from netwright.fabric.config import SwitchConfig
from netwright.model.fabric import SwitchStatus
from netwright.model.operations import Action, OperationState
from netwright.model.wire import Kind


def test_who_was_told_long_ago_changes_nothing_before_it_is_told_all(
    run: Callable[..., None],
) -> None:
    """Law 6: others may have acted while it was down, and its store knows nothing of that."""

    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller("one"):
            await world.until_up("net-1@host1")
        async with world.controller("two"):
            await world.server.put_attachment(TWO)
            await world.until_up(*SUBJECTS)
            drained = await world.server.ask(Action.DRAIN, switch="leaf2")
            assert drained.state is OperationState.DONE
        stands = {leaf: world[leaf].config for leaf in ("leaf1", "leaf2")}
        seen: list[SwitchConfig] = []
        for leaf in stands:
            world[leaf].observe = seen.append
        world.server.is_watch_away = True
        async with world.controller("one") as controller:
            await asyncio.sleep(15)
            assert controller.listener.is_known
            assert controller.tenure is None
            world.server.is_watch_away = False
            await world.until(lambda: controller.tenure is not None, 15.0)
            await asyncio.sleep(5)
            assert world.server.objects[Kind.SWITCH, "leaf2"].drained
        assert {leaf: world[leaf].config for leaf in stands} == stands
        assert seen == []

    run(scenario)


def test_who_takes_over_holds_nothing_down_that_another_has_opened(
    run: Callable[..., None],
) -> None:
    """Law 6: that the switch started anew since it was last ours is an old story by then."""

    async def scenario(world: World) -> None:
        await world.fill(ONE, TWO)
        async with world.controller("one"):
            await world.until_up(*SUBJECTS)
        async with world.controller("two"):
            await world.until_up(*SUBJECTS)
            world["leaf1"].reboot()
            await asyncio.sleep(10)
            assert world.server.status("leaf1").status is SwitchStatus.IN_SYNC
            stands = world["leaf1"].config
            assert stands.interfaces["h1"].tagged == {10: 1001}
        seen: list[SwitchConfig] = []
        world["leaf1"].observe = seen.append
        async with world.controller("one"):
            await asyncio.sleep(10)
            assert world.server.status("leaf1").status is SwitchStatus.IN_SYNC
        assert (world["leaf1"].config, seen) == (stands, [])

    run(scenario)


def test_what_another_controller_did_is_not_taken_for_somebody_elses_change(
    run: Callable[..., None],
) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller("one"):
            await world.until_up("net-1@host1")
        async with world.controller("two"):
            await world.server.put_attachment(TWO)
            await world.until_up(*SUBJECTS)
        world.server.switches.clear()
        async with world.controller("one"):
            await asyncio.sleep(10)
        said = {(one.status, one.cause, one.drift) for one in world.server.switches}
        assert said == {(SwitchStatus.IN_SYNC, "", ())}

    run(scenario)
