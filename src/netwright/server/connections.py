"""HTTP connections with bounds: how long a header may take, and how long a reply may lie unread.

    open ─▶ waits for a header ─(HEADER_S, HEADER_BYTES_MAX)─▶ cut off
                 ▲      └─▶ request in flight (its body has bounds of its own: `api.body`)
                 └───────── reply sent; idle for uvicorn's timeout_keep_alive ─▶ closed
    stopping, and no header has begun ─(DRAIN_S)─▶ closed; replies from now on say so
    a reply waits, and the client reads nothing of it ─(UNREAD_S, STOP_UNREAD_S)─▶ cut off

At a stop uvicorn closes what is idle at once, and with it the request that is on its way. Here a
client that asks more often than DRAIN_S is told by a reply (`Connection: close`, RFC 9112 section
9.6) and loses nothing. One that was idle meanwhile sees its connection closed, as after any keep-
alive time, and has to open another; only a request sent at that very moment is lost.

uvicorn closes idle connections, but any byte, be it one a minute, makes it wait without an end;
and a transport that is closed waits until its client has read everything.

uvicorn writes a reply's head and its body one after the other, and uvloop sends each at once. Here
they go together: one system call, one packet, and one reading at the other end.
"""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES_MAX = 64 * 1024


class BoundedConnection(HttpToolsProtocol):
    """A connection that cannot be held open for nothing."""

    HEADER_S: ClassVar[float] = 10.0
    UNREAD_S: ClassVar[float] = 30.0
    STOP_UNREAD_S: ClassVar[float] = 1.0
    DRAIN_S: ClassVar[float] = 0.5

    _header_due: asyncio.TimerHandle | None = None
    _unread_due: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Gathering(transport, self.loop))  # type: ignore[arg-type]
        self._await_header()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing() or not self._awaits_header():
            return
        self._header_bytes += len(data)
        if self._header_bytes > HEADER_BYTES_MAX:
            self.transport.abort()
        elif self._header_due is None:
            self._await_header()

    def on_headers_complete(self) -> None:
        self._forget_header()
        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_header()
        if self._unread_due is not None:
            self._unread_due.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """More waits than the transport likes: a long list's next page waits for the client too."""
        super().pause_writing()
        self._await_reader(self.STOP_UNREAD_S if self._stopping else self.UNREAD_S)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_due is not None and not self._stopping:
            self._unread_due.cancel()
            self._unread_due = None

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._await_reader(self.UNREAD_S)

    def shutdown(self) -> None:
        self._stopping = True
        if self._awaits_header():
            self.loop.call_later(self.DRAIN_S, self._end_idle)
        else:
            super().shutdown()
            self._await_reader(self.STOP_UNREAD_S)

    def _end_idle(self) -> None:
        if self.transport.is_closing():
            return
        if self._awaits_header() and not self._header_bytes:
            super().shutdown()
        self._await_reader(self.STOP_UNREAD_S)

    def _awaits_header(self) -> bool:
        """Whether no request is in flight: one that was answered is over, whatever follows it."""
        return self.cycle is None or self.cycle.response_complete

    def _await_header(self) -> None:
        self._header_due = self.loop.call_later(self.HEADER_S, self.transport.abort)

    def _forget_header(self) -> None:
        self._header_bytes = 0
        if self._header_due is not None:
            self._header_due.cancel()
            self._header_due = None

    def _await_reader(self, timeout_s: float) -> None:
        """Cut the client off if it reads nothing of what waits for it in this time."""
        if self._unread_due is not None:
            self._unread_due.cancel()
        waiting = self.transport.get_write_buffer_size()
        self._unread_due = self.loop.call_later(timeout_s, self._check_reader, timeout_s, waiting)

    def _check_reader(self, timeout_s: float, before: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting >= max(before, 1):
            self.transport.abort()
        elif waiting:
            self._await_reader(timeout_s)


class _Gathering:
    """A transport that holds what is written until more is, at most for a turn of the loop."""

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines((held, data))
        else:
            self._held = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)
