"""A keeper for each switch that the fabric's inventory has us configure.

in the inventory, with a driver ─▶ kept      gone, or reached in another way ─▶ left, closed
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from netwright.fabric.drivers.base import Driver
from netwright.fabric.keeper import Keeper
from netwright.fabric.reports import Reporter
from netwright.fabric.store import Settled
from netwright.fabric.views import View
from netwright.model.errors import NetwrightError
from netwright.model.fabric import SwitchReport, SwitchStatus
from netwright.model.topology import Switch

log = structlog.get_logger(__name__)


class Surroundings(Protocol):
    """What keepers need of their controller."""

    clock: Callable[[], float]
    jitter: Callable[[], float]

    def driver(self, switch: Switch) -> Driver: ...
    def note(self, subject: str, event: str, detail: str) -> None: ...
    async def settle(self, switch: str, settled: Settled) -> None: ...


class Keepers:
    """One tenure's, by switch. `token`, `on_view` and `is_complete` are as of a `Keeper`."""

    def __init__(
        self,
        around: Surroundings,
        settled: Mapping[str, Settled],
        reporter: Reporter,
        *,
        token: Callable[[], int],
        on_view: Callable[[View], None],
        is_complete: Callable[[str, float], bool],
    ) -> None:
        self.of: dict[str, Keeper] = {}
        self.reached: dict[str, Switch] = {}
        """The switches that are kept, as the inventory had them when they were met."""
        self._around = around
        self._settled = settled
        self._reporter = reporter
        self._token = token
        self._on_view = on_view
        self._is_complete = is_complete
        self._running: dict[str, asyncio.Task[None]] = {}

    def views(self) -> Mapping[str, View]:
        """Of the switches that were read, or found unreachable, since they were met."""
        return {name: one.view for name, one in self.of.items() if one.view is not None}

    def meet(self, switches: Mapping[str, Switch], tasks: asyncio.TaskGroup) -> None:
        """Keep these and no others; each by a task of its own."""
        for name, keeper in list(self.of.items()):
            if _way(switches.get(name)) != _way(self.reached[name]):
                del self.of[name], self.reached[name]
                self._reporter.forget_switch(name)
                leaving = _leave(keeper, self._running.pop(name))
                tasks.create_task(leaving, name=f"leave {name}")
        for name, switch in switches.items():
            if name not in self.of:
                self._keep(switch, tasks)

    async def close(self) -> None:
        await asyncio.gather(
            *(keeper.close() for keeper in self.of.values()), return_exceptions=True
        )

    def _keep(self, switch: Switch, tasks: asyncio.TaskGroup) -> None:
        try:
            driver = self._around.driver(switch)
        except NetwrightError as error:
            log.warning("a switch has no driver", switch=switch.name, why=error.message)
            self._reporter.switch(
                SwitchReport(switch=switch.name, status=SwitchStatus.REFUSED, cause=error.message)
            )
            return
        keeper = Keeper(
            switch.name,
            driver,
            token=self._token,
            clock=self._around.clock,
            jitter=self._around.jitter,
            settled=self._settled.get(switch.name),
            settle=self._around.settle,
            note=self._around.note,
            on_view=self._on_view,
            is_complete=self._is_complete,
        )
        self.of[switch.name] = keeper
        self.reached[switch.name] = switch
        task = tasks.create_task(keeper.run(), name=f"switch {switch.name}")
        self._running[switch.name] = task


async def _leave(keeper: Keeper, task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
    await keeper.close()


def _way(switch: Switch | None) -> tuple[str, str] | None:
    """How a switch is reached: with another one it is met anew."""
    return None if switch is None else (switch.driver, switch.address)
