"""Accepts connections and, at a stop, lets them end."""

import asyncio
import socket

import structlog

from netwright.http1.connection import Application, Connection

BACKLOG = 2048

_log = structlog.get_logger(__name__)


class Listener:
    """Serves an application on a socket that listens."""

    def __init__(self, application: Application, make: type[Connection] = Connection) -> None:
        self._application = application
        self._make = make
        self._server: asyncio.Server | None = None
        self.connections: set[Connection] = set()

    @property
    def requests(self) -> int:
        """How many are in flight."""
        return sum(each.requests for each in self.connections)

    async def start(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=listening, backlog=BACKLOG)

    def close(self) -> None:
        """Accept no more; what was accepted before has its connection made in the next turn."""
        if self._server is not None:
            self._server.close()

    async def stop(self, within_s: float) -> None:
        """Let requests in flight be answered, in this time at most, and close all connections."""
        await asyncio.sleep(0)  # the turn in which what was accepted last has its connection made
        open_ = tuple(self.connections)
        if not open_:
            return
        for connection in open_:
            connection.stop()
        await asyncio.wait([each.closed for each in open_], timeout=within_s)
        if self.connections:
            _log.warning("requests are cut off by the stop", requests=self.requests)
            for connection in tuple(self.connections):
                connection.abort()
            await asyncio.sleep(0)

    def _connection(self) -> Connection:
        return self._make(self._application, self.connections)
