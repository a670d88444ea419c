"""What time brings about: silent hosts, deadlines, old operations, claims that are over.

every UPKEEP_PERIOD_S: what is due (read) ─▶ one `Tick`, if anything is ─▶ decided, committed
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog

from netwright.db.transaction import Database
from netwright.model.errors import Unavailable
from netwright.server.commands import Caller, Tick
from netwright.server.hearing import Hearing
from netwright.server.liveness import Liveness
from netwright.server.overlay.asking import TAKEN_WITHIN_S
from netwright.server.overlay.retrying import RefusedPorts
from netwright.server.performing import Performer
from netwright.server.store.claims import expired_claims
from netwright.server.store.upkeep import (
    interfaces_that_are_down,
    late_operations,
    old_operations,
    overdue_attachments,
    overdue_ports,
)

UPKEEP_PERIOD_S = 1.0
_CHORES_EVERY_S = 10.0
_RESUME_AFTER_S = 5.0  # who accepted an operation has long begun it
_OPERATIONS_KEPT_S = 24 * 3600.0
ITSELF = Caller(project_id="", is_admin=True)

log = structlog.get_logger(__name__)


class Upkeep:
    """One process's. `clock` is that by which deadlines were set; `submit` commits a `Tick`."""

    def __init__(
        self,
        *,
        database: Database,
        liveness: Liveness,
        hearing: Hearing,
        performer: Performer,
        refused: RefusedPorts,
        submit: Callable[[Tick], Awaitable[object]],
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._liveness = liveness
        self._hearing = hearing
        self._performer = performer
        self._refused = refused
        self._submit = submit
        self._clock = clock
        self._interfaces_after: str | None = ""
        """Up to which port interfaces were looked at, once a process; None: all were."""

    async def run(self) -> NoReturn:
        chores_at = 0.0
        while True:
            await asyncio.sleep(UPKEEP_PERIOD_S)
            try:
                chores_at = await self._keep_up(chores_at)
            except Unavailable as error:
                self._liveness.listen_anew(time.monotonic())
                log.warning("upkeep waits for the database", why=error.message)
            except Exception:  # a defect of ours; upkeep must live on
                log.exception("upkeep failed")

    async def listen(self) -> NoReturn:
        """Know when this process stood still; upkeep may wait for commits while it does not."""
        while True:
            await asyncio.sleep(UPKEEP_PERIOD_S)
            self._liveness.look(time.monotonic())

    async def _keep_up(self, chores_at: float) -> float:
        silent = self._liveness.silent(time.monotonic())
        to_note = self._liveness.to_note(time.monotonic())
        now = self._clock()
        overdue = await self._database.read(lambda tx: overdue_ports(tx, now))
        unconfirmed = await self._database.read(lambda tx: overdue_attachments(tx, now))
        late = await self._database.read(lambda tx: late_operations(tx, now - TAKEN_WITHIN_S))
        expired = await self._database.read(lambda tx: expired_claims(tx, now))
        refused = await self._refused.next(is_time=time.monotonic() >= chores_at)
        old: tuple[str, ...] = ()
        interfaces = await self._old_interfaces()
        if is_due := time.monotonic() >= chores_at:
            await self._performer.resume(now - _RESUME_AFTER_S if chores_at else now)
            old = await self._database.read(lambda tx: old_operations(tx, now - _OPERATIONS_KEPT_S))
        is_news = silent or overdue or unconfirmed or late or refused or expired or interfaces
        if is_news or is_due:
            await self._submit(
                Tick(
                    caller=ITSELF,
                    silent_hosts=silent,
                    overdue_ports=overdue,
                    overdue_attachments=unconfirmed,
                    late_operations=late,
                    refused_ports=refused,
                    old_operations=old,
                    expired_claims=expired,
                    interfaces=interfaces,
                    heard=self._hearing.of({*silent, *to_note}),
                )
            )
            self._liveness.noted(to_note, time.monotonic())
            return time.monotonic() + _CHORES_EVERY_S if is_due else chores_at
        return chores_at

    async def _old_interfaces(self) -> tuple[tuple[str, str], ...]:
        """The next of those that an older server left DOWN."""
        after = self._interfaces_after
        if after is None:
            return ()
        found = await self._database.read(lambda tx: interfaces_that_are_down(tx, after))
        self._interfaces_after = found[-1][0] if found else None
        return found
