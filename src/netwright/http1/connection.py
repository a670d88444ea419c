"""A connection: reads requests, has each answered in turn, and cannot be held open for nothing.

    open ─▶ waits for a header ─(HEADER_S, HEADER_BYTES_MAX)─▶ cut off
                 ▲      └─▶ request in flight (its body has bounds of its own: `api.body`)
                 └───────── reply sent; idle ─(KEEP_ALIVE_S)─▶ closed
    stopping, and no header has begun ─(DRAIN_S)─▶ closed; replies from now on say so
    a reply waits, and the client reads nothing of it ─(UNREAD_S, STOP_UNREAD_S)─▶ cut off

One task a connection serves its requests one after the other; those that come meanwhile wait, and
no more are read (pipelining: RFC 9112, section 9.3.2). A task and a timer a request cost as much as
reading it does (`docs/adr/0020`): the timer is one that looks, when it is due, what is due by now.

At a stop a client that asks more often than DRAIN_S is told by a reply (`Connection: close`, RFC
9112 section 9.6) and loses nothing. One that was idle meanwhile sees its connection closed, as
after any keep-alive time, and has to open another; only a request sent at that very moment is lost.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import ClassVar
from urllib.parse import unquote

import httptools
import structlog

from netwright.http1.exchange import Exchange, plain_reply

HEADER_BYTES_MAX = 64 * 1024
REQUESTS_AHEAD_MAX = 1_000  # of one read, which could have 14,000
_BODY_BYTES_AHEAD = 64 * 1024  # of a body that nobody receives yet

Application = Callable[[Exchange], Awaitable[None]]

_log = structlog.get_logger(__name__)


class Connection(asyncio.Protocol):
    """Adds itself to `connections` while it is open."""

    HEADER_S: ClassVar[float] = 10.0
    KEEP_ALIVE_S: ClassVar[float] = 5.0
    UNREAD_S: ClassVar[float] = 30.0
    STOP_UNREAD_S: ClassVar[float] = 1.0
    DRAIN_S: ClassVar[float] = 0.5

    scheme = "http"
    _transport: asyncio.Transport

    def __init__(self, application: Application, connections: "set[Connection]") -> None:
        self._application = application
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._parser = httptools.HttpRequestParser(self)
        self._task: asyncio.Task[None] | None = None
        self._asked: asyncio.Future[None] | None = None
        self._exchanges: deque[Exchange] = deque()  # the first is being answered
        self._read: Exchange | None = None  # of which the parser reads the body
        self._header_bytes = 0
        self._is_reading = True
        self._is_broken = False  # what comes now is no request
        self._is_stopping = False
        self._drained: asyncio.Future[None] | None = None
        self._due_at = float("inf")
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._unread_due: asyncio.TimerHandle | None = None

    @property
    def requests(self) -> int:
        """How many are in flight."""
        return len(self._exchanges)

    # -- what the transport says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._connections.add(self)
        if transport.get_extra_info("sslcontext"):
            self.scheme = "https"
        self._expect(self.HEADER_S)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever ended it
        self._connections.discard(self)
        self.closed.set_result(None)
        for timer in (self._timer, self._unread_due):
            if timer is not None:
                timer.cancel()
        for exchange in self._exchanges:
            exchange.lose()
        self.resume_writing()
        if self._task is not None and not self._exchanges:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._is_broken:
            return
        begins = not (self._exchanges or self._header_bytes)
        self._header_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_as_it_was(memoryview(data)[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse()
            return
        if self._header_bytes > HEADER_BYTES_MAX:
            self._transport.abort()
        elif begins and not self._exchanges:
            self._expect(self.HEADER_S)

    def pause_writing(self) -> None:
        """More waits than the transport likes: a long list's next page waits for the client too."""
        self._drained = self._loop.create_future()
        self._await_reader(self.STOP_UNREAD_S if self._is_stopping else self.UNREAD_S)

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
        if self._unread_due is not None and not self._is_stopping:
            self._unread_due.cancel()
            self._unread_due = None

    # -- what the parser says

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._header_bytes = 0
        self._due_at = float("inf")
        parser = self._parser
        version = parser.get_http_version()
        path, query = _target(self._url)
        exchange = Exchange(
            self,
            parser.get_method().decode("ascii"),
            unquote(path) if "%" in path else path,
            query,
            self._headers,
            keeps_alive=(version != "1.0" and parser.should_keep_alive() and not self._is_stopping),
            is_old=version == "1.0",
        )
        _require_an_end(exchange)
        if len(self._exchanges) == REQUESTS_AHEAD_MAX:
            raise ValueError("more requests at once than are held")
        self._read = exchange
        self._exchanges.append(exchange)
        if self._task is None:
            self._task = self._loop.create_task(self._serve(), name="connection")
        elif self._asked is not None:
            self._asked.set_result(None)
            self._asked = None
        if len(self._exchanges) > 1:
            self._pause_reading()

    def on_body(self, chunk: bytes) -> None:
        exchange = self._read
        if exchange is None or exchange.is_complete:
            return  # answered already: the rest is read as far as a header may be long
        self._header_bytes = 0
        exchange.feed(chunk)
        if exchange.held_bytes > _BODY_BYTES_AHEAD:
            self._pause_reading()

    def on_message_complete(self) -> None:
        if self._read is not None:
            self._read.feed_end()
            self._read = None
        self._header_bytes = 0

    # -- what an exchange says

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    async def drained(self) -> None:
        if self._drained is not None:
            await asyncio.shield(self._drained)

    def read_on(self) -> None:
        if not self._is_reading and not self._transport.is_closing():
            self._is_reading = True
            self._transport.resume_reading()

    # -- answering

    async def _serve(self) -> None:
        while not self._transport.is_closing():
            if not self._exchanges:
                self._asked = self._loop.create_future()
                await self._asked
                continue
            exchange = self._exchanges[0]
            try:
                await self._application(exchange)
            except Exception:  # noqa: BLE001 - whatever it is: other requests are served on
                _log.exception("a reply failed", method=exchange.method, path=exchange.path)
            self._exchanges.popleft()
            if not exchange.is_complete:
                self._give_up(exchange)
            if not exchange.keeps_alive:
                self._close()
            elif not self._exchanges:
                self._rest()

    def _give_up(self, exchange: Exchange) -> None:
        """Its reply has no last chunk, or has not begun."""
        exchange.keeps_alive = False
        if exchange.has_begun:
            return
        if exchange.is_gone:
            self.write(plain_reply(400, b"The request's body is not as its header says."))
        else:
            self.write(plain_reply(500, b"Internal Server Error"))

    def _rest(self) -> None:
        """All is answered; what has come of the next header had no timer until now."""
        if self._transport.is_closing():
            return
        self.read_on()
        if self._is_broken:
            self._close()
        else:
            self._expect(self.HEADER_S if self._header_bytes else self.KEEP_ALIVE_S)

    def _go_on_as_it_was(self, rest: memoryview) -> None:
        """Ask anew without the wish for another protocol: none is known here (RFC 9110, 7.8)."""
        while True:
            exchange = self._exchanges.pop()
            if exchange.method == "CONNECT":  # wants nothing else
                self._refuse()
                return
            wishes = (b"%b: %b\r\n" % field for field in exchange.headers if field[0] != b"upgrade")
            version = self._parser.get_http_version().encode()
            head = (exchange.method.encode(), b" ", self._url, b" HTTP/", version, b"\r\n")
            self._parser = httptools.HttpRequestParser(self)
            try:
                self._parser.feed_data(b"".join((*head, *wishes, b"\r\n")))
                self._header_bytes += len(rest)
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            except httptools.HttpParserError:
                self._refuse()
                return
            else:
                return

    def _refuse(self) -> None:
        """What came is no request, or no body of one. Those before it are answered first."""
        self._is_broken = True
        if self._read is not None:  # the rest of its body never comes
            self._read.keeps_alive = False
            self._read.lose()
        if not self._exchanges:
            self.write(plain_reply(400, b"Invalid HTTP request received."))
            self._close()

    def _pause_reading(self) -> None:
        if self._is_reading and not self._transport.is_closing():
            self._is_reading = False
            self._transport.pause_reading()

    # -- bounds

    def stop(self) -> None:
        """Serve what is on its way, then close."""
        self._is_stopping = True
        if self._exchanges:
            self._exchanges[-1].keeps_alive = False
            self._await_reader(self.STOP_UNREAD_S)
        else:
            self._loop.call_later(self.DRAIN_S, self._end_idle)

    def abort(self) -> None:
        """End it at once, with what is in flight."""
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()

    def _end_idle(self) -> None:
        if self._transport.is_closing():
            return
        if not (self._exchanges or self._header_bytes):
            self._transport.close()
        self._await_reader(self.STOP_UNREAD_S)

    def _close(self) -> None:
        self._transport.close()
        self._await_reader(self.STOP_UNREAD_S if self._is_stopping else self.UNREAD_S)

    def _expect(self, seconds: float) -> None:
        """A request within this time. There is one timer, which looks when it is due."""
        self._due_at = self._loop.time() + seconds
        if self._timer is None or self._timer_at > self._due_at:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._due_at
        self._timer = self._loop.call_at(self._due_at, self._look_at_time)

    def _look_at_time(self) -> None:
        self._timer = None
        if self._due_at == float("inf") or self._transport.is_closing():
            return
        if self._loop.time() < self._due_at:
            self._set_timer()
        elif self._header_bytes or self._task is None:
            self._transport.abort()
        else:
            self._close()

    def _await_reader(self, timeout_s: float) -> None:
        """Cut the client off if it reads nothing of what waits for it in this time."""
        if self._unread_due is not None:
            self._unread_due.cancel()
        waiting = self._transport.get_write_buffer_size()
        self._unread_due = self._loop.call_later(timeout_s, self._check_reader, timeout_s, waiting)

    def _check_reader(self, timeout_s: float, before: int) -> None:
        waiting = self._transport.get_write_buffer_size()
        if waiting >= max(before, 1):
            self._transport.abort()
        elif waiting:
            self._await_reader(timeout_s)


def _target(url: bytes) -> tuple[str, bytes]:
    """Path and query of what is asked for (RFC 9112, section 3.2). Raises what httptools does."""
    if url.startswith(b"/") and b"#" not in url:
        path, _, query = url.partition(b"?")
        return path.decode("ascii"), query
    parsed = httptools.parse_url(url)
    return (parsed.path or b"/").decode("ascii"), parsed.query or b""


def _require_an_end(exchange: Exchange) -> None:
    """A body whose end only the connection's would show is refused (RFC 9112, section 6.3)."""
    coding = exchange.fields.get(b"transfer-encoding")
    if coding is not None and coding.rpartition(b",")[2].strip().lower() != b"chunked":
        raise ValueError(f"a body in {coding!r} has no end")
