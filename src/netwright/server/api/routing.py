"""Finds a request's route and has the edge serve it: what connections call (`http1`)."""

from collections.abc import Awaitable, Sequence
from typing import Any

from falcon.routing import CompiledRouter

from netwright.http1.exchange import Exchange
from netwright.server.api.edge import Edge
from netwright.server.api.route import Found, Route

_NOTHING = Found("", {}, {})


class Application:
    """Serves routes by an edge. A `/` at a path's end changes nothing.

    Falcon's router alone is used (`docs/adr/0008`): it maps a path to the routes of its template.
    """

    def __init__(self, edge: Edge, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._edge = edge
        self._router = CompiledRouter()
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        for path, own in by_path.items():
            self._router.add_route(path, own)
        self._router.find("/")  # compiles it now, not at the first request

    def __call__(self, exchange: Exchange) -> Awaitable[None]:
        return self._edge.serve(self._found(exchange.path), exchange)

    def _found(self, path: str) -> Found:
        found = None if "//" in path else self._router.find(path.rstrip("/") or "/")
        if found is None:
            return _NOTHING
        routes: Any  # falcon calls it a resource, and an object
        routes, _, parameters, template = found
        return Found(template or "", routes, parameters)
