"""Connections that ask for nothing, or read nothing, are cut off; others are served."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

import pytest

from netwright.http1.connection import HEADER_BYTES_MAX, Connection
from netwright.http1.exchange import Exchange
from netwright.http1.listener import Listener
from netwright.server.api.sender import Streams

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"x" * (32 << 20)  # more than socket buffers hold


class Impatient(Connection):
    HEADER_S = 0.3
    KEEP_ALIVE_S = 1.0
    UNREAD_S = 0.3
    STOP_UNREAD_S = 0.3


class Place(NamedTuple):
    server: Listener
    streams: Streams
    port: int

    def stop(self) -> asyncio.Task[None]:
        self.server.close()
        return asyncio.create_task(self.server.stop(10.0))

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


async def _endless() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0)
        yield b"x" * 65536


async def answer(streams: Streams, exchange: Exchange) -> None:
    """`/` answers, `/large` with much, `/endless` as a watch does, `/slow` after a second."""
    if exchange.path == "/endless":
        exchange.begin(200, ())
        await streams.run(_endless(), exchange)
        exchange.end()
        return
    if exchange.path == "/slow":
        await asyncio.sleep(1.0)
    exchange.reply(200, (), LARGE if exchange.path == "/large" else b"done")


@asynccontextmanager
async def serving() -> AsyncIterator[Place]:
    streams = Streams()
    server = Listener(partial(answer, streams), Impatient)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        await server.start(listening)
        place = Place(server, streams, listening.getsockname()[1])
        try:
            reader, writer = await place.open()
            writer.write(REQUEST)
            await reader.readuntil(b"done")
            writer.close()
            yield place
        finally:
            await place.stop()


async def closed_after_s(reader: asyncio.StreamReader) -> float:
    began = time.monotonic()
    async with asyncio.timeout(10):
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass
    return time.monotonic() - began


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nX: ", b"\r\n"])
async def test_a_header_that_does_not_end_ends_its_connection(sent: bytes) -> None:
    async with serving() as place:
        reader, writer = await place.open()
        writer.write(sent)
        assert await closed_after_s(reader) < 1.0
        writer.close()


@pytest.mark.parametrize("first", [b"", REQUEST])
async def test_a_byte_now_and_then_does_not_help(first: bytes) -> None:
    async with serving() as place:
        reader, writer = await place.open()
        if first:
            writer.write(first)
            await reader.readuntil(b"done")

        async def drip() -> None:
            for byte in b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 1000:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await closed_after_s(reader) < 1.0
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.close()


async def test_a_header_without_an_end_is_not_kept() -> None:
    async with serving() as place:
        reader, writer = await place.open()
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * (2 * HEADER_BYTES_MAX))
        assert await closed_after_s(reader) < 0.3
        writer.close()


async def test_requests_in_flight_and_those_that_follow_are_served() -> None:
    async with serving() as place:
        reader, writer = await place.open()
        for path in (b"/slow", b"/", b"/"):
            writer.write(REQUEST.replace(b"/ ", path + b" ", 1))
            async with asyncio.timeout(5):
                await reader.readuntil(b"done")
            await asyncio.sleep(0.4)  # longer than HEADER_S, shorter than KEEP_ALIVE_S
        writer.close()


async def test_who_reads_nothing_of_a_reply_is_cut_off() -> None:
    async with serving() as place:
        _, writer = await place.open()
        writer.write(REQUEST.replace(b"/ ", b"/large ", 1))
        await asyncio.sleep(0.2)
        (connection,) = place.server.connections
        async with asyncio.timeout(5):
            await connection.closed
        writer.transport.abort()


@pytest.mark.parametrize("path", [b"/large", b"/endless"])
async def test_who_reads_nothing_does_not_delay_a_stop(path: bytes) -> None:
    async with serving() as place:
        _, writer = await place.open()
        writer.write(REQUEST.replace(b"/ ", path + b" ", 1))
        await asyncio.sleep(0.2)
        began = time.monotonic()
        place.streams.end()
        await asyncio.wait([place.stop()], timeout=8)
        assert time.monotonic() - began < 2.0
        writer.transport.abort()


@pytest.mark.parametrize("first", [b"", REQUEST])
async def test_a_stop_serves_what_is_on_its_way_and_says_that_it_is_the_last(first: bytes) -> None:
    async with serving() as place:
        reader, writer = await place.open()
        if first:
            writer.write(first)
            await reader.readuntil(b"done")
        await asyncio.sleep(0.05)
        stopping = place.stop()
        await asyncio.sleep(0.2)
        writer.write(REQUEST)
        async with asyncio.timeout(5):
            reply = await reader.read()
        assert reply.startswith(b"HTTP/1.1 200")
        assert b"connection: close\r\n" in reply
        assert reply.endswith(b"done")
        await stopping
        writer.close()


async def test_a_stop_closes_what_stays_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Impatient, "HEADER_S", 9.0)
    async with serving() as place:
        reader, writer = await place.open()
        await asyncio.sleep(0.05)
        stopping = place.stop()
        assert Connection.DRAIN_S <= await closed_after_s(reader) < 2.0
        await stopping
        writer.close()


async def test_head_and_body_of_a_reply_leave_together() -> None:
    async with serving() as place:
        reader, writer = await place.open()
        for _ in range(3):
            writer.write(REQUEST)
            reply = await reader.read(65536)  # what has come by then, which is all of it
            assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"done" in reply
        writer.close()
