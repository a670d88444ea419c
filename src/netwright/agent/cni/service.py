"""The agent's end of the CNI socket: HTTP on a unix socket that only its user may open.

Request ─▶ asked.parse ─▶ Containers ─▶ result, or the specification's error object
"""

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import structlog

from netwright.agent.cni import asked
from netwright.agent.cni.asked import Asked
from netwright.agent.cni.containers import Containers
from netwright.agent.cni.following import Loop
from netwright.agent.cni.reconciler import Reconciler
from netwright.cni.protocol import NEWEST, PATH, CniError, Code, Request, Verb
from netwright.http1.exchange import BodyTooLong, ClientGone, Exchange
from netwright.http1.listener import Listener
from netwright.model.settings import InvalidConfiguration

BODY_BYTES_MAX = 16 << 20
BODY_S = 10.0
STOP_S = 2.0
UNDO_S = 1.0
"""What an ADD leaves of its front end's time, at most half of it, to be undone and to say so."""

_STATUS = {
    Code.TRY_AGAIN: 503,
    Code.UNAVAILABLE: 503,
    Code.LIMITED: 503,
    Code.DEFECT: 500,
    Code.IO_FAILURE: 500,
}
"""The HTTP status of an error; 400 for all others."""

_JSON = ((b"content-type", b"application/json"),)

log = structlog.get_logger(__name__)


class Service:
    """Serves until cancelled. The socket's directory is made; what stands at its path goes."""

    def __init__(
        self, path: Path, containers: Containers, loop: Loop, reconciler: Reconciler
    ) -> None:
        self._path = path
        self._containers = containers
        self._loop = loop
        self._reconciler = reconciler
        self._under_way: set[asyncio.Task[dict[str, Any] | None]] = set()

    async def run(self) -> NoReturn:
        """Raises InvalidConfiguration when the socket cannot be made."""
        listener = Listener(self._serve)
        await listener.start(_listening(self._path))
        try:
            log.info("cni is served", socket=os.fspath(self._path))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._containers.run(), name="containers told")
                tasks.create_task(self._containers.follow(), name="containers moved")
                tasks.create_task(self._reconciler.run(), name="leaks")
            raise AssertionError("errands never end by themselves")
        finally:
            await self._stop(listener)
            with suppress(FileNotFoundError):
                self._path.unlink()

    async def _stop(self, listener: Listener) -> None:
        """Let what is under way end, for anybody or nobody, and break off what takes longer."""
        until = asyncio.get_running_loop().time() + STOP_S
        listener.close()
        await listener.stop(STOP_S)
        left_s = max(0.0, until - asyncio.get_running_loop().time())
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=left_s)
        left = tuple(self._under_way)
        for work in left:
            work.cancel()
        if left:
            ended, _ = await asyncio.wait(left, timeout=UNDO_S)
            for work in ended:
                _look_at(work)

    async def _serve(self, exchange: Exchange) -> None:
        """Whatever becomes of it, the front end gets an answer of the protocol."""
        version, request = NEWEST, None
        try:
            body = await _read(exchange)
            _require_found(exchange)  # after it: who still sends does not hear an answer
            request = _decoded(body)
            version = asked.version_of(request)
            made = await self._heard(exchange, asked.parse(request))
        except ClientGone:
            pass
        except CniError as error:
            log.warning("cni failed", **_who(request), code=int(error.code), why=error.message)
            _answer(exchange, _STATUS.get(error.code, 400), error.object(version))
        except Exception:
            log.exception("a CNI request failed by a defect")
            defect = CniError(
                Code.DEFECT,
                "the agent failed at this request by a defect of its own",
                next="its log has the trace; please report it",
            )
            _answer(exchange, 500, defect.object(version))
        else:
            _answer(exchange, 204 if made is None else 200, made)

    async def _heard(self, exchange: Exchange, one: Asked) -> dict[str, Any] | None:
        """What was done. An ADD whose front end goes is undone; other verbs go on to their end.

        Raises ClientGone.
        """
        work = asyncio.create_task(self._done(one), name=f"cni {one.verb}")
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        gone = asyncio.create_task(exchange.gone(), name="front end")
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if work.done():
            return work.result()
        if one.verb is Verb.ADD:
            work.cancel()
        await asyncio.wait({work})
        _look_at(work)
        raise ClientGone

    async def _done(self, one: Asked) -> dict[str, Any] | None:
        containers = self._containers
        match one.verb:
            case Verb.ADD:
                in_time_s = one.deadline_s - min(UNDO_S, one.deadline_s / 2)
                return await containers.add(msgspec.structs.replace(one, deadline_s=in_time_s))
            case Verb.DEL:
                await containers.delete(one.container_id, one.ifname)
            case Verb.CHECK:
                await containers.check(one)
            case Verb.GC:
                valid = one.config.valid_attachments or ()
                keys = frozenset((each.container_id, each.ifname) for each in valid)
                self._reconciler.wake()
                await containers.collect(one.config.name, keys)
            case Verb.STATUS:
                self._require_able()
        return None

    def _require_able(self) -> None:
        """STATUS (section 4): whether an ADD would be served now."""
        if trouble := self._loop.wiring_trouble():
            raise CniError(
                Code.LIMITED, trouble, next="look at Open vSwitch on this host; the agent retries"
            )
        if trouble := self._loop.server_trouble():
            raise CniError(
                Code.UNAVAILABLE, trouble, next="look at the server, and at the way to it"
            )


def _look_at(work: asyncio.Task[Any]) -> None:
    """At how it ended, for nobody hears of it."""
    if not work.cancelled() and (error := work.exception()) is not None:
        log.info("cni has nobody to answer", work=work.get_name(), why=str(error))


def _require_found(exchange: Exchange) -> None:
    if (exchange.method, exchange.path) != ("POST", PATH):
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            f"there is no {exchange.method} {exchange.path} here",
            next=f"POST {PATH}, as the front end of this release does",
        )


async def _read(exchange: Exchange) -> bytes:
    """The whole body. Raises CniError, ClientGone."""
    try:
        return await exchange.body(BODY_BYTES_MAX, BODY_S)
    except BodyTooLong:
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            f"the request is larger than {BODY_BYTES_MAX >> 20} MiB",
            next="shorten the network configuration, or the result before it",
        ) from None
    except TimeoutError:
        raise CniError(
            Code.IO_FAILURE,
            f"the request had not come after {BODY_S:g} s",
            next="look at what keeps the front end; its runtime may ask again",
        ) from None


def _who(request: Request | None) -> dict[str, str]:
    """Of whom a line of the log speaks; bounded."""
    if request is None:
        return {}
    ids = {"container": request.container_id[:128], "ifname": request.ifname[:16]}
    return {"verb": request.command[:16], **ids}


def _decoded(body: bytes) -> Request:
    try:
        return msgspec.json.decode(body, type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            f"the request cannot be read: {error}",
            next="give variables in UTF-8, and use the front end of this release",
        ) from error


def _answer(exchange: Exchange, status: int, body: dict[str, Any] | None) -> None:
    if body is None:
        exchange.reply(status, (), b"")
    else:
        exchange.reply(status, _JSON, msgspec.json.encode(body))


def _listening(path: Path) -> socket.socket:
    """What stands at the path is of an earlier life: a host has one agent (`main`)."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if path.is_socket():
            path.unlink()
        before = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(before)
        listener.listen(socket.SOMAXCONN)
        listener.setblocking(False)  # noqa: FBT003 - as it is called
    except OSError as error:
        listener.close()
        raise InvalidConfiguration(
            f"The CNI socket {path} cannot be made: {error.strerror or error}.",
            next="Name another by cni_socket, or remove what stands there.",
        ) from error
    return listener
