"""Routes as data, and what a handler is given."""

import re
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from netwright.http1.exchange import Exchange
from netwright.model.errors import HTTPBadRequest
from netwright.server.api.body import read_body
from netwright.server.api.reply import Reply
from netwright.server.commands import Caller
from netwright.server.service import Service

_NO_PREFERENCES: frozenset[str] = frozenset()
_HOST = re.compile(rb"[0-9A-Za-z!$&'()*+,;=\-._~:\[\]@%]*")  # uri-host and port, RFC 3986


class Access(StrEnum):
    """Who may use a route."""

    PUBLIC = "public"  # anyone, unauthenticated
    PROJECT = "project"  # any project; what it sees is its own
    AGENT = "agent"  # an admin, or a host's agent for its own host
    FABRIC = "fabric"  # an admin, or the fabric controller
    WATCH = "watch"  # an admin, a host's agent or the fabric controller
    ADMIN = "admin"


class Parameter(NamedTuple):
    """A query parameter, as the API's description shows it."""

    name: str
    type: Any = str
    repeated: bool = False


NOBODY = Caller(project_id="")
"""Who asks until that is known; who asks for a public route is never known."""


class Call:
    """One request: who asks, and its parts, read when they are needed."""

    __slots__ = ("_body_bytes_max", "caller", "exchange", "headers", "path", "service")

    def __init__(
        self,
        exchange: Exchange,
        path: Mapping[str, str],
        service: Service,
        body_bytes_max: int,
    ) -> None:
        self.exchange = exchange
        self.headers: Mapping[bytes, bytes] = exchange.fields
        self.path = path
        self.caller = NOBODY
        self.service = service
        self._body_bytes_max = body_bytes_max

    async def body(self) -> bytes:
        """The request's body; raises UnsupportedMediaType, BodyTooLarge, HTTPBadRequest."""
        return await read_body(self.exchange, self.headers, self._body_bytes_max)

    @property
    def query(self) -> bytes:
        return self.exchange.query

    @property
    def preferences(self) -> frozenset[str]:
        """What the client would like, in lower case: `Prefer: handling=lenient` (RFC 7240)."""
        if b"prefer" not in self.headers:
            return _NO_PREFERENCES
        fields = (value for name, value in self.exchange.headers if name == b"prefer")
        wishes = b",".join(fields).decode("latin-1").lower().split(",")
        return frozenset(wish.partition(";")[0].strip().replace('"', "") for wish in wishes)

    @property
    def base_url(self) -> str:
        """Scheme and authority as the client wrote them: links lead back where it came from."""
        host = self.headers.get(b"host", b"")
        if not _HOST.fullmatch(host):
            raise HTTPBadRequest(
                f"The Host header is {host.decode('latin-1')!r}, which is no host.",
                next="Send the server's name or address, with its port (RFC 9110, section 7.2).",
            )
        return f"{self.exchange.scheme}://{host.decode()}"


class Route(NamedTuple):
    """One operation. `request` and `response` are the types of its JSON bodies.

    `lenient` is that of the response to a client that prefers each item by itself. `headers` are
    those of requests that mean something here.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Reply]]
    access: Access
    summary: str
    request: Any = None
    response: Any = None
    statuses: tuple[int, ...] = (200,)
    parameters: tuple[Parameter, ...] = ()
    headers: tuple[str, ...] = ()
    lenient: Any = None


class Found(NamedTuple):
    """What is at a path: its template, its routes by method, the parameters in it."""

    path: str
    routes: Mapping[str, Route]
    parameters: Mapping[str, str]
