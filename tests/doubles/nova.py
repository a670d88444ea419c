"""A double of Nova's endpoint for external events: a real HTTP server on loopback.

It holds each request against Nova's own contract (nova/api/openstack/compute/schemas/
server_external_events.py of 2.1, and server_external_events.py beside it for the answers), so that
what it takes, Nova takes. It can also refuse, hold requests back, and break connections.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

_UUID = r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$"
_PORTS = range(19_000, 20_000)
_HELD_S_MAX = 60.0
PATH = "/v2.1/os-server-external-events"
TOKEN = "nova's"


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event as Nova's schema has it; a tag is a port's id."""

    server_uuid: Annotated[str, Meta(pattern=_UUID)]
    name: Literal[
        "network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted"
    ]
    status: Literal["failed", "completed", "in-progress"] = "completed"
    tag: Annotated[str, Meta(max_length=255)] | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.status}"


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    events: Annotated[list[Event], Meta(min_length=1)]


class NovaDouble:
    """`instances` are those that exist, with their hosts, None for none yet; None: all are there.

    `heard` are the events that were accepted, `asked` all that came in a request that was of the
    right form, `wrong` what was not as Nova's contract says. `status` fails whole requests with it,
    `breaks` ends their connections, `poison` is an instance whose events fail the whole request.
    While `gate` is clear, requests are held. `is_old`: as an older Nova does, a request of which
    nothing was accepted gets 404. `running_max` is the most requests that ran at once.
    """

    def __init__(self) -> None:
        self.instances: Mapping[str, str | None] | None = None
        self.heard: list[Event] = []
        self.asked: list[list[Event]] = []
        self.peers: list[int] = []
        self.wrong: list[str] = []
        self.status: int | None = None
        self.breaks = False
        self.lacks = False
        self.poison: str | None = None
        self.is_old = False
        self.gate = threading.Event()
        self.gate.set()
        self.running = 0
        self.running_max = 0
        self.lock = threading.Lock()
        self.url = ""

    def heard_of(self, port_id: str) -> list[str]:
        """`name status` of what was accepted about a port, in order."""
        with self.lock:
            return [str(event) for event in self.heard if event.tag == port_id]

    def answer(self, content: bytes, token: str | None) -> tuple[int, Any]:
        if token != TOKEN:
            return 401, {"error": {"code": 401, "message": "the token is not valid"}}
        try:
            events = msgspec.json.decode(content, type=_Body).events
        except msgspec.DecodeError as error:
            self.wrong.append(f"{error}: {content[:200]!r}")
            return 400, {"badRequest": {"code": 400, "message": str(error)}}
        self.asked.append(events)
        if self.status is not None:
            return self.status, {"computeFault": {"code": self.status, "message": "as told"}}
        if any(event.server_uuid == self.poison for event in events):
            return 400, {"badRequest": {"code": 400, "message": "poison"}}
        return self._each(events)

    def _each(self, events: list[Event]) -> tuple[int, Any]:
        codes = [self._code(event.server_uuid) for event in events]
        if self.is_old and 200 not in codes:
            message = "No instances found for any event"
            return 404, {"itemNotFound": {"code": 404, "message": message}}
        self.heard += [event for event, code in zip(events, codes, strict=True) if code == 200]
        said = [
            msgspec.to_builtins(event)
            | {"code": code, "status": "completed" if code == 200 else "failed"}
            for event, code in zip(events, codes, strict=True)
        ]
        status = 200 if set(codes) == {200} else 207
        return status, {"events": said[1:] if self.lacks else said}

    def _code(self, server_uuid: str) -> int:
        if self.instances is None:
            return 200
        if server_uuid not in self.instances:
            return 404
        return 200 if self.instances[server_uuid] else 422


@contextmanager
def nova(port: int | None = None) -> Iterator[NovaDouble]:
    """A double that serves, on this port or any."""
    double = NovaDouble()
    server = _serving(double, _PORTS if port is None else (port,))
    double.url = f"http://127.0.0.1:{server.server_address[1]}/v2.1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield double
    finally:
        double.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _serving(double: NovaDouble, ports: range | tuple[int, ...]) -> "_Server":
    for port in ports:
        try:
            return _Server(("127.0.0.1", port), double)
        except OSError:
            continue
    raise AssertionError(f"no port of {ports} is free")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], double: NovaDouble) -> None:
        self.double = double
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        double = self.server.double
        content = self.rfile.read(int(self.headers["Content-Length"]))
        with double.lock:
            double.running += 1
            double.running_max = max(double.running, double.running_max)
            double.peers.append(self.client_address[1])
        assert double.gate.wait(_HELD_S_MAX)
        with double.lock:
            double.running -= 1
            if double.breaks:
                self.close_connection = True
                return
            self._check(double)
            status, body = double.answer(content, self.headers.get("X-Auth-Token"))
        self._reply(status, msgspec.json.encode(body))

    def _check(self, double: NovaDouble) -> None:
        if self.path != PATH:
            double.wrong.append(f"path {self.path}")
        if not re.match(r"application/json\b", self.headers.get("Content-Type", "")):
            double.wrong.append(f"content type {self.headers.get('Content-Type')}")

    def _reply(self, status: int, content: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except ConnectionError:  # who asked is gone
            self.close_connection = True

    def log_message(self, *_: Any) -> None: ...
