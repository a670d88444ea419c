"""The server's upkeep asks for the fences of ports that left hosts it does not hear."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.doubles.store import ADMIN, create, ipv4_subnet, register, report, reports, update
from tests.unit.server.overlay_scene import fabric_network, replaced, topology

from netwright.model.fabric import LEASE
from netwright.model.resources import FenceState, Host, HostState
from netwright.model.wire import CONTAINER_OWNER, Heartbeat, ReportStatus
from netwright.server import liveness, upkeep
from netwright.server.commands import CreateSubnets, HeartbeatHost
from netwright.server.core import Core

SOON_S = 30.0


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SOON_S):
        is_so = await holds()
        while not is_so:
            await asyncio.sleep(0.05)
            is_so = await holds()


async def test_upkeep_fences_what_left_a_silent_host(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing of a host that is heard, though its agent has not withdrawn it."""
    monkeypatch.setattr(liveness, "SILENT_AFTER_S", 2.0)
    monkeypatch.setattr(upkeep, "UPKEEP_PERIOD_S", 0.1)
    await core.take_lease(LEASE, "controller", 600.0)
    await core.commit(replaced(topology()))
    await core.commit(fabric_network("red", 5000))
    await core.commit(CreateSubnets(caller=ADMIN, drafts=(ipv4_subnet("red", "10.0.0.0/24"),)))
    for host in ("h1", "h2", "h3"):
        await core.commit(register(host))
    for port_id, host in (("x", "h1"), ("y", "h2")):
        (port,) = await core.commit(create(port_id, "red", host=host, device_owner=CONTAINER_OWNER))
        await core.commit(reports(host, report(port, host, ReportStatus.UP)))

    async def at(name: str) -> Host:
        for heard in ("h2", "h3"):
            beat = Heartbeat(epoch="life1")
            await core.commit(HeartbeatHost(caller=ADMIN, host=heard, heartbeat=beat))
        host = await core.reader.host(name)
        assert host is not None
        return host

    async def is_silent() -> bool:
        return (await at("h1")).state is HostState.UNKNOWN

    async def is_asked() -> bool:
        return bool((await at("h1")).port_fences)

    await until(is_silent)
    for port_id in ("x", "y"):
        await core.commit(update(port_id, host="h3"))
    await until(is_asked)
    (fence,) = (await at("h1")).port_fences
    assert (fence.port_id, fence.state) == ("x", FenceState.ASKED)
    assert (await at("h2")).port_fences == ()
