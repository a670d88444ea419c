"""Keeps one switch as planned: everything that is done to it is done here, one after another.

    woken by a plan, by the switch itself (`Driver.watch`), or after POLL_S
      ─▶ read ─▶ what drifted? (shown; repaired, or left by the policy) ─▶ bring ─▶ what it learned

    reached ⇄ unreachable          a switch that is back is claimed anew (`life`)

A pass starts from what the switch says, whatever was done to it before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NoReturn

import structlog
from msgspec.structs import replace

from netwright.client.backoff import Backoff
from netwright.fabric import drift as drifts
from netwright.fabric import elements, views
from netwright.fabric.bringing import READ_S_MAX, Bringer
from netwright.fabric.config import SwitchConfig
from netwright.fabric.drift import Drift
from netwright.fabric.drivers.base import Actual, Driver, Learned, OvertakenError
from netwright.fabric.lease import LeaseLost
from netwright.fabric.life import Life, nothing
from netwright.fabric.remembered import Remembered
from netwright.fabric.store import Settled
from netwright.fabric.views import Goal, Outcome, View
from netwright.model.errors import DeviceError, NetwrightError
from netwright.model.fabric import SwitchStatus
from netwright.model.topology import DriftPolicy

POLL_S = 3.0
"""With the read itself and the report: drift is seen within 5 s, also where nothing tells of it."""

WATCH_S_MIN = 0.2
"""Passes that the switch itself asks for are at least so far apart."""

COMPLETE_POLL_S = 0.3

UNREACHABLE_AGAIN = Backoff(first_s=0.3, max_s=3.0)

log = structlog.get_logger(__name__)


class Keeper:
    """`run` until cancelled; what is on the switch stays.

    `on_view` is called after each pass and must return at once; `note` keeps a step of the
    switch's history; `is_complete` says whether the other switches have heard since then all that
    this one has to say, which only the controller knows.
    """

    def __init__(
        self,
        name: str,
        driver: Driver,
        *,
        token: Callable[[], int],
        clock: Callable[[], float],
        jitter: Callable[[], float],
        settled: Settled | None,
        settle: Callable[[str, Settled], Awaitable[None]],
        note: Callable[[str, str, str], None],
        on_view: Callable[[View], None],
        is_complete: Callable[[str, float], bool],
    ) -> None:
        self.name = name
        self.view: View | None = None
        self.learned_at: dict[int, float] = {}
        """When the switch was last asked about each VNI, by the clock."""
        self._driver = driver
        self._bringer = Bringer(name, driver, token=token, clock=clock, jitter=jitter)
        self._life = Life(
            name,
            self._bringer,
            Remembered(name, settled, settle),
            token=token,
            clock=clock,
            note=note,
            is_complete=is_complete,
        )
        self._clock = clock
        self._jitter = jitter
        self._note = note
        self._on_view = on_view
        self._goal: Goal | None = None
        self._woken = asyncio.Event()
        self._asked: set[int] = set()
        self._read_due = True
        self._repair_due = False
        self._repaired = ""
        self._failures = 0
        self._turn = asyncio.Lock()
        self._begun = self._done = 0
        """Passes, counted, also those that found the switch unreachable."""
        self._ended = asyncio.Event()

    def want(self, goal: Goal) -> None:
        """The switch shall be so from now on."""
        before, self._goal = self._goal, goal
        if before is None or not goal.is_like(before):
            self._read_due = True
            self._woken.set()
        elif self.view is not None and self.view.is_clear and self.view.number == before.number:
            # The same configuration by a later plan: what was read for it holds for this one too.
            self.view = replace(self.view, number=goal.number)

    def ask(self, vnis: Collection[int]) -> None:
        """Find out soon what the switch has learned of these."""
        if not self._asked.issuperset(vnis):
            self._asked |= set(vnis)
            self._woken.set()

    def look(self, *, repair: bool = False) -> None:
        """Make a pass now; `repair` also what is only alarmed otherwise."""
        self._read_due = True
        self._repair_due = self._repair_due or repair
        self._woken.set()

    async def run(self) -> NoReturn:
        """Raises LeaseLost when it may not write, or another controller did."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name=f"watch of {self.name}")
            delay_s = 0.0
            while True:
                await self._wait(delay_s)
                delay_s = await self._work()

    async def compare(self) -> tuple[SwitchConfig, SwitchConfig]:
        """(what it is, what it shall be), by what the switch says now. Raises DeviceError."""
        async with self._turn:
            actual = (await self._bringer.read()).config
        return actual, actual if self._goal is None else self._goal.config

    async def passed(self) -> View:
        """Wait for a pass that begins after this; the view that it leaves."""
        number = self._begun + 1
        while self._done < number or self.view is None:
            await self._ended.wait()
        return self.view

    async def close(self) -> None:
        await self._driver.close()

    async def _listen(self) -> NoReturn:
        while True:
            try:
                async for _ in self._driver.watch():
                    self.look()
                    await asyncio.sleep(WATCH_S_MIN)
            except DeviceError as error:
                log.info("a switch's own word is not heard", switch=self.name, why=error.message)
            except Exception:
                log.exception("a driver's watch failed", switch=self.name)
            await asyncio.sleep(POLL_S)

    async def _wait(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._woken.wait()
        except TimeoutError:
            self._read_due = True

    async def _work(self) -> float:
        """One pass, or one question; after how many seconds to look again."""
        self._woken.clear()
        if self._goal is None:
            return POLL_S
        async with self._turn:
            delay_s = await self._take_turn(self._goal)
        ended, self._ended = self._ended, asyncio.Event()
        ended.set()
        return delay_s

    async def _take_turn(self, goal: Goal) -> float:
        is_pass = self._read_due
        self._begun += is_pass
        try:
            if is_pass:
                await self._pass(goal)
            else:
                await self._answer()
        except OvertakenError as error:
            raise LeaseLost(error.message, next=error.next) from error
        except DeviceError as error:
            return self._unreachable(error.message)
        except LeaseLost:
            raise
        except NetwrightError as error:  # our own store: the switch is not to blame
            log.warning("a switch waits", switch=self.name, why=error.message)
            self._read_due = True
            return POLL_S
        except Exception as error:  # a driver's defect is one switch's trouble
            log.exception("a driver failed", switch=self.name)
            return self._unreachable(f"The driver of switch {self.name} failed: {error!r}.")
        finally:
            self._done += is_pass
        self._failures = 0
        return self._next_s()

    def _next_s(self) -> float:
        if self._life.is_held_down or self._awaits_others():
            return COMPLETE_POLL_S
        next_try_at = self._bringer.next_try_at()
        if next_try_at is None:
            return POLL_S
        return min(max(next_try_at - self._clock(), 0.05), POLL_S)

    def _awaits_others(self) -> bool:
        """Whether it holds ports down, has sessions again, and the others do not know all yet."""
        actual = self.view.actual if self.view is not None else None
        held = self._goal is not None and self._goal.held
        return bool(held) and actual is not None and not actual.isolation

    def _unreachable(self, cause: str) -> float:
        self._failures += 1
        self._read_due = True
        self._life.lost()
        if self.view is None or self.view.status is not SwitchStatus.UNREACHABLE:
            log.warning("a switch is unreachable", switch=self.name, why=cause)
            self._note(self.name, "unreachable", cause)
        self._show(View(name=self.name, status=SwitchStatus.UNREACHABLE, cause=cause))
        return UNREACHABLE_AGAIN.delay_s(self._failures, self._jitter())

    async def _answer(self) -> None:
        view, asked = self.view, frozenset(self._asked)
        self._asked.clear()
        if view is None or view.actual is None or view.actual.is_partial:
            return
        learned = {vni: one for vni, one in view.learned.items() if vni not in asked}
        learned.update(await self._learned(asked))
        self._show(replace(view, learned=learned))

    async def _pass(self, goal: Goal) -> None:
        self._read_due = False
        repair, self._repair_due = self._repair_due, False
        if self.view is not None:
            self.view = replace(self.view, bringing=goal.config)
        actual = await self._bringer.read()
        if actual.is_partial:
            self._show(await self._hold(goal, actual))
            return
        actual = await self._life.meet(actual, goal.config)
        policy = DriftPolicy.REPAIR if repair else goal.policy
        drift = drifts.found(actual.config, self._life.remembered.settled, goal.config, policy)
        self._say_drift(actual, drift, goal)
        wanted, begin = self._life.wanted(goal.config), self._life.beginning(actual)
        actual = await self._bringer.bring(actual, wanted, left=drift.left, begin=begin)
        await self._life.settle_on(actual, drift)
        learned = await self._learned(goal.config.segments.keys() | self._asked)
        self._asked.clear()
        if not self._life.is_held_down:
            self._bringer.settle(actual.config, goal.config)
        outcome = self._outcome(drift)
        self._show(views.passed(self.name, self._newest_like(goal), actual, learned, outcome))
        if self._life.completed(actual, wanted):
            self.look()

    async def _hold(self, goal: Goal, actual: Actual) -> View:
        """Its control plane is silent: nothing is done to it but ports held down."""
        before = self.view.actual if self.view is not None else None
        if before is None or not before.is_partial:
            why = actual.isolation
            log.warning("a switch's control plane is silent", switch=self.name, why=why)
            self._note(self.name, "isolated", why)
        down = [name for name, one in goal.config.interfaces.items() if one.is_down]
        held = elements.held_down(actual.config, down)  # none is raised: it may be incomplete
        actual = await self._bringer.bring(actual, held, begin=nothing)
        return views.silent(self.name, goal, actual)

    def _say_drift(self, actual: Actual, drift: Drift, goal: Goal) -> None:
        """Show it, and note it when it is new."""
        if not drift.keys:
            return
        if self.view is None or self.view.drift != drift.lines:
            left = len(drift.left)
            log.warning("a switch has drifted", switch=self.name, drift=drift.lines, left=left)
            self._note(self.name, "drifted", "; ".join(drift.lines))
            self._show(views.drifted(self.name, self.view, goal, actual, drift))
        if drift.is_repaired:
            self._repaired = f"Repaired what somebody else had changed: {'; '.join(drift.lines)}."

    async def _learned(self, vnis: Collection[int]) -> Mapping[int, Learned]:
        try:
            async with asyncio.timeout(READ_S_MAX):
                asked_at = self._clock()
                learned = await self._driver.learned(sorted(vnis)) if vnis else {}
        except TimeoutError:
            raise DeviceError(
                f"The control plane of switch {self.name} did not answer within {READ_S_MAX:g} s.",
                next="Look at it; the controller asks again.",
            ) from None
        self.learned_at |= dict.fromkeys(vnis, asked_at)
        return learned

    def _outcome(self, drift: Drift) -> Outcome:
        bringer = self._bringer
        return Outcome(
            drift=drift.lines if drift.left else (),
            half=bringer.half,
            refusals={key: hold.cause for key, hold in bringer.held.items()},
            repaired=self._repaired,
            is_held_down=self._life.is_held_down,
        )

    def _newest_like(self, goal: Goal) -> Goal:
        """The newest plan's, when it wants the same as that of this pass."""
        newest = self._goal
        return newest if newest is not None and newest.is_like(goal) else goal

    def _show(self, view: View) -> None:
        self.view = view
        self._on_view(view)
