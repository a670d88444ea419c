"""A double of an identity service (Identity API v3): one user, one project, a catalog with us.

It is what a client needs to know who it is; it checks no password, and no server asks it anything.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT_ID = "1" * 32
PROJECT = {"id": PROJECT_ID, "name": "demo", "domain_id": "default", "enabled": True}
OPTIONS = (
    *("--os-auth-type", "v3password", "--os-username", "ann", "--os-password", "any"),
    *("--os-project-name", "demo", "--os-user-domain-id", "default"),
    *("--os-project-domain-id", "default"),
)
"""Of the `openstack` command; `--os-auth-url` goes with them."""


@contextmanager
def identity(port: int, network_url: str) -> Iterator[str]:
    """The URL of one that names this server as the cloud's network service."""
    url = f"http://127.0.0.1:{port}/v3"

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            self._answer(201, {"token": _token(url, network_url)}, ("X-Subject-Token", "token"))

        def do_GET(self) -> None:
            if "/projects/" in self.path:
                found = self.path.endswith(PROJECT_ID)
                self._answer(200 if found else 404, {"project": PROJECT} if found else {})
            elif "/projects" in self.path:
                self._answer(200, {"projects": [PROJECT]})
            else:
                links = [{"rel": "self", "href": url}]
                self._answer(200, {"version": {"id": "v3.14", "status": "stable", "links": links}})

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _answer(self, status: int, body: Any, *headers: tuple[str, str]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (*headers, ("Content-Length", str(len(content)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _token(url: str, network_url: str) -> dict[str, Any]:
    domain = {"id": "default", "name": "Default"}
    return {
        "methods": ["password"],
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": "2999-01-01T00:00:00.000000Z",
        "user": {"id": "u", "name": "ann", "domain": domain},
        "project": {"id": PROJECT_ID, "name": "demo", "domain": domain},
        "roles": [{"id": "r", "name": "admin"}],
        "catalog": [_service("identity", url), _service("network", network_url)],
    }


def _service(kind: str, url: str) -> dict[str, Any]:
    where = {"id": kind, "interface": "public", "region": "R", "region_id": "R", "url": url}
    return {"id": kind, "type": kind, "name": kind, "endpoints": [where]}
