"""A bad network between an agent and its server: lost requests, lost replies, cut streams."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from random import Random
from typing import TypeVar

from netwright.agent.session import Server
from netwright.model.errors import Unavailable
from netwright.model.wire import (
    DeviceAnswers,
    DevicesSeen,
    Heartbeat,
    HostRegistration,
    Kind,
    ReportBatch,
    ReportResults,
    WatchLine,
)

T = TypeVar("T")


class BadNetwork:
    """Passes calls to `server`; with probability `loss` each way they are lost."""

    def __init__(self, server: Server, random: Random) -> None:
        self.loss = 0.0
        self.is_cut = False
        self._server = server
        self._random = random

    async def register_host(self, name: str, registration: HostRegistration) -> object:
        return await self._call(self._server.register_host(name, registration))

    async def heartbeat(self, name: str, heartbeat: Heartbeat) -> None:
        await self._call(self._server.heartbeat(name, heartbeat))

    async def devices_seen(self, name: str, devices: DevicesSeen) -> DeviceAnswers:
        return await self._call(self._server.devices_seen(name, devices))

    async def report(self, batch: ReportBatch) -> ReportResults:
        return await self._call(self._server.report(batch))

    async def watch(
        self,
        kinds: Sequence[Kind],
        host: str | None,
        after: str | None,
        groups: Sequence[str] = (),
    ) -> AsyncGenerator[Sequence[WatchLine], None]:
        await self._travel()
        async with aclosing(self._server.watch(kinds, host, after, groups)) as stream:
            async for lines in stream:
                for line in lines:
                    self._maybe_lost("the stream was cut")
                    if self._random.random() < 0.5:
                        await self._travel()
                    yield [line]

    async def _call(self, request: Awaitable[T]) -> T:
        # A coroutine that was never awaited would warn: the request is lost by cancelling it.
        task = asyncio.ensure_future(request)
        try:
            self._maybe_lost("the request was lost")
        except Unavailable:
            task.cancel()
            raise
        await self._travel()
        answer = await task
        self._maybe_lost("the reply was lost")
        await self._travel()
        return answer

    async def _travel(self) -> None:
        await asyncio.sleep(self._random.uniform(0.001, 0.2))

    def _maybe_lost(self, what: str) -> None:
        if self.is_cut or self._random.random() < self.loss:
            raise Unavailable(what)
