"""`GET /v1/watch`: changes as NDJSON lines, after a snapshot or from a cursor."""

from urllib.parse import parse_qsl

from netwright.model.errors import Denied, HTTPBadRequest, Unavailable
from netwright.model.wire import Kind, WatchLine
from netwright.server.api.errors import invalid
from netwright.server.api.reply import NDJSON, Reply
from netwright.server.api.route import Access, Call, Parameter, Route
from netwright.server.api.sender import Streams
from netwright.server.api.v1.hosts import require_host

_PARAMETERS = ("after", "kinds", "host")


def routes(streams: Streams) -> tuple[Route, ...]:
    async def watch(call: Call) -> Reply:
        if streams.ending:
            raise Unavailable("The server is stopping.", next="Watch again in a moment.")
        given = _parameters(call.query)
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


def _parameters(query: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise HTTPBadRequest(
            "The query string cannot be read.", next="Percent-encode it as UTF-8."
        ) from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in _PARAMETERS or name in given:
            raise HTTPBadRequest(
                f"The parameter {name!r} is unknown or given twice.",
                next=f"A watch takes each of {', '.join(_PARAMETERS)} once.",
            )
        given[name] = value
    return given


def _kinds(given: str | None) -> frozenset[Kind]:
    """The kinds asked for; all when none is named."""
    try:
        return (
            frozenset(Kind(name) for name in given.split(",") if name) if given else frozenset(Kind)
        )
    except ValueError as error:
        raise invalid("kinds", f"{error}; there are {', '.join(Kind)}") from None
