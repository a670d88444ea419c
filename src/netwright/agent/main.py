"""The agent's process: builds it from its settings, runs it until a signal ends it."""

import asyncio
import random
import secrets
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import structlog
import uvloop

from netwright.agent.agent import Agent, alone
from netwright.agent.config import AgentSettings
from netwright.agent.neighbours import LldpdNeighbours
from netwright.agent.ovs.host import OvsHost
from netwright.agent.ovs.settings import ovs_host
from netwright.agent.session import Identity
from netwright.agent.wiring import Plugs
from netwright.client.api import Client
from netwright.client.token import read_token
from netwright.collector import spare_the_collector
from netwright.model.settings import InvalidConfiguration
from netwright.tasks import waiting

if TYPE_CHECKING:
    from netwright.agent.cni.kubernetes.source import KubernetesPods

REQUEST_S_MAX = 10.0

log = structlog.get_logger(__name__)


def run(settings: AgentSettings) -> None:
    """Run until SIGTERM or SIGINT; all wiring stays (law 6).

    Raises InvalidConfiguration, or StaleEpoch when a newer agent registers for this host.
    """
    _log_to_stderr()
    loops = uvloop.new_event_loop
    with _only_agent(settings.host), asyncio.Runner(loop_factory=loops) as runner:
        runner.run(_run(settings, _token(settings)))


@contextmanager
def _only_agent(host: str) -> Iterator[None]:
    """Refuse to start beside another agent of this host, which would lose its registration.

    An abstract socket is the lock: it belongs to the network namespace and ends with its process.
    """
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(f"\0netwright-agent/{host}")
        except OSError as error:
            raise InvalidConfiguration(
                f"An agent for host {host} runs on this machine already.",
                next="Look at it there, or end it first.",
            ) from error
        yield


async def _run(settings: AgentSettings, token: str | None) -> None:
    identity = Identity(
        host=settings.host,
        epoch=secrets.token_hex(8),
        driver=settings.driver,
        physical_networks=settings.physical_networks,
        fabric=settings.fabric,
        where_served=settings.where_served,
        management_ip=settings.management_address,
    )
    log.info("agent starts", host=identity.host, epoch=identity.epoch, server=settings.server)
    wiring = _wiring(settings)
    neighbours = LldpdNeighbours(settings.lldp_socket) if settings.lldp_socket else None
    async with Client(settings.server, token=token, timeout_s=REQUEST_S_MAX) as client:
        agent = Agent(identity, client, wiring, neighbours=neighbours, jitter=random.random)
        spare_the_collector()
        beside = _containers(settings, identity, client, agent, wiring)
        work = asyncio.create_task(_together(agent, beside), name="agent")
        loop = asyncio.get_running_loop()
        stopped = False

        def stop() -> None:
            nonlocal stopped
            stopped = True
            work.cancel()

        def tell_state() -> None:
            log.info("state, as SIGUSR1 asked for", **agent.state(), tasks=waiting())

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        loop.add_signal_handler(signal.SIGUSR1, tell_state)
        try:
            await work
        except asyncio.CancelledError:
            if not stopped:
                raise
            log.info("agent stops; all wiring stays", host=identity.host)


class Serving(Protocol):
    """What runs beside the agent's loop, until cancelled."""

    async def run(self) -> NoReturn: ...


async def _together(agent: Agent, beside: Mapping[str, Serving]) -> None:
    """Raises what ends the agent, alone."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(agent.run(), name="loop")
            for name, serving in beside.items():
                tasks.create_task(serving.run(), name=name)
    except ExceptionGroup as group:
        raise alone(group) from None


def _containers(
    settings: AgentSettings, identity: Identity, client: Client, agent: Agent, plugs: Plugs
) -> Mapping[str, Serving]:
    """What serves containers' runtimes, where the settings want it, and what knows their pods."""
    socket = settings.cni_socket
    if socket is None:
        return {}
    from netwright.agent.cni.assembly import service  # noqa: PLC0415 - others need not hold it

    pods = _pods(settings)
    serving = service(
        settings, socket, identity=identity, server=client, agent=agent, plugs=plugs, pods=pods
    )
    return {"cni": serving} if pods is None else {"cni": serving, "kubernetes": pods}


def _pods(settings: AgentSettings) -> "KubernetesPods | None":
    if settings.kubernetes is None:
        return None
    from netwright.agent.cni.kubernetes.assembly import kubernetes_pods  # noqa: PLC0415 - likewise

    return kubernetes_pods(settings, settings.kubernetes)


def _wiring(settings: AgentSettings) -> OvsHost:
    try:
        return ovs_host(settings)
    except ValueError as error:
        raise InvalidConfiguration(
            f"[agent] does not fit together: {error}.", next="Correct it in the configuration."
        ) from error


def _token(settings: AgentSettings) -> str | None:
    if settings.token_file is None:
        return None
    take_it = f"POST {settings.server}/v1/hosts/{settings.host}/credential as admin"
    return read_token(
        Path(settings.token_file),
        next=f'Put this host\'s credential there, the "token" of what {take_it} answers.',
    )


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
