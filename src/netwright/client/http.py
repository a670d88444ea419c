"""HTTP to a server: bounded in time, typed answers, errors that name the server."""

import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from netwright.client.errors import from_response, nonsense, unreachable

T = TypeVar("T")

REQUEST_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 5.0
ERROR_BYTES_MAX = 64 * 1024
KEEP_ALIVE_S = 2.0
"""A connection that was idle for longer is not used again: servers close theirs after 5 s or more,
and a request that meets the closing would be lost."""


class Http:
    """A session with one server.

    `token` goes along as X-Auth-Token; `project_id` as X-Project-Id, which only a server without
    authentication heeds.
    """

    def __init__(
        self,
        server: str,
        *,
        token: str | None = None,
        project_id: str | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self.server = server.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        self._headers = {"Accept": "application/json", "User-Agent": "netwright"}
        if token:
            self._headers["X-Auth-Token"] = token
        if project_id:
            self._headers["X-Project-Id"] = project_id
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: Any = None,
        params: Mapping[str, str] | list[tuple[str, str]] | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        timeout_s: float | None = None,
    ) -> T:
        """Send a request and decode its answer; `answer` is `NoneType` for one without content.

        `timeout_s` is given where another than the session's is right.
        Raises the class of `model.errors` that the server names; `Unavailable` when it does not
        answer in time; `InternalError` for an answer that is not the API's.
        """
        url = self.server + path
        data = None if body is None else msgspec.json.encode(body)
        given = {} if data is None else {"Content-Type": "application/json"}
        timeout = self._timeout
        if timeout_s is not None:
            timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        try:
            async with self._open().request(
                method,
                url,
                data=data,
                params=params,
                headers={**given, **headers},
                timeout=timeout,
            ) as response:
                content = await response.read()
        except TimeoutError:
            raise unreachable(self.server, f"no answer within {timeout.total:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(self.server, _reason(error)) from error
        if not response.ok:
            raise from_response(url, response.status, content)
        if answer is type(None):
            return None
        try:
            return msgspec.json.decode(content, type=answer)
        except msgspec.DecodeError as error:
            raise nonsense(url, str(error)) from error

    async def stream(
        self, path: str, *, params: list[tuple[str, str]], silence_s: float
    ) -> AsyncIterator[bytes]:
        """Yield the chunks of an endless answer as they come, until the server ends it.

        Raises `Unavailable` when the connection breaks or no byte came for `silence_s`.
        """
        url = self.server + path
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=silence_s
        )
        try:
            async with self._open().get(url, params=params, timeout=timeout) as response:
                if not response.ok:
                    content = await response.content.read(ERROR_BYTES_MAX)
                    raise from_response(url, response.status, content)
                async for chunk in response.content.iter_any():
                    yield chunk
        except TimeoutError:
            raise unreachable(self.server, f"silent for {silence_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(self.server, _reason(error)) from error

    def _open(self) -> aiohttp.ClientSession:
        # Made at first use: a session belongs to the event loop that runs then.
        if self._session is None:
            connector = aiohttp.TCPConnector(keepalive_timeout=KEEP_ALIVE_S)
            self._session = aiohttp.ClientSession(
                connector=connector, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, socket.gaierror):
            return f"the name {error.host} does not resolve"
        if isinstance(error.os_error, ssl.SSLError) and not _is_certificates(error.os_error):
            return "nothing speaks TLS there, so write http://"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return os.strerror(error.os_error.errno).lower()  # asyncio words it by the address again
    return str(error) or type(error).__name__


def _is_certificates(error: ssl.SSLError) -> bool:
    """TLS is spoken there, by somebody whom we do not know."""
    return isinstance(error, ssl.SSLCertVerificationError)
