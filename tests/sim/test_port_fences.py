"""Fences of single ports by the fabric controller, in virtual time: asked, verified, lifted."""

import asyncio
from collections.abc import Callable

from msgspec.structs import replace
from tests.doubles.fabric_world import ONE, TWO, World

from netwright.fabric.config import Fenced
from netwright.model.fabric import SwitchStatus
from netwright.model.resources import FenceState, PortFence
from netwright.model.states import AttachmentState
from netwright.model.wire import ReportStatus

MAC, ADDRESS = "02:00:00:00:00:01", "10.0.0.5"
ASKED = PortFence(
    port_id="p1", generation=3, macs=(MAC,), addresses=(ADDRESS,), asked_at=1.0, since=1.0
)
DROP = Fenced(port_id="p1", mac_address=MAC, addresses=(ADDRESS,))
LEAVES = ("leaf1", "leaf2")


def drops(world: World, leaf: str) -> tuple[Fenced, ...]:
    found = world[leaf].config.interfaces.get("h1")
    return found.fenced if found is not None else ()


def state(world: World) -> FenceState | None:
    fence = world.server.fence("host1")
    return fence.state if fence is not None else None


async def lift(world: World) -> None:
    """As the server does when the host's agent wires nothing of the port."""
    fence = world.server.fence("host1")
    assert fence is not None
    await world.server.put_fences("host1", replace(fence, state=FenceState.LIFTING))


def test_it_is_verified_and_lifted_and_what_else_is_there_works_on(
    run: Callable[..., None],
) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE, TWO)
        async with world.controller():
            await world.until_up("net-1@host1", "net-1@host2")
            said = len(world.server.reports)
            for leaf in LEAVES:
                world[leaf].apply_s = 0.3
            await world.server.put_fences("host1", ASKED)
            await world.until(lambda: state(world) is FenceState.VERIFIED, 2.0)
            assert {drops(world, leaf) for leaf in LEAVES} == {(DROP,)}
            await lift(world)
            await world.until(lambda: state(world) is None, 2.0)
            assert {drops(world, leaf) for leaf in LEAVES} == {()}
            await asyncio.sleep(5)
            of_networks = [one for each in world.server.reports[said:] for one in each.attachments]
            assert all(one.status is ReportStatus.UP for one in of_networks)
            assert world.server.state("net-1@host1") is AttachmentState.UP

    run(scenario)


def test_a_leaf_that_is_silent_is_waited_for_and_named(run: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
            world["leaf2"].is_reachable = False
            unreachable = SwitchStatus.UNREACHABLE
            await world.until(lambda: world.server.status("leaf2").status is unreachable, 10)
            await world.server.put_fences("host1", ASKED)

            def cause() -> str:
                fence = world.server.fence("host1")
                return fence.cause if fence is not None else ""

            await world.until(lambda: "leaf2" in cause(), 10.0)
            assert "does not answer" in cause()
            assert "leaf1" not in cause()
            assert state(world) is FenceState.ASKED
            assert drops(world, "leaf1") == (DROP,)
            world["leaf2"].is_reachable = True
            await world.until(lambda: state(world) is FenceState.VERIFIED, 15.0)
            assert drops(world, "leaf2") == (DROP,)

    run(scenario)


def test_a_leaf_that_is_dead_by_its_neighbours_word_is_not_waited_for(
    run: Callable[..., None],
) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
            world["leaf2"].is_reachable = False
            world["spine1"].dark.add("leaf2")
            await world.server.put_fences("host1", ASKED)
            await world.until(lambda: state(world) is FenceState.VERIFIED, 15.0)
            assert drops(world, "leaf2") == ()

    run(scenario)


def test_another_controller_goes_on_with_it(run: Callable[..., None]) -> None:
    """Asked by one that was told and did nothing; verified by another; lifted by a third life."""

    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller("one"):
            await world.until_up("net-1@host1")
            world["leaf2"].is_reachable = False
            await world.server.put_fences("host1", ASKED)
            await world.until(lambda: drops(world, "leaf1") == (DROP,), 5.0)
        world["leaf2"].is_reachable = True
        async with world.controller("two"):
            await world.until(lambda: state(world) is FenceState.VERIFIED, 40.0)
            assert drops(world, "leaf2") == (DROP,)
        await lift(world)
        assert {drops(world, leaf) for leaf in LEAVES} == {(DROP,)}
        async with world.controller("one"):
            await world.until(lambda: state(world) is None, 40.0)
            assert {drops(world, leaf) for leaf in LEAVES} == {()}

    run(scenario)


def test_a_leaf_that_starts_anew_has_it_again_before_its_ports_come_up(
    run: Callable[..., None],
) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE, TWO)
        async with world.controller():
            await world.until_up("net-1@host1")
            await world.server.put_fences("host1", ASKED)
            await world.until(lambda: state(world) is FenceState.VERIFIED, 2.0)
            open_without: list[str] = []

            def look(_: object) -> None:
                port = world["leaf1"].config.interfaces.get("h1")
                if port is not None and port.tagged and not port.is_down and not port.fenced:
                    open_without.append(str(port))

            world["leaf1"].observe = look
            world["leaf1"].reboot()
            await world.until(lambda: drops(world, "leaf1") == (DROP,), 30.0)
            await asyncio.sleep(20)
            assert open_without == []
            assert state(world) is FenceState.VERIFIED

    run(scenario)
