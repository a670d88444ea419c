"""What a switch was brought to last, by whose word, and whether that still counts.

an earlier tenure's ─take up─▶ ours          no other's token is on the switch
                    └────────▶ forgotten     an old story: another controller has kept it since

Each goal is written before the first change towards it, and what stands in the end.
"""

from collections.abc import Awaitable, Callable

import structlog
from msgspec.structs import replace

from netwright.fabric import drift as drifts
from netwright.fabric.config import SwitchConfig
from netwright.fabric.drift import Drift
from netwright.fabric.drivers.base import Actual
from netwright.fabric.store import Settled

log = structlog.get_logger(__name__)


class Remembered:
    """One switch's, in one tenure. `write` keeps it on disk."""

    def __init__(
        self, switch: str, settled: Settled | None, write: Callable[[str, Settled], Awaitable[None]]
    ) -> None:
        self.settled = settled
        self.is_ours = False
        """Whether that is this tenure's word, and not an earlier one's."""
        self._switch = switch
        self._write = write
        self._token = 0

    async def take_up(self, actual: Actual, token: int) -> None:
        """The switch is about to be claimed with this token.

        That goes into what is remembered first, or the next life would take it for another's.
        """
        self._token = token
        settled = self.settled
        if settled is None or self.is_ours or settled.boot_id != actual.boot_id:
            return
        if settled.token is not None and settled.token < actual.token:
            log.info("another controller kept it meanwhile", switch=self._switch)
            self.settled = None
        else:
            await self._keep(replace(settled, token=token))

    def is_of_another_life(self, actual: Actual) -> bool:
        """Whether the switch has started anew since, and nobody has met it in this life yet."""
        if self.settled is None or self.settled.boot_id == actual.boot_id:
            return False
        if not self.is_ours and _is_open(actual.config):
            self.settled = None  # an old story: another controller has met it in this life
        return self.settled is not None

    def forget(self) -> None:
        self.settled = None

    async def begin(self, actual: Actual, aim: SwitchConfig) -> None:
        """It is brought to this from now on."""
        base = self.settled.config if self.settled is not None else actual.config
        self.is_ours = True
        await self._keep(Settled(boot_id=actual.boot_id, config=base, goal=aim, token=self._token))

    async def end(self, actual: Actual, drift: Drift) -> None:
        """What stands now is what it was brought to, but for drift that is left."""
        config = drifts.kept(actual.config, self.settled, drift)
        self.is_ours = True
        settled = Settled(boot_id=actual.boot_id, config=config, token=self._token)
        if settled != self.settled:
            await self._keep(settled)

    async def _keep(self, settled: Settled) -> None:
        self.settled = settled
        await self._write(self._switch, settled)


def _is_open(config: SwitchConfig) -> bool:
    """Whether traffic of hosts passes: what a switch that has just started has not got."""
    return any(
        (one.tagged or one.untagged is not None) and not one.is_down
        for one in config.interfaces.values()
    )
