"""Keeps one switch as planned: everything that is done to it is done here, one after another.

    woken by a plan, by the switch itself (`Driver.watch`), or after POLL_S
      ─▶ read ─▶ what drifted? (shown; repaired, or left by the policy) ─▶ bring ─▶ what it learned

    reached ⇄ unreachable          a switch that is back is claimed anew: it may have missed us
    started anew: host ports down ─▶ all is brought ─▶ complete ─▶ ports up

A pass starts from what the switch says, whatever was done to it before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NoReturn

import structlog
from msgspec.structs import replace

from netwright.client.backoff import Backoff
from netwright.fabric import changes, elements
from netwright.fabric import drift as drifts
from netwright.fabric.bringing import READ_S_MAX, Bringer
from netwright.fabric.config import Interface, SwitchConfig
from netwright.fabric.drift import Drift
from netwright.fabric.drivers.base import Actual, Driver, Learned, OvertakenError
from netwright.fabric.lease import LeaseLost
from netwright.fabric.store import Settled
from netwright.fabric.views import View
from netwright.model.errors import DeviceError, NetwrightError
from netwright.model.fabric import SwitchStatus
from netwright.model.resources import Value
from netwright.model.topology import DriftPolicy

POLL_S = 3.0
"""With the read itself and the report: drift is seen within 5 s, also where nothing tells of it."""

WATCH_S_MIN = 0.2
"""Passes that the switch itself asks for are at least so far apart."""

COMPLETE_S_MAX = 60.0
"""A switch that started anew opens its host ports then, though its peers have not confirmed."""

COMPLETE_POLL_S = 0.3

UNREACHABLE_AGAIN = Backoff(first_s=0.3, max_s=3.0)

log = structlog.get_logger(__name__)


class Goal(Value, frozen=True, kw_only=True):
    """What the plan of this number wants of a switch. `held` are ports that it holds down."""

    config: SwitchConfig
    number: int
    policy: DriftPolicy
    held: frozenset[str] = frozenset()

    def holding(self, ports: frozenset[str]) -> "Goal":
        """The same while the switch is isolated, and these ports' hosts have another way."""
        if not ports:
            return self
        return replace(self, config=elements.held_down(self.config, sorted(ports)), held=ports)


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
        self._clock = clock
        self._jitter = jitter
        self._settled = settled
        self._has_settled = False
        """Whether that is this tenure's word, and not an earlier one's."""
        self._settle = settle
        self._note = note
        self._on_view = on_view
        self._is_complete = is_complete
        self._goal: Goal | None = None
        self._woken = asyncio.Event()
        self._asked: set[int] = set()
        self._read_due = True
        self._repair_due = False
        self._claimed_boot: str | None = None
        self._down_since: float | None = None
        """Since when the host ports are held down, by the clock; None: they are not."""
        self._brought_at = 0.0
        self._repaired = ""
        self._failures = 0
        self._turn = asyncio.Lock()
        self._begun = self._done = 0
        """Passes, counted, also those that found the switch unreachable."""
        self._ended = asyncio.Event()

    def want(self, goal: Goal) -> None:
        """The switch shall be so from now on."""
        before, self._goal = self._goal, goal
        if before is None or goal != replace(before, number=goal.number):
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
        if self._down_since is not None or self._awaits_others():
            return COMPLETE_POLL_S
        next_try_at = self._bringer.next_try_at()
        if next_try_at is None:
            return POLL_S
        return min(max(next_try_at - self._clock(), 0.05), POLL_S)

    def _awaits_others(self) -> bool:
        """Whether it holds ports down, has sessions again, and the others do not know all yet."""
        actual = self.view.actual if self.view is not None else None
        held = self._goal is not None and self._goal.held
        return bool(held) and actual is not None and not actual.is_isolated

    def _unreachable(self, cause: str) -> float:
        self._failures += 1
        self._read_due = True
        self._claimed_boot = None
        if self.view is None or self.view.status is not SwitchStatus.UNREACHABLE:
            log.warning("a switch is unreachable", switch=self.name, why=cause)
            self._note(self.name, "unreachable", cause)
        self._show(View(name=self.name, status=SwitchStatus.UNREACHABLE, cause=cause))
        return UNREACHABLE_AGAIN.delay_s(self._failures, self._jitter())

    async def _answer(self) -> None:
        view, asked = self.view, frozenset(self._asked)
        self._asked.clear()
        if view is None or view.actual is None:
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
        actual = await self._meet(actual, goal)
        policy = DriftPolicy.REPAIR if repair else goal.policy
        drift = drifts.found(actual.config, self._settled, goal.config, policy)
        self._say_drift(actual, drift, goal)
        wanted = goal.config if self._down_since is None else elements.held_down(goal.config)
        begin = self._beginning(actual)
        actual = await self._bringer.bring(actual, wanted, left=drift.left, begin=begin)
        await self._settle_on(actual, drift)
        learned = await self._learned(goal.config.segments.keys() | self._asked)
        self._asked.clear()
        if self._down_since is None:
            self._bringer.settle(actual.config, goal.config)
        self._show(self._seen(goal, actual, learned, drift.lines if drift.left else ()))
        self._open_when_complete(actual, wanted)

    async def _meet(self, actual: Actual, goal: Goal) -> Actual:
        """What a switch needs that is seen for the first time, again, or in another life."""
        if self._claimed_boot != actual.boot_id:
            await self._bringer.claim()
            self._claimed_boot = actual.boot_id
        if self._settled is None or self._settled.boot_id == actual.boot_id:
            return actual
        if not self._has_settled and _is_open(actual.config):
            self._settled = None  # an old story: another controller has met it in this life
            return actual
        if self._down_since is None:
            log.warning("a switch has started anew; its host ports are held down", switch=self.name)
            self._note(self.name, "started anew", "its host ports are held down until complete")
        self._down_since = self._clock()
        self._brought_at = 0.0
        self._settled = None
        down = {
            name: replace(actual.config.interfaces.get(name, Interface(name=name)), is_down=True)
            for name in goal.config.interfaces
        }
        # Before anything else, so that no bond trusts it.
        closed = replace(actual.config, interfaces={**actual.config.interfaces, **down})
        return await self._bringer.bring(actual, closed, begin=_nothing)

    def _say_drift(self, actual: Actual, drift: Drift, goal: Goal) -> None:
        """Show it, and note it when it is new."""
        if not drift.keys:
            return
        if self.view is None or self.view.drift != drift.lines:
            left = len(drift.left)
            log.warning("a switch has drifted", switch=self.name, drift=drift.lines, left=left)
            self._note(self.name, "drifted", "; ".join(drift.lines))
            before = self.view or View(name=self.name, status=SwitchStatus.DRIFTED)
            self._show(
                replace(
                    before,
                    status=SwitchStatus.DRIFTED,
                    cause="Somebody else changed it.",
                    drift=drift.lines,
                    actual=actual,
                    number=goal.number,
                    is_clear=False,
                    bringing=goal.config,
                )
            )
        if drift.is_repaired:
            self._repaired = f"Repaired what somebody else had changed: {'; '.join(drift.lines)}."

    def _beginning(self, actual: Actual) -> Callable[[SwitchConfig], Awaitable[None]]:
        async def begin(aim: SwitchConfig) -> None:
            if self._down_since is not None:
                return
            base = self._settled.config if self._settled is not None else actual.config
            self._settled = Settled(boot_id=actual.boot_id, config=base, goal=aim)
            self._has_settled = True
            await self._settle(self.name, self._settled)

        return begin

    async def _settle_on(self, actual: Actual, drift: Drift) -> None:
        """What stands now is what it was brought to, but for drift that is left."""
        if self._down_since is not None:
            return  # not complete yet: whoever takes over now goes on holding it down
        config = drifts.kept(actual.config, self._settled, drift)
        settled = Settled(boot_id=actual.boot_id, config=config)
        self._has_settled = True
        if settled != self._settled:
            self._settled = settled
            await self._settle(self.name, settled)

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

    def _seen(
        self,
        goal: Goal,
        actual: Actual,
        learned: Mapping[int, Learned],
        drift: tuple[str, ...],
    ) -> View:
        bringer = self._bringer
        refusals = {key: hold.cause for key, hold in bringer.held.items()}
        status, cause = SwitchStatus.IN_SYNC, self._repaired
        if bringer.half:
            standing = "; ".join(bringer.half[: drifts.LINES_MAX])
            status, cause = SwitchStatus.REFUSED, f"It stands half changed; missing: {standing}."
        if refusals:
            status, cause = SwitchStatus.REFUSED, f"{'; '.join(refusals.values())} {cause}".strip()
        elif drift:
            status, cause = SwitchStatus.DRIFTED, "Somebody else changed it; it is left so."
        elif self._down_since is not None:
            status = SwitchStatus.APPLYING
            cause = "It started anew; its host ports are held down until it is complete."
        elif actual.is_isolated or goal.held:
            status, cause = SwitchStatus.ISOLATED, _isolated(actual, goal)
        return View(
            name=self.name,
            status=status,
            cause=cause,
            drift=drift,
            actual=actual,
            learned=learned,
            refusals=refusals,
            number=self._newest_like(goal),
            is_clear=not elements.leftovers(actual.config, goal.config),
        )

    def _newest_like(self, goal: Goal) -> int:
        """The number of the newest plan, when it wants the same as the one of this pass."""
        newest = self._goal
        if newest is not None and newest == replace(goal, number=newest.number):
            return newest.number
        return goal.number

    def _show(self, view: View) -> None:
        self.view = view
        self._on_view(view)

    def _open_when_complete(self, actual: Actual, wanted: SwitchConfig) -> None:
        """Raise the host ports of a switch that started anew, once nothing is missing."""
        if self._down_since is None:
            return
        now = self._clock()
        waited_s = now - self._down_since
        if changes.difference(actual.config, wanted):
            self._brought_at = 0.0
        elif not self._brought_at:
            self._brought_at = now
        if not (self._brought_at and self._is_complete(self.name, self._brought_at)):
            if waited_s < COMPLETE_S_MAX:
                return
            log.warning("host ports are raised though it is not complete", switch=self.name)
        self._down_since = None
        self._note(self.name, "complete", f"host ports are raised after {waited_s:.1f} s")
        self.look()


def _isolated(actual: Actual, goal: Goal) -> str:
    why = (
        "None of its EVPN sessions is established: no other switch hears it."
        if actual.is_isolated
        else "Its EVPN sessions are back, and others have not confirmed all that it announces."
    )
    ports = ", ".join(sorted(goal.held))
    if not ports:
        return f"{why} Its host ports stay up: no other leaf serves all of its hosts."
    return f"{why} Held down, so that hosts use their other leaf: {ports}."


def _is_open(config: SwitchConfig) -> bool:
    """Whether traffic of hosts passes: what a switch that has just started has not got."""
    return any(
        (one.tagged or one.untagged is not None) and not one.is_down
        for one in config.interfaces.values()
    )


async def _nothing(_aim: SwitchConfig) -> None:
    """Nothing is to be kept of it."""
