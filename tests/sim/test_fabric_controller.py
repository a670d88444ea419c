"""The fabric controller against switches in memory, in virtual time: faults, drift, leases."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.doubles import fabrics, virtual_time
from tests.doubles.fabric_server import EvpnFabric, FabricServer, Here, here

from netwright.fabric.config import EMPTY, RouteTargets, SwitchConfig
from netwright.fabric.controller import Controller
from netwright.fabric.drivers.base import Driver
from netwright.fabric.store import Store
from netwright.model.fabric import SwitchStatus
from netwright.model.operations import Action, OperationState
from netwright.model.resources import Attachment, Network
from netwright.model.states import AttachmentState
from netwright.model.topology import DriftPolicy, Switch, Topology
from netwright.model.wire import Kind

NETWORK = fabrics.network(1)
UP, WANTED = AttachmentState.UP, AttachmentState.WANTED


class World:
    """A server, switches, and controllers that a test starts, halts and ends."""

    def __init__(self, directory: Path, topology: Topology, *, tells: bool = True) -> None:
        self.loop = asyncio.get_running_loop()
        self.topology = topology
        self.server = FabricServer(self.loop.time)
        self.fabric = EvpnFabric(topology, tells=tells)
        self._directory = directory

    def __getitem__(self, name: str):  # type: ignore[no-untyped-def]  # noqa: ANN204
        return self.fabric.switches[name]

    async def fill(
        self, *attachments: Attachment, networks: tuple[Network, ...] = (NETWORK,)
    ) -> None:
        await self.server.put(Kind.TOPOLOGY, "fabric", self.topology)
        for network in networks:
            await self.server.put(Kind.NETWORK, network.id, network)
        for attachment in attachments:
            await self.server.put_attachment(attachment)

    @asynccontextmanager
    async def controller(
        self, name: str = "one", drivers: Callable[[Switch], Driver] | None = None
    ) -> AsyncIterator[Controller]:
        store = Store.open(self._directory / name, Here())
        controller = Controller(
            self.server,
            store,
            drivers or self.fabric.driver,
            holder=name,
            clock=self.loop.time,
            now=self.loop.time,
            jitter=lambda: 0.5,
            aside=here,
        )
        task = asyncio.create_task(controller.run(), name=name)
        try:
            yield controller
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await controller.stop()
            store.close()

    async def until(self, what: Callable[[], bool], within_s: float) -> float:
        """How long it took. Fails when it took longer."""
        began = self.loop.time()
        while not what():
            assert self.loop.time() - began <= within_s, f"not within {within_s} s"
            await asyncio.sleep(0.01)
        return self.loop.time() - began

    async def until_up(self, *subjects: str, within_s: float = 5.0) -> float:
        return await self.until(
            lambda: all(self.server.state(one) is UP for one in subjects), within_s
        )


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Runs a scenario with a world of two leaves, two hosts."""

    def run(
        scenario: Callable[[World], Awaitable[None]], topology: Topology | None = None, **how: Any
    ) -> None:
        async def main() -> None:
            await scenario(World(tmp_path, topology or fabrics.topology(), **how))

        virtual_time.run(main())

    return run


ONE = fabrics.attachment(NETWORK, "host1", 10)
TWO = fabrics.attachment(NETWORK, "host2", 10)
SUBJECTS = ("net-1@host1", "net-1@host2")


def test_an_attachment_comes_up_and_goes(run: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
            for leaf in ("leaf1", "leaf2"):
                assert world[leaf].config.interfaces["h1"].tagged == {10: 1001}
            await world.server.withdraw("net-1@host1")
            await world.until(lambda: world.server.state("net-1@host1") is None, 5.0)
            assert world["leaf1"].config == EMPTY
            await world.until(lambda: world.server.clear_at == world.server.cursor, 5.0)

    run(scenario)


def test_one_leaf_of_a_pair_is_enough_once_it_is_up(run: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE, TWO)
        async with world.controller():
            await world.until_up(*SUBJECTS)
            world["leaf1"].is_reachable = False
            await world.until(
                lambda: world.server.status("leaf1").status is SwitchStatus.UNREACHABLE, 5.0
            )
            await asyncio.sleep(5)
            assert world.server.state("net-1@host1") is UP
            assert "leaf1" in world.server.attachment("net-1@host1").cause
            world["leaf2"].is_reachable = False
            await world.until(
                lambda: world.server.state("net-1@host1") is AttachmentState.DRIFTED, 5.0
            )
            assert "leaf2" in world.server.attachment("net-1@host1").cause
            world["leaf1"].is_reachable = world["leaf2"].is_reachable = True
            await world.until_up(*SUBJECTS)

    run(scenario)


@pytest.mark.parametrize("tells", [True, False])
def test_drift_is_seen_shown_and_repaired(run: Callable[..., None], tells: bool) -> None:  # noqa: FBT001
    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
            planned = world["leaf1"].config
            world["leaf1"].become(EMPTY)
            await world.until(lambda: world["leaf1"].config == planned, 5.0)
            await world.until(
                lambda: any(
                    one.status is SwitchStatus.DRIFTED and one.drift
                    for one in world.server.switches
                ),
                1.0,
            )
            await world.until(
                lambda: world.server.status("leaf1").status is SwitchStatus.IN_SYNC, 1.0
            )
            assert "segment 1001" in world.server.status("leaf1").cause
            await world.until_up("net-1@host1")

    run(scenario, tells=tells)


def test_drift_is_only_alarmed_where_the_owner_wants_it_so(run: Callable[..., None]) -> None:
    topology = fabrics.topology()
    topology = replace(topology, fabric=replace(topology.fabric, drift=DriftPolicy.ALARM))

    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
            leaf = world["leaf1"]
            (segment,) = leaf.config.segments.values()
            wrong = replace(segment, route_targets=RouteTargets(imports=("1:1",), exports=("1:1",)))
            leaf.become(replace(leaf.config, segments={1001: wrong}))
            await world.until(
                lambda: world.server.status("leaf1").status is SwitchStatus.DRIFTED, 5.0
            )
            await asyncio.sleep(30)
            assert leaf.config.segments[1001] == wrong
            assert world.server.status("leaf1").status is SwitchStatus.DRIFTED
            assert world.server.state("net-1@host1") is AttachmentState.DRIFTED
            # What is planned anew is carried out all the same.
            await world.server.put_attachment(TWO)
            await world.until(lambda: "h2" in leaf.config.interfaces, 5.0)
            assert leaf.config.segments[1001] == wrong
        async with world.controller():  # another life knows what it had been brought to
            await asyncio.sleep(30)
            assert leaf.config.segments[1001] == wrong

    run(scenario, topology)


def test_a_wrong_route_target_behind_its_back_is_found(run: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
            for leaf in ("leaf1", "leaf2"):  # only its control plane knows
                world[leaf].announces[1001] = RouteTargets(imports=("1:1",), exports=("1:1",))
            await world.until(
                lambda: world.server.state("net-1@host1") is AttachmentState.DRIFTED, 5.0
            )
            assert "1:1" in world.server.attachment("net-1@host1").cause

    run(scenario)


def test_what_a_switch_refuses_fails_alone_and_is_tried_again(run: Callable[..., None]) -> None:
    other = fabrics.network(2)

    async def scenario(world: World) -> None:
        await world.fill(ONE, networks=(NETWORK, other))
        async with world.controller():
            await world.until_up("net-1@host1")
            world["leaf1"].foreign = replace(
                EMPTY,
                segments={
                    1002: replace(world["leaf1"].config.segments[1001], vni=1002, vlan=99, rd="9:9")
                },
            )
            await world.server.put_attachment(fabrics.attachment(other, "host1", 11))
            await world.until(
                lambda: world.server.state("net-2@host1") is AttachmentState.REFUSED, 5.0
            )
            cause = world.server.attachment("net-2@host1").cause
            assert "leaf1" in cause
            assert "h1" in cause
            assert "1002" in cause
            assert world.server.state("net-1@host1") is UP
            assert world.server.status("leaf1").status is SwitchStatus.REFUSED
            assert world["leaf1"].config.interfaces["h1"].tagged == {10: 1001}
            world["leaf1"].foreign = EMPTY
            await world.until_up("net-2@host1", within_s=90.0)
            assert world.server.status("leaf1").status is SwitchStatus.IN_SYNC

    run(scenario)


def test_a_switch_that_hangs_up_halfway_is_finished_when_it_is_back(
    run: Callable[..., None],
) -> None:
    async def scenario(world: World) -> None:
        world["leaf1"].failures = ["hang"]

        def cut(_config: object) -> None:
            world["leaf1"].is_reachable = False
            world["leaf1"].observe = lambda _config: None

        world["leaf1"].observe = cut
        await world.fill(ONE)
        async with world.controller():
            await world.until(
                lambda: "configured" in world.server.status("leaf1").cause,
                5.0,
            )
            assert "not known until it answers" in world.server.status("leaf1").cause
            world["leaf1"].is_reachable = True
            await world.until(lambda: "h1" in world["leaf1"].config.interfaces, 5.0)
            await world.until(
                lambda: world.server.status("leaf1").status is SwitchStatus.IN_SYNC, 5.0
            )
            await world.until_up("net-1@host1")

    run(scenario)


def test_a_rebooted_leaf_holds_its_host_ports_down_until_complete(
    run: Callable[..., None],
) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE, TWO)
        async with world.controller():
            await world.until_up(*SUBJECTS)
            planned = world["leaf1"].config
            opened: list[bool] = []

            def observe(config: SwitchConfig) -> None:
                for one in config.interfaces.values():
                    if not one.is_down:
                        opened.append(1001 in config.segments)  # noqa: PERF401

            world["leaf1"].observe = observe
            world["leaf1"].is_mute = True  # its routes take their time
            world["leaf1"].reboot()
            await asyncio.sleep(10)
            assert world["leaf1"].config.segments == planned.segments
            assert all(one.is_down for one in world["leaf1"].config.interfaces.values())
            assert world.server.status("leaf1").status is SwitchStatus.APPLYING
            assert not opened
            world["leaf1"].is_mute = False
            await world.until(lambda: world["leaf1"].config == planned, 5.0)
            assert opened
            assert all(opened)
            await world.until_up(*SUBJECTS)

    run(scenario)


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
                first.tenure.keepers.clear()

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


def test_a_restart_plans_from_what_was_saved_and_asks_for_no_snapshot(
    run: Callable[..., None],
) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
            await asyncio.sleep(1)
        saved = world.server.cursor
        await world.server.go_away()
        world["leaf1"].become(EMPTY)
        async with world.controller() as controller:
            await asyncio.sleep(5)
            assert controller.listener.is_known
            assert set(controller._planner.plan.switches) >= {"leaf1", "leaf2"}
            assert world["leaf1"].config == EMPTY  # without the lease nothing is written
            world.server.come_back()
            await world.until(lambda: world["leaf1"].config.segments.keys() == {1001}, 15.0)
            await world.until(lambda: world.server.asked_after == [None, saved], 15.0)

    run(scenario)


def test_the_history_has_the_steps_in_their_order(run: Callable[..., None], tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.fill()
        async with world.controller():
            await asyncio.sleep(1)
            await world.server.put_attachment(ONE)
            await world.until_up("net-1@host1")
            await asyncio.sleep(1)

    run(scenario)
    store = Store.open(tmp_path / "one", Here())
    steps = virtual_time.run(store.history("net-1@host1"))
    store.close()
    events = [step.event for step in steps]
    assert events[:6] == ["told", "saved", "planned", "applied", "verified", "reported"]
    assert "leaf1/h1 VLAN 10" in next(step.detail for step in steps if step.event == "planned")


def test_operators_ask_for_plan_apply_and_drain(run: Callable[..., None]) -> None:
    topology = fabrics.topology()
    topology = replace(topology, fabric=replace(topology.fabric, drift=DriftPolicy.ALARM))

    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
            planned = world["leaf1"].config
            world["leaf1"].become(EMPTY)
            plan = await world.server.ask(Action.PLAN)
            said = plan.result["switches"]["leaf1"]
            assert [line.split(":")[0] for line in said["words"]] == [
                "+ segment 1001",
                "+ interface h1",
            ]
            assert [one["verb"] for one in said["changes"]] == ["add", "add"]
            assert plan.result["switches"]["leaf2"]["words"] == []
            assert world["leaf1"].config == EMPTY
            applied = await world.server.ask(Action.APPLY, switches=["leaf1"])
            assert applied.state is OperationState.DONE
            assert applied.result["switches"]["leaf1"]["words"] == said["words"]
            assert world["leaf1"].config == planned

            drained = await world.server.ask(Action.DRAIN, switch="leaf1")
            assert drained.state is OperationState.DONE
            assert drained.result["cut_off"] == []
            assert all(one.is_down for one in world["leaf1"].config.interfaces.values())
            assert world.server.state("net-1@host1") is UP
            assert "drained" in world.server.attachment("net-1@host1").cause
            last = await world.server.ask(Action.DRAIN, switch="leaf2")
            assert last.result["cut_off"] == ["host1", "host2"]
            await world.until(
                lambda: world.server.state("net-1@host1") is AttachmentState.DRIFTED, 5.0
            )
        async with world.controller("another"):  # which learns it from the server
            await world.until(lambda: world.server.status("leaf1").drained, 10.0)
            await asyncio.sleep(5)
            assert all(one.is_down for one in world["leaf1"].config.interfaces.values())
            for leaf in ("leaf1", "leaf2"):
                await world.server.ask(Action.UNDRAIN, switch=leaf)
            await world.until_up("net-1@host1")
            assert world["leaf1"].config == planned
            unknown = await world.server.ask(Action.DRAIN, switch="spine9")
            assert unknown.state is OperationState.FAILED
            assert unknown.error is not None
            assert "spine9" in unknown.error.message
            assert world.server.status("spine1").status is SwitchStatus.IN_SYNC

    run(scenario, topology)


def _any_change(switch: Any) -> Any:
    from netwright.fabric.changes import difference

    return difference(switch.config, EMPTY)[0]


class _Deaf:
    async def take_lease(self, *_: object) -> Coroutine[Any, Any, None]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")
