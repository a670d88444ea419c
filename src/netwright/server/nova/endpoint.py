"""Nova's HTTP endpoint: sends events, and says how they were received.

The contract is Nova's `POST /os-server-external-events`
(https://docs.openstack.org/api-ref/compute/#create-external-events-os-server-external-events).
Whatever goes wrong is an `Answer`, never an exception: the sender tries again.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from netwright.server.nova.answers import UNKNOWN_INSTANCE, Answer, Reception
from netwright.server.nova.notices import Notice

PATH = "/os-server-external-events"
CONNECT_S_MAX = 5.0
KEEP_ALIVE_S = 2.0
ANSWER_BYTES_MAX = 1 << 20
_WHY_MAX = 200
_TOKEN_LENGTH_MAX = 8192
_NONE_ACCEPTED = b"No instances found for any event"
_UNAUTHENTICATED, _DENIED = 401, 403
# The caller's mistakes that one event may have made; the others are the server's, or pass.
_OF_CONTENT = frozenset({400, 409, 413, 415, 422})


class _Event(msgspec.Struct):
    """An event of an answer, as far as it matters."""

    server_uuid: str
    name: str
    tag: str | None = None
    code: int | None = None


class _Events(msgspec.Struct):
    events: tuple[_Event, ...]


_decode = msgspec.json.Decoder(_Events).decode


class TokenUnreadable(Exception):
    """The token's file cannot be read, or holds none."""


class NovaEndpoint:
    """Nova at `url`, such as http://controller:8774/v2.1.

    The token is read from its file at each use, so that it may be renewed there.
    """

    def __init__(self, url: str, token_file: Path | None, timeout_s: float) -> None:
        self.url = url.rstrip("/") + PATH
        self._token_file = token_file
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s, sock_connect=min(timeout_s, CONNECT_S_MAX)
        )
        self._session: aiohttp.ClientSession | None = None

    async def tell(self, notices: Sequence[Notice]) -> Answer:
        """Send the notices' events in one request."""
        try:
            return await self._tell(notices)
        except TokenUnreadable as error:
            return _away(str(error))
        except TimeoutError:
            return _away(f"{self.url} gave no answer within {self._timeout.total:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _away(f"{self.url} cannot be asked: {_reason(error)}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _tell(self, notices: Sequence[Notice]) -> Answer:
        body = msgspec.json.encode({"events": [event_of(notice) for notice in notices]})
        async with self._open().post(
            self.url, data=body, headers=self._headers(), allow_redirects=False
        ) as response:
            content = await _read(response)
        if response.status in {200, 207}:
            return self._each(notices, response.status, content)
        if response.status == UNKNOWN_INSTANCE and _NONE_ACCEPTED in content:
            return Answer(
                reception=Reception.NONE_ACCEPTED,
                status=response.status,
                why="Nova knows no host of any instance that was in the request",
            )
        is_content = response.status in _OF_CONTENT
        return Answer(
            reception=Reception.REFUSED if is_content else Reception.AWAY,
            status=response.status,
            why=self._why(response.status, content),
        )

    def _each(self, notices: Sequence[Notice], status: int, content: bytes) -> Answer:
        try:
            events = _decode(content).events
        except msgspec.DecodeError as error:
            why = f"{self.url} answered {status}, but not as Nova does: {error}"
            return Answer(reception=Reception.AWAY, status=status, why=why)
        codes = {(event.server_uuid, event.name, event.tag): event.code for event in events}
        found = (codes.get((n.server_uuid, n.name.value, n.port_id)) for n in notices)
        return Answer(reception=Reception.EACH, status=status, codes=tuple(found))

    def _why(self, status: int, content: bytes) -> str:
        said = " ".join(content[:_WHY_MAX].decode("utf-8", "replace").split())
        why = f"{self.url} answered {status}" + (f": {said}" if said else "")
        if status in {_UNAUTHENTICATED, _DENIED}:
            given = self._token_file or "none: nova_token_file is not set"
            return f"{why}; the token is not accepted ({given})"
        if status == UNKNOWN_INSTANCE:
            return f"{why}; is nova_endpoint right?"
        return why

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token_file is not None:
            headers["X-Auth-Token"] = _token(self._token_file)
        return headers

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=KEEP_ALIVE_S),
                headers={"User-Agent": "netwright"},
                timeout=self._timeout,
            )
        return self._session


def event_of(notice: Notice) -> dict[str, Any]:
    """The notice in Nova's form."""
    return {
        "server_uuid": notice.server_uuid,
        "name": notice.name.value,
        "status": notice.status.value,
        "tag": notice.port_id,
    }


def _token(path: Path) -> str:
    """The token in a file. Raises TokenUnreadable."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise TokenUnreadable(f"nova_token_file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TokenUnreadable(f"nova_token_file {path} holds no token") from error
    if not token or len(token) > _TOKEN_LENGTH_MAX or len(token.split()) > 1:
        raise TokenUnreadable(f"nova_token_file {path} does not hold one token alone")
    return token


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The answer's content, as far as it is of a sane length."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > ANSWER_BYTES_MAX:
            raise ValueError(f"its answer is longer than {ANSWER_BYTES_MAX} bytes")
    return bytes(content)


def _away(why: str) -> Answer:
    return Answer(reception=Reception.AWAY, why=why)


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return os.strerror(error.os_error.errno).lower()
    return str(error) or type(error).__name__
