"""The host agent: one event loop that keeps a host as the server wants it, and says how it is.

    wiring.run ──changed──▶ reconcile ──▶ wiring.apply        the data plane; needs no server
                              ▲   └─────▶ report, ask          what came of it
    watch ──mirror changed────┤
    groups ──known────────────┘           (what ports need of security groups is asked for)
    beat: registers, then every 5 s                            independent of all the others
    neighbours ──changed──▶ beat                               what the NICs hear by LLDP

Everything but the watches and `wiring.run` is an `Errand`: woken, it works on the state as it is.
While the server is unreachable the mirror stays, and devices are wired from it; nothing is torn
down.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from typing import NoReturn, Protocol

import structlog

from netwright.agent import devices
from netwright.agent.group_watches import GroupWatches
from netwright.agent.neighbours import Neighbours
from netwright.agent.news import Line, News
from netwright.agent.reconcile import Pass, reconcile
from netwright.agent.session import Health, Identity, Server, Session
from netwright.agent.wiring import Wiring, WiringError, WiringStatus
from netwright.client.backoff import Backoff
from netwright.client.errand import Errand
from netwright.client.mirror import Key, Mirror
from netwright.client.watch import Watch
from netwright.model.errors import NetwrightError
from netwright.model.states import AttachmentState
from netwright.model.wire import Kind, ReportStatus

HEARTBEAT_S = 5.0
READY_S = 10.0
ANSWERED_S, ANSWERED_LATE_S = 0.005, 0.05
"""What a pass has found is noted once those were answered who wait on this host: it is looked so
often whether they were, and waited no longer."""
HEARD_S = 0.001
"""So long a pass for what the watch told lets the answers be heard that come with it."""
NOT_WIRED_NAMED_MAX = 20
KINDS = (Kind.NETWORK, Kind.SUBNET, Kind.PORT, Kind.ATTACHMENT, Kind.HOST, Kind.QOS_POLICY)
SERVER_AGAIN = Backoff(first_s=0.5, max_s=10.0)
WIRING_AGAIN = Backoff(first_s=0.2, max_s=60.0)
UNWIRED_NAMED_MAX = 5

log = structlog.get_logger(__name__)


class Beside(Protocol):
    """What this process serves beside the loop: how it stands, for heartbeats and for `state`."""

    def conditions(self) -> Mapping[str, str]: ...
    def state(self) -> Mapping[str, object]: ...


class Agent:
    """`run` works until it is cancelled, and leaves everything on the host in place.

    `jitter` gives numbers in [0, 1) that spread what many agents would do at once. Without
    `neighbours` nobody listens for them, and none are heard.
    """

    def __init__(
        self,
        identity: Identity,
        server: Server,
        wiring: Wiring,
        *,
        neighbours: Neighbours | None = None,
        jitter: Callable[[], float],
    ) -> None:
        self.mirror = Mirror()
        self.last: Pass | None = None
        self.on_pass: Callable[[], None] = lambda: None
        """Called when a pass has found something, in `last`; returns at once."""
        self.is_answering: Callable[[], bool] = lambda: False
        """Whether somebody on this host is about to be answered: the server hears of it later."""
        self.is_awaited: Callable[[str], bool] = lambda _: False
        """Whether a device may be here whose port the server was asked for, and has yet to tell of.

        The server is asked no more for it; as soon as it tells of it, it is wired."""
        self.beside: Beside | None = None
        self._host = identity.host
        self._physical_networks = frozenset(identity.physical_networks)
        self._fabric = identity.fabric
        self._where_served = identity.where_served
        self._neighbours = neighbours
        self._session = Session(identity, server)
        self._wiring = wiring
        self._answers: devices.Answers = {}
        self._waiting_since: devices.WaitingSince = {}
        self._unfinished_passes = 0
        self._noting: asyncio.TimerHandle | None = None
        self._wiring_moved = True
        self._jitter = jitter
        self._news = News(identity.host)
        self._watch = Watch(
            server,
            self.mirror,
            kinds=KINDS,
            host=identity.host,
            jitter=jitter,
            on_change=self._on_change,
            on_stream=self._on_stream,
        )
        self._groups = GroupWatches(server, jitter=jitter, on_change=self._on_groups)
        self._reconcile = Errand("wiring", self._pass, backoff=WIRING_AGAIN, jitter=jitter)
        self._beat = self._asking("heartbeat", self._send_beat)
        self._report = self._asking("reporting", self._send_reports)
        self._ask = self._asking("asking", self._ask_devices)

    async def run(self) -> NoReturn:
        """Raises StaleEpoch when a newer agent has registered for this host."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._wiring.run(self._on_wiring), name="wiring")
                if self._neighbours is not None:
                    tasks.create_task(self._neighbours.run(self._tell_health), name="neighbours")
                await self._base_wiring()
                self._beat.wake()
                for errand in (self._reconcile, self._beat, self._report, self._ask):
                    tasks.create_task(errand.run(), name=errand.name)
                tasks.create_task(self._follow(), name="watch")
                tasks.create_task(self._follow_groups(), name="watches of groups")
        except ExceptionGroup as group:
            raise alone(group) from None
        raise AssertionError("the agent's tasks never end by themselves")

    def state(self) -> dict[str, object]:
        """What an operator looks at when the agent does not do what it should; bounded."""
        last, health = self.last, self._health()
        outcomes = last.wired.outcomes if last is not None else {}
        later = last.desired.later if last is not None else {}
        not_up = [
            f"{port_id}: {one.status} {one.cause}".rstrip()
            for port_id, one in sorted(outcomes.items())
            if one.status is not WiringStatus.UP
        ]
        return {
            "registered": self._session.registered.is_set(),
            "cursor": self.mirror.cursor,
            "ports": len(self.mirror.ports),
            "networks": len(self.mirror.networks),
            **self._groups.state(),
            "devices": len(self._wiring.devices()),
            "wired": len(outcomes) - len(not_up),
            "not_wired": not_up[:NOT_WIRED_NAMED_MAX],
            "not_wired_count": len(not_up),
            "later": [f"{id_}: {why}" for id_, why in sorted(later.items())][:NOT_WIRED_NAMED_MAX],
            "later_count": len(later),
            "last_pass_settled": last is not None and last.settled,
            "conditions": dict(health.conditions),
            "nics": [str(nic) for nic in health.nics],
            **(self.beside.state() if self.beside is not None else {}),
        }

    async def registered(self) -> None:
        """Return once this life of the agent is the one that the server heeds."""
        await self._session.registered.wait()

    def server_trouble(self) -> str:
        """Why the server is not reached now; "" when it is."""
        if self._beat.trouble is not None:
            return self._beat.trouble.message
        return "" if self._session.registered.is_set() else "this host is not registered yet"

    def wiring_trouble(self) -> str:
        """Why nothing can be wired on this host now; "" when it can."""
        return self._reconcile.trouble.message if self._reconcile.trouble is not None else ""

    async def _base_wiring(self) -> None:
        """Wait for it: the server may be reachable through the management address only."""
        try:
            await self._wiring.wait_ready(READY_S)
        except WiringError as error:
            # Go on all the same: the server shall hear of it if it can be reached.
            log.warning("base wiring does not stand yet", why=error.message, next=error.next)

    async def _follow(self) -> NoReturn:
        await self._session.registered.wait()
        await self._watch.run()

    async def _follow_groups(self) -> NoReturn:
        await self._session.registered.wait()
        await self._groups.run()

    def _on_groups(self) -> None:
        self._reconcile.wake()

    def _on_wiring(self) -> None:
        self._wiring_moved = True
        self._reconcile.wake()  # its pass wakes the others: what came of it is told first

    def _on_change(self, changed: frozenset[Key]) -> None:
        if Key(Kind.HOST, self._host) in changed:
            _say(self._news.host(self.mirror.hosts.get(self._host)))
        self._announce_into_fabric(changed)
        is_here = any(kind is Kind.PORT and self.is_awaited(id_) for kind, id_ in changed)
        if self.beside is None or is_here:
            self._reconcile.wake()
        else:  # a container goes on with its port while the pass is made
            asyncio.get_running_loop().call_later(HEARD_S, self._reconcile.wake)

    def _announce_into_fabric(self, changed: frozenset[Key]) -> None:
        """Ports of networks whose way through the fabric is open (again) say so once more.

        What they said when they were wired ended at the leaf, had it not the VLAN yet.
        """
        attachments = self.mirror.attachments
        opened = {
            attachment.network_id
            for kind, id_ in changed
            if kind is Kind.ATTACHMENT
            and (attachment := attachments.get(id_)) is not None
            and attachment.state is AttachmentState.UP
            and attachment.vlan is not None
        }
        if opened:
            ports = self.mirror.ports.values()
            self._wiring.announce(port.id for port in ports if port.network_id in opened)

    def _on_stream(self, end: NetwrightError | None) -> None:
        if end is not None:
            if self._is_refusal(end):
                return
            log.warning("watch broke off, and is opened anew", why=end.message)
            return
        log.info("watch opened", after=self.mirror.cursor)
        self._session.whole_set_due()
        self._report.wake()

    async def _pass(self) -> float | None:
        self._prune_answers()
        moved = self._wiring_moved
        self._wiring_moved = False  # cleared first: what moves during the pass counts
        try:
            self.last = await reconcile(
                self._host,
                self._physical_networks,
                self.mirror,
                self._wiring,
                fabric=self._fabric,
                where_served=self._where_served,
                known=self._groups.known,
                last=self.last,
                moved=moved,
            )
            self.on_pass()
            if self.last is not None:
                wanted = self.last.desired
                self._groups.want(wanted.groups, wanted.remote_groups)
        except WiringError:
            self._wiring_moved = True
            self._ask.wake()
            self._tell_health()
            raise
        if self._noting is not None and _lets_go(self.last):
            self._noting.cancel()
            self._noting = None
        if self._noting is None:
            self._note_when_answered()
        if self.last is None or not self.last.unfinished:
            self._unfinished_passes = 0
            return None
        self._unfinished_passes += 1
        return WIRING_AGAIN.delay_s(self._unfinished_passes, self._jitter())

    def _note_when_answered(self, waited_s: float = 0.0) -> None:
        """What passes have found is logged, reported and asked about."""
        is_late = waited_s >= ANSWERED_LATE_S or _lets_go(self.last)
        if not is_late and self.is_answering():
            later = partial(self._note_when_answered, waited_s + ANSWERED_S)
            self._noting = asyncio.get_running_loop().call_later(ANSWERED_S, later)
            return
        self._noting = None
        self._report.wake()
        self._ask.wake()
        if self.last is not None:
            endpoints = self.last.desired.endpoints.values()
            silent = frozenset(one.port_id for one in endpoints if not one.admin_state_up)
            _say(self._news.ports(self.last.wired, self._unwired(self.last), silent))
        self._tell_health()

    async def _send_beat(self) -> float:
        was_registered = self._session.registered.is_set()
        await self._session.beat(self._health())
        if not was_registered:
            self._report.wake()
            self._ask.wake()
        return HEARTBEAT_S

    async def _send_reports(self) -> None:
        if self.last is not None and self._session.registered.is_set():
            await self._session.report(self.last, is_certain=not self.mirror.broken)

    async def _ask_devices(self) -> float | None:
        now = asyncio.get_running_loop().time
        if self.last is None or not self._session.registered.is_set():
            return None
        self._prune_answers()
        self._note_waiting(self.last)
        known = self.mirror.ports
        found_here = self._wiring.devices()
        here = (id_ for id_ in found_here if id_ in known or not self.is_awaited(id_))
        asked = devices.to_ask(
            here,
            self.mirror.ports,
            self._answers,
            now=now(),
            since=self._waiting_since,
        )
        if asked:
            found = await self._session.ask(asked)
            self._answers = devices.answered(self._answers, asked, found, now=now())
            self._note_waiting(self.last, told=asked)
            self._reconcile.wake()
        again_at = devices.next_at(self._answers, self.mirror.ports, self._waiting_since)
        return None if again_at is None else max(again_at - now(), 0.0)

    def _note_waiting(self, last: Pass, told: Collection[str] = ()) -> None:
        """Those that were told and wait all the same do so anew."""
        before, now = self._waiting_since, asyncio.get_running_loop().time()
        untold = devices.untold(
            self._host,
            self._wiring.devices(),
            self.mirror.ports,
            last.wired,
            self._answers,
            waiting=last.desired.later,
        )
        self._waiting_since = {id_: now if id_ in told else before.get(id_, now) for id_ in untold}

    def _prune_answers(self) -> None:
        if self._answers:
            self._answers = devices.pruned(self._answers, self._wiring.devices(), self.mirror.ports)

    def _asking(self, name: str, work: Callable[[], Awaitable[float | None]]) -> Errand:
        """An errand to the server."""
        return Errand(
            name, work, backoff=SERVER_AGAIN, jitter=self._jitter, is_told=self._is_refusal
        )

    def _is_refusal(self, error: NetwrightError) -> bool:
        """Whether the server refuses our token, which is told here."""
        lines = self._news.refusal(error, asyncio.get_running_loop().time())
        _say(lines or ())
        return lines is not None

    def _unwired(self, last: Pass) -> Mapping[str, str]:
        """Why devices that are here stay unwired, whatever the data plane could do."""
        here = self._wiring.devices().keys()
        why_not = {**last.desired.refusals, **last.desired.unplaced}
        bound = {id_: why for id_, why in why_not.items() if id_ in here}
        return {**bound, **devices.misplaced(self._host, self._answers, self.mirror.ports)}

    def _tell_health(self) -> None:
        _say(self._news.nics(self._wiring.nics(), asyncio.get_running_loop().time()))
        told = self._session.told
        if told is not None and told != self._health():
            self._beat.wake()

    def _health(self) -> Health:
        conditions = dict(self._wiring.conditions())
        if self.beside is not None:
            conditions |= self.beside.conditions()
        if self._reconcile.trouble is not None:
            conditions["wiring failed"] = self._reconcile.trouble.message
        unwired = devices.misplaced(self._host, self._answers, self.mirror.ports)
        if unwired:
            named = [f"{port_id}: {why}" for port_id, why in sorted(unwired.items())]
            more = len(named) - UNWIRED_NAMED_MAX
            tail = [f"and {more} more"] if more > 0 else []
            conditions["devices not wired"] = "; ".join(named[:UNWIRED_NAMED_MAX] + tail)
        heard: Mapping[str, str] | None = {}
        if self._neighbours is not None:
            heard = self._neighbours.heard()
            if trouble := self._neighbours.trouble():
                conditions["neighbours unheard"] = trouble
        return Health(nics=self._wiring.nics(), conditions=conditions, neighbours=heard)


def _lets_go(last: Pass | None) -> bool:
    """Whether another host may wait to hear of it: a port's end here."""
    if last is None:
        return False
    ends = any(one.status is ReportStatus.WITHDRAWN for one in last.stated.values())
    return ends or bool(last.silenced)


def _say(lines: Iterable[Line]) -> None:
    for line in lines:
        (log.warning if line.is_warning else log.info)(line.event, **line.fields)


def alone(group: ExceptionGroup[Exception]) -> Exception:
    """The one error that ended the tasks; the group when there are several."""
    error: Exception = group
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
