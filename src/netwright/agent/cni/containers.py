"""The verbs, on this host's containers. Each interface is worked on by one of them at a time.

    ADD   record ─┬─▶ port made and bound ─┬─▶ flows ─┬─▶ its end up, addresses ─┬─▶ answered
                  └─▶ veth ─▶ plugged ─────┘          └─▶ device opened ─────────┘
    DEL   record ─▶ unplugged ─▶ veth gone ─▶ port deleted ─▶ no record

What can be foreseen of a container's port is made before the server has answered (`ahead`), else
afterwards. An ADD that fails goes the way of DEL from where it was (`ending`). It waits for a
server that is away, within its deadline; a container's end does not: the server is told when it is
there again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import count
from typing import Any, NoReturn, Protocol, TypeVar
from uuid import uuid4

import structlog
from msgspec.structs import replace

from netwright.agent.cni import made
from netwright.agent.cni.abreast import both, wholly
from netwright.agent.cni.ahead import Ahead, device
from netwright.agent.cni.asked import Asked
from netwright.agent.cni.attempt import Attempt, Attempts
from netwright.agent.cni.claimants import Claimants
from netwright.agent.cni.claiming import of_attempt
from netwright.agent.cni.departing import Departing
from netwright.agent.cni.ending import Ending
from netwright.agent.cni.failing import AGAIN, as_cni
from netwright.agent.cni.following import Following
from netwright.agent.cni.made import Fitting, Seen
from netwright.agent.cni.namespaces import NamespaceGoneError
from netwright.agent.cni.pods import PodSource
from netwright.agent.cni.ports import Ports
from netwright.agent.cni.records import Key, Record, Records, Stage
from netwright.agent.cni.succession import Succession
from netwright.agent.cni.turns import Turns
from netwright.agent.wiring import Plugs, WiringError
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


class Containers:
    """`run` ends what an earlier life left half done, and tells the server what it missed.

    `pods` are Kubernetes'; without them pods are what runtimes tell. `passed` is to be called after
    each pass of the agent's loop. `attempts` gives each ADD a greater number, `new_id` ports' ids.
    """

    def __init__(
        self,
        host: str,
        *,
        ports: Ports,
        records: Records,
        following: Following,
        veths: Veths,
        plugs: Plugs,
        jitter: Callable[[], float],
        pods: PodSource | None = None,
        attempts: Callable[[], int] | None = None,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._host = host
        self._ports = ports
        self._records = records
        self._following = following
        self._veths = veths
        self._plugs = plugs
        self._claimants = Claimants(host, pods)
        claims = (one.claim for one in records.all().values())
        last = max((one.attempt for one in claims if one is not None), default=0)
        self._attempts = attempts or Attempts(lambda: time.time_ns() // 1000, last=last).next
        self._ahead = Ahead(following, veths, plugs, new_id)
        self._adding = 0
        self._unanswered: set[Attempt] = set()
        self._turns = Turns()
        self._jitter = jitter
        self._ending = Ending(
            ports=ports, records=records, veths=veths, plugs=plugs, turns=self._turns, jitter=jitter
        )
        self._succession = Succession(records, veths, self._end_before)
        self._departing = Departing(records, following, plugs, self._turns.alone, jitter=jitter)

    async def run(self) -> NoReturn:
        await self._ending.run()

    async def follow(self) -> NoReturn:
        """Notice, until cancelled, whose ports go to other hosts."""
        await self._departing.run()

    def passed(self) -> None:
        self._following.moved()
        self._departing.look()

    def is_answering(self) -> bool:
        """Whether an ADD is under way that waits for nothing but this host, or for its port."""
        return bool(self._unanswered)

    def is_awaited(self, port_id: str) -> bool:
        """Whether a device may be here already whose port the server has yet to tell of."""
        return self._ahead.is_awaited(port_id)

    async def add(self, asked: Asked) -> dict[str, Any]:
        """The result. Raises CniError, after which nothing of it is left on the host."""
        key = asked.container_id, asked.ifname
        until = asyncio.get_running_loop().time() + asked.deadline_s
        attempt = Attempt(asked)
        async with self._turn(key, until=until):
            await self._require_none(key)
            self._adding += 1
            self._unanswered.add(attempt)
            try:
                async with asyncio.timeout_at(until):
                    record = await self._record(attempt)
                    fit = await self._attach(attempt, record)
            except BaseException as error:
                cause = self._why_late(attempt) if isinstance(error, TimeoutError) else error
                await wholly(self._ending.undo(key))
                raise as_cni(cause, attempt.words) from error
            finally:
                self._adding -= 1
                self._unanswered.discard(attempt)
                self._ahead.over(attempt.draft)
        return made.result(asked.config.cni_version, fit, asked.netns, asked.ifname)

    async def delete(self, container_id: str, ifname: str) -> None:
        """Also right when there is none. Raises CniError when something of it may be left."""
        key = container_id, ifname
        async with self._turn(key):
            try:
                await self._ending.end(key)
            except WiringError as error:
                raise as_cni(error, f"{ifname} of container {container_id}") from error

    async def check(self, asked: Asked) -> None:
        """Raises CniError, which says what is not as ADD had made it."""
        key, before = (asked.container_id, asked.ifname), asked.config.prev_result
        assert before is not None, "checked where the request was read"
        async with self._turn(key):
            record = self._records.get(key)
            if record is None or record.stage is not Stage.ATTACHED or record.fit is None:
                raise CniError(
                    Code.UNKNOWN_CONTAINER,
                    f"container {asked.container_id} has no {asked.ifname} of ours",
                    next="delete it, and add it again",
                )
            try:
                seen = await self._veths.read(asked.netns, asked.ifname)
            except (NamespaceGoneError, OSError) as error:
                raise as_cni(error, f"{asked.ifname} of container {asked.container_id}") from error
            netns, ifname = asked.netns, asked.ifname
            found = [*made.differences(record.fit, before, seen, netns=netns, ifname=ifname)]
            if record.moved:
                found.append(f"port {record.port_id} is no longer its own: {record.moved}")
            elif not self._following.is_up(record.port_id):
                why = self._following.why_not(record.port_id)
                found.append(f"port {record.port_id} is not wired: {why}")
        if found:
            raise CniError(
                Code.DIFFERS,
                f"{asked.ifname} of container {asked.container_id} is not as it was made:"
                f" {'; '.join(found)}",
                next="delete it, and add it again",
            )

    async def collect(self, network: str, valid: frozenset[Key]) -> None:
        """End all of the runtime's network that it does not name. Raises CniError after all.

        Also what is half made or half told. What an ADD is at work for is younger than the list.
        """
        records = self._records.all().values()
        doomed = [
            one.key
            for one in records
            if one.network == network
            and one.key not in valid
            and not (one.stage is Stage.ADDING and self._turns.is_busy(one.key))
        ]
        tried = (self.delete(*key) for key in doomed)
        failed = [
            each
            for each in await asyncio.gather(*tried, return_exceptions=True)
            if isinstance(each, BaseException)
        ]
        log.info("containers collected", network=network, ended=len(doomed), failed=len(failed))
        if failed:
            raise failed[0]

    async def end_dead(self, record: Record, still: Callable[[], Awaitable[bool]]) -> bool:
        """End a container as DEL does, if its record and what proves it dead are as they were.

        Raises WiringError, or OSError, when something of it may be left here.
        """
        async with self._turn(record.key):
            if self._records.get(record.key) != record or not await still():
                return False
            await self._ending.end(record.key)
            return True

    async def take_up(self, record: Record) -> bool:
        """Keep the record of a container that has none. Raises OSError when it cannot be kept."""
        async with self._turn(record.key):
            if self._records.get(record.key) is not None:
                return False
            self._records.put(record)
            return True

    async def plug_again(self, record: Record) -> bool:
        """If its container is attached still. Raises WiringError."""
        async with self._turn(record.key):
            if self._records.get(record.key) != record or record.fit is None:
                return False
            await self._plugs.plug(device(record, record.fit))
            return True

    # -- ADD

    async def _require_none(self, key: Key) -> None:
        """What was there and ended is gone first. Raises CniError when it is still attached."""
        record = self._records.get(key)
        if record is None:
            return
        if record.stage is Stage.ATTACHED and await self._is_there(record):
            raise CniError(
                Code.EXISTS,
                f"container {key[0]} has {key[1]} already, port {record.port_id}",
                next="delete it first",
            )
        try:
            await self._ending.end(key)
        except WiringError as error:
            raise as_cni(error, f"what was {key[1]} of container {key[0]}") from error
        if self._records.get(key) is not None:
            raise CniError(
                Code.TRY_AGAIN,
                f"the server does not know yet that {key[1]} of container {key[0]} ended",
                next=AGAIN,
            )

    async def _is_there(self, record: Record) -> bool:
        """Whether the interface is: its container may be started again after the host was."""
        try:
            links = await self._veths.links()
        except OSError as error:
            what = f"{record.ifname} of container {record.container_id}"
            raise as_cni(error, what) from error
        return record.fit is None or links.get(record.fit.device) == made.mark_of(
            record.container_id
        )

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
        attempt.draft = draft = self._ahead.draft(asked, port) if self._adding == 1 else None
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
        """The veth's thread has ended when this returns, or raises."""
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

    def _why_late(self, attempt: Attempt) -> CniError:
        record = self._records.get((attempt.asked.container_id, attempt.asked.ifname))
        why, what_next = attempt.waits_for(), AGAIN
        if record is not None and record.port_id:
            cause = self._following.why_not(record.port_id)
            why = f"port {record.port_id} did not come up" + (f": {cause}" if cause else "")
            if older := self._following.waited_for(record.port_id):
                what_next = f"if host {older} is dead or cut off: netwright host fence {older}"
        return CniError(Code.TRY_AGAIN, f"in the time that was left, {why}", next=what_next)

    @asynccontextmanager
    async def _turn(self, key: Key, *, until: float | None = None) -> AsyncIterator[None]:
        """A verb's turn; what it leaves half made or half told is the errand's.

        Raises CniError when it does not come by then: nobody waits for the verb any more.
        """
        try:
            async with self._turns.alone(key, until=until):
                yield
        finally:
            self._ending.look(key)

    async def _end_before(self, key: Key) -> None:
        """End a container to whose name another comes. Raises WiringError."""
        async with self._turn(key):
            await self._ending.end(key)


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
