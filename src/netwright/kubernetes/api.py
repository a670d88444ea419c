"""kube-apiserver over HTTP: single objects, whole lists, watches; all bounded in time.

Credentials are read again when they may have changed: a token's file once it is older than
TOKEN_S_MAX, everything after a 401.
"""

import asyncio
import os
import ssl
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec

from netwright.kubernetes.access import IN_CLUSTER, Access, kubeconfig, service_account
from netwright.kubernetes.objects import (
    METADATA_OF_MANY,
    METADATA_OF_ONE,
    Change,
    Event,
    Listed,
    Metadata,
    Some,
    Status,
)
from netwright.model.errors import Denied, NotFound, Unavailable
from netwright.model.settings import InvalidConfiguration

REQUEST_S_MAX = 10.0
CONNECT_S_MAX = 3.0
WATCH_S = 90
"""How long a watch lasts before kube-apiserver ends it; another goes on from there."""
SILENCE_S_MAX = WATCH_S + 10.0
"""A watch that brings nothing for longer is dead; not all versions send bookmarks meanwhile."""
TOKEN_S_MAX = 10.0
PAGE = 500
LIST_S_MAX = 120.0
LISTED_MAX = 1_000_000
"""Objects; far more than a cluster has of a kind."""
CONTENT_BYTES_MAX = 256 << 20
"""Of an answer; kube-apiserver's own are of a page, or of a node's pods."""
LINE_BYTES_MAX = 4 << 20
"""A line of a watch is an object; etcd's objects are not larger than 1.5 MiB."""

T = TypeVar("T")


class KubernetesAway(Unavailable):
    """kube-apiserver does not answer, or not as it should; it is not the caller's fault."""


class KubernetesDenied(Denied):
    """kube-apiserver does not let us: credentials or RBAC."""


class NotThere(NotFound):
    """kube-apiserver knows no such object."""


class TooOld(Exception):
    """A watch or a list cannot go on from there (410): list anew."""


def read_access(setting: str) -> Access:
    """The access by `in-cluster`, or a kubeconfig's path. Raises InvalidConfiguration."""
    if setting == IN_CLUSTER:
        environment = os.environ
        host = environment.get("KUBERNETES_SERVICE_HOST", "")
        return service_account(host, environment.get("KUBERNETES_SERVICE_PORT", ""))
    path = Path(setting)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no text"
        raise InvalidConfiguration(
            f"The kubeconfig {path} cannot be read: {why}.",
            next=f'Name one that is there, or "{IN_CLUSTER}" in a pod.',
        ) from error
    return kubeconfig(text, path)


class ApiServer:
    """One cluster's. `read` gives the access, again and again: files change."""

    def __init__(self, read: Callable[[], Access], *, connections_max: int = 8) -> None:
        self._read = read
        self._access = read()
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None
        self._token = ""
        self._token_until = 0.0

    @property
    def url(self) -> str:
        return self._access.server

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        session, self._session = self._session, None  # who asks meanwhile opens another
        if session is not None:
            await session.close()

    async def get(self, path: str, kind: type[T], *, metadata_only: bool = False) -> T:
        """One object. Raises NotThere, KubernetesDenied, KubernetesAway."""
        accept = METADATA_OF_ONE if metadata_only else "application/json"
        return self._decoded(path, await self._content(path, {}, accept), kind)

    async def list(self, path: str, **query: str) -> tuple[tuple[Some, ...], str]:
        """All objects of a list by their metadata, and its version, from which a watch goes on.

        Raises as `get`; TooOld when it changed too much between pages.
        """
        try:
            async with asyncio.timeout(LIST_S_MAX):
                return await self._pages(path, {"limit": str(PAGE), **query})
        except TimeoutError:
            raise self._away(f"no whole list of {path} within {LIST_S_MAX:g} s") from None

    async def _pages(self, path: str, query: dict[str, str]) -> tuple[tuple[Some, ...], str]:
        found: list[Some] = []
        while True:
            content = await self._content(path, query, METADATA_OF_MANY)
            page = self._decoded(path, content, Listed)
            found += page.items or ()
            if len(found) > LISTED_MAX:
                raise self._away(f"the list at {path} has more than {LISTED_MAX} objects")
            if not page.metadata.next:
                return tuple(found), page.metadata.resource_version
            query = {**query, "continue": page.metadata.next}
            query.pop("resourceVersion", None)  # the page's own is in what it continues

    async def watch(
        self, path: str, version: str, **query: str
    ) -> AsyncGenerator[tuple[Change, Some], None]:
        """Changes by metadata after a version, until kube-apiserver ends the watch.

        The first is a BOOKMARK of that version: kube-apiserver has taken the watch.
        Raises TooOld, KubernetesDenied, KubernetesAway; also when it was silent for too long.
        """
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S),
            **query,
        }
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_S_MAX, sock_read=SILENCE_S_MAX
        )
        try:
            async with self._open().get(
                self.url + path,
                params=query,
                headers=self._headers(METADATA_OF_ONE),  # each line is an object
                timeout=timeout,
                allow_redirects=False,
                server_hostname=self._access.server_name or None,
            ) as response:
                if not response.ok:
                    raise self._refusal(path, response.status, await self._read_all(path, response))
                try:
                    yield Change.BOOKMARK, Some(metadata=Metadata(resource_version=version))
                    async for line in self._lines(response):
                        yield self._event(path, line)
                finally:
                    _cut(response)
        except TimeoutError:
            raise self._away(f"silent for {SILENCE_S_MAX:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._away(_reason(error)) from error

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        begun = b""
        async for chunk in response.content.iter_any():
            *lines, begun = (begun + chunk).split(b"\n")
            if len(begun) > LINE_BYTES_MAX:
                raise self._away(f"a watch's line is longer than {LINE_BYTES_MAX} bytes")
            for line in filter(None, lines):
                yield line

    def _event(self, path: str, line: bytes) -> tuple[Change, Some]:
        event = self._decoded(path, line, Event)
        if event.type is Change.ERROR:
            status = self._decoded(path, event.object, Status)
            raise self._refusal(path, status.code, bytes(event.object))
        return event.type, self._decoded(path, event.object, Some)

    async def _content(self, path: str, query: dict[str, str], accept: str) -> bytes:
        status, content = await self._answer(path, query, accept)
        if (
            status == HTTPStatus.UNAUTHORIZED
        ):  # a renewed certificate or token, maybe: once more with it
            await self._renew()
            status, content = await self._answer(path, query, accept)
        if status != HTTPStatus.OK:
            raise self._refusal(path, status, content)
        return content

    async def _answer(self, path: str, query: dict[str, str], accept: str) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=REQUEST_S_MAX, sock_connect=CONNECT_S_MAX)
        try:
            async with self._open().get(
                self.url + path,
                params=query,
                headers=self._headers(accept),
                timeout=timeout,
                allow_redirects=False,
                server_hostname=self._access.server_name or None,
            ) as response:
                return response.status, await self._read_all(path, response)
        except TimeoutError:
            raise self._away(f"no answer within {REQUEST_S_MAX:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._away(_reason(error)) from error

    async def _read_all(self, path: str, response: aiohttp.ClientResponse) -> bytes:
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > CONTENT_BYTES_MAX:
                raise self._away(f"its answer at {path} is longer than {CONTENT_BYTES_MAX} bytes")
        return b"".join(chunks)

    async def _renew(self) -> None:
        """With other certificates all connections are; who waits for an answer asks again."""
        before = self._access
        try:
            self._access = self._read()
        except InvalidConfiguration as error:
            raise self._away(error.message) from error
        self._token_until = 0.0
        if self._access != before:
            await self.close()

    def _refusal(self, path: str, status: int, content: bytes) -> Exception:
        try:
            said = msgspec.json.decode(content, type=Status).message
        except msgspec.DecodeError:
            said = " ".join(content[:200].decode("utf-8", "replace").split())
        why = f"kube-apiserver {self.url} answered {status} at {path}" + (
            f": {said}" if said else ""
        )
        match status:
            case HTTPStatus.GONE:
                return TooOld(why)
            case HTTPStatus.NOT_FOUND:
                return NotThere(f"{why}.")
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                return KubernetesDenied(
                    f"{why}.", next="Look at the credentials, and at deploy/kubernetes' roles."
                )
            case _:
                return self._away(why)

    def _decoded(self, path: str, content: bytes | msgspec.Raw, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            raise self._away(f"what it answers at {path} is not Kubernetes': {error}") from error

    def _away(self, why: str) -> KubernetesAway:
        text = why if why.startswith("kube-apiserver") else f"kube-apiserver {self.url}: {why}"
        return KubernetesAway(f"{text}.", next="Look at kube-apiserver; it is tried again.")

    def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": "netwright"}
        if token := self._current_token():
            if not (token.isascii() and token.isprintable()):
                raise self._away("the token for it has characters that no header can hold")
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _current_token(self) -> str:
        file, now = self._access.token_file, time.monotonic()
        if file is None:
            return self._access.token
        if now >= self._token_until:
            try:
                self._token = file.read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise self._away(f"its token's file {file} cannot be read: {error}") from error
            self._token_until = now + TOKEN_S_MAX
        return self._token

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._connections_max, ssl=_tls(self._access), keepalive_timeout=30.0
            )
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session


def _tls(access: Access) -> ssl.SSLContext | bool:
    """Raises KubernetesAway for certificates that are none."""
    if access.server.startswith("http://"):
        return True
    try:
        context = ssl.create_default_context(cadata=access.authorities or None)
        if not access.is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if access.certificate:
            _load(context, access.certificate, access.key)
    except (ssl.SSLError, ValueError) as error:
        raise KubernetesAway(
            f"The certificates for {access.server} cannot be used: {error}.",
            next="Look at the kubeconfig.",
        ) from error
    return context


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """OpenSSL takes certificates from files alone; this one is gone at once."""
    with tempfile.NamedTemporaryFile("w", encoding="ascii", prefix="netwright-") as file:
        file.write(f"{certificate}\n{key}\n")
        file.flush()
        context.load_cert_chain(file.name)


def _cut(response: aiohttp.ClientResponse) -> None:
    """End the connection of a watch that is left midway: a polite end of TLS waits for its peer."""
    transport = response.connection.transport if response.connection else None
    if transport is not None:
        transport.abort()


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return os.strerror(error.os_error.errno).lower()
    return str(error) or type(error).__name__
