"""Several server processes on one listening socket, and the one that keeps them.

    supervisor ── binds, makes the secrets, accepts nothing
      ├─ worker   the same command with `--inherited`: accepts on the supervisor's socket
      └─ worker

    start    all workers; one that cannot start ends the supervisor with its exit code
    died     logged, replaced after a pause that grows while it dies young
    SIGHUP   one after the other: a successor serves first, then the worker stops; successors read
             the configuration anew, but `listen` and `workers` are the supervisor's and stay
    SIGUSR1  each worker writes its state to the log
    SIGTERM, SIGINT   → SIGTERM to all → wait → SIGKILL to what is left → exit 0

The socket outlives its workers, and so does a connection that waits in its queue. A worker whose
supervisor is gone hears the end of their common socket, and stops by itself. Workers are in
sessions of their own: what a terminal sends is for the supervisor to act on.
"""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Sequence

import structlog

from netwright.db.postgres import without_password
from netwright.server import logs
from netwright.server.auth import require_servable
from netwright.server.config import ServerSettings
from netwright.server.credentials import authenticator
from netwright.server.listening import address, listen
from netwright.server.worker import Worker, WorkerFailed

START_S_MAX = 60.0
STOP_MARGIN_S = 10.0  # beyond `stop_s`: what a stop does before and after requests in flight
STARTS_MAX = 5
PAUSE_S = 0.2
PAUSE_S_MAX = 10.0
STEADY_S = 10.0  # a worker that lived this long did not die of its start

_log = structlog.get_logger("netwright.server")


def run(settings: ServerSettings, arguments: Sequence[str]) -> int:
    """Keep `settings.workers` servers until SIGTERM or SIGINT; the exit code.

    `arguments` are those that this process was started with. Raises InvalidConfiguration.
    """
    require_servable(settings)
    logs.configure(settings.log_format, settings.log_level)
    command = [sys.executable, "-P", "-m", "netwright", *arguments]
    with listen(settings) as listener:
        authenticator(settings)  # makes the secrets, which all workers then read
        _log.info(
            "supervising",
            listen=address(listener),
            workers=settings.workers,
            database=without_password(settings.database_url),
        )
        return asyncio.run(Supervisor(command, listener, settings).run())


class Supervisor:
    def __init__(
        self, command: Sequence[str], listener: socket.socket, settings: ServerSettings
    ) -> None:
        self._command = command
        self._listener = listener
        self._count = settings.workers
        self._stop_s_max = settings.stop_s + STOP_MARGIN_S
        self._workers: set[Worker] = set()  # all processes that may live
        self._serving: set[Worker] = set()
        self._renewals = [asyncio.Event() for _ in range(self._count)]
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> int:
        """Until a signal, or until no worker can be kept; the exit code."""
        loop = asyncio.get_running_loop()
        end: asyncio.Future[None] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end.cancel)
        loop.add_signal_handler(signal.SIGHUP, self._renew)
        loop.add_signal_handler(signal.SIGUSR1, self._pass_on, signal.SIGUSR1)
        keepers = [asyncio.create_task(self._keep(each), name="keeper") for each in self._renewals]
        try:
            done, _ = await asyncio.wait({end, *keepers}, return_when=asyncio.FIRST_COMPLETED)
            for keeper in done - {end}:
                await keeper
        except WorkerFailed as failed:
            _log.error("no worker can be kept", pid=failed.pid, exit=failed.code)
            return max(1, failed.code)
        else:
            return 0
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await asyncio.gather(*map(self._stop, tuple(self._workers)))
            _log.info("supervisor stopped")

    def _renew(self) -> None:
        _log.info("renewing the workers, as SIGHUP asked for")
        for renewal in self._renewals:
            renewal.set()

    def _pass_on(self, number: signal.Signals) -> None:
        for worker in self._serving:  # others might not know the signal, and die of it
            worker.send(number)

    async def _keep(self, renewal: asyncio.Event) -> None:
        """Keep one worker serving; raises WorkerFailed when that cannot be."""
        worker = await self._start()
        pause_s = PAUSE_S
        while True:
            wanted = asyncio.create_task(renewal.wait())
            try:
                await asyncio.wait({wanted, worker.ended}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                wanted.cancel()
            if not worker.ended.done():
                worker = await self._succeeded(worker, renewal)
                continue
            self._serving.discard(worker)
            _log.error("a worker died", pid=worker.pid, exit=await self._stop(worker))
            young = time.monotonic() - worker.started_at < STEADY_S
            pause_s = min(2 * pause_s, PAUSE_S_MAX) if young else PAUSE_S
            worker = await self._replacement(pause_s)

    async def _succeeded(self, worker: Worker, renewal: asyncio.Event) -> Worker:
        """The worker's successor, or itself when none comes to serve."""
        async with self._one_at_a_time:
            renewal.clear()
            try:
                successor = await self._start()
            except WorkerFailed as failed:
                _log.error("a worker stays: its successor failed", pid=worker.pid, why=str(failed))
                return worker
            self._serving.discard(worker)
            await self._stop(worker)
            return successor

    async def _replacement(self, pause_s: float) -> Worker:
        """Another worker, tried for as long as others serve; else WorkerFailed in the end."""
        failures = 0
        while True:
            await asyncio.sleep(pause_s)
            try:
                return await self._start()
            except WorkerFailed as failed:
                failures += 1
                if failures >= STARTS_MAX and not self._serving:
                    raise
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
                _log.error("a worker failed to start", pid=failed.pid, exit=failed.code)

    async def _start(self) -> Worker:
        """A worker that serves; raises WorkerFailed."""
        worker = await Worker.start(self._command, self._listener)
        self._workers.add(worker)
        if not await worker.serves(START_S_MAX):
            raise WorkerFailed(worker.pid, await self._stop(worker))
        self._serving.add(worker)
        return worker

    async def _stop(self, worker: Worker) -> int:
        code = await worker.stop(self._stop_s_max)
        self._workers.discard(worker)
        return code
