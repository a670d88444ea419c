"""One switch's life, from one start to the next, and what it was brought to since.

    seen for the first time ─▶ claimed ─▶ settled
    another boot than the one settled in: host ports down ─▶ all is brought ─▶ complete ─▶ ports up

While host ports are down nothing is settled: whoever takes over then goes on holding them down.
"""

from collections.abc import Awaitable, Callable

import structlog
from msgspec.structs import replace

from netwright.fabric import changes, elements
from netwright.fabric import drift as drifts
from netwright.fabric.bringing import Bringer
from netwright.fabric.config import Interface, SwitchConfig
from netwright.fabric.drift import Drift
from netwright.fabric.drivers.base import Actual
from netwright.fabric.store import Settled

COMPLETE_S_MAX = 60.0
"""A switch that started anew opens its host ports then, though its peers have not confirmed."""

log = structlog.get_logger(__name__)


class Life:
    """`settled` is what the switch was brought to before; the rest is as of a `Keeper`."""

    def __init__(
        self,
        switch: str,
        bringer: Bringer,
        *,
        clock: Callable[[], float],
        settled: Settled | None,
        settle: Callable[[str, Settled], Awaitable[None]],
        note: Callable[[str, str, str], None],
        is_complete: Callable[[str, float], bool],
    ) -> None:
        self.settled = settled
        self._switch = switch
        self._bringer = bringer
        self._clock = clock
        self._settle = settle
        self._note = note
        self._is_complete = is_complete
        self._has_settled = False
        """Whether that is this tenure's word, and not an earlier one's."""
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
            await self._bringer.claim()
            self._claimed_boot = actual.boot_id
        if self.settled is None or self.settled.boot_id == actual.boot_id:
            return actual
        if not self._has_settled and _is_open(actual.config):
            self.settled = None  # an old story: another controller has met it in this life
            return actual
        if self._down_since is None:
            log.warning(
                "a switch has started anew; its host ports are held down", switch=self._switch
            )
            self._note(self._switch, "started anew", "its host ports are held down until complete")
        self._down_since = self._clock()
        self._brought_at = 0.0
        self.settled = None
        down = {
            name: replace(actual.config.interfaces.get(name, Interface(name=name)), is_down=True)
            for name in planned.interfaces
        }
        # Before anything else, so that no bond trusts it.
        closed = replace(actual.config, interfaces={**actual.config.interfaces, **down})
        return await self._bringer.bring(actual, closed, begin=_nothing)

    def beginning(self, actual: Actual) -> Callable[[SwitchConfig], Awaitable[None]]:
        """To be awaited with each goal before the first change towards it."""

        async def begin(aim: SwitchConfig) -> None:
            if self.is_held_down:
                return
            base = self.settled.config if self.settled is not None else actual.config
            self.settled = Settled(boot_id=actual.boot_id, config=base, goal=aim)
            self._has_settled = True
            await self._settle(self._switch, self.settled)

        return begin

    async def settle_on(self, actual: Actual, drift: Drift) -> None:
        """What stands now is what it was brought to, but for drift that is left."""
        if self.is_held_down:
            return
        config = drifts.kept(actual.config, self.settled, drift)
        settled = Settled(boot_id=actual.boot_id, config=config)
        self._has_settled = True
        if settled != self.settled:
            self.settled = settled
            await self._settle(self._switch, settled)

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


def _is_open(config: SwitchConfig) -> bool:
    """Whether traffic of hosts passes: what a switch that has just started has not got."""
    return any(
        (one.tagged or one.untagged is not None) and not one.is_down
        for one in config.interfaces.values()
    )


async def _nothing(_aim: SwitchConfig) -> None:
    """Nothing is to be kept of it."""
