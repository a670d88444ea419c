"""What a keeper says of its switch while it is being changed, in virtual time."""

import asyncio
from collections.abc import Sequence

from tests.doubles import fabrics, virtual_time
from tests.doubles.switches import SimulatedSwitch

from netwright.fabric import verify
from netwright.fabric.changes import Change
from netwright.fabric.config import EMPTY, SwitchConfig
from netwright.fabric.keeper import Keeper
from netwright.fabric.plan import plan
from netwright.fabric.store import Settled
from netwright.fabric.verify import Fabric, Place, Placement
from netwright.fabric.views import Goal, View
from netwright.model.topology import DriftPolicy
from netwright.model.wire import ReportStatus

NETWORK = fabrics.network(1)
WITH = plan(
    fabrics.intent(
        fabrics.topology(),
        networks=[NETWORK],
        attachments=[fabrics.attachment(NETWORK, "host1", 10)],
    )
).switches["leaf1"]
PLACEMENT = Placement(
    network_id="net-1",
    host="host1",
    generation=1,
    vni=1001,
    places=(Place(switch="leaf1", interface="h1", vlan=10),),
)


class SlowSwitch(SimulatedSwitch):
    """Its changes take a second each time; `amid` is set meanwhile."""

    def __init__(self) -> None:
        super().__init__("leaf1")
        self.amid = asyncio.Event()

    async def apply(self, changes: Sequence[Change], *, token: int = 0) -> None:
        if changes:
            self.amid.set()
            await asyncio.sleep(1.0)
        await super().apply(changes, token=token)


class Bench:
    """A keeper at work, and what it has shown."""

    def __init__(self) -> None:
        self.switch = SlowSwitch()
        self._shown = asyncio.Event()
        self.keeper = Keeper(
            "leaf1",
            self.switch,
            token=lambda: 1,
            clock=asyncio.get_running_loop().time,
            jitter=lambda: 0.0,
            settled=None,
            settle=self._settle,
            note=lambda *_: None,
            on_view=self._saw,
            is_complete=lambda *_: True,
        )
        self._number = 0

    def want(self, config: SwitchConfig) -> int:
        self._number += 1
        goal = Goal(config=config, number=self._number, policy=DriftPolicy.REPAIR)
        self.keeper.want(goal)
        return self._number

    async def until_shown(self) -> None:
        self._shown.clear()
        await self._shown.wait()

    def withdrawn(self, view: View | None) -> bool:
        return verify.withdrawn(PLACEMENT, _fabric(view)).status is ReportStatus.WITHDRAWN

    def is_up(self, view: View | None) -> bool:
        found = verify.verdict(PLACEMENT, _fabric(view), was_up=False)
        return found.status is ReportStatus.UP

    def _saw(self, _view: View) -> None:
        self._shown.set()

    async def _settle(self, _name: str, _settled: Settled) -> None:
        pass


def _fabric(view: View | None) -> Fabric:
    assert view is not None
    return Fabric(wanted={"leaf1": WITH}, views={"leaf1": view}, loopbacks={"leaf1": "10.0.0.1"})


def test_a_later_plan_with_the_same_configuration_makes_nothing_clear() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.keeper.run())
            bench.want(WITH)
            await bench.keeper.passed()
            bench.switch.amid.clear()
            gone_at = bench.want(EMPTY)
            await bench.switch.amid.wait()
            bench.want(EMPTY)  # something moved elsewhere, while this is being removed here
            view = bench.keeper.view
            assert view is not None
            assert bench.switch.config == WITH
            assert not (view.is_clear and view.number >= gone_at)
            view = await bench.keeper.passed()
            assert bench.switch.config == EMPTY
            assert view.is_clear
            assert view.number >= gone_at
            running.cancel()

    virtual_time.run(scenario())


def test_what_is_being_brought_is_not_withdrawn() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.keeper.run())
            bench.want(EMPTY)
            assert bench.withdrawn(await bench.keeper.passed())
            bench.want(WITH)
            await bench.switch.amid.wait()
            bench.want(EMPTY)  # unbound again before it ever stood
            assert not bench.withdrawn(bench.keeper.view)
            await bench.until_shown()
            assert bench.switch.config == WITH
            assert not bench.withdrawn(bench.keeper.view)
            await bench.until_shown()
            assert bench.switch.config == EMPTY
            assert bench.withdrawn(bench.keeper.view)
            running.cancel()

    virtual_time.run(scenario())


def test_what_is_being_removed_is_not_up() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.keeper.run())
            bench.want(WITH)
            assert bench.is_up(await bench.keeper.passed())
            bench.switch.amid.clear()
            bench.want(EMPTY)
            await bench.switch.amid.wait()
            bench.want(WITH)  # bound again before it was gone
            assert not bench.is_up(bench.keeper.view)
            await bench.until_shown()
            assert bench.switch.config == EMPTY
            assert not bench.is_up(bench.keeper.view)
            await bench.until_shown()
            assert bench.switch.config == WITH
            assert bench.is_up(bench.keeper.view)
            running.cancel()

    virtual_time.run(scenario())
