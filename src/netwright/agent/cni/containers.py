"""The verbs, on this host's containers. Each interface is worked on by one of them at a time.

    ADD   record ─▶ port made, veth plugged ─▶ wired, its end up ─▶ answered     `adding`
    DEL   record ─▶ unplugged ─▶ veth gone ─▶ port deleted ─▶ no record          `ending`

An ADD that fails goes the way of DEL from where it was. It waits for a server that is away, within
its deadline; a container's end does not: the server is told when it is there again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn
from uuid import uuid4

import structlog

from netwright.agent.cni import made
from netwright.agent.cni.abreast import wholly
from netwright.agent.cni.adding import Adding, Veths
from netwright.agent.cni.ahead import device
from netwright.agent.cni.asked import Asked
from netwright.agent.cni.attempt import Attempt, Attempts
from netwright.agent.cni.claimants import Claimants
from netwright.agent.cni.departing import Departing
from netwright.agent.cni.ending import Ending
from netwright.agent.cni.failing import AGAIN, as_cni
from netwright.agent.cni.following import Following
from netwright.agent.cni.namespaces import NamespaceGoneError
from netwright.agent.cni.pods import PodSource
from netwright.agent.cni.ports import Ports
from netwright.agent.cni.records import Key, Record, Records, Stage
from netwright.agent.cni.succession import Succession
from netwright.agent.cni.turns import Turns
from netwright.agent.wiring import Plugs, WiringError
from netwright.cni.protocol import CniError, Code

log = structlog.get_logger(__name__)


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
        self._records = records
        self._following = following
        self._veths = veths
        self._plugs = plugs
        claims = (one.claim for one in records.all().values())
        last = max((one.attempt for one in claims if one is not None), default=0)
        self._turns = Turns()
        self._ending = Ending(
            ports=ports, records=records, veths=veths, plugs=plugs, turns=self._turns, jitter=jitter
        )
        self._adding = Adding(
            host,
            ports=ports,
            records=records,
            following=following,
            veths=veths,
            plugs=plugs,
            claimants=Claimants(host, pods),
            succession=Succession(records, veths, self._end_before),
            attempts=attempts or Attempts(lambda: time.time_ns() // 1000, last=last).next,
            new_id=new_id,
            jitter=jitter,
        )
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
        return self._adding.is_answering()

    def is_awaited(self, port_id: str) -> bool:
        """Whether a device may be here already whose port the server has yet to tell of."""
        return self._adding.is_awaited(port_id)

    async def add(self, asked: Asked) -> dict[str, Any]:
        """The result. Raises CniError, after which nothing of it is left on the host."""
        key = asked.container_id, asked.ifname
        until = asyncio.get_running_loop().time() + asked.deadline_s
        attempt = Attempt(asked)
        async with self._turn(key, until=until):
            await self._require_none(key)
            with self._adding.under_way(attempt):
                try:
                    async with asyncio.timeout_at(until):
                        fit = await self._adding.add(attempt)
                except BaseException as error:
                    is_late = isinstance(error, TimeoutError)
                    cause = self._adding.why_late(attempt) if is_late else error
                    await wholly(self._ending.undo(key))
                    raise as_cni(cause, attempt.words) from error
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
