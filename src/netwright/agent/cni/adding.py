"""An ADD, once its turn has come: what is claimed, made, plugged, wired, furnished.

    record ─┬─▶ port made and bound ─┬─▶ flows ─┬─▶ its end up, addresses ─┬─▶ kept as attached
            └─▶ veth ─▶ plugged ─────┘          └─▶ device opened ─────────┘

What can be foreseen of a container's port is made before the server has answered (`ahead`), else
afterwards. It waits for a server that is away, within its deadline. What fails or is given up
midway is for `ending` to undo.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from itertools import count
from typing import Protocol, TypeVar

import structlog
from msgspec.structs import replace

from netwright.agent.cni import made
from netwright.agent.cni.abreast import both, wholly
from netwright.agent.cni.ahead import Ahead, device
from netwright.agent.cni.attempt import Attempt
from netwright.agent.cni.claimants import Claimants
from netwright.agent.cni.claiming import of_attempt
from netwright.agent.cni.failing import AGAIN
from netwright.agent.cni.following import Following
from netwright.agent.cni.made import Fitting, Seen
from netwright.agent.cni.ports import Ports
from netwright.agent.cni.records import Record, Records, Stage
from netwright.agent.cni.succession import Succession
from netwright.agent.wiring import Plugs
from netwright.client.backoff import Backoff
from netwright.cni.protocol import CniError, Code
from netwright.model.containers import SLOT
from netwright.model.errors import NoNetworkForLabels, Unavailable
from netwright.model.resources import Port, VifType

SERVER_AGAIN = Backoff(first_s=0.1, max_s=2.0)
"""How long an ADD waits before it asks a server anew that was away: its runtime waits for it."""

SAID_AFTER_S = 0.005
"""An ADD is logged once its runtime was answered."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Making(Protocol):
    """A veth in the making: `pairs.Pair`, or a test's double."""

    async def made(self) -> None: ...
    def furnish(self, fit: Fitting) -> None: ...
    async def furnished(self) -> str: ...
    async def end(self) -> None: ...


class Veths(Protocol):
    """What makes and removes containers' interfaces: `kernel.Kernel`, or a test's double."""

    def pair(
        self, fit: Fitting, netns: str, ifname: str, mark: str
    ) -> AbstractAsyncContextManager[Making]: ...
    async def read(self, netns: str, ifname: str) -> Seen | None: ...
    async def links(self) -> Mapping[str, str]: ...
    async def remove(self, device: str, mark: str | None = None) -> None: ...


class Adding:
    """`attempts` gives each ADD a greater number, `new_id` ports' ids."""

    def __init__(
        self,
        host: str,
        *,
        ports: Ports,
        records: Records,
        following: Following,
        veths: Veths,
        plugs: Plugs,
        claimants: Claimants,
        succession: Succession,
        attempts: Callable[[], int],
        new_id: Callable[[], str],
        jitter: Callable[[], float],
    ) -> None:
        self._host = host
        self._ports = ports
        self._records = records
        self._following = following
        self._veths = veths
        self._plugs = plugs
        self._claimants = claimants
        self._succession = succession
        self._attempts = attempts
        self._ahead = Ahead(following, veths, plugs, new_id)
        self._jitter = jitter
        self._under_way = 0
        self._unanswered: set[Attempt] = set()

    def is_answering(self) -> bool:
        """Whether an ADD is under way that waits for nothing but this host, or for its port."""
        return bool(self._unanswered)

    def is_awaited(self, port_id: str) -> bool:
        """Whether a device may be here already whose port the server has yet to tell of."""
        return self._ahead.is_awaited(port_id)

    @contextmanager
    def under_way(self, attempt: Attempt) -> Iterator[None]:
        """Until the ADD is answered: also while what failed of it is undone."""
        self._under_way += 1
        self._unanswered.add(attempt)
        try:
            yield
        finally:
            self._under_way -= 1
            self._unanswered.discard(attempt)
            self._ahead.over(attempt.draft)

    async def add(self, attempt: Attempt) -> Fitting:
        """What its interface has. The veth's thread has ended when this returns, or raises."""
        return await self._attach(attempt, await self._record(attempt))

    async def _record(self, attempt: Attempt) -> Record:
        """Of what the container claims; kept before the server is asked for it."""
        asked = attempt.asked
        claimed = await self._claimants.claim(attempt)
        key = asked.container_id, asked.ifname
        port = claimed.port
        attempt.subject = claimed.subject if port.keep or port.pod else ""
        port = replace(port, attempt=self._attempts())
        if asked.template is None:
            port = replace(port, unique_name=of_attempt(port.unique_name, port.attempt))
        if port.keep:
            replaced = await self._succession.come(key, port, attempt.wait_for)
            port = replace(port, replaces=replaced)
        attempt.draft = draft = self._ahead.draft(asked, port) if self._under_way == 1 else None
        if draft is not None:
            port = replace(port, port_id=draft.port_id)
        record = Record(
            container_id=asked.container_id,
            ifname=asked.ifname,
            netns=asked.netns,
            network=asked.config.name,
            project_id=self._ports.project_id,
            unique_name=port.unique_name,
            stage=Stage.ADDING,
            claim=port,
            subject=claimed.subject,
            fit=draft.fit if draft is not None else None,
        )
        self._records.put(record)
        attempt.labels_of = claimed.labels_of
        return record

    async def _attach(self, attempt: Attempt, record: Record) -> Fitting:
        draft = attempt.draft
        if draft is None:
            port = await self._port(self._made(attempt, record), attempt)
            record = await self._fitted(attempt, record, port)
            return await self._new(attempt, self._kept(record), port)
        async with self._pair(record) as pair:
            claiming = both(self._made(attempt, record), self._ahead.plug(draft, record, pair))
            port, _ = await self._port(claiming, attempt)
            record = await self._fitted(attempt, record, port)
            if draft.is_of(port, record.fit):
                return await self._furnish(attempt, self._kept(record), port, pair)
            await pair.end()
            await wholly(self._ahead.unmake(draft))
        return await self._new(attempt, self._kept(record), port)

    async def _port(self, claiming: Awaitable[T], attempt: Attempt) -> T:
        try:
            return await claiming
        except NoNetworkForLabels as error:
            if attempt.labels_of:
                error.about(attempt.labels_of)
            raise

    async def _fitted(self, attempt: Attempt, record: Record, port: Port) -> Record:
        """With what the port's interface is to have: to be kept before that is made."""
        asked = attempt.asked
        if SLOT in record.unique_name:
            record = self._kept(replace(record, unique_name=port.unique_name or record.unique_name))
        attempt.took.note("port")
        _require_served(port, self._host)
        fit = await self._following.fitting(port, default_route=asked.config.default_route)
        return replace(record, port_id=port.id, fit=made.limited(fit, asked.bandwidth))

    def _kept(self, record: Record) -> Record:
        self._records.put(record)
        return record

    async def _new(self, attempt: Attempt, record: Record, port: Port) -> Fitting:
        """Make the veth and plug it, as nothing of it was foreseen."""
        took = attempt.took
        took.note("told")
        async with self._pair(record) as pair:
            await pair.made()
            took.note("veth")
            await self._following.met(record.port_id)
            await self._following.without_device(record.port_id)
            # What is given up midway is plugged nevertheless.
            await wholly(self._plugs.plug(device(record, _fit_of(record))))
            took.note("plugged")
            return await self._furnish(attempt, record, port, pair)

    async def _furnish(self, attempt: Attempt, record: Record, port: Port, pair: Making) -> Fitting:
        asked, took, fit = attempt.asked, attempt.took, _fit_of(record)
        namespace, _ = await both(pair.furnished(), self._wired(port, fit, pair))
        if asked.config.wait_for == "active":
            self._unanswered.discard(attempt)  # the server must hear of it now
            await self._following.active(port.id)
        took.note("up")
        assert record.claim is not None, "it was just made of one"
        self._ahead.chose(record.claim, port)
        claim = replace(record.claim, port_id="")  # chosen: an older agent reads the record too
        attached = replace(record, stage=Stage.ATTACHED, namespace=namespace, claim=claim)
        self._records.put(attached)
        said = partial(log.info, "container attached", container=asked.container_id,
                       ifname=asked.ifname, port=port.id, network=port.network_id,
                       ms=took.words())  # fmt: skip
        asyncio.get_running_loop().call_later(SAID_AFTER_S, said)
        return fit

    def _pair(self, record: Record) -> AbstractAsyncContextManager[Making]:
        mark = made.mark_of(record.container_id)
        return self._veths.pair(_fit_of(record), record.netns, record.ifname, mark)

    async def _wired(self, port: Port, fit: Fitting, pair: Making) -> None:
        await self._following.coming_up(port)
        pair.furnish(fit)
        await self._following.up(port)

    async def _made(self, attempt: Attempt, record: Record) -> Port:
        """The container's port. A server that is away is asked anew, which makes no second one."""
        assert record.claim is not None, "it was just made of one"
        attempt.wait_for("the server has not answered, or not told of the network")
        for failures in count(1):
            try:
                return await self._ports.make(record.claim)
            except Unavailable as error:
                attempt.wait_for("the server is away", partial(str, error))
            await asyncio.sleep(SERVER_AGAIN.delay_s(failures, self._jitter()))
        raise AssertionError("count has no end")

    def why_late(self, attempt: Attempt) -> CniError:
        """What it still waited for when its time was over."""
        record = self._records.get((attempt.asked.container_id, attempt.asked.ifname))
        why, what_next = attempt.waits_for(), AGAIN
        if record is not None and record.port_id:
            cause = self._following.why_not(record.port_id)
            why = f"port {record.port_id} did not come up" + (f": {cause}" if cause else "")
            if older := self._following.waited_for(record.port_id):
                what_next = f"if host {older} is dead or cut off: netwright host fence {older}"
        return CniError(Code.TRY_AGAIN, f"in the time that was left, {why}", next=what_next)


def _fit_of(record: Record) -> Fitting:
    assert record.fit is not None, "it is kept before its device is made"
    return record.fit


def _require_served(port: Port, host: str) -> None:
    binding = port.binding_on(host)
    if binding is None or binding.vif_type is VifType.BINDING_FAILED:
        why = binding.cause if binding is not None else "it is bound elsewhere"
        raise CniError(
            Code.REFUSED,
            f"this host cannot serve a port of network {port.network_id}: {why or port.cause}",
            next="choose labels of networks that reach this host",
        )
