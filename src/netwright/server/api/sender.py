"""Sends replies as ASGI messages, and ends streams when the client or the server goes.

A body in parts (a long list) is sent to its end when the server stops, as any reply is. When the
database fails amid it, its last chunk never comes (RFC 9112, section 8): the connection is closed,
and the client knows that it has not got everything.
"""

import asyncio
import os
from collections.abc import AsyncIterator

import structlog

from netwright.model.errors import Unavailable
from netwright.server.api.asgi import Receive, Send
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

    async def run(self, chunks: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
        """Send the chunks until they end, the client goes away, or `end` is called."""
        pump = asyncio.create_task(_pump(chunks, send), name="stream")
        self._pumps.add(pump)
        try:
            if self.ending:
                pump.cancel()
            await _until_gone(pump, receive)
        finally:
            self._pumps.discard(pump)


async def send_reply(
    reply: Reply, request_id: str, streams: Streams, receive: Receive, send: Send
) -> None:
    """Send a reply, whole or as a stream."""
    headers: list[tuple[bytes, bytes]] = [
        (b"x-openstack-request-id", request_id.encode()),
        *reply.headers,
    ]
    if reply.status != _NO_CONTENT:
        headers.append((b"content-type", reply.content_type))
        if reply.stream is None and reply.parts is None:
            headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.stream is not None:
        await streams.run(reply.stream, receive, send)
    if reply.parts is not None and not await _send_parts(reply.parts, request_id, receive, send):
        return
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})


def new_request_id() -> str:
    """`req-` and a random UUID (RFC 9562, version 4), as OpenStack's clients show it."""
    digits = os.urandom(16).hex()
    return f"req-{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


async def _send_parts(
    parts: AsyncIterator[bytes], request_id: str, receive: Receive, send: Send
) -> bool:
    """Whether the body is whole; a client that has gone does not mind."""
    try:
        await _until_gone(asyncio.create_task(_pump(parts, send), name="parts"), receive)
    except Unavailable as error:
        _log.warning("a reply ends amid its body", request_id=request_id, why=error.message)
        return False
    return True


async def _until_gone(pump: asyncio.Task[None], receive: Receive) -> None:
    """Wait for the end of either; what the pump fails with is raised."""
    gone = asyncio.create_task(_gone(receive), name="stream: client gone")
    try:
        await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        pump.cancel()
        gone.cancel()
        outcome, _ = await asyncio.gather(pump, gone, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome


async def _pump(chunks: AsyncIterator[bytes], send: Send) -> None:
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
