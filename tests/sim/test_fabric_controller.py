"""The fabric controller against switches in memory, in virtual time: drift, refusals, restarts."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doubles import fabrics, virtual_time
from tests.doubles.fabric_server import Here
from tests.doubles.fabric_world import NETWORK, ONE, SUBJECTS, TWO, UP, World

from netwright.fabric.config import EMPTY, Fenced, RouteTargets, SwitchConfig
from netwright.fabric.drivers.base import Driver
from netwright.fabric.store import Store
from netwright.model.errors import Fault, InvalidInput
from netwright.model.fabric import SwitchState, SwitchStatus
from netwright.model.operations import Action, OperationState
from netwright.model.resources import FencedPort, Host, HostState
from netwright.model.states import AttachmentState
from netwright.model.topology import DriftPolicy, Switch
from netwright.model.wire import Kind


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


def test_leaves_drop_what_a_fenced_host_may_speak_as(run: Callable[..., None]) -> None:
    """Law 5. A controller that starts anew knows it too, from its own store."""
    mac, address = "02:00:00:00:00:01", "10.0.0.5"

    def fenced(world: World) -> set[tuple[Fenced, ...]]:
        leaves = (world["leaf1"], world["leaf2"])
        return {each.config.interfaces["h1"].fenced for each in leaves}

    async def scenario(world: World) -> None:
        dropped = FencedPort(port_id="p1", mac_address=mac, addresses=(address,))
        drop = (Fenced(port_id="p1", mac_address=mac, addresses=(address,)),)
        host = Host(
            name="host1",
            driver="ovs",
            state=HostState.FENCED,
            fenced_ports=(dropped,),
            state_since=1.0,
            heard_at=1.0,
        )
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
            await world.server.put(Kind.HOST, "host1", host)
            await world.until(lambda: fenced(world) == {drop}, 5.0)
        world.server.is_away = True
        async with world.controller() as controller:
            await world.until(lambda: bool(controller.listener.told.intent.fences), 1.0)
            world.server.is_away = False
            await world.server.put(
                Kind.HOST, "host1", replace(host, state=HostState.UP, fenced_ports=())
            )
            await world.until(lambda: fenced(world) == {()}, 20.0)

    run(scenario)


def test_a_host_that_moves_to_other_leaves_is_taken_off_those_that_it_had(
    run: Callable[..., None],
) -> None:
    """All that went is called clear when they have let go of it, and not before."""
    topology = fabrics.topology(leaves=4)
    links = tuple(one for one in topology.links if one.lower.node != "host1")
    moved = tuple(fabrics.link("host1", f"leaf{number}", "h1") for number in (2, 4))

    async def scenario(world: World) -> None:
        server = world.server
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
            world["leaf1"].is_reachable = False
            await world.until(lambda: server.status("leaf1").status is SwitchStatus.UNREACHABLE, 5)
            await server.put(Kind.TOPOLOGY, "fabric", replace(topology, links=(*links, *moved)))
            moved_at = server.cursor
            await world.until(lambda: "h1" in world["leaf4"].config.interfaces, 5.0)
            await world.until_up("net-1@host1")
            await server.withdraw("net-1@host1")
            await world.until(lambda: server.state("net-1@host1") is None, 5.0)
            await asyncio.sleep(10)
            assert world["leaf1"].config.interfaces["h1"].tagged == {10: 1001}
            assert seq(server.clear_at) < seq(moved_at)
            world["leaf1"].is_reachable = True
            await world.until(lambda: server.clear_at == server.cursor, 20.0)
            assert all(world[f"leaf{number}"].config == EMPTY for number in (1, 2, 3, 4))

    run(scenario, topology)


def seq(cursor: str | None) -> int:
    assert cursor is not None
    return int(cursor[1:])


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


def test_a_rebooted_spine_has_nothing_to_wait_for(run: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller():
            await world.until_up("net-1@host1")
            world["spine1"].reboot()
            await asyncio.sleep(5)
            assert world.server.status("spine1").status is SwitchStatus.IN_SYNC

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
            before = world["leaf2"].config
            refused = await world.server.ask(Action.DRAIN, switch="leaf2")
            assert refused.state is OperationState.FAILED
            assert refused.error is not None
            assert refused.error.fault == Fault.CALLER
            assert "cut off host1, host2" in refused.error.message
            assert "--force" in refused.error.next
            assert world["leaf2"].config == before
            assert not world.server.objects[Kind.SWITCH, "leaf2"].drained
            last = await world.server.ask(Action.DRAIN, switch="leaf2", force=True)
            assert last.result["cut_off"] == ["host1", "host2"]
            await world.until(
                lambda: world.server.state("net-1@host1") is AttachmentState.DRIFTED, 5.0
            )
        async with world.controller("another"):  # which learns it from the server
            await asyncio.sleep(15)
            assert world.server.objects[Kind.SWITCH, "leaf1"].drained
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


def test_a_switch_without_a_driver_stays_drained(run: Callable[..., None]) -> None:
    """Its report must not be taken for the end of the drain."""

    async def scenario(world: World) -> None:
        def drivers(switch: Switch) -> Driver:
            if switch.name == "leaf1":
                raise InvalidInput("no such driver")
            return world.fabric.driver(switch)

        drained = SwitchState(name="leaf1", status=SwitchStatus.IN_SYNC, drained=True, since=1.0)
        await world.server.put(Kind.SWITCH, "leaf1", drained)
        await world.fill(ONE)
        async with world.controller(drivers=drivers):
            await world.until(
                lambda: world.server.status("leaf1").status is SwitchStatus.REFUSED, 5.0
            )
            assert world.server.objects[Kind.SWITCH, "leaf1"].drained

    run(scenario)
