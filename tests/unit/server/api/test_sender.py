"""Streams end when their chunks do, when the client goes, and when the server stops."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from netwright.server.api.sender import Streams


class Connection:
    """A double of an ASGI connection; `gone` is set when the client goes away."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.sent: list[bytes] = []
        self.got = asyncio.Event()

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message["body"])
        self.got.set()


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
    await Streams().run(lines(), connection.receive, connection.send)
    assert connection.sent == [b"a", b"b"]


async def test_a_client_that_goes_away_ends_its_stream() -> None:
    connection, ended = Connection(), asyncio.Event()
    running = asyncio.create_task(
        Streams().run(_endless(ended), connection.receive, connection.send)
    )
    await connection.got.wait()
    connection.gone.set()
    await running
    assert ended.is_set()


async def test_a_stopping_server_ends_all_streams() -> None:
    streams, connections = Streams(), [Connection(), Connection()]
    ended = [asyncio.Event(), asyncio.Event()]
    running = [
        asyncio.create_task(streams.run(_endless(event), one.receive, one.send))
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
        await Streams().run(lines(), connection.receive, connection.send)
