"""A small real HTTP server with canned answers and streams, for the client and the commands."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class HttpDouble:
    """Answers `(method, path)` by a handler or by canned JSON; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[web.BaseRequest] = []
        self.bodies: list[bytes] = []
        self.url = ""
        self._handlers: dict[tuple[str, str], Handler] = {}

    def answer(self, method: str, path: str, body: str, status: int = 200) -> None:
        async def canned(_request: web.BaseRequest) -> web.Response:
            return web.Response(text=body, status=status, content_type="application/json")

        self.handle(method, path, canned)

    def handle(self, method: str, path: str, handler: Handler) -> None:
        self._handlers[method, path] = handler

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["HttpDouble"]:
        server = web.Server(self._dispatch)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        listener = _listener()
        try:
            await web.SockSite(runner, listener).start()
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield self
        finally:
            await runner.cleanup()
            listener.close()

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        handler = self._handlers.get((request.method, request.path))
        if handler is None:
            body = '{"error": {"type": "NotFound", "fault": "caller", "message": "no such path"}}'
            return web.Response(text=body, status=404)
        return await handler(request)


def _listener() -> socket.socket:
    """A free port below the ephemeral ones, which the kernel hands out to others."""
    for port in range(21000, 32000):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        listener.listen()
        return listener
    raise AssertionError("no free port on loopback")
