"""One line a request, like the others in form, and nobody's words make two of it."""

import asyncio
import io
import json

import structlog
from tests.doubles.http import Client
from tests.doubles.service import ServiceDouble

from netwright.server.access_log import FLUSH_S, AccessLog, Request
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import TokenAuthenticator
from netwright.server.config import LogFormat
from netwright.server.metrics import Metrics

PORT = "0190c9d2-0000-7000-8000-000000000001"
REQUEST = Request("GET", "/v2.0/ports", 200, 1.5, "p", "req-1")


def _client(log: AccessLog) -> Client:
    authenticator = TokenAuthenticator("secret", b"agents")
    edge = Edge(ServiceDouble(), authenticator, Metrics(), body_bytes_max=1 << 20, access_log=log)
    return Client(application(edge), {"x-auth-token": "secret"})


async def test_a_request_is_a_line_with_who_asked_what_and_how_it_went() -> None:
    stream = io.StringIO()
    log = AccessLog(LogFormat.JSON, stream)
    client = _client(log)
    missing = await client.get(f"/v2.0/ports/{PORT}?fields=id")
    await client.get("/nowhere")
    await client.ask("GET", "/v1/hosts", headers={"x-auth-token": "wrong"})
    agents = TokenAuthenticator("secret", b"agents").host_credential("h1")
    await client.ask("GET", "/v1/hosts/h1", headers={"x-auth-token": agents})
    log.flush()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["method"], one["path"], one["status"]) for one in lines] == [
        ("GET", f"/v2.0/ports/{PORT}", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/v1/hosts", 401),
        ("GET", "/v1/hosts/h1", 404),
    ]
    first = lines[0]
    assert first["request_id"] == missing.headers["x-openstack-request-id"]
    assert first["project"] == "0" * 32
    assert 0 < first["duration_ms"] < 1_000
    assert (first["event"], first["level"]) == ("request", "info")
    assert [one["project"] for one in lines[1:]] == ["-", "-", "agent h1"]


async def test_lines_are_written_together_and_soon() -> None:
    stream = io.StringIO()
    log = AccessLog(LogFormat.TEXT, stream)
    log.note(REQUEST)
    assert stream.getvalue() == ""
    await asyncio.sleep(2 * FLUSH_S)
    assert stream.getvalue().endswith(" project=p request_id=req-1\n")


async def test_what_a_caller_chose_cannot_look_like_another_line() -> None:
    stream = io.StringIO()
    log = AccessLog(LogFormat.TEXT, stream)
    log.note(REQUEST._replace(project="a\n2026 [error] x=y", path=""))
    log.flush()
    assert stream.getvalue().count("\n") == 1
    assert r"project='a\n2026 [error] x=y' " in stream.getvalue()
    assert " path='' " in stream.getvalue()


async def test_it_has_the_form_of_the_other_lines() -> None:
    logged, stream = io.StringIO(), io.StringIO()
    structlog.wrap_logger(
        structlog.PrintLogger(logged),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=False, sort_keys=False),
        ],
    ).info("request", **REQUEST._asdict())
    log = AccessLog(LogFormat.TEXT, stream)
    log.note(REQUEST)
    log.flush()
    timestamp = len("2026-11-23T08:00:00.000000Z")
    assert stream.getvalue()[timestamp:] == logged.getvalue()[timestamp:]
