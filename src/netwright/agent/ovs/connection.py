"""Keeping a connection to a unix socket up."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from netwright.agent.ovs.errors import OvsProtocolError, OvsUnreachableError
from netwright.reasons import reason

RETRY_S_MIN = 0.02
RETRY_S_MAX = 0.1
"""A try costs 0.1 ms; a restarted vswitchd forwards nothing until we are back."""

log = structlog.get_logger(__name__)


async def stay_connected(
    path: Path, session: Callable[[], Awaitable[None]], close: Callable[[], bool]
) -> None:
    """Run `session` again and again until cancelled; `close` after each, however it ended.

    `close` tells whether the session had come to work; only then does the next try follow at
    once, otherwise the pause doubles up to RETRY_S_MAX.
    """
    retry_s = RETRY_S_MIN
    while True:
        cause = "closed"
        try:
            await session()
        except (OSError, OvsUnreachableError, OvsProtocolError) as error:
            cause = reason(error)
        finally:
            worked = close()
        # The first failure of a row is news, the others are the same news.
        if worked or retry_s == RETRY_S_MIN:
            log.warning("ovs.disconnected", path=str(path), cause=cause)
        retry_s = RETRY_S_MIN if worked else min(retry_s * 2, RETRY_S_MAX)
        await asyncio.sleep(retry_s)
