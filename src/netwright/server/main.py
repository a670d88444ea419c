"""The server process: wires the service to its edge and runs it until it is told to stop.

start   settings → logs → secrets → service → edge → listen → "serving"
state   SIGUSR1 → one line in the log
stop    SIGTERM or SIGINT → no new connections → end watches → requests in flight (≤ stop_s)
        → close the service → exit 0

As a worker (see `supervisor`) it listens on a socket that it has inherited, and stops also when its
supervisor is gone.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import structlog
import uvicorn
import uvloop

from netwright.collector import spare_the_collector
from netwright.db.postgres import without_password
from netwright.model.errors import Unavailable
from netwright.server import fabric_process, logs
from netwright.server.access_log import AccessLog
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import Authenticator, require_servable
from netwright.server.config import AuthMode, ServerSettings
from netwright.server.connections import BoundedConnection
from netwright.server.core import Core, ToldNova
from netwright.server.credentials import authenticator
from netwright.server.listening import SERVING, Inherited, address, listen
from netwright.server.metrics import Metrics
from netwright.server.service import Service
from netwright.tasks import waiting

OpenService = Callable[[ServerSettings, Metrics], Awaitable[Service]]
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_RELEARN_S = 1.0

_log = structlog.get_logger("netwright.server")


def run(
    settings: ServerSettings,
    inherited: Inherited | None = None,
    configuration: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; raises InvalidConfiguration when it cannot start.

    `configuration` is the file that was named, for the processes that this one starts.
    """
    require_servable(settings)
    logs.configure(settings.log_format, settings.log_level)
    if inherited is not None:
        structlog.contextvars.bind_contextvars(pid=os.getpid())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, open_core, inherited, configuration))


async def open_core(settings: ServerSettings, metrics: Metrics) -> Core:
    """The service on the database that the settings name; raises InvalidConfiguration."""
    core = await Core.open(
        settings.database_url,
        observe_commit=metrics.observe_commit,
        segment_rules=settings.segment_rules,
        history=settings.history_kept,
        nova=_nova(settings, metrics),
        quota_defaults=settings.quota_defaults,
    )
    metrics.watchers.set_function(core.watchers)
    core.observe_cut_offs(metrics.watchers_cut_off.inc)
    await core.start()
    return core


def _nova(settings: ServerSettings, metrics: Metrics) -> ToldNova | None:
    if settings.nova_endpoint is None:
        return None

    from netwright.server.nova.endpoint import NovaEndpoint  # noqa: PLC0415 - most need no client

    token_file = Path(settings.nova_token_file) if settings.nova_token_file else None
    endpoint = NovaEndpoint(settings.nova_endpoint, token_file, settings.nova_timeout_s)
    _log.info("nova is told of its instances' ports", endpoint=endpoint.url)
    return ToldNova(endpoint, settings.nova_timeout_s, metrics.observe_told)


async def serve(
    settings: ServerSettings,
    open_service: OpenService,
    inherited: Inherited | None = None,
    configuration: Path | None = None,
) -> None:
    """Open the service, serve it over HTTP, close it; returns after a signal."""
    metrics = Metrics()
    access_log = AccessLog(settings.log_format) if settings.access_log else None
    identity = authenticator(settings)
    listener = inherited.listener if inherited else listen(settings)
    service = await open_service(settings, metrics)
    try:
        learning = await _learn_revocations(service, identity)
        edge = Edge(
            service,
            identity,
            metrics,
            body_bytes_max=settings.body_bytes_max,
            access_log=access_log,
            quota_defaults=settings.quota_defaults,
        )
        config = uvicorn.Config(
            application(edge),
            http=BoundedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, round(settings.stop_s)),
        )
        _log.info(
            "serving",
            listen=address(listener),
            database=without_password(settings.database_url),
            auth=settings.auth.value,
        )
        if settings.auth is AuthMode.NONE:
            _log.warning(
                "everybody who reaches this server is an administrator: auth = none",
                next="use auth = token, the default, where others can reach it",
            )
        spare_the_collector()
        supervisor = inherited.supervisor if inherited else None
        fabric = _fabric(settings, service, identity, address(listener), configuration)
        try:
            await _Server(config, edge, supervisor).serve(sockets=[listener])
        finally:
            if fabric is not None:
                fabric.cancel()
                await asyncio.wait({fabric})
        learning.cancel()
    finally:
        listener.close()
        if access_log is not None:
            access_log.flush()
        async with asyncio.timeout(max(1.0, settings.stop_s)):
            await service.close()
        _log.info("stopped")


def _fabric(
    settings: ServerSettings,
    service: Service,
    identity: Authenticator,
    where: str,
    configuration: Path | None,
) -> asyncio.Task[NoReturn] | None:
    """Keeps a fabric controller while the inventory has switches to configure."""
    if not settings.fabric:
        return None

    async def is_needed() -> bool:
        topology = await service.reader.topology()
        return any(switch.driver for switch in topology.switches)

    command = fabric_process.command(settings, identity, where, configuration)
    lock = Path(settings.state_directory, "fabric-child.lock")
    child = fabric_process.FabricProcess(command, lock, is_needed)
    return asyncio.create_task(child.run(), name="fabric controller")


async def _learn_revocations(service: Service, identity: Authenticator) -> asyncio.Task[None]:
    """Know which credentials are revoked, now and as other processes delete hosts."""
    deleted = asyncio.Event()
    service.observe_deleted_hosts(deleted.set)
    identity.learn_revocations(await service.reader.revocations())

    async def learn() -> None:
        while True:
            await deleted.wait()
            deleted.clear()
            try:
                identity.learn_revocations(await service.reader.revocations())
            except Unavailable as error:
                _log.warning("revoked credentials are not known yet", why=error.message)
                deleted.set()
                await asyncio.sleep(_RELEARN_S)

    return asyncio.create_task(learn(), name="revocations")


class _Server(uvicorn.Server):
    """uvicorn's server, which ends the watches first: they would never end by themselves."""

    def __init__(
        self, config: uvicorn.Config, edge: Edge, supervisor: socket.socket | None = None
    ) -> None:
        super().__init__(config)
        self._edge = edge
        self._supervisor = supervisor

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self._supervisor is not None:
            asyncio.get_running_loop().add_reader(self._supervisor, self._stop_alone)
            with suppress(OSError):  # the supervisor is gone: the reader will tell
                self._supervisor.send(SERVING)

    def _stop_alone(self) -> None:
        """The supervisor never writes: its end of file is all that can be heard."""
        assert self._supervisor is not None
        asyncio.get_running_loop().remove_reader(self._supervisor)
        _log.error("the supervisor is gone; stopping")
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on either signal, without raising it anew at the end as uvicorn's own does.

        Raised anew, SIGTERM would kill the process before the service is closed.
        """
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGUSR1, self._tell_state)
        try:
            yield
        finally:
            for number in _STOP_SIGNALS:
                loop.remove_signal_handler(number)

    def _tell_state(self) -> None:
        _log.info(
            "state, as SIGUSR1 asked for",
            **self._edge.service.state(),
            connections=len(self.server_state.connections),
            requests=len(self.server_state.tasks),
            tasks=waiting(),
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        _log.info("stopping")
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # what was accepted before has its connection made now
        self._edge.streams.end()
        await super().shutdown(sockets=sockets)
