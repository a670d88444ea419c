"""The fabric controller as a child process of the server (`[server] fabric`).

    no switch has a driver ──one has──▶ lock taken ──▶ child runs ──ended──▶ again, 0.5 … 30 s
                                            └─ another process of this machine has it: asked again

The child is `netwright fabric run`: its planning never delays a request. Of several server
processes that share a state directory, one has the child. It ends when its standard input does, so
also when its server is killed; what it has configured stays.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import structlog

from netwright.db.lock import FileLock, LockHeld
from netwright.model.errors import NetwrightError
from netwright.server.auth import Authenticator
from netwright.server.config import AuthMode, ServerSettings

LOOK_S = 2.0
STOP_S_MAX = 10.0
AGAIN_S, AGAIN_S_MAX = 0.5, 30.0
STEADY_S = 10.0  # a child that lived this long did not die of its start

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on
_log = structlog.get_logger("netwright.server")


class FabricProcess:
    """`is_needed` says whether there is a switch to configure."""

    def __init__(
        self, command: Sequence[str], lock: Path, is_needed: Callable[[], Awaitable[bool]]
    ) -> None:
        self._command = tuple(command)
        self._lock = lock
        self._is_needed = is_needed

    async def run(self) -> NoReturn:
        """Until cancelled; the child is gone when this returns."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                if not await self._is_needed():
                    continue
                lock = FileLock.take(self._lock)
            except LockHeld:
                continue
            except (NetwrightError, OSError) as error:
                _log.warning("the fabric controller is not started", why=str(error))
                continue
            try:
                await self._keep()
            finally:
                lock.release()

    async def _keep(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        pause_s = AGAIN_S
        while True:
            began = loop.time()
            code = await self._once()
            pause_s = AGAIN_S if loop.time() - began > STEADY_S else min(2 * pause_s, AGAIN_S_MAX)
            _log.error("the fabric controller ended", exit=code, again_s=pause_s)
            await asyncio.sleep(pause_s)

    async def _once(self) -> int:
        """One life of the child; its exit code."""
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=subprocess.PIPE, start_new_session=True
        )
        _log.info("the fabric controller runs", pid=process.pid)
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    ended = asyncio.ensure_future(process.wait())
    await asyncio.wait({ended}, timeout=STOP_S_MAX)
    if not ended.done():
        _log.error("the fabric controller does not stop; it is killed", pid=process.pid)
        process.kill()
    await asyncio.wait({ended})


def command(
    settings: ServerSettings, identity: Authenticator, address: str, configuration: Path | None
) -> Sequence[str]:
    """The child's command; its credential is written to a file that only we may read."""
    directory = Path(settings.state_directory)
    host, _, port = address.rpartition(":")
    bare = host.strip("[]")
    host = _ANYWHERE.get(bare, host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    words = [sys.executable, "-P", "-m", "netwright", "fabric", "run", "--child"]
    words += ["--server", f"http://{host}:{port}", "--state-directory", str(directory / "fabric")]
    if settings.auth is not AuthMode.NONE:
        token = directory / "fabric.token"
        token.touch(mode=0o600)
        token.write_text(identity.controller_credential() + "\n", encoding="ascii")
        words += ["--token-file", str(token)]
    return [*words, *(["--config", str(configuration)] if configuration is not None else [])]
