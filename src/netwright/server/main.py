"""The server process: wires the service to its edge and runs it until it is told to stop.

start   settings → logs → secrets → service → edge → listen → "serving"
state   SIGUSR1 → one line in the log
stop    SIGTERM or SIGINT → end watches → no new connections → requests in flight (≤ stop_s)
        → close the service → exit 0
"""

import asyncio
import gc
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog
import uvicorn
import uvloop

from netwright.db.postgres import without_password
from netwright.model.segments import parse_vlan_range
from netwright.model.settings import InvalidConfiguration
from netwright.server import logs
from netwright.server.access_log import AccessLog
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import require_servable
from netwright.server.config import ServerSettings
from netwright.server.connections import BoundedConnection
from netwright.server.core import Core
from netwright.server.credentials import authenticator
from netwright.server.metrics import Metrics
from netwright.server.service import Service
from netwright.tasks import waiting

OpenService = Callable[[ServerSettings, Metrics], Awaitable[Service]]
_BACKLOG = 2048
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = structlog.get_logger("netwright.server")


def run(settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT; raises InvalidConfiguration when it cannot start."""
    require_servable(settings)
    logs.configure(settings.log_format, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, open_core))


async def open_core(settings: ServerSettings, metrics: Metrics) -> Core:
    """The service on the database that the settings name; raises InvalidConfiguration."""
    core = await Core.open(
        settings.database_url,
        observe_commit=metrics.observe_commit,
        vlan_ranges=tuple(map(parse_vlan_range, settings.vlan_ranges)),
        history=settings.history_kept,
    )
    metrics.watchers.set_function(core.watchers)
    core.observe_cut_offs(metrics.watchers_cut_off.inc)
    await core.start()
    return core


async def serve(settings: ServerSettings, open_service: OpenService) -> None:
    """Open the service, serve it over HTTP, close it; returns after a signal."""
    metrics = Metrics()
    access_log = AccessLog(settings.log_format) if settings.access_log else None
    identity = authenticator(settings)
    listener = _listen(settings)
    service = await open_service(settings, metrics)
    try:
        identity.learn_revocations(await service.reader.revocations())
        edge = Edge(
            service,
            identity,
            metrics,
            body_bytes_max=settings.body_bytes_max,
            access_log=access_log,
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
            listen=_address(listener),
            database=without_password(settings.database_url),
            auth=settings.auth.value,
        )
        _spare_the_collector()
        await _Server(config, edge).serve(sockets=[listener])
    finally:
        listener.close()
        if access_log is not None:
            access_log.flush()
        async with asyncio.timeout(max(1.0, settings.stop_s)):
            await service.close()
        _log.info("stopped")


def _spare_the_collector() -> None:
    """Cycles are rare here, for values are frozen; what is there at the start stays for good."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


class _Server(uvicorn.Server):
    """uvicorn's server, which ends the watches first: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, edge: Edge) -> None:
        super().__init__(config)
        self._edge = edge

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
        self._edge.streams.end()
        await super().shutdown(sockets=sockets)


def _listen(settings: ServerSettings) -> socket.socket:
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=_BACKLOG,
        )
    except (OSError, OverflowError) as error:
        raise InvalidConfiguration(
            f"The server cannot listen on {settings.listen}: {error}.",
            next="Name another address by --listen, or stop what listens there.",
        ) from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
