"""List requests: filters, sorting, pages and `fields` from a query string; links to the next page.

Semantics are the Networking API's: values of one filter are alternatives, filters add up, an empty
page has no `next`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec

from netwright.model.errors import HTTPBadRequest
from netwright.server.api.errors import invalid
from netwright.server.api.v2 import values
from netwright.server.queries import Query

_PAGING = frozenset({"fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"})
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_LIMIT_MAX = 2**31

Canonical = Callable[[str, str], str]
"""Makes a filter's value canonical, given its name; raises InvalidInput."""


class Listable(NamedTuple):
    """What a collection can be filtered and sorted by."""

    collection: str
    filters: Mapping[str, Canonical]
    sort_keys: frozenset[str]


class ListRequest(NamedTuple):
    query: Query
    fields: frozenset[str]


def text(_name: str, value: str) -> str:
    return value


def boolean(name: str, value: str) -> str:
    lower = value.lower()
    if lower in _TRUE:
        return "true"
    if lower in _FALSE:
        return "false"
    raise invalid(name, f"'{value}' is neither true nor false")


def integer(name: str, value: str) -> str:
    try:
        return str(int(value))
    except ValueError:
        raise invalid(name, f"'{value}' is not an integer") from None


def fixed_ips(name: str, value: str) -> str:
    kind, _, wanted = value.partition("=")
    if kind == "ip_address":
        return f"ip_address={values.address(name, wanted)}"
    if kind in {"subnet_id", "ip_address_substr"} and wanted:
        return value
    raise invalid(
        name,
        f"'{value}' is neither subnet_id=ID, ip_address=ADDRESS nor ip_address_substr=PART",
    )


def instant(name: str, value: str) -> str:
    """A time of ISO 8601 as Unix seconds; UTC where it names no zone."""
    try:
        found = datetime.fromisoformat(value)
        return str((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise invalid(name, f"'{value}' is no time such as 2026-01-31T12:00:00Z") from None


NAMED_FILTERS: Mapping[str, Canonical] = {
    "id": text,
    "name": text,
    "description": text,
    "project_id": text,
    "tenant_id": text,
    "revision_number": integer,
}
"""What every resource with a name and a description can be filtered by."""

NAMED_SORT_KEYS = frozenset({*NAMED_FILTERS, "created_at", "updated_at"})

STANDARD_FILTERS: Mapping[str, Canonical] = {
    "changed_since": instant,
    "tags": text,
    "tags-any": text,
    "not-tags": text,
    "not-tags-any": text,
}
"""What every resource with Neutron's standard attributes can be filtered by."""


def parse(listable: Listable, query_string: bytes, project_id: str | None) -> ListRequest:
    """The list request; raises HTTPBadRequest for unknown filters, InvalidInput for bad values."""
    parameters = _parameters(query_string)
    filters: dict[str, list[str]] = {}
    for name, value in parameters:
        if name in _PAGING:
            continue
        canonical = listable.filters.get(name)
        if canonical is None:
            raise HTTPBadRequest(
                f"['{name}'] is invalid attribute for filtering",
                next=f"{listable.collection} have: {', '.join(sorted(listable.filters))}.",
            )
        attribute = "project_id" if name == "tenant_id" else name
        filters.setdefault(attribute, []).append(canonical(name, value))
    query = Query(
        filters=tuple((name, tuple(wanted)) for name, wanted in filters.items()),
        project_id=project_id,
        sort=_sort(listable, parameters),
        limit=_limit(_last(parameters, "limit")),
        marker=_last(parameters, "marker") or None,
        page_reverse=boolean("page_reverse", _last(parameters, "page_reverse") or "false")
        == "true",
    )
    return ListRequest(query, frozenset(v for name, v in parameters if name == "fields" and v))


def links(
    request: ListRequest,
    edges: tuple[str | None, str | None],
    count: int,
    url: str,
    query_string: bytes,
) -> list[dict[str, str]]:
    """Links to the pages around this one, when it is a page: `next`, `previous`.

    `edges` are the ids of its first and its last item, `count` is how many it has.
    """
    query = request.query
    if query.limit is None:
        return []
    kept = [
        (name, value)
        for name, value in _parameters(query_string)
        if name not in ("marker", "page_reverse")
    ]
    full = count >= query.limit
    first, last = edges

    def link(rel: str, marker: str | None, turn: Sequence[tuple[str, str]]) -> dict[str, str]:
        where = [] if marker is None else [("marker", marker)]
        return {"rel": rel, "href": f"{url}?{urlencode([*kept, *where, *turn])}"}

    found = []
    if full or query.page_reverse:
        found.append(link("next", last, ()))
    if full or not query.page_reverse:
        found.append(link("previous", first, [("page_reverse", "True")]))
    return found


def project(view: msgspec.Struct, fields: frozenset[str]) -> Any:
    """The view, or only these fields of it."""
    if not fields:
        return view
    whole: dict[str, Any] = msgspec.to_builtins(view)
    return {name: value for name, value in whole.items() if name in fields}


def fields_of(query_string: bytes) -> frozenset[str]:
    """The fields that a request for a single resource asks for; other parameters are refused."""
    parameters = _parameters(query_string)
    for name, _ in parameters:
        if name != "fields":
            raise HTTPBadRequest(f"['{name}'] means nothing for a single resource")
    return frozenset(value for _, value in parameters if value)


def refuse_parameters(query_string: bytes) -> None:
    """A change takes no parameters; one that is given was meant for something."""
    if parameters := _parameters(query_string):
        raise HTTPBadRequest(f"['{parameters[0][0]}'] means nothing in this request")


def _parameters(query_string: bytes) -> list[tuple[str, str]]:
    if not query_string:
        return []
    try:
        parameters = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=10_000,
        )
    except ValueError:  # also UnicodeDecodeError
        raise HTTPBadRequest(
            "The query string cannot be read.", next="Percent-encode it as UTF-8."
        ) from None
    for name, value in parameters:
        if "\0" in name or "\0" in value:
            raise invalid(name.replace("\0", "\\0"), "nothing has a NUL character in it")
    return parameters


def _last(parameters: list[tuple[str, str]], name: str) -> str | None:
    return next((value for key, value in reversed(parameters) if key == name), None)


def _sort(listable: Listable, parameters: list[tuple[str, str]]) -> tuple[tuple[str, bool], ...]:
    keys = [value for name, value in parameters if name == "sort_key"]
    directions = [value for name, value in parameters if name == "sort_dir"]
    if directions and len(directions) != len(keys):
        raise HTTPBadRequest("The number of sort_keys and sort_dirs must be same")
    for key in keys:
        if key not in listable.sort_keys:
            raise HTTPBadRequest(
                f"['{key}'] is invalid attribute for sort_keys",
                next=f"{listable.collection} have: {', '.join(sorted(listable.sort_keys))}.",
            )
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise invalid("sort_dir", f"'{direction}' is neither asc nor desc")
    names = ["project_id" if key == "tenant_id" else key for key in keys]
    ascending = [direction == "asc" for direction in directions] or [True] * len(keys)
    return tuple(zip(names, ascending, strict=True))


def _limit(given: str | None) -> int | None:
    """Items in a page; 0 means all, as in the Networking API."""
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal()) or int(given[:12]) >= _LIMIT_MAX:
        raise HTTPBadRequest(f"Limit must be an integer 0 or greater and not '{given}'")
    return int(given) or None
