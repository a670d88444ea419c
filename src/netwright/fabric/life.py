"""One switch's life, from one start to the next, and what it was brought to since.

    seen for the first time ─▶ claimed ─▶ settled
    another boot than the one settled in: host ports down ─▶ all is brought ─▶ complete ─▶ ports up

While host ports are down nothing is settled: whoever takes over then goes on holding them down.
"""

from collections.abc import Awaitable, Callable

import structlog
from msgspec.structs import replace

from netwright.fabric import changes, elements
from netwright.fabric.bringing import Bringer
from netwright.fabric.config import Interface, SwitchConfig
from netwright.fabric.drift import Drift
from netwright.fabric.drivers.base import Actual
from netwright.fabric.remembered import Remembered

COMPLETE_S_MAX = 60.0
"""A switch that started anew opens its host ports then, though its peers have not confirmed."""

log = structlog.get_logger(__name__)


class Life:
    """`remembered` is what the switch was brought to; the rest is as of a `Keeper`."""

    def __init__(
        self,
        switch: str,
        bringer: Bringer,
        remembered: Remembered,
        *,
        token: Callable[[], int],
        clock: Callable[[], float],
        note: Callable[[str, str, str], None],
        is_complete: Callable[[str, float], bool],
    ) -> None:
        self.remembered = remembered
        self._switch = switch
        self._bringer = bringer
        self._token = token
        self._clock = clock
        self._note = note
        self._is_complete = is_complete
        self._claimed_boot: str | None = None
        self._down_since: float | None = None
        """Since when the host ports are held down, by the clock; None: they are not."""
        self._brought_at = 0.0

    @property
    def is_held_down(self) -> bool:
        """Whether it started anew, and is not complete yet."""
        return self._down_since is not None

    def wanted(self, config: SwitchConfig) -> SwitchConfig:
        """What a plan's configuration comes to now."""
        return elements.held_down(config) if self.is_held_down else config

    def lost(self) -> None:
        """It does not answer: when it is back it is claimed anew, for it may have missed us."""
        self._claimed_boot = None

    async def meet(self, actual: Actual, planned: SwitchConfig) -> Actual:
        """What a switch needs that is seen for the first time, again, or in another life."""
        if self._claimed_boot != actual.boot_id:
            await self.remembered.take_up(actual, self._token())
            await self._bringer.claim()
            self._claimed_boot = actual.boot_id
        if not self.remembered.is_of_another_life(actual):
            return actual
        if self._down_since is None:
            log.warning(
                "a switch has started anew; its host ports are held down", switch=self._switch
            )
            self._note(self._switch, "started anew", "its host ports are held down until complete")
        self._down_since = self._clock()
        self._brought_at = 0.0
        self.remembered.forget()
        down = {
            name: replace(actual.config.interfaces.get(name, Interface(name=name)), is_down=True)
            for name in planned.interfaces
        }
        # Before anything else, so that no bond trusts it.
        closed = replace(actual.config, interfaces={**actual.config.interfaces, **down})
        return await self._bringer.bring(actual, closed, begin=nothing)

    def beginning(self, actual: Actual) -> Callable[[SwitchConfig], Awaitable[None]]:
        """To be awaited with each goal before the first change towards it."""

        async def begin(aim: SwitchConfig) -> None:
            if not self.is_held_down:
                await self.remembered.begin(actual, aim)

        return begin

    async def settle_on(self, actual: Actual, drift: Drift) -> None:
        """What stands now is what it was brought to, but for drift that is left."""
        if not self.is_held_down:
            await self.remembered.end(actual, drift)

    def completed(self, actual: Actual, wanted: SwitchConfig) -> bool:
        """Whether the host ports of a switch that started anew may be raised as of now."""
        if self._down_since is None:
            return False
        now = self._clock()
        waited_s = now - self._down_since
        if changes.difference(actual.config, wanted):
            self._brought_at = 0.0
        elif not self._brought_at:
            self._brought_at = now
        if not (self._brought_at and self._is_complete(self._switch, self._brought_at)):
            if waited_s < COMPLETE_S_MAX:
                return False
            log.warning("host ports are raised though it is not complete", switch=self._switch)
        self._down_since = None
        self._note(self._switch, "complete", f"host ports are raised after {waited_s:.1f} s")
        return True


async def nothing(_aim: SwitchConfig) -> None:
    """Nothing is to be kept of it."""
