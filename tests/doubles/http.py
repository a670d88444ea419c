"""Asks the server's application as a connection would, without sockets or threads."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from netwright.http1.exchange import Exchange


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> Any:
        """What an error's body holds, in either API's form."""
        return self.json.get("NeutronError") or self.json["error"]


class Client:
    """A client of one application; `headers` go with every request."""

    def __init__(self, application: Any, headers: Mapping[str, str] | None = None) -> None:
        self._application = application
        self.headers = dict(headers or {})

    async def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        path, _, query = target.partition("?")
        content = raw if raw is not None else b"" if body is None else msgspec.json.encode(body)
        given = {"host": "netwright:9696", **self.headers, **(headers or {})}
        if content:
            given.setdefault("content-type", "application/json")
        wire = _Wire()
        exchange = Exchange(
            wire,
            method,
            path,
            query.encode("utf-8", "surrogateescape"),
            [(k.lower().encode(), v.encode("latin-1")) for k, v in given.items()],
        )
        for start in range(0, len(content), 65536):
            exchange.feed(content[start : start + 65536])
        exchange.feed_end()
        await self._application(exchange)
        await asyncio.sleep(0)  # a server's loop turns between a reply and the next request
        return _answer(bytes(wire.sent))

    async def get(self, target: str) -> Answer:
        return await self.ask("GET", target)

    async def post(self, target: str, body: Any) -> Answer:
        return await self.ask("POST", target, body)

    async def put(self, target: str, body: Any, **headers: str) -> Answer:
        return await self.ask("PUT", target, body, headers=headers)


class _Wire:
    """A connection whose client reads all and stays."""

    scheme = "http"

    def __init__(self) -> None:
        self.sent = bytearray()

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drained(self) -> None:
        """At once."""

    def read_on(self) -> None:
        """There is no more."""


def _answer(sent: bytes) -> Answer:
    head, _, body = sent.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(_chunks(body))
    return Answer(int(status.split()[1]), headers, body)


def _chunks(body: bytes) -> Iterator[bytes]:
    while body != b"0\r\n\r\n":
        size, _, rest = body.partition(b"\r\n")
        end = int(size, 16)
        assert rest[end : end + 2] == b"\r\n", "the body has no last chunk"
        yield rest[:end]
        body = rest[end + 2 :]
