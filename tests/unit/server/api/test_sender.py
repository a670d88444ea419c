"""Streams end when their chunks do, when the client goes, and when the server stops."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from netwright.http1.exchange import Exchange
from netwright.server.api.sender import Streams


class Connection:
    """A double of a connection, and the exchange on it; `gone` is called when the client goes."""

    scheme = "http"

    def __init__(self) -> None:
        self.exchange = Exchange(self, "GET", "/", b"", ())
        self.sent: list[bytes] = []
        self.got = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        self.got.set()

    async def drained(self) -> None:
        """At once."""

    def read_on(self) -> None:
        """Nothing comes."""


async def _endless(ended: asyncio.Event) -> AsyncIterator[bytes]:
    try:
        yield b"line"
        await asyncio.Event().wait()
    finally:
        ended.set()


async def test_a_stream_that_ends() -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    connection = Connection()
    await Streams().run(lines(), connection.exchange)
    assert connection.sent == [b"a", b"b"]


async def test_a_client_that_goes_away_ends_its_stream() -> None:
    connection, ended = Connection(), asyncio.Event()
    running = asyncio.create_task(Streams().run(_endless(ended), connection.exchange))
    await connection.got.wait()
    connection.exchange.lose()
    await running
    assert ended.is_set()


async def test_a_stopping_server_ends_all_streams() -> None:
    streams, connections = Streams(), [Connection(), Connection()]
    ended = [asyncio.Event(), asyncio.Event()]
    running = [
        asyncio.create_task(streams.run(_endless(event), one.exchange))
        for one, event in zip(connections, ended, strict=True)
    ]
    for one in connections:
        await one.got.wait()
    streams.end()
    await asyncio.gather(*running)
    assert all(event.is_set() for event in ended)


async def test_a_stream_that_fails_breaks_the_connection() -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"a"
        raise ZeroDivisionError

    connection = Connection()
    with pytest.raises(ZeroDivisionError):
        await Streams().run(lines(), connection.exchange)
