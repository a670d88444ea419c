"""The fabric controller and a real server over HTTP; its switches are in memory."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.e2e.conftest import Server, running
from tests.e2e.fabric_scene import HOST, Scene, topology

from netwright.client.networking import Collection
from netwright.fabric.config import EMPTY
from netwright.model.wire import ReportStatus

TAKES_OVER_S = 10.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"vni_ranges": "5000:5099", "tenant_network_types": "vxlan,vlan"}
    settings["fabric"] = "false"  # the tests' own controllers act
    with running(tmp_path_factory.mktemp("fabric"), "token", **settings) as server:
        yield server


@pytest.fixture
async def scene(server: Server, tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(server, tmp_path)
    await scene.fill()
    yield scene
    await scene.admin.close()


async def test_a_port_is_active_when_both_planes_are_up(scene: Scene) -> None:
    async with scene.controller():
        network_id = await scene.network("both planes")
        port = await scene.bound_port(network_id)
        assert await scene.port_status(port["id"]) == "BUILD"
        subject = f"{network_id}@{HOST}"
        await scene.until_up(subject)
        assert await scene.port_status(port["id"]) == "BUILD"  # only the overlay is up
        await scene.say(port["id"], ReportStatus.UP)
        assert await scene.port_status(port["id"]) == "ACTIVE"

        vlan = (await scene.attachment(subject)).vlan
        for leaf in ("leaf1", "leaf2"):
            (vni,) = scene.fabric.switches[leaf].config.segments
            assert scene.fabric.switches[leaf].config.interfaces["h1"].tagged == {vlan: vni}

        for leaf in ("leaf1", "leaf2"):
            scene.fabric.switches[leaf].is_reachable = False

        async def is_down() -> bool:
            return await scene.port_status(port["id"]) == "DOWN"

        await scene.until(is_down)
        for leaf in ("leaf1", "leaf2"):
            scene.fabric.switches[leaf].is_reachable = True
        await scene.until_up(subject)
        assert await scene.port_status(port["id"]) == "ACTIVE"

        await scene.api.delete(Collection.PORTS, port["id"])
        await scene.say(port["id"], ReportStatus.WITHDRAWN)

        async def is_gone() -> bool:
            return await scene.attachment(subject) is None

        await scene.until(is_gone)
        assert scene.fabric.switches["leaf1"].config == EMPTY

    steps = [
        step["event"]
        for step in (
            await scene.command(
                "history", subject, "--state-directory", str(scene.directory / "one")
            )
        )[1]
    ]
    found = [steps.index(event) for event in ("told", "saved", "planned", "applied", "verified")]
    assert found == sorted(found)


async def test_the_commands(scene: Scene) -> None:
    async with scene.controller():
        network_id = await scene.network("commands")
        await scene.bound_port(network_id)
        await scene.until_up(f"{network_id}@{HOST}")
        leaf = scene.fabric.switches["leaf1"]
        planned = leaf.config
        code, plan, _ = await scene.command("plan")
        assert code == 0
        assert plan["switches"]["leaf1"]["words"] == []
        leaf.become(EMPTY)  # drift is only alarmed in this fabric
        _, dry_run, _ = await scene.command("apply", "leaf1", "--dry-run")
        words = dry_run["switches"]["leaf1"]["words"]
        assert [line.split(" ")[1] for line in words] == ["segment", "interface"]
        _, diff, _ = await scene.command("diff", "leaf1")
        assert diff["switches"]["leaf1"]["diff"] == words
        assert leaf.config == EMPTY
        code, applied, said = await scene.command("apply", "leaf1")
        assert (code, applied["switches"]["leaf1"]["words"]) == (0, words), said
        assert leaf.config == planned
        code, drained, _ = await scene.command("drain", "leaf1")
        assert (code, drained["drained"], drained["cut_off"]) == (0, True, [])
        assert all(one.is_down for one in leaf.config.interfaces.values())
        _, status, _ = await scene.command("status")
        states = {one["name"]: one["state"] for one in status["switches"]}
        assert states["leaf1"]["drained"]
        assert not states["leaf2"]["drained"]
        code, _, _ = await scene.command("undrain", "leaf1")
        assert (code, leaf.config) == (0, planned)
        _, capacity, _ = await scene.command("capacity")
        assert {one["switch"]: one["vnis"]["used"] for one in capacity}["leaf1"] >= 1
        leaf.is_reachable = False
        code, _, said = await scene.command("apply", "leaf1")
        assert code == 4
        assert "leaf1" in said
        code, _, said = await scene.command("drain", "nowhere")
        assert code == 2, said


async def test_a_dead_controller_is_succeeded_by_the_standby(scene: Scene) -> None:
    async with AsyncExitStack() as lives, AsyncExitStack() as first_life:
        first = await first_life.enter_async_context(scene.controller("first", dies=True))

        async def first_acts() -> bool:
            return first.lease.is_held

        await scene.until(first_acts)
        token = first.lease.token()
        second = await lives.enter_async_context(scene.controller("second"))
        network_id = await scene.network("two controllers")
        await scene.bound_port(network_id)
        await scene.until_up(f"{network_id}@{HOST}")
        assert second.tenure is None
        await first_life.aclose()
        for switch in scene.fabric.switches.values():
            switch.become(EMPTY)
        scene.fabric.switches["leaf1"].failures = ["refuse"]
        other_id = await scene.network("asked of nobody")
        await scene.bound_port(other_id)

        async def second_acts() -> bool:
            return second.lease.is_held and second.lease.token() > token

        assert await scene.until(second_acts) < TAKES_OVER_S
        await scene.until_up(f"{other_id}@{HOST}")


async def test_a_server_alone_keeps_a_controller(tmp_path: Path) -> None:
    """Switches of the driver `file`: they are files, which hold what is planned."""
    settings = {"vni_ranges": "5000:5099", "tenant_network_types": "vxlan,vlan"}
    files = tmp_path / "switches"
    with running(tmp_path / "state", "token", **settings) as server:
        made = topology()
        switches = [
            replace(one, driver="file" if one.driver else "", address=f"local:{files}")
            if one.driver == "frr"
            else replace(one, driver="", address="")
            for one in made.switches
        ]
        scene = Scene(server, tmp_path)
        scene.topology = replace(made, switches=tuple(switches))
        await scene.fill()
        network_id = await scene.network("alone")
        await scene.bound_port(network_id)

        async def is_written() -> bool:
            leaf = files / "leaf1.yaml"
            return leaf.exists() and network_id in leaf.read_text()

        await scene.until(is_written, 20.0)
        (child,) = _children(server.process.pid)
        os.kill(child, 9)

        killed = child

        async def is_replaced() -> bool:
            nonlocal child
            (child,) = _children(server.process.pid) or (killed,)
            return child != killed

        await scene.until(is_replaced, 20.0)
        await scene.admin.close()
        server.process.kill()
        server.process.wait()

        async def is_gone() -> bool:
            return not Path(f"/proc/{child}/cmdline").exists()

        await scene.until(is_gone, 15.0)


def _children(pid: int) -> list[int]:
    """The fabric controllers that the process has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    commands = {int(one): Path(f"/proc/{one}/cmdline").read_bytes() for one in found}
    return [one for one, command in commands.items() if b"fabric" in command]
