"""Keeps the panel fed by the watch, and by nothing else."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from netwright.cli.top.glance import HostGlance, PortGlance
from netwright.cli.top.panel import Panel
from netwright.client.api import Client
from netwright.client.mirror import Key, Mirror
from netwright.client.watch import Watch
from netwright.model.errors import NetwrightError, Unavailable
from netwright.model.wire import Kind

KINDS = (Kind.PORT, Kind.HOST, Kind.TOPOLOGY)
SNAPSHOT_S_MAX = 60.0


class Feed:
    """`panel` is true once `ready`; `trouble` is why the stream is broken off, if it is."""

    def __init__(self, client: Client) -> None:
        self.panel = Panel(time.time())
        self.trouble: NetwrightError | None = None
        self._complete = asyncio.Event()
        self._mirror = Mirror({Kind.PORT: PortGlance, Kind.HOST: HostGlance})
        self._watch = Watch(
            client,
            self._mirror,
            kinds=KINDS,
            jitter=random.random,
            on_change=self._change,
            on_stream=self._stream,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._watch.run(), name="watch")
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def ready(self) -> None:
        """Until the first snapshot is there. Raises what hinders it, Unavailable after a minute."""
        waited = asyncio.create_task(self._complete.wait())
        try:
            async with asyncio.timeout(SNAPSHOT_S_MAX):
                await waited
        except TimeoutError:
            raise Unavailable(
                f"The server sent no snapshot of its ports within {SNAPSHOT_S_MAX:g} s.",
                next="Look at its log; netwright port list asks it for the ports once.",
            ) from None
        if self.trouble is not None and not self._mirror.complete:
            raise self.trouble

    def _stream(self, trouble: NetwrightError | None) -> None:
        self.trouble = trouble
        if trouble is not None and not self._mirror.complete:
            self._complete.set()  # who waits shall hear of it

    def _change(self, keys: frozenset[Key]) -> None:
        if not self._mirror.complete:
            return
        is_news = self._complete.is_set()
        now = time.time()
        for key in keys:
            self._take(key, now, is_news=is_news)
        self._complete.set()

    def _take(self, key: Key, now: float, *, is_news: bool) -> None:
        value = self._mirror.of(key.kind).get(key.id)
        if isinstance(value, PortGlance):
            self.panel.put(value, now, is_news=is_news)
        elif isinstance(value, HostGlance):
            self.panel.put_host(value)
        elif key.kind is Kind.PORT:
            self.panel.drop(key.id, now, is_news=is_news)
        elif key.kind is Kind.HOST:
            self.panel.drop_host(key.id)
        elif value is not None:
            self.panel.place(value)
