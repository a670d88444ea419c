"""What the controller was told: saved before anything is done about it, and before it counts.

watch ──mirror changed──▶ save, with the cursor ──▶ told: intent, cursor, number ──▶ plan
                              ▲
restart: loaded ──────────────┘ (planned from at once; the watch goes on after the cursor)
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog
from msgspec.structs import replace

from netwright.client.errand import Errand
from netwright.client.mirror import Key, Mirror
from netwright.client.watch import Watch, WatchSource
from netwright.fabric import intent as intents
from netwright.fabric.config import Fenced
from netwright.fabric.intent import Intent
from netwright.fabric.store import Step, Store
from netwright.model.errors import NetwrightError
from netwright.model.fabric import WATCHED
from netwright.model.operations import FABRIC, Operation
from netwright.model.resources import Host, HostState, Value
from netwright.model.topology import Topology
from netwright.model.wire import Kind

CURSOR_S = 10.0
"""A cursor that moved without news is saved so often; after a death the lines since come again."""

log = structlog.get_logger(__name__)


class Told(Value, frozen=True, kw_only=True):
    """What is on disk. `number` grows with every change of the intent, in this process alone."""

    number: int
    cursor: str | None
    intent: Intent
    operations: Mapping[str, Operation] = {}


class Listener:
    """Keeps `told`; calls `on_told` after each save that changed it."""

    def __init__(
        self,
        server: WatchSource,
        store: Store,
        *,
        now: Callable[[], float],
        jitter: Callable[[], float],
        on_told: Callable[[], None],
        save: Errand,
    ) -> None:
        self.mirror = Mirror()
        self.told = Told(number=0, cursor=None, intent=Intent())
        self.is_known = False
        """Whether a whole state was ever told: before that, nothing may be concluded from it."""
        self.is_current = False
        """Whether `told` is all that the server had when this life's watch was opened, or more.

        Before that, others may have acted on what we were not told.
        """
        self.moved: set[str] = set()
        """The attachments that changed since whoever plans has emptied this."""
        self._store = store
        self._now = now
        self._on_told = on_told
        self._fences = _Fences()
        self._changed: dict[Key, float] = {}
        self._saved_at = 0.0
        self._save = save
        self._watch = Watch(
            server,
            self.mirror,
            kinds=WATCHED,
            jitter=jitter,
            on_change=self._on_change,
            on_stream=self._on_stream,
        )

    def load(self) -> None:
        """Take up what an earlier life was told."""
        saved = self._store.load()
        if saved.cursor is None and not saved.objects:
            return
        self.mirror.resume(saved.cursor, saved.objects)
        self.is_known = True
        intent = intents.gathered(
            saved.objects,
            _topology(self.mirror),
            fences={},
            drained=_drained(self.mirror),
        )
        intent = _with_fences(intent, self.mirror, self._fences)
        self._tell(saved.cursor, intent)
        log.info("resumes", cursor=saved.cursor, attachments=len(self.mirror.attachments))

    async def run(self) -> None:
        await self._watch.run()

    async def save(self) -> float | None:
        """Write what came; then it is told. Raises NetwrightError, then it is tried again."""
        is_current = self.mirror.is_current
        delay_s = await self._save_news()
        if is_current and not self.is_current:
            self.is_current = True
            self._on_told()
        return delay_s

    async def _save_news(self) -> float | None:
        mirror, cursor = self.mirror, self.mirror.cursor
        if not mirror.complete or cursor is None:
            return None
        changed, self._changed = self._changed, {}
        waited_s = asyncio.get_running_loop().time() - self._saved_at
        if not changed and self.is_known and (cursor == self.told.cursor or waited_s < CURSOR_S):
            return None if cursor == self.told.cursor else max(CURSOR_S - waited_s, 0.1)
        values = {key: mirror.of(key.kind).get(key.id) for key in changed}
        steps = [
            step
            for key, told_at in changed.items()
            if key.kind is Kind.ATTACHMENT
            for step in _steps(key.id, values[key], told_at, self._now(), cursor)
        ]
        try:
            await self._store.save(cursor, values, steps)
        except BaseException:
            self._changed = changed | self._changed
            raise
        self._saved_at = asyncio.get_running_loop().time()
        self._take(cursor, values)
        return None

    def _take(self, cursor: str, values: Mapping[Key, Any]) -> None:
        self.is_known = True
        self.moved |= {key.id for key in values if key.kind is Kind.ATTACHMENT}
        intent = intents.changed(self.told.intent, dict(values.items()))
        if any(key.kind is Kind.TOPOLOGY for key in values):
            topologies = [value for key, value in values.items() if key.kind is Kind.TOPOLOGY]
            intent = replace(intent, topology=next(filter(None, topologies), Topology()))
        if any(key.kind is Kind.SWITCH for key in values):
            drained = _drained(self.mirror)
            if drained != intent.drained:
                intent = replace(intent, drained=drained)
        if any(key.kind in {Kind.HOST, Kind.TOPOLOGY} for key in values):
            intent = _with_fences(intent, self.mirror, self._fences)
        self._tell(cursor, intent)

    def _tell(self, cursor: str | None, intent: Intent) -> None:
        is_news = intent is not self.told.intent
        self.told = Told(
            number=self.told.number + is_news,
            cursor=cursor,
            intent=intent,
            operations={
                id_: one
                for id_, one in self.mirror.of(Kind.OPERATION).items()
                if one.collection == FABRIC
            },
        )
        self._on_told()

    def _on_change(self, changed: frozenset[Key]) -> None:
        at = self._now()
        for key in changed:
            self._changed.setdefault(key, at)
        self._save.wake()

    def _on_stream(self, end: NetwrightError | None) -> None:
        if end is None:
            log.info("watch opened", after=self.mirror.cursor)
        else:
            self.is_current = False
            log.warning("watch broke off, and is opened anew", why=end.message)


def _topology(mirror: Mirror) -> Topology:
    return next(iter(mirror.of(Kind.TOPOLOGY).values()), Topology())


def _drained(mirror: Mirror) -> frozenset[str]:
    return frozenset(one.name for one in mirror.of(Kind.SWITCH).values() if one.drained)


def _with_fences(intent: Intent, mirror: Mirror, known: "_Fences") -> Intent:
    """The intent with what hosts say now; the same where that is no news."""
    port_fences = {
        host.name: host.port_fences for host in mirror.of(Kind.HOST).values() if host.port_fences
    }
    if (fences := known.of(mirror.of(Kind.HOST))) != intent.fences:
        intent = replace(intent, fences=fences)
    if port_fences != intent.port_fences:
        intent = replace(intent, port_fences=port_fences)
    leaves = frozenset[str]()
    if port_fences:
        leaves = lit(intent.topology, mirror.of(Kind.HOST).values())
    return intent if leaves == intent.lit else replace(intent, lit=leaves)


class _Fences:
    """What leaves shall drop of hosts: the very same value for a host that has not changed."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[Host, tuple[Fenced, ...]]] = {}

    def of(self, hosts: Mapping[str, Host]) -> Mapping[str, tuple[Fenced, ...]]:
        """By host, of those that have any."""
        self._of = {name: (host, self._same(name, host)) for name, host in hosts.items()}
        return {name: fences for name, (_, fences) in self._of.items() if fences}

    def _same(self, name: str, host: Host) -> tuple[Fenced, ...]:
        before, fences = self._of.get(name, (None, ()))
        if before is host:
            return fences
        now = fences_of(host)
        return fences if fences == now else now


def fences_of(host: Host) -> tuple[Fenced, ...]:
    """What its leaves shall drop of it."""
    if not (host.fenced_ports or host.port_fences):
        return ()
    whole = {
        Fenced(port_id=one.port_id, mac_address=one.mac_address, addresses=one.addresses): None
        for one in host.fenced_ports
    }
    return tuple(
        whole
        | {
            Fenced(port_id=one.port_id, mac_address=mac, addresses=one.addresses): None
            for one in host.port_fences
            if one.is_wanted
            for mac in one.macs
        }
    )


def lit(topology: Topology, hosts: Iterable[Host]) -> frozenset[str]:
    """The leaves that a host which is heard has a link to, unless it says that the link is down.

    One whose agent knows of no such NIC, or not yet, may have it all the same.
    """
    heard = {host.name: host for host in hosts if host.state is HostState.UP}
    dark = {
        (host.name, nic.name) for host in heard.values() for nic in host.nics if not nic.link_up
    }
    return frozenset(
        link.upper.node
        for link in topology.links
        if link.lower.node in heard and (link.lower.node, link.lower.interface) not in dark
    )


def _steps(
    subject: str, value: Any, told_at: float, saved_at: float, cursor: str
) -> tuple[Step, Step]:
    """The cursor says up to where all is saved with it: no other is ever resumed after."""
    detail = _detail(value)
    return (
        Step(subject=subject, at=told_at, event="told", detail=detail),
        Step(subject=subject, at=saved_at, event="saved", detail=f"{detail}, cursor {cursor}"),
    )


def _detail(value: Any) -> str:
    if value is None:
        return "gone"
    vlan = f", VLAN {value.vlan}" if value.vlan is not None else ""
    access = "".join(f", {one.switch}/{one.interface}" for one in value.access)
    return f"{value.state}, generation {value.generation}{vlan}{access}"
