"""The lease of the active controller: taken, renewed, and believed for less than it lasts.

    standby ──taken──▶ active ──held by another, or not renewed in time──▶ standby

The server counts the lease from when it answers, the holder from before it asked, and MARGIN_S
less: so the holder stops first, whatever the message's way took. The clock is one that runs on
while the machine sleeps. A holder that was halted amid a write is stopped by the switch itself,
which has seen the next holder's token (`drivers.base`).
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn, Protocol

import structlog

from netwright.model.errors import Category, Conflict, NetwrightError
from netwright.model.fabric import LEASE
from netwright.model.wire import LeaseGrant, LeaseRequest

TTL_S = 6.0
"""A standby takes over in TTL_S + STANDBY_S at most: within 10 s, the taking over itself too."""

RENEW_S = 1.5
MARGIN_S = 1.0
STANDBY_S = 1.0

log = structlog.get_logger(__name__)


class LeaseLost(Conflict):
    """Another controller may act now: nothing may be written any more."""


class Leases(Protocol):
    """`client.api.Client`, or a test's double."""

    async def take_lease(self, name: str, wish: LeaseRequest) -> LeaseGrant: ...


class Lease:
    """`clock` counts seconds also while the machine sleeps (CLOCK_BOOTTIME)."""

    def __init__(self, server: Leases, holder: str, clock: Callable[[], float]) -> None:
        self.holder = holder
        self._server = server
        self._clock = clock
        self._token: int | None = None
        self._until = 0.0

    @property
    def is_held(self) -> bool:
        return self._token is not None and self._clock() < self._until

    def token(self) -> int:
        """For a write that begins now. Raises LeaseLost."""
        if self._token is None or not self.is_held:
            raise LeaseLost(
                f"Controller {self.holder} does not hold the lease {LEASE} any more.",
                next="Whoever holds it acts; this one stands by.",
            )
        return self._token

    async def take(self) -> int:
        """Wait until it is ours; the token of this tenure."""
        said = ""
        while True:
            try:
                await self._ask(TTL_S)
                return self.token()
            except NetwrightError as error:
                if error.message.split(" for another")[0] != said:  # the time left changes
                    said = error.message.split(" for another")[0]
                    log.info("stands by", why=error.message)
            await asyncio.sleep(STANDBY_S)

    async def keep(self) -> NoReturn:
        """Renew it for as long as that goes. Raises LeaseLost."""
        token = self.token()
        while True:
            await asyncio.sleep(RENEW_S)
            self.token()
            try:
                async with asyncio.timeout(self._until - self._clock()):
                    await self._ask(TTL_S)
            except TimeoutError:
                pass  # judged below, like an answer that did not help
            except NetwrightError as error:
                if error.category is not Category.UNAVAILABLE:
                    self._token = None
                    raise LeaseLost(f"The lease {LEASE} is lost: {error.message}") from error
                log.warning("the lease is not renewed", why=error.message)
            if self.token() != token:
                raise LeaseLost(f"The lease {LEASE} had lapsed, and began anew.")

    async def give_back(self) -> None:
        """So that a standby need not wait; only tried."""
        if not self.is_held:
            return
        self._token = None
        try:
            async with asyncio.timeout(RENEW_S):
                await self._server.take_lease(LEASE, LeaseRequest(holder=self.holder, ttl_s=0))
        except (NetwrightError, TimeoutError) as error:
            log.info("the lease is left to lapse", why=str(error))

    def drop(self) -> None:
        """Do not believe in it any more: somebody was seen who holds it."""
        self._token = None

    async def _ask(self, ttl_s: float) -> None:
        asked_at = self._clock()
        wish = LeaseRequest(holder=self.holder, ttl_s=ttl_s)
        grant = await self._server.take_lease(LEASE, wish)
        self._token, self._until = grant.token, asked_at + ttl_s - MARGIN_S
