"""The controller's process: builds it from its settings, runs it until a signal ends it."""

import asyncio
import os
import random
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
import uvloop

from netwright.client.api import Client
from netwright.client.token import read_token
from netwright.collector import spare_the_collector
from netwright.db.lock import LockHeld
from netwright.fabric.controller import Controller, Eye, Saw
from netwright.fabric.drivers.registry import driver_of
from netwright.fabric.drivers.remote.ssh import Ways
from netwright.fabric.eyes.gobgp import GobgpEye
from netwright.fabric.metrics import serve
from netwright.fabric.settings import ControllerSettings
from netwright.fabric.store import Store
from netwright.model.settings import InvalidConfiguration
from netwright.tasks import waiting

REQUEST_S_MAX = 5.0
"""Below the lease's time: a server that does not answer must not be waited for longer."""

log = structlog.get_logger(__name__)


def run(settings: ControllerSettings, *, is_child: bool = False) -> None:
    """Run until SIGTERM or SIGINT; what is on the switches stays (law 6).

    A child of a server ends with its standard input too, which its parent holds open. Raises
    InvalidConfiguration.
    """
    _log_to_stderr()
    store = _store(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings, store, is_child=is_child))
    finally:
        store.close()


async def _run(settings: ControllerSettings, store: Store, *, is_child: bool) -> None:
    holder = settings.holder or f"{socket.gethostname()}/{os.getpid()}"
    holder = f"{holder}/{secrets.token_hex(4)}"  # another life is another holder
    log.info("fabric controller starts", holder=holder, server=settings.server)
    async with Client(settings.server, token=_token(settings), timeout_s=REQUEST_S_MAX) as client:
        controller = Controller(
            client,
            store,
            partial(driver_of, ways=Ways(ssh=settings.ssh, program=settings.switch_program)),
            holder=holder,
            clock=lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
            now=time.time,
            jitter=random.random,
            eye=_eye(settings),
        )
        stop_metrics = serve(settings.metrics, controller.standing) if settings.metrics else None
        spare_the_collector()
        work = asyncio.create_task(controller.run(), name="controller")
        loop = asyncio.get_running_loop()
        stopped = False

        def stop() -> None:
            nonlocal stopped
            stopped = True
            work.cancel()

        def tell_state() -> None:
            log.info("state, as SIGUSR1 asked for", **controller.state(), tasks=waiting())

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        loop.add_signal_handler(signal.SIGUSR1, tell_state)
        if is_child:
            loop.add_reader(sys.stdin.fileno(), stop)  # nothing is ever written: it is the end
        try:
            await work
        except asyncio.CancelledError:
            if not stopped:
                raise
        finally:
            await controller.stop()
            if stop_metrics is not None:
                await asyncio.to_thread(stop_metrics)
        log.info("fabric controller stops; the switches stay as they are", holder=holder)


def _store(settings: ControllerSettings) -> Store:
    directory = Path(settings.state_directory)
    try:
        return Store.open(directory)
    except LockHeld as error:
        raise InvalidConfiguration(
            f"Another fabric controller has {directory}: {error.holder}.",
            next="Give this one a --state-directory of its own; the lease says which of them acts.",
        ) from error
    except OSError as error:
        raise InvalidConfiguration(
            f"The state directory {directory} cannot be used: {error.strerror}.",
            next="Name another by --state-directory.",
        ) from error


def _eye(settings: ControllerSettings) -> Callable[[Saw], Eye] | None:
    if not settings.observer:
        return None
    return lambda on_change: GobgpEye(settings.observer, on_change=on_change, jitter=random.random)


def _token(settings: ControllerSettings) -> str | None:
    if settings.token_file is None:
        return None
    return read_token(
        Path(settings.token_file),
        next="Put an admin's token there: the server keeps its own in admin.token of its state "
        "directory.",
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
