"""Requests of all forms that HTTP/1.1 knows (RFC 9112), over sockets, and their replies."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import pytest

from netwright.http1.connection import REQUESTS_AHEAD_MAX
from netwright.http1.exchange import BodyTooLong, ClientGone, Exchange
from netwright.http1.listener import Listener


async def echo(exchange: Exchange) -> None:
    """What was asked; `/few` takes four bytes of a body, `/soon` what comes of it in 50 ms.

    `/unread` reads no body, `/parts` replies in parts, `/header` with one that cannot be.
    """
    if exchange.path == "/unread":
        exchange.reply(401, (), b"who?")
        return
    if exchange.path == "/header":
        exchange.reply(200, ((b"location", b"/a\r\nx: y"),), b"")
        return
    few, soon = exchange.path == "/few", exchange.path == "/soon"
    try:
        body = await exchange.body(4 if few else 1 << 24, 0.05 if soon else 5.0)
    except (BodyTooLong, TimeoutError) as error:
        exchange.reply(400, (), type(error).__name__.encode())
        return
    said = b" ".join((exchange.method.encode(), exchange.path.encode(), exchange.query, body))
    if exchange.path != "/parts":
        exchange.reply(200, ((b"x-scheme", exchange.scheme.encode()),), b"<%b>" % said)
        return
    exchange.begin(200, ())
    await exchange.write(b"<")
    await exchange.write(b"")
    await exchange.write(b">")
    exchange.end()


@asynccontextmanager
async def talking() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    listener = Listener(echo)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        await listener.start(listening)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        try:
            async with asyncio.timeout(5):
                yield reader, writer
        finally:
            writer.transport.abort()
            listener.close()
            await listener.stop(1.0)


async def _asked(*sent: bytes) -> bytes:
    """All that comes until the connection ends, with a pause between what is sent."""
    async with talking() as (reader, writer):
        for part in sent:
            writer.write(part)
            await asyncio.sleep(0.02)
        return await reader.read()


LAST = b"GET /last HTTP/1.1\r\nConnection: close\r\n\r\n"


async def test_requests_that_come_at_once_are_answered_in_turn() -> None:
    ask = b"GET /%d HTTP/1.1\r\n\r\n"
    said = await _asked(b"".join(ask % n for n in range(50)) + LAST)
    assert said.count(b"HTTP/1.1 200 OK\r\n") == 51
    places = [said.index(b"<GET /%d  >" % n) for n in range(50)]
    assert places == sorted(places)
    assert said.endswith(b"connection: close\r\n\r\n<GET /last  >")


async def test_more_requests_at_once_than_anybody_has_are_not_held() -> None:
    said = await _asked(b"GET / HTTP/1.1\r\n\r\n" * 5_000)
    assert said.count(b"HTTP/1.1 200 OK\r\n") == REQUESTS_AHEAD_MAX


@pytest.mark.parametrize("cut", [1, 20, 60, 75])
async def test_a_request_that_comes_in_pieces(cut: int) -> None:
    ask = b"POST /a%20b?c=%20 HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyz"
    said = await _asked(ask[:cut], ask[cut:])
    assert said.endswith(b"\r\n\r\n<POST /a b c=%20 xyz>")


async def test_a_body_in_chunks_and_one_larger_than_is_read_ahead() -> None:
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    large = b"y" * 3_000_000
    said = await _asked(
        chunked + b"2\r\nab\r\n",
        b"1\r\nc\r\n0\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(large) + large + LAST,
    )
    assert b"<POST /  abc>" in said
    assert b"<PUT /  %b>" % large in said


CHUNKED = b"POST /few HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
COUNTED = b"POST %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ([COUNTED % (b"/few", 4) + b"abcd", LAST], b"<POST /few  abcd>"),
        ([COUNTED % (b"/few", 5) + b"abcde", LAST], b"BodyTooLong"),
        ([CHUNKED + b"4\r\nabcd\r\n", b"0\r\n\r\n", LAST], b"<POST /few  abcd>"),
        ([CHUNKED + b"5\r\nabcde\r\n0\r\n\r\n", LAST], b"BodyTooLong"),
        ([CHUNKED + b"4\r\nabcd\r\n", b"1\r\ne\r\n", b"0\r\n\r\n", LAST], b"BodyTooLong"),
        ([COUNTED % (b"/soon", 4) + b"abc"], b"TimeoutError"),
    ],
)
async def test_a_body_is_bounded_in_bytes_and_in_time(sent: list[bytes], said: bytes) -> None:
    async with talking() as (reader, writer):
        for part in sent:
            writer.write(part)
            await asyncio.sleep(0.02)
        await reader.readuntil(said)


async def test_who_asks_whether_to_go_on_is_told_to_when_the_body_is_wanted() -> None:
    head = b"POST %b HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    async with talking() as (reader, writer):
        writer.write(head % b"/")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab" + head % b"/" + b"cd")  # who does not wait for it need not be told
        assert b"100 Continue" not in await reader.readuntil(b"<POST /  ab>")
        assert b"100 Continue" not in await reader.readuntil(b"<POST /  cd>")
        writer.write(head % b"/unread")
        said = await reader.read()  # whether the body comes now cannot be known
    assert said.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b"connection: close\r\n" in said


async def test_a_body_that_was_not_read_is_not_taken_for_a_request() -> None:
    head = b"POST /unread HTTP/1.1\r\nContent-Length: 30\r\n\r\n"
    said = await _asked(head, b"GET /body HTTP/1.1\r\n\r\n" + b"x" * 8, LAST)
    assert said.count(b"HTTP/1.1 ") == 2
    assert said.endswith(b"<GET /last  >")


async def test_a_body_that_goes_on_unread_ends_the_connection() -> None:
    said = await _asked(
        b"POST /unread HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", *[b"x" * 50_000] * 3
    )
    assert b"401" in said or not said  # a reset may take the reply along


async def test_the_older_protocol_has_no_chunks_and_one_request_a_connection() -> None:
    said = await _asked(b"GET /parts HTTP/1.0\r\n\r\n")
    assert b"transfer-encoding" not in said
    assert said.endswith(b"connection: close\r\n\r\n<>")
    said = await _asked(b"GET /parts HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert said.endswith(b"\r\n\r\n1\r\n<\r\n1\r\n>\r\n0\r\n\r\n")


@pytest.mark.parametrize("path", [b"/", b"/parts"])
async def test_a_head_request_has_no_body_in_its_reply(path: bytes) -> None:
    said = await _asked(b"HEAD %b HTTP/1.1\r\n\r\n" % path, LAST)
    head, _, rest = said.partition(b"\r\n\r\n")
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (b"content-length: 10" in head) == (path == b"/")


@pytest.mark.parametrize(
    "sent",
    [
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET \xff HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused(sent: bytes) -> None:
    said = await _asked(sent, sent)
    assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert said.count(b"HTTP/1.1") == 1
    said = await _asked(b"GET /1 HTTP/1.1\r\n\r\n" + sent)  # those before it are answered
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_another_protocol_is_not_taken_up() -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    said = await _asked(
        b"POST /1 HTTP/1.1\r\n%bContent-Length: 1\r\n\r\nx" % upgrade
        + b"GET /2 HTTP/1.1\r\n%b\r\n" % upgrade
        + LAST
    )
    assert said.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert b"<POST /1  x>" in said


async def test_a_header_that_would_begin_another_is_never_sent() -> None:
    said = await _asked(b"GET /header HTTP/1.1\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 500 ")
    assert b"x: y" not in said


async def test_a_reply_says_when_and_which_scheme() -> None:
    said = await _asked(LAST)
    assert b"x-scheme: http\r\n" in said
    date = said.partition(b"date: ")[2].partition(b"\r\n")[0]
    assert parsedate_to_datetime(date.decode()).tzinfo is not None


async def test_a_client_that_goes_amid_its_body_is_noticed() -> None:
    exchange = Exchange(_Nowhere(), "POST", "/", b"", ())
    receiving = asyncio.create_task(exchange.receive())
    await asyncio.sleep(0)
    exchange.lose()
    with pytest.raises(ClientGone):
        await receiving


class _Nowhere:
    scheme = "http"

    def write(self, data: bytes) -> None:
        """Nobody reads it."""

    async def drained(self) -> None:
        """At once."""

    def read_on(self) -> None:
        """Nothing comes."""


async def test_of_the_older_protocol_no_other_is_wished_for() -> None:
    """RFC 9110, section 7.8: a server ignores Upgrade in an HTTP/1.0 request."""
    said = await _asked(
        b"GET /parts HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    )
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"transfer-encoding" not in said
    assert said.endswith(b"connection: close\r\n\r\n<>")


async def test_the_older_protocol_knows_no_interim_reply() -> None:
    """RFC 9110, section 15.2."""
    head = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    said = await _asked(head, b"xyz")
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_many_at_once_that_wish_for_another_protocol() -> None:
    ask = b"GET /a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    said = await _asked(ask * 600 + LAST)
    assert said.count(b"HTTP/1.1 200 OK\r\n") == 601


@pytest.mark.parametrize(
    "framing", [b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding: gzip\r\n"]
)
async def test_a_body_without_an_end_is_refused(framing: bytes) -> None:
    """RFC 9112, section 6.3: where it ends nobody can know."""
    said = await _asked(b"POST / HTTP/1.1\r\n" + framing + b"\r\nxyz", LAST)
    assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert said.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("end", [b"zz\r\n", b"fffffffffffffffff\r\n", b"3;a\nxyz\r\n0\r\n\r\n"])
async def test_a_body_that_breaks_off_is_not_waited_for(end: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    said = await _asked(head, end, LAST)
    assert said.count(b"HTTP/1.1") == 1
    assert b"connection: close" in said


async def test_a_target_with_a_host_alone_is_the_root() -> None:
    """RFC 9112, section 3.2.2; RFC 9110, section 4.2.3."""
    said = await _asked(b"GET http://host HTTP/1.1\r\n\r\n", LAST)
    assert b"<GET /  >" in said


@pytest.mark.parametrize("value", [b"/a\rx: y", b"/a\nx: y"])
def test_a_header_is_one_line(value: bytes) -> None:
    exchange = Exchange(_Nowhere(), "GET", "/", b"", ())
    with pytest.raises(ValueError, match="cannot be headers"):
        exchange.reply(200, ((b"location", value),), b"")
