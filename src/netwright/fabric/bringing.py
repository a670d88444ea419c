"""Brings one switch to its plan: apply, read back, and what a device refuses fails alone.

    goal ──difference──▶ apply ──▶ read back ──as the goal──▶ done
      ▲                                └──not──▶ the first element that is missing is held as it was
      └────────────────────────────────────────── before: the next goal rolls back its half, and
                                                  carries out the rest

A held element is tried again later. Where also its rolling back fails, `half` says what stands.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TypeVar

import structlog

from netwright.client.backoff import Backoff
from netwright.fabric import changes, elements
from netwright.fabric.changes import Change, Element
from netwright.fabric.config import SwitchConfig
from netwright.fabric.drivers.base import Actual, Driver, OvertakenError
from netwright.fabric.elements import ElementKey
from netwright.fabric.goals import goal
from netwright.fabric.words import words
from netwright.model.errors import DeviceError, NetwrightError
from netwright.model.resources import Value

T = TypeVar("T")

READ_S_MAX = 10.0
APPLY_S_MAX = 30.0
ROUNDS_MAX = 16
FRUITLESS_ROUNDS_MAX = 3
REFUSED_AGAIN = Backoff(first_s=1.0, max_s=60.0)
LOGGED_MAX = 500

log = structlog.get_logger(__name__)


def lines(found: Iterable[Change]) -> tuple[str, ...]:
    return tuple(map(words, found))


def _shortened(line: str) -> str:
    """For the log: what a host's five hundred fences change is one line."""
    return line if len(line) <= LOGGED_MAX else f"{line[:LOGGED_MAX]}…"


class Hold(Value, frozen=True, kw_only=True):
    """An element that the switch refused: left as it was until `until`, by the clock."""

    wanted: Element | None
    cause: str
    failures: int
    until: float


class Bringer:
    """One switch's. `token` gives the lease's, or raises; `clock` and `jitter` time the retries."""

    def __init__(
        self,
        switch: str,
        driver: Driver,
        *,
        token: Callable[[], int],
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self.held: dict[ElementKey, Hold] = {}
        self.half: tuple[str, ...] = ()
        """What differs from the goal though it was tried, in words."""
        self._switch = switch
        self._driver = driver
        self._token = token
        self._clock = clock
        self._jitter = jitter

    async def read(self) -> Actual:
        """Raises DeviceError."""
        return await self._bounded(self._driver.read(), READ_S_MAX, "being read")

    async def claim(self) -> None:
        """Leave our token on the switch, so that who had the lease before is refused there."""
        await self._bounded(
            self._driver.apply((), token=self._token()), APPLY_S_MAX, "being taken over"
        )

    async def bring(
        self,
        actual: Actual,
        wanted: SwitchConfig,
        *,
        left: Collection[ElementKey] = (),
        begin: Callable[[SwitchConfig], Awaitable[None]],
    ) -> Actual:
        """The switch as it then is; `held` and `half` say what could not be.

        `begin` is awaited with each goal before the first change towards it. Raises DeviceError
        when it cannot be read back: then what stands is not known until it answers.
        """
        before = actual.config
        self._forget_what_changed(wanted)
        fruitless = 0
        for _ in range(ROUNDS_MAX):
            held = self._held_now()
            aim = goal(wanted, actual.config, held=held, before=before, left=left)
            todo = changes.difference(actual.config, aim)
            if not todo:
                self.half = ()
                return actual
            await begin(aim)
            error = await self._apply(todo)
            actual = await self._read_back(todo)
            rest = changes.difference(actual.config, aim)
            if not rest:
                continue
            failed = elements.key_of(rest[0].element)
            if failed in held:
                self.half = lines(changes.summary(actual.config, aim))
                return actual
            self._hold(failed, wanted, rest[0], error)
            fruitless = fruitless + 1 if len(rest) >= len(todo) else 0
            if fruitless == FRUITLESS_ROUNDS_MAX:
                break
        self.half = lines(changes.summary(actual.config, wanted))
        return actual

    def next_try_at(self) -> float | None:
        return min((hold.until for hold in self.held.values()), default=None)

    async def _apply(self, todo: Sequence[Change]) -> NetwrightError | None:
        """Why not all was carried out. Raises OvertakenError, and what `token` raises."""
        token = self._token()
        try:
            await self._bounded(
                self._driver.apply(todo, token=token), APPLY_S_MAX, "being configured"
            )
        except OvertakenError:
            raise
        except DeviceError as error:
            log.warning("not all was applied", switch=self._switch, why=error.message)
            return error
        said = [_shortened(line) for line in lines(todo[:20])]
        log.info("applied", switch=self._switch, changes=said, of=len(todo))
        return None

    async def _read_back(self, todo: Sequence[Change]) -> Actual:
        try:
            return await self.read()
        except DeviceError as error:
            error.message = (
                f"{error.message} It was being configured ({len(todo)} changes, the first: "
                f"{words(todo[0])}): what stands of them is not known until it answers."
            )
            raise

    async def _bounded(self, call: Awaitable[T], seconds: float, doing: str) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await call
        except TimeoutError:
            raise DeviceError(
                f"Switch {self._switch} did not answer within {seconds:g} s of {doing}.",
                next="Look at it and at the way to it; the controller tries again.",
            ) from None

    def _held_now(self) -> frozenset[ElementKey]:
        now = self._clock()
        return frozenset(key for key, hold in self.held.items() if hold.until > now)

    def _hold(
        self, key: ElementKey, wanted: SwitchConfig, change: Change, error: NetwrightError | None
    ) -> None:
        failures = self.held[key].failures + 1 if key in self.held else 1
        cause = (
            error.message
            if error is not None
            else f"Switch {self._switch} took the change of {key}, and reads back otherwise: "
            f"{words(change)}."
        )
        delay_s = REFUSED_AGAIN.delay_s(failures, self._jitter())
        self.held[key] = Hold(
            wanted=elements.elements(wanted).get(key),
            cause=cause,
            failures=failures,
            until=self._clock() + delay_s,
        )
        log.warning("refused", switch=self._switch, element=str(key), why=cause, again_s=delay_s)

    def _forget_what_changed(self, wanted: SwitchConfig) -> None:
        """What is wanted otherwise now, or stands as wanted, is tried at once."""
        given = elements.elements(wanted)
        self.held = {key: hold for key, hold in self.held.items() if given.get(key) == hold.wanted}

    def settle(self, actual: SwitchConfig, wanted: SwitchConfig) -> None:
        """Forget refusals of what stands as wanted now."""
        amiss = elements.differing(elements.elements(actual), elements.elements(wanted))
        self.held = {key: hold for key, hold in self.held.items() if key in amiss}
