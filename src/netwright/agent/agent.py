"""The host agent: one event loop that keeps a host as the server wants it, and says how it is.

    wiring.run ──changed──▶ reconcile ──▶ wiring.apply        the data plane; needs no server
                              ▲   └─────▶ report, ask          what came of it
    watch ──mirror changed────┘
    beat: registers, then every 5 s                            independent of all the others

Everything but `watch` and `wiring.run` is an `Errand`: woken, it works on the state as it is. While
the server is unreachable the mirror stays, and devices are wired from it; nothing is torn down.
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import structlog

from netwright.agent import devices
from netwright.agent.errand import Errand
from netwright.agent.reconcile import Pass, reconcile
from netwright.agent.session import Health, Identity, Server, Session
from netwright.agent.wiring import Wiring, WiringError, WiringStatus
from netwright.client.backoff import Backoff
from netwright.client.mirror import Key, Mirror
from netwright.client.watch import Watch
from netwright.model.errors import NetwrightError
from netwright.model.wire import Kind

HEARTBEAT_S = 5.0
READY_S = 10.0
NOT_WIRED_NAMED_MAX = 20
KINDS = (Kind.NETWORK, Kind.SUBNET, Kind.PORT, Kind.ATTACHMENT)
SERVER_AGAIN = Backoff(first_s=0.5, max_s=10.0)
WIRING_AGAIN = Backoff(first_s=0.2, max_s=60.0)
UNWIRED_NAMED_MAX = 5

log = structlog.get_logger(__name__)


class Agent:
    """`run` works until it is cancelled, and leaves everything on the host in place.

    `jitter` gives numbers in [0, 1) that spread what many agents would do at once.
    """

    def __init__(
        self, identity: Identity, server: Server, wiring: Wiring, *, jitter: Callable[[], float]
    ) -> None:
        self.mirror = Mirror()
        self.last: Pass | None = None
        self._host = identity.host
        self._physical_networks = frozenset(identity.physical_networks)
        self._session = Session(identity, server)
        self._wiring = wiring
        self._answers: devices.Answers = {}
        self._unfinished_passes = 0
        self._wiring_moved = True
        self._jitter = jitter
        self._watch = Watch(
            server,
            self.mirror,
            kinds=KINDS,
            host=identity.host,
            jitter=jitter,
            on_change=self._on_change,
            on_stream=self._on_stream,
        )
        self._reconcile = Errand("wiring", self._pass, backoff=WIRING_AGAIN, jitter=jitter)
        self._beat = Errand("heartbeat", self._send_beat, backoff=SERVER_AGAIN, jitter=jitter)
        self._report = Errand("reporting", self._send_reports, backoff=SERVER_AGAIN, jitter=jitter)
        self._ask = Errand("asking", self._ask_devices, backoff=SERVER_AGAIN, jitter=jitter)

    async def run(self) -> NoReturn:
        """Raises StaleEpoch when a newer agent has registered for this host."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._wiring.run(self._on_wiring), name="wiring")
                await self._base_wiring()
                self._beat.wake()
                for errand in (self._reconcile, self._beat, self._report, self._ask):
                    tasks.create_task(errand.run(), name=errand.name)
                tasks.create_task(self._follow(), name="watch")
        except ExceptionGroup as group:
            raise _alone(group) from None
        raise AssertionError("the agent's tasks never end by themselves")

    def state(self) -> dict[str, object]:
        """What an operator looks at when the agent does not do what it should; bounded."""
        last, health = self.last, self._health()
        outcomes = last.wired.outcomes if last is not None else {}
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
            "devices": len(self._wiring.devices()),
            "wired": len(outcomes) - len(not_up),
            "not_wired": not_up[:NOT_WIRED_NAMED_MAX],
            "not_wired_count": len(not_up),
            "last_pass_settled": last is not None and last.settled,
            "conditions": dict(health.conditions),
            "nics": [str(nic) for nic in health.nics],
        }

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

    def _on_wiring(self) -> None:
        self._wiring_moved = True
        self._reconcile.wake()  # its pass wakes the others: what came of it is told first
        self._tell_health()

    def _on_change(self, _changed: frozenset[Key]) -> None:
        self._reconcile.wake()

    def _on_stream(self, end: NetwrightError | None) -> None:
        if end is not None:
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
                last=self.last,
                moved=moved,
            )
            self._report.wake()
        except WiringError:
            self._wiring_moved = True
            raise
        finally:
            self._ask.wake()
        self._tell_health()
        if self.last is None or not self.last.unfinished:
            self._unfinished_passes = 0
            return None
        self._unfinished_passes += 1
        return WIRING_AGAIN.delay_s(self._unfinished_passes, self._jitter())

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
        asked = devices.to_ask(
            self._host,
            self._wiring.devices(),
            self.mirror.ports,
            self.last.wired,
            self._answers,
            now=now(),
            waiting={**self.last.desired.waiting, **self.last.desired.moving},
        )
        if asked:
            found = await self._session.ask(asked)
            self._answers = devices.answered(self._answers, asked, found, now=now())
            self._reconcile.wake()
        again_at = devices.next_at(self._answers, self.mirror.ports)
        return None if again_at is None else max(again_at - now(), 0.0)

    def _prune_answers(self) -> None:
        self._answers = devices.pruned(self._answers, self._wiring.devices(), self.mirror.ports)

    def _tell_health(self) -> None:
        told = self._session.told
        if told is not None and told != self._health():
            self._beat.wake()

    def _health(self) -> Health:
        conditions = dict(self._wiring.conditions())
        if self._reconcile.trouble is not None:
            conditions["wiring failed"] = self._reconcile.trouble.message
        unwired = devices.misplaced(self._host, self._answers, self.mirror.ports)
        if unwired:
            named = [f"{port_id}: {why}" for port_id, why in sorted(unwired.items())]
            more = len(named) - UNWIRED_NAMED_MAX
            tail = [f"and {more} more"] if more > 0 else []
            conditions["devices not wired"] = "; ".join(named[:UNWIRED_NAMED_MAX] + tail)
        return Health(nics=self._wiring.nics(), conditions=conditions)


def _alone(group: ExceptionGroup[Exception]) -> Exception:
    """The one error that ended the tasks; the group when there are several."""
    error: Exception = group
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
