"""`GET /v1/watch`: changes as NDJSON lines, after a snapshot or from a cursor."""

from collections.abc import Mapping

from netwright.model.errors import Denied, HTTPBadRequest, Unavailable
from netwright.model.fabric import WATCHED
from netwright.model.wire import Kind, WatchLine
from netwright.server.api.errors import invalid
from netwright.server.api.query import each_once, values_of
from netwright.server.api.reply import NDJSON, Reply
from netwright.server.api.route import Access, Call, Parameter, Route
from netwright.server.api.sender import Streams
from netwright.server.api.v1.hosts import require_host
from netwright.server.watch import OF_GROUPS

GROUPS_MAX = 1_000
_PARAMETERS = ("after", "kinds", "host")


def routes(streams: Streams) -> tuple[Route, ...]:
    async def watch(call: Call) -> Reply:
        if streams.ending:
            raise Unavailable("The server is stopping.", next="Watch again in a moment.")
        given = each_once(call.query, _PARAMETERS, repeated=("group",))
        host, groups = given.get("host"), frozenset(values_of(call.query, "group"))
        if call.caller.is_controller:
            _require_of_fabric(given, groups)
        if groups:
            return await _watch_groups(call, given, groups)
        if call.caller.host is not None:
            if host is None:
                raise Denied(
                    f"The credential of host {call.caller.host} cannot watch everything.",
                    next=f"Watch with host={call.caller.host}.",
                )
            require_host(call, host)
        lines = call.service.watch(
            after=given.get("after") or None,
            kinds=_kinds(given.get("kinds")),
            host=host,
            is_fabrics=call.caller.is_controller,
        )
        return Reply(200, content_type=NDJSON, stream=lines)

    return (
        Route("GET", "/v1/watch", watch, Access.WATCH, "Watch changes", response=WatchLine,
              parameters=(*(Parameter(name) for name in _PARAMETERS),
                          Parameter("group", repeated=True))),
    )  # fmt: skip


def _require_of_fabric(given: Mapping[str, str], groups: frozenset[str]) -> None:
    """The fabric controller watches what it plans from, and what it is asked to do."""
    kinds = _kinds(given.get("kinds"))
    if groups or "host" in given or kinds.difference(WATCHED):
        raise Denied(
            "The fabric controller's credential cannot watch that.",
            next=f"Watch with kinds={','.join(sorted(WATCHED))} or some of these.",
        )


async def _watch_groups(call: Call, given: Mapping[str, str], groups: frozenset[str]) -> Reply:
    """Some security groups, their rules and members: nothing else, so that it scales with them."""
    if "host" in given:
        raise HTTPBadRequest(
            "The parameters group and host are of different watches.", next="Open two watches."
        )
    if len(groups) > GROUPS_MAX:
        raise HTTPBadRequest(
            f"A watch tells of {GROUPS_MAX} groups at most, not of {len(groups)}.",
            next="Open several watches.",
        )
    kinds = _kinds(given["kinds"]) if given.get("kinds") else OF_GROUPS
    if kinds - OF_GROUPS:
        raise invalid("kinds", f"a watch of groups brings {', '.join(sorted(OF_GROUPS))} alone")
    host = call.caller.host
    if host is not None:
        foreign = groups - await call.service.reader.watchable_groups(host)
        if foreign:
            raise Denied(
                f"Host {host} may not watch {', '.join(sorted(foreign))}: no port that is bound to"
                " it is in such a group, or in one with a rule that names it.",
                next="Watch the groups of the ports that are bound to it now.",
            )
    lines = call.service.watch(
        after=given.get("after") or None, kinds=kinds, host=None, groups=groups
    )
    return Reply(200, content_type=NDJSON, stream=lines)


def _kinds(given: str | None) -> frozenset[Kind]:
    """The kinds asked for; all when none is named."""
    try:
        return (
            frozenset(Kind(name) for name in given.split(",") if name) if given else frozenset(Kind)
        )
    except ValueError as error:
        raise invalid("kinds", f"{error}; there are {', '.join(Kind)}") from None
