"""The fabric controller: told by the server, it keeps the switches so, and says how they are.

    watch ──▶ save ──▶ plan ─────────────────┐      always, also as a standby
    lease: standby ⇄ active: a Tenure ◀──────┘      one controller at a time (law 3), and none
                                                    that was not told all yet (law 6)
    eye (optional) ──────────▶
    history ──▶ store

A controller that lost its lease stands by, and begins a new tenure as if it were started anew:
everything is read from the switches.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, Protocol, TypeAlias

import structlog

from netwright.client.backoff import Backoff
from netwright.client.errand import Errand
from netwright.client.watch import WatchSource
from netwright.fabric.drivers.base import Driver
from netwright.fabric.judging import described
from netwright.fabric.lease import Lease, LeaseLost, Leases
from netwright.fabric.metrics import Standing
from netwright.fabric.placements import Placements
from netwright.fabric.plan import Planner
from netwright.fabric.store import Settled, Step, Store
from netwright.fabric.tenure import Planned, Tenure
from netwright.fabric.tenure import Server as TenureServer
from netwright.fabric.told import Listener
from netwright.fabric.verify import Observed
from netwright.model.topology import Switch

AGAIN = Backoff(first_s=0.2, max_s=10.0)
STEPS_WAITING_MAX = 50_000

Changed: TypeAlias = frozenset[str]
Saw: TypeAlias = Callable[[frozenset[str] | None], None]
"""Told which VTEPs' routes have changed; None: all may have."""

log = structlog.get_logger(__name__)


class Server(WatchSource, Leases, TenureServer, Protocol):
    """What the controller needs of the server: `client.api.Client`, or a test's double."""


class Eye(Protocol):
    """An observer of the fabric's routes."""

    def observed(self) -> Observed | None: ...
    async def run(self) -> NoReturn: ...


class Controller:
    """`run` until cancelled; what is on the switches stays.

    `clock` counts seconds, `now` is the time of day; `jitter` gives numbers in [0, 1). `eye` is
    made with what it shall call when it saw something; `aside` runs what may take seconds.
    """

    def __init__(
        self,
        server: Server,
        store: Store,
        drivers: Callable[[Switch], Driver],
        *,
        holder: str,
        clock: Callable[[], float],
        now: Callable[[], float],
        jitter: Callable[[], float],
        eye: Callable[[Saw], Eye] | None = None,
        aside: Callable[[Callable[[], Changed]], Awaitable[Changed]] = asyncio.to_thread,
    ) -> None:
        self.clock = clock
        self.jitter = jitter
        self.placements = Placements()
        self.tenure: Tenure | None = None
        self.lease = Lease(server, holder, clock)
        self._server = server
        self._store = store
        self._drivers = drivers
        self._aside = aside
        self._now = now
        self._planner = Planner()
        self._planned: Planned | None = None
        self._in_step = asyncio.Event()
        """Whether the plan is of all that the server had when the watch was opened, or later."""
        self._settled: dict[str, Settled] = dict(store.load_settled())
        self._steps: list[Step] = []
        self._noted: Counter[str] = Counter()
        self._eye = eye(self._on_eye) if eye is not None else None
        self._saving = self._errand("saving", self._save)
        self._planning = self._errand("planning", self._plan)
        self._writing = self._errand("history", self._write_history)
        self.listener = Listener(
            server,
            store,
            now=now,
            jitter=jitter,
            on_told=self._planning.wake,
            save=self._saving,
        )

    async def run(self) -> NoReturn:
        self.listener.load()
        async with asyncio.TaskGroup() as tasks:
            for errand in (self._saving, self._planning, self._writing):
                tasks.create_task(errand.run(), name=errand.name)
            tasks.create_task(self.listener.run(), name="watch")
            if self._eye is not None:
                tasks.create_task(self._eye.run(), name="observer")
            tasks.create_task(self._serve(), name="tenures")
        raise AssertionError("the controller's tasks never end by themselves")

    async def stop(self) -> None:
        """After `run` was cancelled: let a standby take over at once, write what waits."""
        await self.lease.give_back()
        await self._write_history()

    def state(self) -> Mapping[str, object]:
        """What an operator looks at when the controller does not do what it should."""
        told, tenure = self.listener.told, self.tenure
        keepers = tenure.keepers if tenure is not None else {}
        return {
            "active": tenure is not None,
            "cursor": told.cursor,
            "plan": told.number,
            "attachments": len(told.intent.attachments),
            "refusals": [one.words for one in self._planner.plan.refusals[:20]],
            "switches": {
                name: f"{one.view.status} {one.view.cause}".rstrip() if one.view else "not read"
                for name, one in keepers.items()
            },
            "observer": None if self._eye is None else self._eye.observed() is not None,
        }

    def standing(self) -> Standing:
        return Standing(
            tenure=self.tenure,
            told=self.listener.told,
            refusals=len(self._planner.plan.refusals),
            steps=self._noted,
            sees_routes=None if self._eye is None else self._eye.observed() is not None,
        )

    # What a tenure needs (`tenure.Surroundings`).

    def driver(self, switch: Switch) -> Driver:
        return self._drivers(switch)

    def observed(self) -> Observed | None:
        return self._eye.observed() if self._eye is not None else None

    def note(self, subject: str, event: str, detail: str) -> None:
        self._noted[event] += 1
        if len(self._steps) < STEPS_WAITING_MAX:  # a full disk must not become a full memory
            self._steps.append(Step(subject=subject, at=self._now(), event=event, detail=detail))
        self._writing.wake()

    async def settle(self, switch: str, settled: Settled) -> None:
        self._settled[switch] = settled
        await self._store.settle(switch, settled)

    async def _serve(self) -> NoReturn:
        while True:
            await self._in_step.wait()
            token = await self.lease.take()
            log.info("active", holder=self.lease.holder, token=token)
            self.tenure = Tenure(token, self.lease, self._server, self, self._settled)
            try:
                await self.tenure.run(self._planned)
            except LeaseLost as error:
                log.warning("not active any more", why=error.message)
            finally:
                self.tenure = None
            self._in_step.clear()
            self._planning.wake()
            await asyncio.sleep(AGAIN.delay_s(1, self.jitter()))

    async def _save(self) -> float | None:
        delay_s = await self.listener.save()
        if self.tenure is not None:
            self.tenure.told_again()
        return delay_s

    async def _plan(self) -> None:
        is_current = self.listener.is_current
        await self._plan_told()
        if is_current:
            self._in_step.set()

    async def _plan_told(self) -> None:
        told = self.listener.told
        if not self.listener.is_known or (self._planned is not None and self._planned.told is told):
            return
        before = self._planned
        if before is None or before.told.intent.topology is not told.intent.topology:
            # A whole plan may take seconds, which the lease does not have.
            self.listener.moved.clear()
            changed = await self._aside(lambda: self._planner.update(told.intent))
            plan = self._planner.plan
            moved = self.placements.update(told.intent, plan.refusals)
        else:
            subjects = frozenset(self.listener.moved)
            self.listener.moved.clear()
            changed = self._planner.update(told.intent, subjects)
            plan = self._planner.plan
            moved = self.placements.update(told.intent, plan.refusals, subjects)
        self._planned = Planned(told=told, plan=plan)
        for subject in moved:
            placement = self.placements.live.get(subject)
            if placement is not None:
                self.note(subject, "planned", described(placement))
            elif subject in self.placements.withdrawing:
                self.note(subject, "planned", "to be withdrawn")
        if self.tenure is not None:
            self.tenure.follow(self._planned, changed | moved)

    def _on_eye(self, vteps: frozenset[str] | None) -> None:
        if self.tenure is not None:
            self.tenure.watched(vteps)

    async def _write_history(self) -> None:
        steps, self._steps = self._steps, []
        try:
            await self._store.note(steps)
        except BaseException:
            self._steps = steps + self._steps
            raise

    def _errand(self, name: str, work: Callable[[], Awaitable[float | None]]) -> Errand:
        return Errand(name, work, backoff=AGAIN, jitter=self.jitter)
