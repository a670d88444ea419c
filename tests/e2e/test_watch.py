"""`GET /v1/watch` over HTTP: watchers that stop reading, and many of them."""

import asyncio
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from tests.e2e.conftest import Server, running

from netwright.client.http import Http
from netwright.client.networking import Collection, Networking
from netwright.model.wire import LineType, WatchLine

BULK = 1_000
# More than the 10,000 lines that wait for a watcher, and what socket buffers hold besides.
CHANGES = 20 * BULK
WATCHERS = 500
TOLD_S_MAX = 10.0


class Lines:
    """The lines of a watch, read from a socket only when they are asked for."""

    def __init__(self, server: Server, after: str | None = None) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(20.0)
        self._socket.connect((server.host, server.port))
        query = f"&after={after}" if after else ""
        request = f"GET /v1/watch?kinds=port{query} HTTP/1.1\r\nHost: test\r\n\r\n"
        self._socket.sendall(request.encode())
        self._file = self._socket.makefile("rb")
        assert b" 200 " in self._file.readline()
        while self._file.readline() != b"\r\n":
            pass
        self._waiting: list[WatchLine] = []

    def next(self) -> WatchLine | None:
        """The next line; None at the end."""
        while not self._waiting:
            size = int(self._file.readline(), 16)  # chunked (RFC 9112, 7.1)
            if size == 0:
                return None
            body = self._file.read(size)
            assert self._file.readline() == b"\r\n"
            self._waiting = [
                msgspec.json.decode(line, type=WatchLine) for line in body.splitlines()
            ]
        return self._waiting.pop(0)

    def until(self, kind: LineType) -> list[WatchLine]:
        """All lines up to the first of this type."""
        read: list[WatchLine] = []
        while not read or read[-1].type is not kind:
            line = self.next()
            assert line is not None, f"the stream ended without {kind}"
            read.append(line)
        return read

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def put_ids(lines: list[WatchLine]) -> list[str]:
    return [str(line.id) for line in lines if line.type is LineType.PUT]


@contextmanager
def loaded(state: Path, database: str = "") -> Iterator[tuple[Server, str]]:
    """A server with a network that has room for many ports."""
    settings = {"database": database} if database else {}
    with running(state, "none", stop_s="2", **settings) as server:
        yield server, asyncio.run(_network(server))


async def _network(server: Server) -> str:
    async with Http(server.url) as http:
        api = Networking(http)
        segment = {
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": 100,
        }
        network = await api.create(Collection.NETWORKS, segment)
        subnet = {"network_id": network["id"], "cidr": "10.6.0.0/16", "ip_version": 4}
        await api.create(Collection.SUBNETS, subnet)
        return str(network["id"])


async def _create(server: Server, network_id: str, count: int) -> list[str]:
    made: list[dict[str, Any]] = []
    async with Http(server.url) as http:
        drafts = [{"network_id": network_id}] * min(count, BULK)
        while len(made) < count:
            made += await Networking(http).create_all(Collection.PORTS, drafts)
    return [str(port["id"]) for port in made]


def test_a_watcher_that_stops_reading_is_cut_off_and_resumes_after_its_cursor(
    tmp_path: Path, database_url: str
) -> None:
    with loaded(tmp_path, database_url) as (server, network_id), closing(Lines(server)) as slow:
        slow.until(LineType.HEARTBEAT)
        made = asyncio.run(_create(server, network_id, CHANGES))
        read = slow.until(LineType.ERROR)
        assert b"WatcherTooSlow" in msgspec.json.encode(read[-1].object)
        assert slow.next() is None
        cursor = [line.cursor for line in read if line.cursor][-1]
        with closing(Lines(server, cursor)) as resumed:
            rest = resumed.until(LineType.HEARTBEAT)
        assert 0 < len(put_ids(read)) < CHANGES
        assert not any(line.type is LineType.SNAPSHOT_END for line in rest)
        assert put_ids(read) + put_ids(rest) == made


def test_a_server_with_a_watcher_that_stopped_reading_stops_in_time(tmp_path: Path) -> None:
    with loaded(tmp_path) as (server, network_id), closing(Lines(server)) as slow:
        slow.until(LineType.HEARTBEAT)
        asyncio.run(_create(server, network_id, CHANGES // 2))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20.0) == 0
        assert "stopped" in server.log


def test_all_of_many_watchers_are_told(tmp_path: Path, database_url: str) -> None:
    with loaded(tmp_path, database_url) as (server, network_id):
        asyncio.run(_all_told(server, network_id))


async def _all_told(server: Server, network_id: str) -> None:
    async with AsyncExitStack() as stack:
        opened = [asyncio.open_connection(server.host, server.port) for _ in range(WATCHERS)]
        watches = await asyncio.gather(*opened)
        for _, writer in watches:
            stack.callback(writer.close)
            writer.write(b"GET /v1/watch?kinds=port HTTP/1.1\r\nHost: test\r\n\r\n")
        await asyncio.gather(*(reader.readuntil(b'"heartbeat"') for reader, _ in watches))
        (port_id,) = await _create(server, network_id, 1)
        told_at = time.monotonic()
        async with asyncio.timeout(TOLD_S_MAX):
            await asyncio.gather(*(reader.readuntil(port_id.encode()) for reader, _ in watches))
        assert time.monotonic() - told_at < TOLD_S_MAX
