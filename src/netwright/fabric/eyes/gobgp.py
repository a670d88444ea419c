"""The observer: a gobgpd that is peered with a spine, read through `gobgp`'s JSON (ADR 25).

    away ──gobgp monitor writes its first line──▶ seeing ──it ends, or gobgpd is silent──▶ away

While it is away nothing is concluded from it: verification has the leaves' own words. What it has
seen is forgotten then, and read whole again.
"""

import asyncio
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

import structlog

from netwright.client.backoff import Backoff
from netwright.fabric.eyes.routes import Rib
from netwright.fabric.verify import Observed

LINE_BYTES_MAX = 256 * 1024 * 1024
ALIVE_S = 5.0
AGAIN = Backoff(first_s=0.5, max_s=10.0)
PROGRAM = ("gobgp",)

log = structlog.get_logger(__name__)


class GobgpEye:
    """`address` is HOST:PORT of gobgpd's API.

    `on_change` is told after each line which VTEPs it was about, None when all may have changed.
    """

    def __init__(
        self,
        address: str,
        *,
        on_change: Callable[[frozenset[str] | None], None],
        jitter: Callable[[], float],
        program: Sequence[str] = PROGRAM,
    ) -> None:
        host, _, port = address.rpartition(":")
        self._command = (*program, "--host", host.strip("[]"), "--port", port)
        self._address = address
        self._on_change = on_change
        self._jitter = jitter
        self._rib: Rib | None = None

    def observed(self) -> Observed | None:
        """None while it sees nothing."""
        return self._rib.observed() if self._rib is not None else None

    async def run(self) -> NoReturn:
        failures, said = 0, ""
        while True:
            why = await self._watch()
            failures = 1 if self._rib is not None else failures + 1
            self._rib = None
            self._on_change(None)
            if why != said:
                log.warning("the observer is away", address=self._address, why=why)
                said = why
            await asyncio.sleep(AGAIN.delay_s(failures, self._jitter()))

    async def _watch(self) -> str:
        """Read until it ends; why it did."""
        arguments = ("monitor", "global", "rib", "-a", "evpn", "-j", "--current")
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                limit=LINE_BYTES_MAX,
            )
        except OSError as error:
            return f"{self._command[0]} cannot be run: {error.strerror}"
        assert process.stdout is not None
        assert process.stderr is not None
        alive = asyncio.create_task(self._until_silent(), name="observer's life")
        reading = asyncio.create_task(self._read(process.stdout), name="observer's routes")
        try:
            await asyncio.wait({alive, reading}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and (wrong := reading.result()):
                return wrong
            if alive.done():
                return "gobgpd does not answer"
            return (await process.stderr.read(400)).decode(errors="replace").strip() or "it ended"
        finally:
            for task in (alive, reading):
                task.cancel()
            await asyncio.gather(alive, reading, return_exceptions=True)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _read(self, lines: asyncio.StreamReader) -> str:
        """Why what it wrote cannot be read; "" when it ended."""
        rib = Rib()
        while line := await lines.readline():
            try:
                vteps = rib.feed(line)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                return f"gobgp wrote what is no route: {error!r}"
            if self._rib is None:
                log.info("the observer sees", address=self._address, routes=len(rib.routes))
                self._rib = rib
                self._on_change(None)
            elif vteps:
                self._on_change(vteps)
        return ""

    async def _until_silent(self) -> None:
        """Return when gobgpd does not answer a question: its stream alone would not tell."""
        while True:
            await asyncio.sleep(ALIVE_S)
            process = await asyncio.create_subprocess_exec(
                *self._command,
                "global",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                async with asyncio.timeout(ALIVE_S):
                    code = await process.wait()
            except TimeoutError:
                code = 1
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            if code:
                return
