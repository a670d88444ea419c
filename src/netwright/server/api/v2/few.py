"""Lists of what is few, and read whole: by the rules of all lists, in memory."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Call
from netwright.server.api.v2 import listing
from netwright.server.api.v2.listing import Listable


def listed(
    call: Call, listable: Listable, views: Iterable[msgspec.Struct], key: str, path: str
) -> Reply:
    """The views that match, in order and in pages; a page's marker is one's `key`.

    Raises what is wrong with the request.
    """
    request, field = listing.parse(listable, call.query, None), listable.collection
    asked = request.query
    found = [
        view
        for view in views
        if all(_text(getattr(view, name)) in wanted for name, wanted in asked.filters)
    ]
    for name, ascending in reversed((*asked.sort, (key, True))):
        found.sort(key=_by(name), reverse=not ascending)
    if asked.page_reverse:
        found.reverse()
    keys = [getattr(view, key) for view in found]
    if asked.marker in keys:
        found = found[keys.index(asked.marker) + 1 :]
    found = found[: asked.limit]
    if asked.page_reverse:
        found.reverse()
    shown: dict[str, Any] = {field: [listing.project(view, request.fields) for view in found]}
    edges = (getattr(found[0], key), getattr(found[-1], key)) if found else (None, None)
    url = f"{call.base_url}{path}"
    if links := listing.links(request, edges, len(found), url, call.query):
        shown[f"{field}_links"] = links
    return json_reply(shown)


def _by(name: str) -> Callable[[msgspec.Struct], str]:
    return lambda view: _text(getattr(view, name))


def _text(value: Any) -> str:
    """As a filter has it: absent is empty."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
