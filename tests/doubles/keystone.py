"""A double of keystone's `/v3/auth/tokens` (Identity API v3): a real HTTP server on loopback.

Its answers have the shapes that keystone 30 gave, which are in `TOKEN`, `UNKNOWN`, `REFUSED`;
`tests/e2e/test_keystone.py` compares them with those of the real one. It knows the users and tokens
that it is told of, counts what it is asked, and can be away, slow, or answer something else.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PORTS = range(20_000, 20_900)
_HELD_S_MAX = 30.0
USER, PASSWORD = "netwright", "netwright's"
EXPIRES_AT = "2999-01-01T00:00:00.000000Z"

TOKEN: Mapping[str, Any] = {
    "methods": ["password"],
    "user": {
        "domain": {"id": "default", "name": "Default"},
        "id": "7b42458c59024d62ad68a528eb44baaa",
        "name": "ann",
        "password_expires_at": None,
    },
    "audit_ids": ["Rb2vH9PhRgeaM3fzSVd-lQ"],
    "expires_at": EXPIRES_AT,
    "issued_at": "2026-11-29T23:30:52.000000Z",
}
"""Of no project, which all tokens have."""
IN_PROJECT: dict[str, Any] = {
    "project": {
        "domain": {"id": "default", "name": "Default"},
        "id": "496e87279b1d4665be6859363305c52b",
        "name": "demo",
    },
    "is_domain": False,
}
IN_SYSTEM: dict[str, Any] = {"system": {"all": True}}
IN_DOMAIN: dict[str, Any] = {"domain": {"id": "default", "name": "Default"}}
PROJECT_ID: str = IN_PROJECT["project"]["id"]

UNKNOWN = {
    "error": {"code": 404, "message": "Could not recognize Fernet token", "title": "Not Found"}
}
REFUSED = {
    "error": {
        "code": 401,
        "message": "The request you have made requires authentication.",
        "title": "Unauthorized",
    }
}


def token(*roles: str, scope: Mapping[str, Any] = IN_PROJECT, **others: Any) -> dict[str, Any]:
    """What keystone says of a token with these roles."""
    named = [{"id": f"id of {role}", "name": role} for role in roles]
    return {**TOKEN, **scope, **({"roles": named} if roles else {}), **others}


class KeystoneDouble:
    """`tokens` are those it vouches for, `asked` the ones it was asked about.

    `logins` counts log-ins. While `gate` is clear, requests are held. `status` and `content` are
    answered instead of what is right.
    """

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        self.password = PASSWORD
        self.own = "own-0"
        self.asked: list[str] = []
        self.logins: list[Any] = []
        self.queries: list[str] = []
        self.status: int | None = None
        self.content = b"not what keystone says"
        self.gate = threading.Event()
        self.gate.set()
        self.url = ""

    def log_in(self, content: bytes) -> tuple[int, Any, str]:
        body = json.loads(content)
        self.logins.append(body)
        user = body["auth"]["identity"]["password"]["user"]
        if (user["name"], user["password"]) != (USER, self.password):
            return 401, REFUSED, ""
        self.own = f"own-{len(self.logins)}"
        return 201, {"token": token("service")}, self.own

    def vouch(self, own: str | None, subject: str | None) -> tuple[int, Any, str]:
        if own != self.own:
            return 401, REFUSED, ""
        self.asked.append(subject or "")
        if subject not in self.tokens:
            return 404, UNKNOWN, ""
        return 200, {"token": self.tokens[subject]}, subject


@contextmanager
def keystone_double() -> Iterator[KeystoneDouble]:
    double = KeystoneDouble()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            self._answer(double.log_in(content))

        def do_GET(self) -> None:
            double.gate.wait(_HELD_S_MAX)
            double.queries.append(self.path)
            headers = self.headers
            self._answer(double.vouch(headers["x-auth-token"], headers["x-subject-token"]))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _answer(self, answer: tuple[int, Any, str]) -> None:
            status, body, subject = answer
            content = json.dumps(body).encode()
            if double.status is not None:
                status, content = double.status, double.content
            self.send_response(status)
            if subject:
                self.send_header("X-Subject-Token", subject)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = _listening(Handler)
    double.url = f"http://127.0.0.1:{server.server_address[1]}/v3"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield double
    finally:
        double.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that gave up."""


def _listening(handler: type[BaseHTTPRequestHandler]) -> _Server:
    for port in _PORTS:
        try:
            return _Server(("127.0.0.1", port), handler)
        except OSError:
            continue
    raise AssertionError("no port is free")
