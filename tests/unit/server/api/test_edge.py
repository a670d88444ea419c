"""What holds for every route: forms of errors, bounds, request ids, health, description."""

import pytest
from tests.doubles.http import Client
from tests.doubles.service import ServiceDouble

from netwright.model.errors import IpAddressGenerationFailure, StaleRevision, Unavailable
from netwright.server.api.v2 import extensions

NETWORK = "0190c9d2-0000-7000-8000-000000000001"
PORT = {"port": {"network_id": NETWORK}}


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"port": \xff}', 400),
        (b'{"port": {"name": "\xff"}}', 400),
        (b'{"port": {"\xff": 1}}', 400),
        (b'{"port": {"name": "\\ud800"}}', 400),
        (b"[" * 200_000, 400),
        (b'{"port": {"binding:profile": {"a":' + b"[" * 200_000, 400),
        (b'{"port": {"binding:profile": {"a":' + b"[" * 50 + b"]" * 50 + b"}}}", 400),
        (b'{"port": {"binding:profile": {"a": 1e999}}}', 400),
        (b'{"port": {"network_id": NaN}}', 400),
        (b'"\\u0000"', 400),
        (b" " * (1 << 20) + b" ", 413),
        (b'{"port": "' + b"x" * (2 << 20) + b'"}', 413),
    ],
)
async def test_malformed_bodies_are_the_callers_fault(
    client: Client, service: ServiceDouble, raw: bytes, status: int
) -> None:
    answer = await client.ask("POST", "/v2.0/ports", raw=raw)
    assert answer.status == status
    assert answer.error["message"]
    assert not service.commands


async def test_a_long_body_is_refused_before_it_comes(client: Client) -> None:
    answer = await client.ask("POST", "/v2.0/ports", PORT, headers={"content-length": "9999999"})
    assert answer.status == 413


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_is_understood(client: Client, media: str) -> None:
    answer = await client.ask("POST", "/v2.0/ports", PORT, headers={"content-type": media})
    assert (answer.status, answer.error["type"]) == (415, "HTTPUnsupportedMediaType")
    good = {"content-type": "Application/JSON; charset=utf-8"}
    assert (await client.ask("POST", "/v2.0/ports", PORT, headers=good)).status == 201


async def test_unknown_paths_and_methods_in_both_forms(client: Client) -> None:
    answer = await client.get("/v2.0/firewalls")
    assert (answer.status, answer.json["NeutronError"]["type"]) == (404, "HTTPNotFound")
    answer = await client.get("/v1/routers")
    assert (answer.status, answer.json["error"]["fault"]) == (404, "caller")
    answer = await client.ask("PATCH", "/v2.0/ports")
    assert (answer.status, answer.error["type"]) == (405, "HTTPMethodNotAllowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))
    assert (await client.ask("DELETE", "/v1/hosts")).json["error"]["type"] == "HTTPMethodNotAllowed"
    assert (await client.ask("SPELL", "/v1/hosts")).status == 405
    assert (await client.get("/v1/hosts/")).status == 200
    for odd in ("//v1/hosts", "/v1//hosts", "/v1/ports//history", "//"):
        assert (await client.get(odd)).status == 404, odd
    assert answer.headers["x-openstack-request-id"].startswith("req-")


async def test_options_name_every_method(client: Client) -> None:
    answer = await client.ask("OPTIONS", f"/v2.0/ports/{NETWORK}")
    assert answer.status == 204
    assert answer.headers["allow"] == "DELETE, GET, OPTIONS, PUT"


async def test_the_services_errors_keep_their_words(client: Client, service: ServiceDouble) -> None:
    service.failure = IpAddressGenerationFailure("No address is left.", next="Wait 7 s.")
    answer = await client.post("/v2.0/ports", PORT)
    assert answer.status == 409
    assert answer.json == {
        "NeutronError": {
            "type": "IpAddressGenerationFailure",
            "message": "No address is left.",
            "detail": "Wait 7 s.",
        }
    }
    service.failure = StaleRevision("It is 3 by now.")
    answer = await client.post("/v2.0/ports", PORT)
    assert (answer.status, answer.error["type"]) == (412, "RevisionNumberConstraintFailed")


async def test_unavailable_says_when_to_come_back(client: Client, service: ServiceDouble) -> None:
    service.failure = Unavailable("The database is locked.", next="Try again.")
    answer = await client.post("/v2.0/ports", PORT)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    answer = await client.get("/readyz")
    assert (answer.status, "database" in answer.error["message"]) == (503, True)


@pytest.mark.parametrize("target", ["/v2.0/ports", "/v1/reports"])
async def test_defects_are_ours_and_traced(
    client: Client, service: ServiceDouble, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.failure = ZeroDivisionError("oops")
    body = PORT if "ports" in target and "re" not in target else {"host": "h1", "epoch": "e"}
    answer = await client.post(target, body)
    assert (answer.status, answer.error["type"]) == (500, "InternalServerError")
    assert "oops" not in answer.error["message"]
    assert answer.headers["x-openstack-request-id"] in answer.error["message"]
    out, err = capsys.readouterr()
    assert answer.headers["x-openstack-request-id"] in out + err


async def test_versions_lead_clients_in(client: Client) -> None:
    assert (await client.get("/")).json == {
        "versions": [
            {
                "id": "v2.0",
                "status": "CURRENT",
                "links": [{"rel": "self", "href": "http://netwright:9696/v2.0/"}],
            }
        ]
    }
    for target in ("/v2.0", "/v2.0/"):
        resources = (await client.get(target)).json["resources"]
        assert {one["collection"] for one in resources} >= {"networks", "subnets", "ports"}


async def test_health_and_metrics_need_no_token(client: Client) -> None:
    client.headers.clear()
    assert (await client.get("/healthz")).status == 200
    assert (await client.get("/readyz")).status == 200
    await client.get("/v2.0/ports")
    metrics = await client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    refused = b'netwright_http_requests_total{method="GET",route="/v2.0/ports",status="401"} 1.0'
    assert refused in metrics.body


async def test_extensions(client: Client) -> None:
    listed = (await client.get("/v2.0/extensions")).json["extensions"]
    assert {one["alias"] for one in listed} == extensions.announced()
    one = (await client.get("/v2.0/extensions/binding")).json["extension"]
    assert (one["alias"], one["links"]) == ("binding", [])
    answer = await client.get("/v2.0/extensions/vpnaas")
    assert (answer.status, answer.error["type"]) == (404, "ExtensionNotFound")


async def test_the_description_holds_every_route(client: Client) -> None:
    document = (await client.get("/openapi.json")).json
    assert document["openapi"].startswith("3.1")
    assert {"get", "post"} <= set(document["paths"]["/v2.0/ports"])
    assert {"get", "put", "delete"} <= set(document["paths"]["/v2.0/ports/{id}"])
    assert "/v1/watch" in document["paths"]
    view = document["components"]["schemas"]["PortView"]["properties"]
    assert "binding:host_id" in view
