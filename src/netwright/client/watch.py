"""The watch's transport: keeps a `Mirror` fed for ever, whatever happens to the connection.

waiting ──opened──▶ reading ──ended, broken, silent 15 s──▶ waiting (0.2 … 10 s, spread)
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import NoReturn, Protocol

import msgspec
import structlog

from netwright.client.backoff import Backoff
from netwright.client.mirror import Key, Mirror
from netwright.model.errors import InternalError, NetwrightError
from netwright.model.wire import Kind, WatchLine

RECONNECT = Backoff(first_s=0.2, max_s=10.0)
SILENCE_S = 15.0
"""The server sends a heartbeat every 5 s: three missing ones mean a dead stream."""

LINE_BYTES_MAX = 16 * 1024 * 1024

log = structlog.get_logger(__name__)


class WatchSource(Protocol):
    """Where lines come from: `client.api.Client`, or a test's double."""

    def watch(
        self,
        kinds: Sequence[Kind],
        host: str | None,
        after: str | None,
        groups: Sequence[str] = (),
    ) -> AsyncGenerator[Sequence[WatchLine], None]:
        """Lines in their order, as many at once as have arrived; ends, or raises NetwrightError.

        With `groups`, security groups and members of these alone.
        """


class Watch:
    """Keeps `mirror` up to date.

    `on_change` is called after each handful of lines with what they changed, and after each
    snapshot even when it changed nothing; it must return at once. `on_stream` tells when a stream
    opened (None) or broke off (why). `jitter` gives numbers in [0, 1) that spread reconnections.
    `groups` are the only ones of which security groups and members are told.
    """

    def __init__(
        self,
        source: WatchSource,
        mirror: Mirror,
        *,
        kinds: Sequence[Kind],
        host: str | None = None,
        groups: Sequence[str] = (),
        jitter: Callable[[], float],
        on_change: Callable[[frozenset[Key]], None],
        on_stream: Callable[[NetwrightError | None], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._mirror = mirror
        self._kinds = tuple(kinds)
        self._host = host
        self._groups = tuple(groups)
        self._jitter = jitter
        self._on_change = on_change
        self._on_stream = on_stream

    async def run(self) -> NoReturn:
        """Read until cancelled; what goes wrong is told to `on_stream` and tried again."""
        failures = 0
        while True:
            began = self._mirror.cursor
            try:
                await self._read()
                end = NetwrightError("the server ended the stream")
            except NetwrightError as error:
                end = error
            self._on_stream(end)
            failures = 1 if self._mirror.cursor != began else failures + 1
            await asyncio.sleep(RECONNECT.delay_s(failures, self._jitter()))

    async def _read(self) -> None:
        mirror = self._mirror
        mirror.opened()
        first = True
        lines_of = self._source.watch(self._kinds, self._host, mirror.cursor, self._groups)
        async with aclosing(lines_of) as stream:
            async for lines in stream:
                if first:
                    self._on_stream(None)
                    first = False
                before = (mirror.complete, mirror.is_current, mirror.cursor)
                changed: set[Key] = set()
                for line in lines:
                    changed |= mirror.feed(line)
                if changed or before != (mirror.complete, mirror.is_current, mirror.cursor):
                    self._on_change(frozenset(changed))


class LineFramer:
    """Cuts a stream of bytes into the watch's lines (NDJSON)."""

    def __init__(self) -> None:
        self._rest = b""
        self._decode = msgspec.json.Decoder(WatchLine).decode

    def feed(self, chunk: bytes) -> list[WatchLine]:
        """Return the lines that end in `chunk`. Raises InternalError for what is no line."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise InternalError(f"The server sent a watch line longer than {LINE_BYTES_MAX} bytes.")
        try:
            return [self._decode(line) for line in whole if line.strip()]
        except msgspec.DecodeError as error:
            raise InternalError(f"The server sent a watch line that cannot be read: {error}") from (
                error
            )
