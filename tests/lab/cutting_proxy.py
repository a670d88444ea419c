"""Stands between agents and their server, and loses what it is told to lose.

    request ──▶ server ──▶ reply                    as a rule
    request ──▶ server ──▶ reply lost               the connection ends in place of the reply
    request     lost connection, then ──▶ server    it is carried out when nobody waits any more

Only requests about containers' ports are lost; watches and reports pass.
"""

import asyncio
import contextlib
import random
import socket
import threading
from enum import Enum, auto
from typing import NamedTuple

from netwright.lab import netns

CONCERNED = b"/container-ports"
CHUNK = 1 << 16
LATE_S_MAX = 1.5
CONNECT_S_MAX = 5.0


def listening(address: str, port: int) -> socket.socket:
    """In the calling thread's namespace."""
    return socket.create_server((address, port))


class Loss(Enum):
    NONE = auto()
    REPLY = auto()
    LATE = auto()


class Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class CuttingProxy:
    """Runs in a thread of its own on a listening socket, which may be in any namespace.

    The server is at `server` in `namespace`. Of the concerned requests `share` are lost; `lost`
    counts them.
    """

    def __init__(
        self, listener: socket.socket, namespace: str, server: tuple[str, int], seed: int
    ) -> None:
        self.share = 0.0
        self.lost = 0
        self._listener = listener
        self._listener.setblocking(False)  # noqa: FBT003 (its name says it)
        self._namespace = namespace
        self._server = server
        self._random = random.Random(seed)
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="cutting proxy", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve_until_ended())

    async def _serve_until_ended(self) -> None:
        """Not by asyncio's server: what that accepts while it closes is left open (3.11)."""
        ending = asyncio.create_task(self._ending.wait())
        serving: set[asyncio.Task[None]] = set()
        while not ending.done():
            accepting = asyncio.create_task(self._loop.sock_accept(self._listener))
            await asyncio.wait({accepting, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not accepting.done():
                self._loop.remove_reader(self._listener)
                await asyncio.sleep(0)  # what came before that is done now
            if not accepting.done():
                accepting.cancel()
                break
            task = asyncio.create_task(self._serve(accepting.result()[0]))
            serving.add(task)
            task.add_done_callback(serving.discard)
        await asyncio.sleep(0)  # each has begun, and closes what it has
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()  # whoever does not read would hold up its close
        await asyncio.gather(*(one.wait_closed() for one in self._writers), return_exceptions=True)

    async def _serve(self, accepted: socket.socket) -> None:
        client = Connection(*await asyncio.open_connection(sock=accepted))
        server: Connection | None = None
        self._writers.add(client.writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                server = Connection(*await asyncio.open_connection(sock=await self._connect()))
                self._writers.add(server.writer)
                await self._pass_on(client, server)
        finally:
            writers = [one.writer for one in (client, server) if one is not None]
            for each in writers:
                each.close()
            for each in writers:  # until what was sent has gone, or this is cancelled
                with contextlib.suppress(OSError):
                    await each.wait_closed()
                self._writers.discard(each)

    async def _connect(self) -> socket.socket:
        made = netns.run_in(self._namespace, socket.socket)
        made.setblocking(False)  # noqa: FBT003 (its name says it)
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                await self._loop.sock_connect(made, self._server)
        except BaseException:
            made.close()
            raise
        return made

    async def _pass_on(self, client: Connection, server: Connection) -> None:
        """Requests one after the other, as agents send them; whatever the server says, back."""
        answering = asyncio.create_task(_copy(server.reader, client.writer))
        try:
            while request := await _request(client.reader):
                loss = self._loss(request)
                if loss is Loss.NONE:
                    server.writer.write(request)
                    await server.writer.drain()
                    continue
                self.lost += 1
                answering.cancel()
                await asyncio.wait({answering})
                if loss is Loss.LATE:
                    client.writer.close()
                    await asyncio.sleep(self._random.uniform(0, LATE_S_MAX))
                server.writer.write(request)
                await server.writer.drain()
                await server.reader.read(CHUNK)
                return
        finally:
            answering.cancel()

    def _loss(self, request: bytes) -> Loss:
        head, _, _ = request.partition(b"\r\n")
        if CONCERNED not in head or self._random.random() >= self.share:
            return Loss.NONE
        return self._random.choice((Loss.REPLY, Loss.LATE))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """One HTTP request, whole; b"" at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)
