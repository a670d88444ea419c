"""Sends replies, and ends streams when the client or the server goes.

A body in parts (a long list) is sent to its end when the server stops, as any reply is. When the
database fails amid it, its last chunk never comes (RFC 9112, section 8): the connection is closed,
and the client knows that it has not got everything.
"""

import asyncio
from collections.abc import AsyncIterator

import structlog

from netwright.http1.exchange import Exchange
from netwright.model.errors import Unavailable
from netwright.server.api.reply import Reply

_NO_CONTENT = 204

_log = structlog.get_logger("netwright.server.api")


class Streams:
    """The replies that are being streamed; `end` finishes them so that the server can stop."""

    def __init__(self) -> None:
        self._pumps: set[asyncio.Task[None]] = set()
        self.ending = False

    def end(self) -> None:
        """End every stream at the line it is at; watchers resume elsewhere from their cursor."""
        self.ending = True
        for pump in self._pumps:
            pump.cancel()

    async def run(self, chunks: AsyncIterator[bytes], exchange: Exchange) -> None:
        """Send the chunks until they end, the client goes away, or `end` is called."""
        pump = asyncio.create_task(_pump(chunks, exchange), name="stream")
        self._pumps.add(pump)
        try:
            if self.ending:
                pump.cancel()
            await _until_gone(pump, exchange)
        finally:
            self._pumps.discard(pump)


async def send_reply(reply: Reply, request_id: str, streams: Streams, exchange: Exchange) -> None:
    """Send a reply, whole or as a stream."""
    fields = [(b"x-openstack-request-id", request_id.encode()), *reply.headers]
    if reply.status != _NO_CONTENT:
        fields.append((b"content-type", reply.content_type))
    if reply.stream is None and reply.parts is None:
        exchange.reply(reply.status, fields, reply.body)
        return
    exchange.begin(reply.status, fields)
    if reply.stream is not None:
        await streams.run(reply.stream, exchange)
    if reply.parts is not None and not await _send_parts(reply.parts, request_id, exchange):
        return
    exchange.end()


async def _send_parts(parts: AsyncIterator[bytes], request_id: str, exchange: Exchange) -> bool:
    """Whether the body is whole; a client that has gone does not mind."""
    try:
        await _until_gone(asyncio.create_task(_pump(parts, exchange), name="parts"), exchange)
    except Unavailable as error:
        _log.warning("a reply ends amid its body", request_id=request_id, why=error.message)
        return False
    return True


async def _until_gone(pump: asyncio.Task[None], exchange: Exchange) -> None:
    """Wait for the end of either; what the pump fails with is raised."""
    gone = asyncio.create_task(exchange.gone(), name="stream: client gone")
    try:
        await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        pump.cancel()
        gone.cancel()
        outcome, _ = await asyncio.gather(pump, gone, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome


async def _pump(chunks: AsyncIterator[bytes], exchange: Exchange) -> None:
    async for chunk in chunks:
        await exchange.write(chunk)
