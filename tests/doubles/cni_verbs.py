"""Verbs asked of one host's containers, as tests ask them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from tests.doubles.cni_host import Ask, HostDouble

from netwright.agent.cni import asked
from netwright.agent.wiring import WiringError
from netwright.cni.protocol import CniError
from netwright.model.errors import (
    Unavailable,
)

SOON_S = 5.0
A = ("a", "eth0")
IN_B = {"container_id": "b", "netns": "/netns/b"}
A_WHILE_MS = 300
AWAY = Unavailable("The server cannot be reached.", next="Look at it.")
BROKEN = WiringError("Open vSwitch cannot be changed now.", next="Look at it.")


@asynccontextmanager
async def running(host: HostDouble) -> AsyncIterator[None]:
    task = asyncio.create_task(host.containers.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def add(host: HostDouble, **ask: Any) -> dict[str, Any]:
    return await host.containers.add(asked.parse(Ask(**ask).request()))


async def failure(host: HostDouble, **ask: Any) -> CniError:
    with pytest.raises(CniError) as failed:
        await add(host, **ask)
    assert failed.value.next
    return failed.value


async def check(host: HostDouble, before: dict[str, Any]) -> None:
    ask = Ask("CHECK", config={"prevResult": before})
    await host.containers.check(asked.parse(ask.request()))


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not holds():  # noqa: ASYNC110 - doubles tell nobody
            await asyncio.sleep(0.005)
