"""Runs every route the same way.

    who asks (`auth`) → may they (`Access`) → the route's handler → its reply, or the error's form
    → metrics, request id → ASGI messages

Litestar routes, and is given ASGI replies that are already encoded: no middleware stands between.
"""

import time
from collections.abc import Mapping
from typing import Any

import structlog
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive

from netwright.model.errors import Denied, HTTPBadRequest, InternalError, NetwrightError
from netwright.server.access_log import AccessLog
from netwright.server.api.errors import MethodNotAllowed, PathNotFound, error_reply
from netwright.server.api.reply import Reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.sender import Sender, Streams, new_request_id
from netwright.server.auth import Authenticator
from netwright.server.commands import Caller
from netwright.server.metrics import Metrics
from netwright.server.service import Service

_NOBODY = Caller(project_id="")
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
    ) -> None:
        self.service = service
        self.metrics = metrics
        self.streams = Streams()
        self._access_log = access_log
        self.authenticator = authenticator
        self._body_bytes_max = body_bytes_max

    def application(self, routes: tuple[Route, ...]) -> Litestar:
        """The ASGI application that serves these routes."""
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        return Litestar(
            route_handlers=[self._handler(path, own) for path, own in by_path.items()],
            exception_handlers={HTTPException: self._refused, Exception: self._refused},
            openapi_config=None,
            logging_config=None,
        )

    def _handler(self, path: str, routes: Mapping[str, Route]) -> HTTPRouteHandler:
        """One handler for all methods of a path: Litestar names them in Allow."""
        native = is_native(path)

        async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
            started = time.perf_counter()
            scope = request.scope
            method = scope["method"]
            request_id = new_request_id()
            route, headers, caller = routes[method], dict(scope["headers"]), _NOBODY
            try:
                if route.access is not Access.PUBLIC:
                    caller = self.authenticator.caller(headers)
                    _require(route, caller)
                reply = await self._answer(route, scope, headers, request.receive, caller)
            except NetwrightError as error:
                reply = error_reply(error, native=native)
            except Exception:  # noqa: BLE001 - a defect of ours, whatever it is; they get an answer
                reply = self._defect(request_id, method, path, native=native)
            self._note(method, path, scope["path"], reply.status, started, caller, request_id)
            return Sender(reply, request_id, self.streams)

        return HTTPRouteHandler(path, http_method=[*routes], status_code=200)(handle)  # type: ignore[list-item]

    async def _answer(
        self,
        route: Route,
        scope: Mapping[str, Any],
        headers: Mapping[bytes, bytes],
        receive: Receive,
        caller: Caller,
    ) -> Reply:
        call = Call(
            scope=scope,
            headers=headers,
            receive=receive,
            caller=caller,
            service=self.service,
            body_bytes_max=self._body_bytes_max,
        )
        return await route.handler(call)

    def _note(  # noqa: PLR0917 - the parts of a line
        self,
        method: str,
        route: str,
        path: str,
        status: int,
        started: float,
        caller: Caller,
        request_id: str,
    ) -> None:
        """Count the request and write its line; a watch's when it has begun."""
        duration_s = time.perf_counter() - started
        self.metrics.observe_request(method, route, status, duration_s)
        if self._access_log is not None:
            self._access_log.note(
                method=method,
                path=path[:_PATH_CHARACTERS_MAX],
                status=status,
                duration_ms=round(duration_s * 1e3, 3),
                project=_who(caller),
                request_id=request_id,
            )

    def _refused(self, request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        """What Litestar itself refuses, before any route: paths, methods, the Host header."""
        started = time.perf_counter()
        path, method, request_id = request.scope["path"], request.scope["method"], new_request_id()
        native = is_native(path)
        refusal: NetwrightError
        match error:
            case NotFoundException():
                refusal = PathNotFound(
                    f"There is nothing at {path}.", next="GET /openapi.json lists what there is."
                )
            case MethodNotAllowedException():
                allow = (error.headers or {}).get("allow", "")
                refusal = MethodNotAllowed(
                    f"{method} is not possible at {path}.", next=f"Possible: {allow}.", allow=allow
                )
            case HTTPException(status_code=status, detail=detail) if status < 500:  # noqa: PLR2004
                refusal = HTTPBadRequest(f"The request cannot be read: {detail}.")
            case _:
                reply = self._defect(request_id, method, path, native=native, error=error)
                return _response(reply, request_id)
        reply = error_reply(refusal, native=native)
        self._note(method, "", path, reply.status, started, _NOBODY, request_id)
        return _response(reply, request_id)

    def _defect(
        self,
        request_id: str,
        method: str,
        path: str,
        *,
        native: bool,
        error: Exception | None = None,
    ) -> Reply:
        _log.error(
            "request failed by a defect",
            request_id=request_id,
            method=method,
            path=path,
            exc_info=error or True,
        )
        return error_reply(
            InternalError(
                f"The server failed at this request, {request_id}, by a defect of its own.",
                next="Its log has the trace under this id; please report it.",
            ),
            native=native,
        )


def _who(caller: Caller) -> str:
    """Who asked, for the log; of a request that was refused before that was known, nobody."""
    return f"agent {caller.host}" if caller.host else caller.project_id or "-"


def _response(reply: Reply, request_id: str) -> Response[bytes]:
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return Response(
        reply.body,
        status_code=reply.status,
        media_type="application/json",
        headers={"x-openstack-request-id": request_id, **headers},
    )


def is_native(path: str) -> bool:
    """Whether a path is of the native API, whose errors have a form of their own."""
    return path == "/v1" or path.startswith("/v1/")


def _require(route: Route, caller: Caller) -> None:
    if caller.host is not None and route.access is not Access.AGENT:
        raise Denied(
            f"The credential of host {caller.host} cannot be used for {route.method} {route.path}.",
            next="It serves that host's registration, heartbeats, reports and watch only.",
        )
    if caller.host is None and not caller.is_admin and route.access is not Access.PROJECT:
        raise Denied(f"{route.method} {route.path} is for administrators.", next="Ask one of them.")
