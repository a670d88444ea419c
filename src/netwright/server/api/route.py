"""Routes as data, and what a handler is given."""

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from netwright.server.api.body import read_body
from netwright.server.api.reply import Reply
from netwright.server.commands import Caller
from netwright.server.service import Service


class Access(StrEnum):
    """Who may use a route."""

    PUBLIC = "public"  # anyone, unauthenticated
    PROJECT = "project"  # any project; what it sees is its own
    AGENT = "agent"  # an admin, or a host's agent for its own host
    ADMIN = "admin"


class Parameter(NamedTuple):
    """A query parameter, as the API's description shows it."""

    name: str
    type: Any = str
    repeated: bool = False


class Call:
    """One request: who asks, and its parts, read when they are needed."""

    __slots__ = ("_body_bytes_max", "_receive", "caller", "headers", "path", "scope", "service")

    def __init__(
        self,
        *,
        scope: Mapping[str, Any],
        headers: Mapping[bytes, bytes],
        receive: Callable[[], Awaitable[Any]],
        caller: Caller,
        service: Service,
        body_bytes_max: int,
    ) -> None:
        self.scope = scope
        self.headers = headers
        self.path: Mapping[str, str] = scope["path_params"]
        self.caller = caller
        self.service = service
        self._receive = receive
        self._body_bytes_max = body_bytes_max

    async def body(self) -> bytes:
        """The request's body; raises UnsupportedMediaType, BodyTooLarge, HTTPBadRequest."""
        return await read_body(self._receive, self.headers, self._body_bytes_max)

    @property
    def query(self) -> bytes:
        query: bytes = self.scope["query_string"]
        return query

    @property
    def base_url(self) -> str:
        """Scheme and authority as the client wrote them: links lead back where it came from."""
        host = self.headers.get(b"host", b"").decode("latin-1")
        return f"{self.scope['scheme']}://{host}"


class Route(NamedTuple):
    """One operation. `request` and `response` are the types of its JSON bodies."""

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Reply]]
    access: Access
    summary: str
    request: Any = None
    response: Any = None
    statuses: tuple[int, ...] = (200,)
    parameters: tuple[Parameter, ...] = ()
