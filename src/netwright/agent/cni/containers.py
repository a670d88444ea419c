"""The verbs, on this host's containers. Each interface is worked on by one of them at a time.

    ADD   record ─▶ port made and bound ─▶ veth ─┬─▶ plugged ─▶ up ────┬─▶ answered
                                                 └─▶ addresses, routes ┘
    DEL   record ─▶ unplugged ─▶ veth gone ─▶ port deleted ─▶ no record

An ADD that fails goes the way of DEL from where it was. What the server cannot be told now stays in
the record, and is told when it is there again: the container's end does not wait for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NoReturn, Protocol

import structlog
from msgspec.structs import replace

from netwright.agent.cni import made
from netwright.agent.cni.abreast import both
from netwright.agent.cni.asked import Asked
from netwright.agent.cni.following import Following
from netwright.agent.cni.kernel import InterfaceExistsError, NamespaceGoneError
from netwright.agent.cni.made import Fitting, Seen
from netwright.agent.cni.ports import Ports
from netwright.agent.cni.records import Key, Record, Records, Stage
from netwright.agent.wiring import NewDevice, Plugs, WiringError
from netwright.client.backoff import Backoff
from netwright.client.errand import Errand
from netwright.cni.protocol import CniError, Code
from netwright.model.errors import Category, NetwrightError, StaleEpoch
from netwright.model.resources import Port, VifType
from netwright.model.wire import ContainerPort

RELEASE_S_MAX = 2.0
"""How long a container's end waits for the server, which is told later otherwise."""
UNDO_S_MAX = 0.3
"""How long an ADD that failed does: its front end waits for the reason."""
SERVER_AGAIN = Backoff(first_s=0.5, max_s=10.0)
NAME_LENGTH_MAX = 255
GONE = "the container has ended: there is nothing to clean up"
AGAIN = "the runtime may try again; netwright port explain says more of a port"

log = structlog.get_logger(__name__)


class Veths(Protocol):
    """What makes and removes containers' interfaces: `kernel.Kernel`, or a test's double."""

    async def make(
        self, fit: Fitting, netns: str, ifname: str, mark: str, paired: Callable[[], None]
    ) -> None: ...
    async def read(self, netns: str, ifname: str) -> Seen | None: ...
    async def remove(self, device: str) -> None: ...


class Containers:
    """`run` ends what an earlier life left half done, and tells the server what it missed."""

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
    ) -> None:
        self._host = host
        self._ports = ports
        self._records = records
        self._following = following
        self._veths = veths
        self._plugs = plugs
        self._busy: dict[Key, _Turns] = {}
        work = self._release_all
        self._releasing = Errand("containers", work, backoff=SERVER_AGAIN, jitter=jitter)
        self._releasing.wake()

    async def run(self) -> NoReturn:
        await self._releasing.run()

    async def add(self, asked: Asked) -> dict[str, Any]:
        """The result. Raises CniError, after which nothing of it is left on the host."""
        key = asked.container_id, asked.ifname
        until = asyncio.get_running_loop().time() + asked.deadline_s
        async with self._turn(key, until=until):
            await self._require_none(key)
            record = self._new_record(asked)
            try:
                self._records.put(record)
                async with asyncio.timeout_at(until):
                    fit = await self._attach(asked, record)
            except BaseException as error:
                cause = self._why_late(key) if isinstance(error, TimeoutError) else error
                await asyncio.shield(self._undo(key))
                raise _as_cni(cause, f"{asked.ifname} of container {asked.container_id}") from error
        return made.result(asked.config.cni_version, fit, asked.netns, asked.ifname)

    async def delete(self, container_id: str, ifname: str) -> None:
        """Also right when there is none. Raises CniError when something of it may be left."""
        key = container_id, ifname
        async with self._turn(key):
            try:
                await self._end(key)
            except WiringError as error:
                raise _as_cni(error, f"{ifname} of container {container_id}") from error

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
                raise _as_cni(error, f"{asked.ifname} of container {asked.container_id}") from error
            netns, ifname = asked.netns, asked.ifname
            found = [*made.differences(record.fit, before, seen, netns=netns, ifname=ifname)]
            if not self._following.is_up(record.port_id):
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
        """End all of the runtime's network that it does not name. Raises CniError after all."""
        records = self._records.all().values()
        doomed = [
            one.key
            for one in records
            if one.stage is Stage.ATTACHED and one.network == network and one.key not in valid
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

    # -- ADD

    async def _require_none(self, key: Key) -> None:
        """What was there and ended is gone first. Raises CniError when it is still attached."""
        record = self._records.get(key)
        if record is None:
            return
        if record.stage is Stage.ATTACHED:
            raise CniError(
                Code.EXISTS,
                f"container {key[0]} has {key[1]} already, port {record.port_id}",
                next="delete it first",
            )
        try:
            await self._end(key)
        except WiringError as error:
            raise _as_cni(error, f"what was {key[1]} of container {key[0]}") from error
        if self._records.get(key) is not None:
            raise CniError(
                Code.TRY_AGAIN,
                f"the server does not know yet that {key[1]} of container {key[0]} ended",
                next=AGAIN,
            )

    def _new_record(self, asked: Asked) -> Record:
        return Record(
            container_id=asked.container_id,
            ifname=asked.ifname,
            netns=asked.netns,
            network=asked.config.name,
            project_id=self._ports.project_id,
            unique_name=f"{self._host}/{asked.container_id}/{asked.ifname}"[-NAME_LENGTH_MAX:],
            stage=Stage.ADDING,
        )

    async def _attach(self, asked: Asked, record: Record) -> Fitting:
        took = _Took()
        port = await self._ports.make(_wanted(asked, record))
        took.note("port")
        _require_served(port, self._host)
        fit = await self._following.fitting(port, default_route=asked.config.default_route)
        record = replace(record, port_id=port.id, fit=fit)
        self._records.put(record)
        mark = f"netwright container {asked.container_id}"
        took.note("told")
        device = NewDevice(
            name=fit.device,
            port_id=port.id,
            mac_address=fit.mac_address,
            mtu=fit.mtu,
            owner=f"{asked.container_id}@{asked.ifname}",
        )
        paired = asyncio.Event()
        making = self._veths.make(fit, asked.netns, asked.ifname, mark, paired.set)
        await both(making, self._wire(device, paired, took))
        if asked.config.wait_for == "active":
            await self._following.active(port.id)
        took.note("up")
        self._records.put(replace(record, stage=Stage.ATTACHED))
        log.info("container attached", container=asked.container_id, ifname=asked.ifname,
                 port=port.id, network=port.network_id, ms=took.words())  # fmt: skip
        return fit

    async def _wire(self, device: NewDevice, paired: asyncio.Event, took: "_Took") -> None:
        """Meanwhile the container's end is furnished: nothing passes before the runtime goes on."""
        await paired.wait()
        await self._following.told(device.port_id)
        took.note("veth")
        await self._plugs.plug(device)
        took.note("plugged")
        await self._following.up(device.port_id)

    def _why_late(self, key: Key) -> CniError:
        record = self._records.get(key)
        why = "the server has not answered, or not told of the network"
        if record is not None and record.port_id:
            cause = self._following.why_not(record.port_id)
            why = f"port {record.port_id} did not come up" + (f": {cause}" if cause else "")
        return CniError(Code.TRY_AGAIN, f"in the time that was left, {why}", next=AGAIN)

    async def _undo(self, key: Key) -> None:
        try:
            await self._end(key, server_s_max=UNDO_S_MAX)
        except WiringError as error:  # its record stays, and with it the errand
            log.warning("an ADD is not undone yet", container=key[0], ifname=key[1], why=str(error))

    # -- DEL

    async def _end(self, key: Key, *, server_s_max: float = RELEASE_S_MAX) -> None:
        """Nothing of it is left here, nor at the server if that answers soon.

        Raises WiringError when something may be left here; its record stays.
        """
        record = self._records.get(key)
        if record is None:
            return
        if record.stage is not Stage.RELEASING:
            await self._clear(record)
        try:
            async with asyncio.timeout(server_s_max):
                await self._release(record)
        except (NetwrightError, TimeoutError) as error:  # also what the host refused
            why = str(error) or "the server has not answered yet"
            log.info("a port is deleted later", name=record.unique_name, why=why)

    async def _clear(self, record: Record) -> None:
        with _told(record):
            if record.fit is not None:
                await self._plugs.unplug(record.fit.device)
                await self._veths.remove(record.fit.device)
            self._records.put(replace(record, stage=Stage.RELEASING))

    async def _release(self, record: Record) -> None:
        await self._ports.end(record.project_id, record.unique_name)
        with _told(record):
            self._records.drop(record.key)

    async def _release_all(self) -> None:
        """Raises the first error, after all were tried."""
        ended = [
            one.key
            for one in self._records.all().values()
            if one.stage is not Stage.ATTACHED and one.key not in self._busy
        ]
        tried = await asyncio.gather(*map(self._release_one, ended), return_exceptions=True)
        for each in tried:
            if isinstance(each, BaseException):
                raise each

    async def _release_one(self, key: Key) -> None:
        async with self._alone(key):
            record = self._records.get(key)
            if record is None or record.stage is Stage.ATTACHED:
                return
            if record.stage is Stage.ADDING:  # of an earlier life, or not undone
                await self._clear(record)
            await self._release(record)

    @asynccontextmanager
    async def _turn(self, key: Key, *, until: float | None = None) -> AsyncIterator[None]:
        """A verb's turn; what it leaves half made or half told is the errand's.

        Raises CniError when it does not come by then: nobody waits for the verb any more.
        """
        try:
            async with self._alone(key, until=until):
                yield
        finally:
            record = self._records.get(key)
            if record is not None and record.stage is not Stage.ATTACHED:
                self._releasing.wake()

    @asynccontextmanager
    async def _alone(self, key: Key, *, until: float | None = None) -> AsyncIterator[None]:
        turns = self._busy.setdefault(key, _Turns())
        turns.waiting += 1
        try:
            await turns.come(key, until)
            try:
                yield
            finally:
                turns.lock.release()
        finally:
            turns.waiting -= 1
            if not turns.waiting:
                del self._busy[key]


class _Took:
    """Milliseconds of an ADD's stages, for its line in the log."""

    def __init__(self) -> None:
        self._stages: list[tuple[str, float]] = []
        self._since = time.perf_counter()

    def note(self, stage: str) -> None:
        now = time.perf_counter()
        self._stages.append((stage, (now - self._since) * 1e3))
        self._since = now

    def words(self) -> str:
        return " ".join(f"{stage}:{ms:.1f}" for stage, ms in self._stages)


class _Turns:
    """Who works on one interface, and how many do or wait for it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0

    async def come(self, key: Key, until: float | None) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self.lock.acquire()
        except TimeoutError:
            raise CniError(
                Code.TRY_AGAIN,
                f"{key[1]} of container {key[0]} is still worked on for an earlier request",
                next=AGAIN,
            ) from None


@contextmanager
def _told(record: Record) -> Iterator[None]:
    """What the host refuses is told, and tried again, like what Open vSwitch does not do."""
    try:
        yield
    except OSError as error:
        raise WiringError(
            f"the host refused to end {record.ifname} of container {record.container_id}: {error}",
            next="Look at the agent's log; it tries again.",
        ) from error


def _wanted(asked: Asked, record: Record) -> ContainerPort:
    labels, args = asked.config.labels, asked.args
    assert labels is not None, "checked where the request was read"
    pod = "/".join(filter(None, (args.get("K8S_POD_NAMESPACE"), args.get("K8S_POD_NAME"))))
    return ContainerPort(
        unique_name=record.unique_name,
        network_labels=labels,
        name=(pod or asked.container_id)[:NAME_LENGTH_MAX],
        device_id=asked.container_id,
    )


def _require_served(port: Port, host: str) -> None:
    binding = port.binding_on(host)
    if binding is None or binding.vif_type is VifType.BINDING_FAILED:
        why = binding.cause if binding is not None else "it is bound elsewhere"
        raise CniError(
            Code.REFUSED,
            f"this host cannot serve a port of network {port.network_id}: {why or port.cause}",
            next="choose labels of networks that reach this host",
        )


_PASSING = frozenset({Category.UNAVAILABLE, Category.INTERNAL, Category.NOT_FOUND})
"""Not found: this host, which registers soon."""


def _as_cni(error: BaseException, what: str) -> BaseException:
    """The error in the specification's terms; a defect of ours, or a cancellation, as it is."""
    match error:
        case CniError():
            found = error.code, error.message, error.next
        case NamespaceGoneError():
            found = Code.UNKNOWN_CONTAINER, f"there is no such namespace: {error}", GONE
        case InterfaceExistsError():
            message = "the container has an interface of that name, which is not ours"
            found = Code.EXISTS, message, "choose another name"
        case NetwrightError():
            found = _code(error), error.message, error.next or AGAIN
        case OSError():
            found = Code.IO_FAILURE, f"the host refused it: {error}", AGAIN
        case _:
            return error
    code, message, what_next = found
    return CniError(code, f"{what}: {message}", next=what_next)


def _code(error: NetwrightError) -> Code:
    is_passing = isinstance(error, StaleEpoch) or error.category in _PASSING
    return Code.TRY_AGAIN if is_passing else Code.REFUSED
