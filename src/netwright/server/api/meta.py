"""What a client finds before it knows the API: versions, health, metrics, the description."""

from collections.abc import Sequence

from netwright.server.api.openapi import document
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.census import CensusKept
from netwright.server.metrics import Metrics

_EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"
_COLLECTIONS = ("network", "subnet", "subnetpool", "port", "router", "floatingip", "extension")


def routes(metrics: Metrics, kept: CensusKept, described: Sequence[Route]) -> tuple[Route, ...]:
    async def show_metrics(_call: Call) -> Reply:
        metrics.show(await kept.census())
        return Reply(200, metrics.exposition(), content_type=_EXPOSITION)

    async def openapi(_call: Call) -> Reply:
        return Reply(200, description)

    public = Access.PUBLIC
    own = (
        Route("GET", "/", _versions, public, "The Networking API's versions", response=dict),
        Route("GET", "/v2.0", _resources, public, "What is in the Networking API", response=dict),
        Route("GET", "/healthz", _healthz, public, "Whether the process answers", response=dict),
        Route("GET", "/readyz", _readyz, public, "Whether requests can be served", response=dict),
        Route("GET", "/metrics", show_metrics, public, "Metrics for Prometheus"),
        Route("GET", "/openapi.json", openapi, public, "This description", response=dict),
    )
    description = document([*own, *described])
    return own


async def _versions(call: Call) -> Reply:
    return json_reply({"versions": [{"id": "v2.0", "status": "CURRENT", "links": _self(call)}]})


async def _resources(call: Call) -> Reply:
    resources = [
        {
            "name": name,
            "collection": f"{name}s",
            "links": [{"rel": "self", "href": f"{call.base_url}/v2.0/{name}s"}],
        }
        for name in _COLLECTIONS
    ]
    return json_reply({"resources": resources})


async def _healthz(_call: Call) -> Reply:
    return json_reply({"status": "ok"})


async def _readyz(call: Call) -> Reply:
    await call.service.ready()
    return json_reply({"status": "ok"})


def _self(call: Call) -> list[dict[str, str]]:
    return [{"rel": "self", "href": f"{call.base_url}/v2.0/"}]
