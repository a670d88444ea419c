"""Asks an ASGI application as an HTTP server would, without sockets or threads."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> Any:
        """What an error's body holds, in either API's form."""
        return self.json.get("NeutronError") or self.json["error"]


class Client:
    """A client of one application; `headers` go with every request."""

    def __init__(self, application: Any, headers: Mapping[str, str] | None = None) -> None:
        self._application = application
        self.headers = dict(headers or {})

    async def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        path, _, query = target.partition("?")
        content = raw if raw is not None else b"" if body is None else msgspec.json.encode(body)
        chunks = [content[i : i + 65536] for i in range(0, len(content), 65536)] or [b""]
        inbox = [
            {"type": "http.request", "body": chunk, "more_body": n + 1 < len(chunks)}
            for n, chunk in enumerate(chunks)
        ]
        outbox: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if inbox:
                return inbox.pop(0)
            await _forever()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            outbox.append(message)

        given = {"host": "netwright:9696", **self.headers, **(headers or {})}
        if content:
            given.setdefault("content-type", "application/json")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode("utf-8", "surrogateescape"),
            "root_path": "",
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 9696),
        }
        await self._application(scope, receive, send)
        await asyncio.sleep(0)  # a server's loop turns between a reply and the next request
        return Answer(
            outbox[0]["status"],
            {k.decode(): v.decode("latin-1") for k, v in outbox[0]["headers"]},
            b"".join(message.get("body", b"") for message in outbox[1:]),
        )

    async def get(self, target: str) -> Answer:
        return await self.ask("GET", target)

    async def post(self, target: str, body: Any) -> Answer:
        return await self.ask("POST", target, body)

    async def put(self, target: str, body: Any, **headers: str) -> Answer:
        return await self.ask("PUT", target, body, headers=headers)


async def _forever() -> None:
    await asyncio.Event().wait()
