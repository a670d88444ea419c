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
from aiohttp import web

from netwright.agent.cni import asked
from netwright.agent.cni.asked import Asked
from netwright.agent.cni.containers import Containers
from netwright.agent.cni.following import Loop
from netwright.agent.cni.reconciler import Reconciler
from netwright.cni.protocol import NEWEST, PATH, CniError, Code, Request, Verb
from netwright.model.settings import InvalidConfiguration

BODY_BYTES_MAX = 16 << 20
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

    async def run(self) -> NoReturn:
        """Raises InvalidConfiguration when the socket cannot be made."""
        listener = _listener(self._path)
        application = web.Application(client_max_size=BODY_BYTES_MAX)
        application.router.add_post(PATH, self._serve)
        runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=STOP_S, handler_cancellation=True
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            log.info("cni is served", socket=os.fspath(self._path))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._containers.run(), name="containers told")
                tasks.create_task(self._containers.follow(), name="containers moved")
                tasks.create_task(self._reconciler.run(), name="leaks")
            raise AssertionError("errands never end by themselves")
        finally:
            await runner.cleanup()
            with suppress(FileNotFoundError):
                self._path.unlink()

    async def _serve(self, http: web.Request) -> web.Response:
        """Whatever becomes of it, the front end gets an answer of the protocol."""
        version, request = NEWEST, None
        try:
            request = _decoded(await _read(http))
            version = asked.version_of(request)
            made = await self._heard(asked.parse(request))
        except CniError as error:
            log.warning("cni failed", **_who(request), code=int(error.code), why=error.message)
            return _answer(_STATUS.get(error.code, 400), error.object(version))
        except Exception:
            log.exception("a CNI request failed by a defect")
            defect = CniError(
                Code.DEFECT,
                "the agent failed at this request by a defect of its own",
                next="its log has the trace; please report it",
            )
            return _answer(500, defect.object(version))
        return web.Response(status=204) if made is None else _answer(200, made)

    async def _heard(self, one: Asked) -> dict[str, Any] | None:
        """What was done. An ADD whose front end goes is undone; other verbs go on to their end."""
        work = asyncio.create_task(self._done(one), name=f"cni {one.verb}")
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if one.verb is Verb.ADD:
                work.cancel()
            await asyncio.wait({work})
            if not work.cancelled() and (error := work.exception()) is not None:
                log.info("cni has nobody to answer", verb=one.verb, why=str(error))
            raise

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


async def _read(http: web.Request) -> bytes:
    try:
        return await http.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            f"the request is larger than {BODY_BYTES_MAX >> 20} MiB",
            next="shorten the network configuration, or the result before it",
        ) from error


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


def _answer(status: int, body: dict[str, Any]) -> web.Response:
    content = msgspec.json.encode(body)
    return web.Response(status=status, body=content, content_type="application/json")


def _listener(path: Path) -> socket.socket:
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
