"""The client against a real HTTP server: answers, errors, silence, streams."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import web
from tests.doubles.native_api import HttpDouble
from tests.doubles.values import port

from netwright.client.api import Client
from netwright.client.mirror import Mirror
from netwright.client.networking import Collection, Networking
from netwright.client.watch import Watch
from netwright.model.errors import (
    Conflict,
    InternalError,
    NetwrightError,
    NotFound,
    StaleEpoch,
    Unavailable,
)
from netwright.model.wire import Heartbeat, Kind


@pytest.fixture
async def server() -> AsyncIterator[HttpDouble]:
    async with HttpDouble().serving() as double:
        yield double


@pytest.fixture
async def client(server: HttpDouble) -> AsyncIterator[Client]:
    async with Client(server.url, token="secret", timeout_s=5) as made:
        yield made


async def test_a_request_carries_token_and_body(server: HttpDouble, client: Client) -> None:
    server.answer("POST", "/v1/hosts/h 1/heartbeat", "{}")
    await client.heartbeat("h 1", Heartbeat(epoch="e"))
    assert server.asked[0].headers["X-Auth-Token"] == "secret"
    assert server.bodies == [b'{"epoch":"e","nics":null,"conditions":null,"neighbours":null}']


async def test_the_servers_error_comes_back(server: HttpDouble, client: Client) -> None:
    body = '{"error": {"type": "StaleEpoch", "fault": "caller", "message": "old", "next": "end"}}'
    server.answer("POST", "/v1/hosts/h1/heartbeat", body, status=409)
    with pytest.raises(StaleEpoch, match="old"):
        await client.heartbeat("h1", Heartbeat(epoch="e"))


async def test_a_server_that_is_not_there_is_named(server: HttpDouble) -> None:
    async with Client("http://127.0.0.1:9", timeout_s=5) as nobody:
        with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:9 cannot be reached.*refused"):
            await nobody.hosts()


async def test_a_url_that_cannot_be_right_says_why(server: HttpDouble) -> None:
    plain = server.url.replace("http://", "https://")
    for url, why in (
        (plain, "nothing speaks TLS there, so write http://"),
        ("http://nowhere.invalid:9696", "the name nowhere.invalid does not resolve"),
    ):
        async with Client(url, timeout_s=5) as nobody:
            with pytest.raises(Unavailable, match=why):
                await nobody.hosts()


async def test_a_silent_server_is_waited_for_in_bounds(server: HttpDouble) -> None:
    async def never(_request: web.BaseRequest) -> web.Response:
        await asyncio.sleep(60)
        raise AssertionError

    server.handle("GET", "/v1/hosts", never)
    async with Client(server.url, timeout_s=0.1) as hasty:
        with pytest.raises(Unavailable, match=r"no answer within 0\.1 s"):
            await hasty.hosts()


async def test_what_may_take_longer_is_waited_for_longer(server: HttpDouble) -> None:
    async def late(_request: web.BaseRequest) -> web.Response:
        await asyncio.sleep(0.2)
        return web.json_response({"hosts": []})

    server.handle("GET", "/v1/hosts", late)
    async with Client(server.url, timeout_s=0.1) as hasty:
        with pytest.raises(Unavailable):
            await hasty.call("GET", "/v1/hosts", dict)
        assert await hasty.call("GET", "/v1/hosts", dict, timeout_s=20) == {"hosts": []}


async def test_an_answer_of_something_else_is_said_to_be_that(
    server: HttpDouble, client: Client
) -> None:
    server.answer("GET", "/v1/hosts", "<html>hello</html>")
    with pytest.raises(InternalError, match="does not understand"):
        await client.hosts()


async def test_resources_are_found_by_id_or_name(server: HttpDouble, client: Client) -> None:
    networking = Networking(client)

    async def ports(request: web.BaseRequest) -> web.Response:
        known = [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}, {"id": "3", "name": "b"}]
        wanted = [one for one in known if request.query.items() <= one.items()]
        return web.json_response({"ports": wanted})

    server.handle("GET", "/v2.0/ports", ports)
    assert (await networking.find(Collection.PORTS, "2"))["name"] == "b"
    assert (await networking.find(Collection.PORTS, "a"))["id"] == "1"
    with pytest.raises(Conflict, match="2 ports are named b"):
        await networking.find(Collection.PORTS, "b")
    with pytest.raises(NotFound, match="No port has the id or name c"):
        await networking.find(Collection.PORTS, "c")


async def test_a_watch_survives_a_silent_stream_and_resumes(
    server: HttpDouble, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netwright.client.api.SILENCE_S", 0.2)
    one = b'{"type":"put","kind":"port","id":"p","object":' + _json(port("p")) + b"}\n"
    end = b'{"type":"snapshot_end","cursor":"7"}\n'
    gone = b'{"type":"delete","kind":"port","id":"p","cursor":"8"}\n'

    async def stream(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        resumed = request.query.get("after") == "7"
        await response.write(gone if resumed else one[:40])
        await response.write(b"" if resumed else one[40:] + end)
        await asyncio.sleep(60)
        return response

    server.handle("GET", "/v1/watch", stream)
    mirror, emptied = Mirror(), asyncio.Event()
    seen: list[set[str]] = []
    ends: list[NetwrightError | None] = []

    def changed(_keys: object) -> None:
        seen.append(set(mirror.ports))
        if len(seen) > 1 and not mirror.ports:
            emptied.set()

    watch = Watch(
        client,
        mirror,
        kinds=[Kind.PORT],
        host="h1",
        jitter=lambda: 0.0,
        on_change=changed,
        on_stream=ends.append,
    )
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(10):
        await emptied.wait()
    task.cancel()
    assert seen == [{"p"}, set()]
    assert isinstance(ends[1], Unavailable)
    assert "silent for 0.2 s" in ends[1].message
    assert server.asked[0].query["kinds"] == "port"
    assert server.asked[0].query["host"] == "h1"


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
