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
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NoReturn, Self

import structlog
import uvloop

from netwright.collector import spare_the_collector
from netwright.db.postgres import without_password
from netwright.http1.listener import Listener
from netwright.model.errors import Unavailable
from netwright.server import fabric_process, logs
from netwright.server.access_log import AccessLog
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.api.v1.pod_checks import PodChecks
from netwright.server.auth import Authenticator, require_servable
from netwright.server.config import AuthMode, ServerSettings
from netwright.server.core import Core, ToldNova
from netwright.server.credentials import authenticator
from netwright.server.listening import SERVING, Inherited, address, listen
from netwright.server.metrics import Metrics
from netwright.server.service import Service
from netwright.tasks import waiting

OpenService = Callable[[ServerSettings, Metrics], Awaitable[Service]]
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_RELEARN_S = 1.0
_YOUNG_OBJECTS_MAX = 100_000  # a batch of 500 ports, with those that wait, is half of that

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
        fenced_hosts_a_minute_max=settings.fenced_hosts_a_minute_max,
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
    listener = inherited.listener if inherited else listen(settings)
    try:  # secrets are made by a server that can listen: they belong to one that runs
        identity = authenticator(settings)
        service = await open_service(settings, metrics)
    except BaseException:
        listener.close()
        raise
    try:
        async with _pods(settings, service) as pods:
            learning = await _learn_revocations(service, identity)
            edge = Edge(
                service,
                identity,
                metrics,
                body_bytes_max=settings.body_bytes_max,
                access_log=access_log,
                quota_defaults=settings.quota_defaults,
                container_projects=settings.container_projects,
                pods=pods,
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
            spare_the_collector(_YOUNG_OBJECTS_MAX)
            fabric = _fabric(settings, service, identity, address(listener), configuration)
            try:
                await _serve(edge, listener, inherited, settings.stop_s)
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
            await identity.close()
            await service.close()
        _log.info("stopped")


@asynccontextmanager
async def _pods(settings: ServerSettings, service: Service) -> AsyncIterator[PodChecks | None]:
    """What checks pods' claims, where the settings name clusters. Raises InvalidConfiguration."""
    if not settings.kubernetes:
        yield None
        return

    from netwright.server.kubernetes import assembly  # noqa: PLC0415 - most need no client

    found = assembly.clusters(settings.kubernetes)
    for name, cluster in found.items():
        _log.info("pods' claims are checked", cluster=name, kubernetes=cluster.url)
    async with assembly.asking(found, service, every_s=settings.kubernetes_sweep_s) as checks:
        yield checks


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


async def _serve(
    edge: Edge, listening: socket.socket, inherited: Inherited | None, stop_s: float
) -> None:
    """Serve until a stop is wanted, then end watches, and let requests in flight be answered."""
    listener = Listener(application(edge))
    await listener.start(listening)
    with _Stop(edge, listener, inherited.supervisor if inherited else None) as stop:
        await stop.wanted.wait()
        _log.info("stopping")
        listener.close()
        await asyncio.sleep(0)  # what was accepted before has its connection made now
        edge.streams.end()
        await listener.stop(max(1.0, stop_s))


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


class _Stop:
    """Hears, within `with`, when to stop, and that SIGUSR1 asks for the state."""

    def __init__(self, edge: Edge, listener: Listener, supervisor: socket.socket | None) -> None:
        self._edge = edge
        self._listener = listener
        self._supervisor = supervisor
        self._loop = asyncio.get_running_loop()
        self.wanted = asyncio.Event()

    def __enter__(self) -> Self:
        for number in _STOP_SIGNALS:
            self._loop.add_signal_handler(number, self.wanted.set)
        self._loop.add_signal_handler(signal.SIGUSR1, self._tell_state)
        if self._supervisor is not None:
            self._loop.add_reader(self._supervisor, self._stop_alone)
            with suppress(OSError):  # the supervisor is gone: the reader will tell
                self._supervisor.send(SERVING)
        return self

    def __exit__(self, *_: object) -> None:
        for number in _STOP_SIGNALS:
            self._loop.remove_signal_handler(number)

    def _stop_alone(self) -> None:
        """The supervisor never writes: its end of file is all that can be heard."""
        assert self._supervisor is not None
        self._loop.remove_reader(self._supervisor)
        _log.error("the supervisor is gone; stopping")
        self.wanted.set()

    def _tell_state(self) -> None:
        _log.info(
            "state, as SIGUSR1 asked for",
            **self._edge.service.state(),
            connections=len(self._listener.connections),
            requests=self._listener.requests,
            tasks=waiting(),
        )
