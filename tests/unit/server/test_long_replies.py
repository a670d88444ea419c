"""Bodies in parts, over sockets: whole or known not to be, and for nobody who does not read."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

from netwright.http1.connection import Connection
from netwright.http1.exchange import Exchange
from netwright.http1.listener import Listener
from netwright.model.errors import Unavailable
from netwright.server.api.reply import Reply
from netwright.server.api.sender import Streams, send_reply

PART = b"x" * (1 << 20)
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Parts = Callable[[], AsyncIterator[bytes]]


class Impatient(Connection):
    UNREAD_S = 0.3
    STOP_UNREAD_S = 0.3


class Place(NamedTuple):
    server: Listener
    streams: Streams
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def rest(self) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.read()


@asynccontextmanager
async def asking(parts: Parts) -> AsyncIterator[Place]:
    """A client that has asked a server whose every reply is of these parts."""
    streams = Streams()

    async def answer(exchange: Exchange) -> None:
        await send_reply(Reply(200, parts=parts()), "req", streams, exchange)

    server = Listener(answer, Impatient)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=1 << 16)
        try:
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            yield Place(server, streams, reader, writer)
        finally:
            writer.transport.abort()
            server.close()
            await server.stop(10.0)


async def test_a_whole_body_has_its_last_chunk() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"[1"
        yield b",2]"

    async with asking(parts) as place:
        async with asyncio.timeout(10):
            assert await place.reader.readuntil(b"0\r\n\r\n") == b"2\r\n[1\r\n3\r\n,2]\r\n0\r\n\r\n"
        place.writer.write(REQUEST)  # the connection serves on
        await place.reader.readuntil(b"\r\n\r\n")


async def test_one_that_the_database_cuts_short_has_none() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"[1"
        raise Unavailable("the database is away")

    async with asking(parts) as place:
        assert await place.rest() == b"2\r\n[1\r\n"


async def test_a_server_that_stops_sends_it_to_its_end() -> None:
    go_on = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"[1"
        await go_on.wait()
        yield b",2]"

    async with asking(parts) as place:
        place.streams.end()
        place.server.close()
        stopping = asyncio.create_task(place.server.stop(10.0))
        await asyncio.sleep(0.2)
        go_on.set()
        assert await place.rest() == b"2\r\n[1\r\n3\r\n,2]\r\n0\r\n\r\n"
        await stopping


async def _endless(made: list[int], ended: asyncio.Event) -> AsyncIterator[bytes]:
    try:
        while True:
            made.append(len(made))
            await asyncio.sleep(0)
            yield PART
    finally:
        ended.set()


async def test_who_does_not_read_is_cut_off_and_no_more_is_made_meanwhile() -> None:
    made: list[int] = []
    ended = asyncio.Event()
    async with asking(partial(_endless, made, ended)):
        async with asyncio.timeout(5):
            await ended.wait()
        assert len(made) < 30  # what sockets' buffers hold


async def test_who_goes_away_ends_it() -> None:
    made: list[int] = []
    ended = asyncio.Event()
    async with asking(partial(_endless, made, ended)) as place:
        place.writer.transport.abort()
        async with asyncio.timeout(5):
            await ended.wait()


async def test_who_reads_slowly_gets_everything() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield PART

    async with asking(parts) as place:
        got = 0
        while got < 12 * len(PART):
            chunk = await asyncio.wait_for(place.reader.read(1 << 19), 5)
            assert chunk, "it was cut off"
            got += len(chunk)
            await asyncio.sleep(0.04)


async def test_a_defect_ends_the_connection_too() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"[1"
        raise ZeroDivisionError

    async with asking(parts) as place:
        assert await place.rest() == b"2\r\n[1\r\n"
