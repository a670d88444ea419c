"""One request and its reply, as an application has them; a connection reads and writes them.

    head read ─▶ receive the body, or not ─▶ reply                 whole, in one write
                                         └─▶ begin ─▶ write … ─▶ end    in parts

An application that returns amid a reply in parts ends the connection: the client knows by the last
chunk that never comes that it has not got everything (RFC 9112, section 8).
"""

import asyncio
import time
from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

Fields = Sequence[tuple[bytes, bytes]]
"""Names in lower case, and values."""

_WITHOUT_BODY = frozenset({204, 304})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = b"connection: close\r\n\r\n"


class ClientGone(Exception):
    """The body is not whole and never will be: the client went away, or sent what is none."""


class BodyTooLong(Exception):
    """The body has more bytes than are taken."""


class Wire(Protocol):
    """What an exchange needs of its connection."""

    scheme: str

    def write(self, data: bytes) -> None:
        """Send this, after all that was written before."""

    async def drained(self) -> None:
        """Until the client has read enough that more can be written, or is gone."""

    def read_on(self) -> None:
        """More is wanted of the body, or news of the client's going."""


class Exchange:
    """`path` is decoded, `query` is not. `keeps_alive`: the connection goes on after the reply."""

    __slots__ = (
        "_chunked",
        "_chunks",
        "_expects_continue",
        "_has_ended",
        "_is_old",
        "_waiter",
        "_wire",
        "fields",
        "has_begun",
        "headers",
        "held_bytes",
        "is_complete",
        "is_gone",
        "keeps_alive",
        "method",
        "path",
        "query",
    )

    def __init__(
        self,
        wire: Wire,
        method: str,
        path: str,
        query: bytes,
        headers: Fields,
        *,
        keeps_alive: bool = True,
        is_old: bool = False,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.fields = dict(headers)  # of those that are there twice, the last
        self.keeps_alive = keeps_alive
        self.has_begun = False
        self.is_complete = False
        self.is_gone = False
        self.held_bytes = 0
        self._wire = wire
        self._is_old = is_old  # HTTP/1.0, which knows no chunks
        expects = self.fields.get(b"expect", b"").lower() == b"100-continue"
        self._expects_continue = expects and not is_old  # RFC 9110, section 15.2
        self._chunks: list[bytes] = []
        self._chunked = False
        self._has_ended = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def scheme(self) -> str:
        return self._wire.scheme

    # -- the request's body

    async def body(self, bytes_max: int, timeout_s: float) -> bytes:
        """The whole body. Raises BodyTooLong once more has come, TimeoutError, ClientGone."""
        if self._has_ended:  # nearly always: no timeout is set for what is there
            chunks = self._chunks
            whole = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            if len(whole) > bytes_max:
                raise BodyTooLong
            return whole
        parts: list[bytes] = []
        size = 0
        async with asyncio.timeout(timeout_s):
            while part := await self.receive():
                size += len(part)
                if size > bytes_max:
                    raise BodyTooLong
                parts.append(part)
        return b"".join(parts)

    async def receive(self) -> bytes:
        """What has come of the body since the last time; b"" at its end. Raises ClientGone."""
        while not self._chunks:
            if self._has_ended:
                return b""
            if self.is_gone:
                raise ClientGone
            if self._expects_continue:
                self._expects_continue = False
                self._wire.write(_CONTINUE)
            await self._news()
        received = b"".join(self._chunks)
        self._chunks.clear()
        self.held_bytes = 0
        return received

    async def gone(self) -> None:
        """Until the client has gone away; what it sends meanwhile is dropped.

        Its going is not seen behind a further request that it has sent already (pipelining).
        """
        while not self.is_gone:
            self._chunks.clear()
            self.held_bytes = 0
            await self._news()

    # -- the reply

    def reply(self, status: int, fields: Fields, body: bytes) -> None:
        """Send a whole reply."""
        lines = self._head(status, fields)
        if status not in _WITHOUT_BODY:
            lines.append(b"content-length: %d\r\n" % len(body))
        lines.append(b"\r\n" if self.keeps_alive else _CLOSE)
        if self.method != "HEAD":
            lines.append(body)
        self.is_complete = True
        self._wire.write(b"".join(lines))

    def begin(self, status: int, fields: Fields) -> None:
        """Send the head of a reply whose body follows in parts."""
        self._chunked = not self._is_old and self.method != "HEAD"
        lines = self._head(status, fields)
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n" if self.keeps_alive else _CLOSE)
        self._wire.write(b"".join(lines))

    async def write(self, part: bytes) -> None:
        """Send a part of the body, once the client has read enough of those before."""
        await self._wire.drained()
        if part and self.method != "HEAD":
            self._wire.write(b"%x\r\n%b\r\n" % (len(part), part) if self._chunked else part)

    def end(self) -> None:
        """The body is whole."""
        self.is_complete = True
        if self._chunked:
            self._wire.write(b"0\r\n\r\n")

    def _head(self, status: int, fields: Fields) -> list[bytes]:
        """Its lines as far as they are the same for all replies. Raises ValueError."""
        if self.has_begun:
            raise ValueError("a request has one reply")
        if self._expects_continue and not self._has_ended:  # does the body come now? Nobody knows
            self.keeps_alive = False
        lines = [_status_line(status), _date_line(int(time.time()))]
        for name, value in fields:
            lines.append(b"%b: %b\r\n" % (name, value))
        said = b"".join(lines)
        if not len(lines) == said.count(b"\n") == said.count(b"\r"):  # a value would begin a line
            raise ValueError(f"{fields!r} cannot be headers")
        self.has_begun = True
        return lines

    # -- the connection's side

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.held_bytes += len(chunk)
        self._wake()

    def feed_end(self) -> None:
        self._has_ended = True
        self._wake()

    def lose(self) -> None:
        self.is_gone = True
        self._wake()

    async def _news(self) -> None:
        self._wire.read_on()
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None


def plain_reply(status: int, said: bytes) -> bytes:
    """A reply to what is no request, after which the connection is closed."""
    fields = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(said)
    return b"".join((_status_line(status), _date_line(int(time.time())), fields, _CLOSE, said))


@lru_cache(maxsize=128)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()


@lru_cache(maxsize=1)
def _date_line(second: int) -> bytes:
    return f"date: {formatdate(second, usegmt=True)}\r\n".encode()
