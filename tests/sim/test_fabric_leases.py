"""Two fabric controllers, one lease: who stands by takes over, and who is outdated cannot write."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec.structs import replace
from tests.doubles import fabrics
from tests.doubles.fabric_world import ONE, SUBJECTS, TWO, World

from netwright.fabric.changes import difference
from netwright.fabric.config import EMPTY
from netwright.model.fabric import SwitchStatus
from netwright.model.topology import DriftPolicy


def test_a_standby_takes_over_within_ten_seconds_and_begins_where_it_was(
    run: Callable[..., None],
) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller("one") as first:
            await world.until_up("net-1@host1")
            async with world.controller("two") as second:
                await asyncio.sleep(3)
                assert second.tenure is None
                assert second.listener.told.cursor == world.server.cursor
                assert first.tenure is not None
                first.lease.drop()  # it dies without a word
                first.tenure._keepers.of.clear()

                async def silent(*_: object) -> None:
                    await asyncio.Event().wait()

                first.lease._ask = silent  # type: ignore[method-assign,assignment]
                await world.server.put_attachment(TWO)
                assert await world.until_up(*SUBJECTS, within_s=10.0) > 1.0

    run(scenario)


def test_a_paused_controller_that_wakes_cannot_write(run: Callable[..., None]) -> None:
    """It is halted amid an apply, before its first change reached the switch."""

    async def scenario(world: World) -> None:
        gate = asyncio.Event()
        gate.set()

        class Paused:
            """The old controller's way to a switch: what it sends waits while it is halted."""

            def __init__(self, driver: Any) -> None:
                self._driver = driver

            def __getattr__(self, name: str) -> Any:
                return getattr(self._driver, name)

            async def apply(self, changes: Any, *, token: int) -> None:
                if changes:
                    await asyncio.shield(gate.wait())
                await self._driver.apply(changes, token=token)

        await world.fill(ONE)
        async with world.controller("old", lambda one: Paused(world.fabric.driver(one))) as old:
            await world.until_up("net-1@host1")
            old_token = old.lease.token()
            gate.clear()
            await world.server.put_attachment(TWO)
            await asyncio.sleep(0.1)  # it has planned, and is about to write
            world.loop.call_later(0, lambda: None)
            late = [
                asyncio.create_task(Paused(one).apply([_any_change(one)], token=old_token))
                for one in world.fabric.switches.values()
                if one.config.interfaces
            ]
            old.lease._clock = lambda: 0.0
            old.lease._server = _Deaf()  # type: ignore[assignment]
            async with world.controller("new") as new:
                await world.until(lambda: new.tenure is not None, 10.0)
                await world.until_up(*SUBJECTS, within_s=5.0)
                new_token = new.lease.token()
                written = {name: len(one.tokens) for name, one in world.fabric.switches.items()}
                gate.set()
                results = await asyncio.gather(*late, return_exceptions=True)
                assert results
                assert all(type(one).__name__ == "OvertakenError" for one in results)
                await asyncio.sleep(10)
                assert old.tenure is None
                for name, one in world.fabric.switches.items():
                    assert set(one.tokens[written[name] :]) <= {new_token}

    run(scenario)


def test_what_another_did_meanwhile_is_no_drift_also_where_drift_is_only_alarmed(
    run: Callable[..., None],
) -> None:
    """What it remembers of a switch is older than the other's tenure: it says nothing any more."""
    topology = fabrics.topology()
    topology = replace(topology, fabric=replace(topology.fabric, drift=DriftPolicy.ALARM))

    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller("one"):
            await world.until_up("net-1@host1")
        async with world.controller("two"):
            await world.server.put_attachment(TWO)
            await world.until_up("net-1@host2")
        await world.server.withdraw("net-1@host2")
        async with world.controller("one"):
            await world.until(lambda: world.server.state("net-1@host2") is None, 10.0)
            assert "h2" not in world["leaf1"].config.interfaces
            assert not any(one.drift for one in world.server.switches)

    run(scenario, topology)


def test_its_own_story_is_believed_after_a_restart_and_also_after_two(
    run: Callable[..., None],
) -> None:
    topology = fabrics.topology()
    topology = replace(topology, fabric=replace(topology.fabric, drift=DriftPolicy.ALARM))

    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
        world["leaf1"].is_reachable = False  # its second life does not reach it
        async with world.controller():
            await asyncio.sleep(5.0)
        world["leaf1"].is_reachable = True
        world["leaf1"].become(EMPTY)
        for _ in range(2):
            async with world.controller():
                await asyncio.sleep(10.0)
                assert world["leaf1"].config == EMPTY, "it is only alarmed"
                assert world.server.status("leaf1").status is SwitchStatus.DRIFTED

    run(scenario, topology)


def _any_change(switch: Any) -> Any:

    return difference(switch.config, EMPTY)[0]


class _Deaf:
    async def take_lease(self, *_: object) -> Coroutine[Any, Any, None]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")
