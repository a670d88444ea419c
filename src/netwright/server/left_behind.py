"""Has the leaves of silent hosts drop ports that have left these, and go up elsewhere (ADR 34).

every LOOK_S: silent hosts ─▶ their ports that are withdrawn there ─▶ whose turn ─▶ asked, by parts

It has a task of its own: a rack's ports take seconds to be asked for, and upkeep is to look at who
is heard meanwhile. Between two parts others commit what they have.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NoReturn, TypeAlias

import structlog

from netwright.model.errors import Unavailable
from netwright.model.resources import Host
from netwright.server.silent_ports import HOSTS_A_MINUTE_MAX, due

LOOK_S = 1.0
PART_MAX = 500
"""The most ports in one commit."""

Left: TypeAlias = tuple[str, str]
"""(port, host)."""

log = structlog.get_logger(__name__)


class LeftBehind:
    """One process's.

    `lost` names the hosts that are silent as far as this process may judge, `known` has the hosts
    as they are stored, `read` finds what has left hosts; `ask` commits, and decides anew whether a
    fence is called for. `clock` is that by which fences were asked for.
    """

    def __init__(
        self,
        *,
        lost: Callable[[], Collection[str]],
        known: Callable[[], Mapping[str, Host]],
        read: Callable[[Sequence[str]], Awaitable[Sequence[Left]]],
        ask: Callable[[tuple[Left, ...]], Awaitable[object]],
        clock: Callable[[], float],
        hosts_a_minute_max: int = HOSTS_A_MINUTE_MAX,
    ) -> None:
        self._lost = lost
        self._known = known
        self._read = read
        self._ask = ask
        self._clock = clock
        self._hosts_a_minute_max = hosts_a_minute_max

    async def run(self) -> NoReturn:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Unavailable as error:
                log.warning("ports of silent hosts wait for the database", why=error.message)
            except Exception:  # a defect of ours; the next look may do
                log.exception("ports of silent hosts are not looked at")

    async def look(self) -> None:
        """Ask for all whose turn it is. Raises Unavailable."""
        lost = tuple(self._lost())
        if not lost:
            return
        found = await self._read(lost)
        turn = due(found, self._known(), self._clock(), self._hosts_a_minute_max)
        for start in range(0, len(turn), PART_MAX):
            silent = frozenset(self._lost())  # one that was heard meanwhile speaks for itself
            part = tuple(left for left in turn[start : start + PART_MAX] if left[1] in silent)
            if part:
                await self._ask(part)
