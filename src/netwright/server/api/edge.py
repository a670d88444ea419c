"""Runs every route the same way.

    who asks (`auth`) → may they (`Access`) → the route's handler → its reply, or the error's form
    → request id, the reply → metrics, access log

What was found is given (`routing`); nothing else stands between a connection (`http1`) and this.
"""

import asyncio
import time
from collections.abc import Collection, Mapping

import structlog

from netwright.http1.exchange import Exchange
from netwright.model.errors import Denied, InternalError, NetwrightError
from netwright.model.quotas import NO_LIMITS
from netwright.model.resources import DEFAULT_PROJECT
from netwright.server.access_log import AccessLog, Request
from netwright.server.api.errors import MethodNotAllowed, PathNotFound, error_reply
from netwright.server.api.ids import new_request_id
from netwright.server.api.reply import Reply
from netwright.server.api.route import Access, Call, Found, Route
from netwright.server.api.sender import Streams, send_reply
from netwright.server.api.v1.pod_checks import PodChecks
from netwright.server.api.v2 import rules
from netwright.server.auth import Authenticator
from netwright.server.commands import MEMBERS, Caller
from netwright.server.metrics import Metrics
from netwright.server.service import Service

_PATH_CHARACTERS_MAX = 200
_log = structlog.get_logger("netwright.server.api")


class Edge:
    """What all routes share."""

    def __init__(
        self,
        service: Service,
        authenticator: Authenticator,
        metrics: Metrics,
        *,
        body_bytes_max: int,
        access_log: AccessLog | None = None,
        quota_defaults: Mapping[str, int] = NO_LIMITS,
        container_projects: Collection[str] = (DEFAULT_PROJECT,),
        pods: PodChecks | None = None,
    ) -> None:
        self.service = service
        self.metrics = metrics
        self.quota_defaults = quota_defaults
        self.container_projects = container_projects
        self.pods = pods
        self.streams = Streams()
        self._access_log = access_log
        self._answered: list[tuple[Call, str, int, float, str]] = []
        self.authenticator = authenticator
        self._body_bytes_max = body_bytes_max

    async def serve(self, found: Found, exchange: Exchange) -> None:
        """Answer one request, whatever becomes of it."""
        started = time.perf_counter()
        request_id = new_request_id()
        call = Call(exchange, found.parameters, self.service, self._body_bytes_max)
        reply = await self._reply(call, found, request_id)
        took_s = time.perf_counter() - started
        if not self._answered:  # after the replies of this turn have left: nobody waits for a line
            asyncio.get_running_loop().call_soon(self._note)
        self._answered.append((call, found.path, reply.status, took_s, request_id))
        await send_reply(reply, request_id, self.streams, exchange)

    async def _reply(self, call: Call, found: Found, request_id: str) -> Reply:
        method, path = call.exchange.method, call.exchange.path
        try:
            route = found.routes.get(method)
            if route is None:
                return _without_route(method, path, found)
            if route.access is not Access.PUBLIC:
                known = self.authenticator.caller(call.headers)
                call.caller = caller = known if isinstance(known, Caller) else await known
                call.caller = _admitted(route, caller)
            return await route.handler(call)
        except NetwrightError as error:
            return error_reply(error, native=is_native(path))
        except Exception:  # noqa: BLE001 - a defect of ours, whatever it is; they get an answer
            return self._defect(request_id, method, path)

    def _note(self) -> None:
        """Count the requests and write their lines; a watch's when it has begun."""
        answered, self._answered = self._answered, []
        for call, route, status, took_s, request_id in answered:
            method, path = call.exchange.method, call.exchange.path[:_PATH_CHARACTERS_MAX]
            self.metrics.observe_request(method, route, status, took_s)
            if self._access_log is not None:
                took_ms, who = round(took_s * 1e3, 3), _who(call.caller)
                self._access_log.note(Request(method, path, status, took_ms, who, request_id))

    def _defect(self, request_id: str, method: str, path: str) -> Reply:
        _log.exception(
            "request failed by a defect", request_id=request_id, method=method, path=path
        )
        return error_reply(
            InternalError(
                f"The server failed at this request, {request_id}, by a defect of its own.",
                next="Its log has the trace under this id; please report it.",
            ),
            native=is_native(path),
        )


def _who(caller: Caller) -> str:
    """Who asked, for the log; of a request that was refused before that was known, nobody."""
    if caller.is_controller:
        return "fabric controller"
    return f"agent {caller.host}" if caller.host else caller.project_id or "-"


def _without_route(method: str, path: str, found: Found) -> Reply:
    """The answer to OPTIONS (RFC 9110, section 9.3.7); what is not there is refused."""
    if not found.routes:
        raise PathNotFound(
            f"There is nothing at {path}.", next="GET /openapi.json lists what there is."
        )
    allow = ", ".join(sorted({*found.routes, "OPTIONS"}))
    if method == "OPTIONS":
        return Reply(204, headers=((b"allow", allow.encode()),))
    raise MethodNotAllowed(
        f"{method} is not possible at {path}.", next=f"Possible: {allow}.", allow=allow
    )


def is_native(path: str) -> bool:
    """Whether a path is of the native API, whose errors have a form of their own."""
    return path == "/v1" or path.startswith("/v1/")


def _admitted(route: Route, caller: Caller) -> Caller:
    """The caller as the route's handler is to know it; raises Denied."""
    if caller.host is not None and route.access not in {Access.AGENT, Access.WATCH}:
        raise Denied(
            f"The credential of host {caller.host} cannot be used for {route.method} {route.path}.",
            next="It serves that host's registration, heartbeats, reports, watch and containers.",
        )
    if caller.is_controller and route.access not in {Access.FABRIC, Access.WATCH}:
        raise Denied(
            f"The fabric controller's credential cannot be used for {route.method} {route.path}.",
            next="It serves its lease, its watch, its reports and the fabric's operations only.",
        )
    if caller.rights is not MEMBERS:
        caller = rules.require(caller, route.method, route.path)
    if not caller.project_id and not is_native(route.path):
        raise Denied(
            "A token of the system is of no project, and the Networking API is about projects'.",
            next="Ask for a token of a project; the system's is for the native API, below /v1.",
        )
    is_somebody = caller.host is not None or caller.is_controller
    if not is_somebody and not caller.sees_all and route.access is not Access.PROJECT:
        raise Denied(f"{route.method} {route.path} is for administrators.", next="Ask one of them.")
    return caller
