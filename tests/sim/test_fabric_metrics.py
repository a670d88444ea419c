"""What a controller tells Prometheus, while it acts and while it stands by."""

import socket
from collections.abc import Callable
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry
from tests.doubles.fabric_world import ONE, TWO, World

from netwright.fabric.controller import Controller
from netwright.fabric.metrics import Standings, serve
from netwright.model.settings import InvalidConfiguration


def told(controller: Controller) -> Callable[..., float | None]:
    registry = CollectorRegistry()
    registry.register(Standings(controller.standing))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"netwright_fabric_{name}", labels)

    return value


def scraped(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def test_who_acts_tells_of_switches_and_attachments(run: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE, TWO)
        async with world.controller() as controller:
            await world.until_up("net-1@host1", "net-1@host2")
            value = told(controller)
            assert value("active") == 1.0
            assert value("attachments", state="up") == 2.0
            assert value("switches", status="in_sync") == len(world.fabric.switches)
            assert value("switches", status="drifted") == 0.0
            assert value("plan_refusals") == 0.0
            assert value("steps_total", event="verified") == 2.0
            world["leaf1"].is_reachable = False
            await world.until(lambda: value("switches", status="unreachable") == 1.0, 10.0)

    run(scenario)


def test_a_standby_tells_that_it_is_one(run: Callable[..., None]) -> None:
    async def scenario(world: World) -> None:
        await world.fill(ONE)
        async with world.controller("one"):
            await world.until_up("net-1@host1")
            async with world.controller("two") as standby:
                await world.until(lambda: bool(standby.listener.told.intent.attachments), 5.0)
                value = told(standby)
                assert value("active") == 0.0
                assert value("switches", status="in_sync") is None

    run(scenario)


def test_it_is_served_until_it_is_stopped(run: Callable[..., None]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        free = taken.getsockname()[1]

    async def scenario(world: World) -> None:
        async with world.controller() as controller:
            stop = serve(f"127.0.0.1:{free}", controller.standing)
            try:
                assert "netwright_fabric_active 0.0" in scraped(free)
                with pytest.raises(InvalidConfiguration, match="cannot listen"):
                    serve(f"127.0.0.1:{free}", controller.standing)
            finally:
                stop()

    run(scenario)
