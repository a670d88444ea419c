"""A server process as its supervisor sees it.

start ─▶ serves: it said so on the common socket ─▶ stop: SIGTERM ─(bounded)─▶ SIGKILL
     └─▶ ended: its exit code, at any time
"""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import structlog

from netwright.server.listening import Inherited

_log = structlog.get_logger("netwright.server")


class WorkerFailed(Exception):
    """A worker ended, or was ended, before it served; `code` is its exit code."""

    def __init__(self, pid: int, code: int) -> None:
        super().__init__(f"worker {pid} ended with {code} before it served")
        self.pid = pid
        self.code = code


class Worker:
    """`ended` is done, with the exit code (below zero: the signal's number), when it is gone."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self.pid = process.pid
        self.started_at = time.monotonic()
        self.ended = asyncio.create_task(process.wait(), name=f"worker {process.pid}")
        self._process = process
        self._channel = channel
        self._is_asked_to_stop = False

    @classmethod
    async def start(cls, command: Sequence[str], listener: socket.socket) -> Self:
        """The command's process, which inherits the listener."""
        channel, theirs = socket.socketpair()
        channel.settimeout(0)
        with theirs:
            inherited = Inherited(listener, theirs)
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    *("--inherited", inherited.described()),
                    pass_fds=inherited.descriptors,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except BaseException:
                channel.close()
                raise
        return cls(process, channel)

    async def serves(self, timeout_s: float) -> bool:
        """Whether it came to serve in this time; False when it ended."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(timeout_s):
                if await asyncio.get_running_loop().sock_recv(self._channel, 1):
                    return True
                await asyncio.wait({self.ended})  # by itself: its exit code says why
        return False

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def stop(self, timeout_s: float) -> int:
        """Its exit code. It is asked once: a second SIGTERM would end it while it closes."""
        if not self._is_asked_to_stop:
            self._is_asked_to_stop = True
            self.send(signal.SIGTERM)
        await asyncio.wait({self.ended}, timeout=timeout_s)
        if not self.ended.done():
            _log.error("a worker does not stop; it is killed", pid=self.pid)
            self.send(signal.SIGKILL)
        await asyncio.wait({self.ended})  # not awaited itself: a caller that is cancelled spares it
        self._channel.close()
        return self.ended.result()
