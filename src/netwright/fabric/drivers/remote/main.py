"""The program on a switch: `netwright switch serve`. Standard output is the protocol's alone."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import NoReturn

import structlog

from netwright.fabric.drivers.base import Driver
from netwright.fabric.drivers.remote import protocol
from netwright.fabric.drivers.remote.serving import Service
from netwright.fabric.drivers.remote.turns import Turns
from netwright.model.settings import InvalidConfiguration


def serve(switch: str, driver: str, loopback: str, state: Path) -> NoReturn:
    """Until standard input ends. `state` keeps whose turn it is, and `hold` of the driver `frr`.

    Raises InvalidConfiguration for a driver that there is none of, and where `state` cannot be
    used; DeviceError while a change of an earlier connection does not end.
    """
    make = _DRIVERS.get(driver)
    if make is None:
        raise InvalidConfiguration(
            f"Driver {driver!r} does not run on a switch itself.",
            next=f"These do: {', '.join(sorted(_DRIVERS))}.",
        )
    _log_to_stderr()
    output = os.dup(1)
    os.dup2(2, 1)  # whoever prints, prints to the log
    try:
        turns = Turns(switch, state)
    except OSError as error:
        raise InvalidConfiguration(
            f"The state directory {state} cannot be used: {error.strerror}.",
            next="Run it as root, or name another by --state-directory.",
        ) from error
    is_done = asyncio.run(_serve(switch, make(switch, loopback, state, turns), turns, output))
    sys.stderr.flush()
    # A thread that is still in a change would be waited for without bound.
    os._exit(0 if is_done else 1)


async def _serve(switch: str, driver: Driver, turns: Turns, output: int) -> bool:
    try:
        asked, said = await _streams(output)
    except ValueError as error:
        raise InvalidConfiguration(
            "Standard input and output must be pipes, as ssh makes them, and one is a file.",
            next="A fabric controller starts this; by hand: `netwright switch serve … | cat`.",
        ) from error
    try:
        service = Service(switch, driver, turns, asked=asked, said=said)
        return await service.run(metadata.version("netwright"))
    finally:
        await driver.close()
        said.transport.abort()


async def _streams(output: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises ValueError for regular files."""
    loop = asyncio.get_running_loop()
    asked = asyncio.StreamReader(limit=protocol.LINE_BYTES_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    flow = asyncio.StreamReaderProtocol(asyncio.StreamReader())  # for its flow control alone
    transport, _ = await loop.connect_write_pipe(lambda: flow, os.fdopen(output, "wb"))
    return asked, asyncio.StreamWriter(transport, flow, None, loop)


def _frr(switch: str, loopback: str, state: Path, turns: Turns) -> Driver:
    # Of Linux alone, and not needed to say what is wrong with the arguments.
    from netwright.fabric.drivers.frr.driver import FrrDriver  # noqa: PLC0415
    from netwright.fabric.drivers.linux.node import ThisMachine  # noqa: PLC0415

    return FrrDriver(switch, ThisMachine(state), loopback, turn=turns.take)


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


_DRIVERS: Mapping[str, Callable[[str, str, Path, Turns], Driver]] = {"frr": _frr}
