"""`GET /v1/watch`: changes as NDJSON lines, after a snapshot or from a cursor."""

from netwright.model.errors import Denied, Unavailable
from netwright.model.wire import Kind, WatchLine
from netwright.server.api.errors import invalid
from netwright.server.api.query import each_once
from netwright.server.api.reply import NDJSON, Reply
from netwright.server.api.route import Access, Call, Parameter, Route
from netwright.server.api.sender import Streams
from netwright.server.api.v1.hosts import require_host

_PARAMETERS = ("after", "kinds", "host")


def routes(streams: Streams) -> tuple[Route, ...]:
    async def watch(call: Call) -> Reply:
        if streams.ending:
            raise Unavailable("The server is stopping.", next="Watch again in a moment.")
        given = each_once(call.query, _PARAMETERS)
        host = given.get("host")
        if call.caller.host is not None:
            if host is None:
                raise Denied(
                    f"The credential of host {call.caller.host} cannot watch everything.",
                    next=f"Watch with host={call.caller.host}.",
                )
            require_host(call, host)
        lines = call.service.watch(
            after=given.get("after") or None, kinds=_kinds(given.get("kinds")), host=host
        )
        return Reply(200, content_type=NDJSON, stream=lines)

    return (
        Route("GET", "/v1/watch", watch, Access.AGENT, "Watch changes", response=WatchLine,
              parameters=tuple(Parameter(name) for name in _PARAMETERS)),
    )  # fmt: skip


def _kinds(given: str | None) -> frozenset[Kind]:
    """The kinds asked for; all when none is named."""
    try:
        return (
            frozenset(Kind(name) for name in given.split(",") if name) if given else frozenset(Kind)
        )
    except ValueError as error:
        raise invalid("kinds", f"{error}; there are {', '.join(Kind)}") from None
