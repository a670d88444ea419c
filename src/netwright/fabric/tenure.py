"""What a controller does while it holds the lease; all of it ends when the lease is lost.

plan ──▶ keepers, one a switch, side by side ──views──▶ judge ──statements──▶ report
             ▲                                            │
             └──────────── ask (what was learned) ────────┘
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol

from netwright.client.backoff import Backoff
from netwright.client.errand import Errand
from netwright.fabric import completeness, translations
from netwright.fabric.config import EMPTY
from netwright.fabric.fences import FenceJudge
from netwright.fabric.isolation import Isolation, Paths
from netwright.fabric.judging import Judge
from netwright.fabric.keeper import Keeper
from netwright.fabric.keepers import Keepers
from netwright.fabric.keepers import Surroundings as KeepersSurroundings
from netwright.fabric.lease import Lease, LeaseLost
from netwright.fabric.performing import Performer
from netwright.fabric.performing import Server as AnswerServer
from netwright.fabric.placements import Placements
from netwright.fabric.plan import Plan
from netwright.fabric.refusals import Refusal
from netwright.fabric.reports import AGAIN_S, Reporter
from netwright.fabric.reports import Server as ReportServer
from netwright.fabric.store import Settled
from netwright.fabric.told import Told
from netwright.fabric.verify import Fabric, Observed
from netwright.fabric.views import Goal, View
from netwright.model.errors import Conflict
from netwright.model.fabric import LinkReport, SwitchReport
from netwright.model.resources import Value
from netwright.model.topology import End, SwitchKind, Topology
from netwright.model.vlan_domains import LEAVES, host_links

CARRYING = LEAVES | {SwitchKind.CORE}
"""The kinds of switches that may have something of ours."""

SERVER_AGAIN = Backoff(first_s=0.3, max_s=5.0)


class Server(ReportServer, AnswerServer, Protocol):
    """What a tenure needs of the server."""


class Planned(Value, frozen=True, kw_only=True):
    """The plan of what was told."""

    told: Told
    plan: Plan


class Surroundings(KeepersSurroundings, Protocol):
    """What a tenure needs of its controller."""

    placements: Placements

    def observed(self) -> Observed | None: ...


class Tenure:
    """`run` raises LeaseLost in the end. `settled` is what switches were brought to before."""

    def __init__(
        self,
        token: int,
        lease: Lease,
        server: Server,
        around: Surroundings,
        settled: Mapping[str, Settled],
    ) -> None:
        self._lease = lease
        self._server = server
        self._around = around
        self._tasks: asyncio.TaskGroup | None = None
        self._planned: Planned | None = None
        self._cursors: dict[int, str | None] = {}
        self._moved = asyncio.Event()
        self._ends: Mapping[str, tuple[str, ...]] = {}
        self._paths = Paths(())
        self._isolation = Isolation(around.clock, self._is_complete)
        self.judge = Judge(around.placements, note=around.note)
        self._fences = FenceJudge()
        self._reporter = Reporter(token)
        self._keepers = Keepers(
            around,
            settled,
            self._reporter,
            token=lease.token,
            on_view=self._on_view,
            is_complete=self._is_complete,
        )
        self._performer = Performer(self, server, token, self._spawn)
        self._asked: dict[str, bool] = {}
        """Switches that shall be taken out of service (True), or back, until we are told that.

        Of the others nothing is said: what we were told may be older than what another did.
        """
        self._news: tuple[Planned, frozenset[str]] | None = None
        """The newest plan that was not followed yet, and all that changed since the last one."""
        self._following = self._errand("following", self._follow_news)
        self._judging = self._errand("judging", self._judge_all)
        self._reporting = self._errand("reporting", self._report)

    @property
    def keepers(self) -> Mapping[str, Keeper]:
        """By the switches that are configured."""
        return self._keepers.of

    async def run(self, planned: Planned | None) -> None:
        lost: LeaseLost | None = None
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._lease.keep(), name="lease")
                for errand in (self._following, self._judging, self._reporting):
                    self._tasks.create_task(errand.run(), name=errand.name)
                self.judge.touch_all()
                if planned is not None:
                    self.follow(planned, frozenset(planned.plan.switches))
        except* LeaseLost as group:
            self._lease.drop()
            lost = _first(group)
        finally:
            await self._keepers.close()
        if lost is not None:
            raise lost

    def follow(self, planned: Planned, changed: frozenset[str]) -> None:
        """Another plan; `changed` are the subjects and switches that it changed.

        It is taken up by a task of the tenure: when that ends, nothing is begun any more.
        """
        changed |= self._news[1] if self._news is not None else frozenset()
        self._news = (planned, changed)
        self._following.wake()

    async def _follow_news(self) -> None:
        if self._news is None:
            return
        (planned, changed), self._news = self._news, None
        before, self._planned = self._planned, planned
        told = planned.told
        drained = told.intent.drained
        self._asked = {name: so for name, so in self._asked.items() if (name in drained) is not so}
        self._cursors[told.number] = told.cursor
        topology = told.intent.topology
        if before is None or before.told.intent.topology is not topology:
            self._meet(topology)
        self._want(self.keepers, planned)
        self._fences.follow(told.intent.port_fences, told.intent.lit)
        for name in changed:
            self.judge.touch_switch(name)
            self._fences.touch_switch(name)
        self.judge.touch(changed)
        self._judging.wake()
        self._reporting.wake()
        self._performer.follow(told.operations)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _want(self, switches: Iterable[str], planned: Planned) -> None:
        """Tell keepers what their switches shall be."""
        for name in switches:
            # A switch that a plan does not have is left as it is; a spine has nothing of ours.
            config = planned.plan.switches.get(name)
            if config is None and self._keepers.reached[name].kind not in CARRYING:
                config = EMPTY
            if config is not None:
                goal = Goal(
                    config=config,
                    number=planned.told.number,
                    policy=planned.told.intent.topology.fabric.drift,
                )
                self.keepers[name].want(goal.holding(self._isolation.held.get(name, frozenset())))

    def refusals(self) -> Iterable[Refusal]:
        return self._planned.plan.refusals if self._planned is not None else ()

    def cut_off(self, switch: str) -> Sequence[str]:
        """The hosts that have no other leaf that serves them."""
        if self._planned is None:
            return ()
        drained = self._planned.told.intent.drained
        stranded = self._paths.stranded(switch, self._keepers.views(), drained)
        return sorted(set().union(*stranded.values()))

    async def drain(self, switch: str, *, drained: bool) -> None:
        """Take a switch out of service, or back, and wait until it is so."""
        self._asked[switch] = drained
        keeper = self.keepers[switch]
        if keeper.view is not None:
            self._on_view(keeper.view)  # the server keeps it, and tells it to every controller
        while self._planned is None or (switch in self._planned.told.intent.drained) is not drained:
            await self._moved.wait()
        keeper.look()
        await keeper.passed()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        assert self._tasks is not None
        self._tasks.create_task(work, name=name)

    def watched(self, vteps: frozenset[str] | None) -> None:
        """The observer saw changes of these VTEPs' routes; None: of any."""
        if vteps is None or self._planned is None:
            self.judge.touch_all()
        else:
            for switch in self._planned.told.intent.topology.switches:
                if switch.loopback in vteps:
                    self.judge.touch_switch(switch.name)
        self._judging.wake()

    def told_again(self) -> None:
        """The server said something: it may hold other states than it was told."""
        self._reporting.wake()

    def fabric(self) -> Fabric:
        """What verification looks at now."""
        assert self._planned is not None
        intent = self._planned.told.intent
        return Fabric(
            wanted=self._planned.plan.switches,
            views=self._keepers.views(),
            loopbacks={one.name: one.loopback for one in intent.topology.switches},
            drained=intent.drained,
            lifting=self._fences.lifting(),
            observed=self._around.observed(),
        )

    def _meet(self, topology: Topology) -> None:
        """A keeper for each switch that we configure; none for those that are gone."""
        assert self._tasks is not None
        assert self._planned is not None
        wanted = {
            one.name: one
            for one in topology.switches
            if one.driver and (one.name in self._planned.plan.switches or one.kind not in CARRYING)
        }
        self._keepers.meet(wanted, self._tasks)
        links = host_links(topology)
        ends: dict[str, tuple[str, ...]] = {}
        for link in links:
            upper = link.upper
            ends[upper.node] = (*ends.get(upper.node, ()), upper.interface)
        self._ends, self._paths = ends, Paths(links)
        self._fences.meet(topology)

    def _is_complete(self, name: str, since: float) -> bool:
        """Whether the others have heard, after `since`, all that a switch has to say."""
        if self._keepers.reached[name].kind not in CARRYING:
            return True  # a spine has nothing to say of its own
        heard_at = {one.name: one.learned_at for one in self.keepers.values()}
        asks = completeness.asks(name, self.fabric(), heard_at, since)
        for switch, vnis in (asks or {}).items():
            self.keepers[switch].ask(vnis)
        return asks is None

    def _on_view(self, view: View) -> None:
        is_news = self._reporter.switch(
            SwitchReport(
                switch=view.name,
                status=view.status,
                cause=view.cause,
                drift=view.drift,
                drained=self._asked.get(view.name),
            )
        )
        if view.actual is not None:
            for interface in self._ends.get(view.name, ()):
                is_up = view.actual.links.get(interface)
                if is_up is not None:
                    end = End(node=view.name, interface=interface)
                    is_news |= self._reporter.link(LinkReport(end=end, is_up=is_up))
        if is_news:
            self._reporting.wake()
        if self._planned is not None:
            drained = self._planned.told.intent.drained
            changed = self._isolation.look(self._paths, self._keepers.views(), drained)
            self._want(changed & self.keepers.keys(), self._planned)
        self.judge.touch_switch(view.name)
        self._fences.touch_switch(view.name)
        self._judging.wake()

    async def _judge_all(self) -> float | None:
        if self._planned is None:
            return None
        now = self._around.clock()
        held = self._planned.told.intent.attachments
        fabric = self.fabric()
        self._fences.judge(fabric, now)
        asks = self.judge.judge(fabric, held, now)
        for switch, vnis in asks.items():
            if keeper := self.keepers.get(switch):
                keeper.ask(vnis)
        self._reporter.attachments = self.judge.statements
        self._reporter.fences = self._fences.statements
        self._reporter.floating = translations.statements(
            self._planned.told.intent.floating, fabric.wanted, fabric.views, self.refusals()
        )
        self._reporter.clear(self._clear_at())
        self._reporting.wake()
        times = [at for at in (self.judge.next_at(), self._fences.next_at()) if at is not None]
        return max(min(times) - self._around.clock(), 0.0) if times else None

    def _clear_at(self) -> str | None:
        """The cursor of the newest plan whose leavings are off every switch."""
        assert self._planned is not None
        topology = self._planned.told.intent.topology
        names = {one.name for one in topology.switches if one.driver and one.kind in CARRYING}
        views = [self.keepers[name].view if name in self.keepers else None for name in names]
        if any(view is None or not view.is_clear for view in views):
            return None
        number = min(
            (view.number for view in views if view is not None),
            default=self._planned.told.number,
        )
        self._cursors = {each: one for each, one in self._cursors.items() if each >= number}
        return self._cursors.get(number)

    async def _report(self) -> float | None:
        if self._planned is None:
            return None
        held = self._planned.told.intent.attachments
        try:
            sent = await self._reporter.send(self._server, held, self._around.clock())
        except Conflict as error:
            raise LeaseLost(f"The server refuses our reports: {error.message}") from error
        for report in sent:
            subject = f"{report.network_id}@{report.host}"
            self._around.note(subject, "reported", report.status)
        return AGAIN_S

    def _errand(self, name: str, work: Callable[[], Awaitable[float | None]]) -> Errand:
        return Errand(
            name,
            work,
            backoff=SERVER_AGAIN,
            jitter=self._around.jitter,
            ends_by=LeaseLost,
        )


def _first(group: BaseExceptionGroup[LeaseLost]) -> LeaseLost:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, LeaseLost)
    return error
