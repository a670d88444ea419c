"""kube-apiserver's answers, of a double that speaks plain HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from msgspec.structs import replace

from netwright.kubernetes import api as api_module
from netwright.kubernetes.access import Access
from netwright.kubernetes.api import ApiServer, KubernetesAway, KubernetesDenied, NotThere, TooOld
from netwright.kubernetes.objects import Change, Some
from netwright.model.errors import NetwrightError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PATH = "/api/v1/pods"


@asynccontextmanager
async def served(handler: Handler, token_file: Path | None = None) -> AsyncIterator[ApiServer]:
    application = web.Application()
    application.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    where = Access(server=f"http://{host}:{port}", token_file=token_file)
    try:
        async with ApiServer(lambda: where) as api:
            yield api
    finally:
        await runner.cleanup()


def answering(text: str, status: int = 200) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    return handler


async def test_an_empty_list_is_null_there() -> None:
    text = '{"metadata": {"resourceVersion": "7"}, "items": null}'
    async with served(answering(text)) as api:
        assert await api.list(PATH) == ((), "7")


async def test_pages_are_asked_for_until_there_are_no_more() -> None:
    asked: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        more = "token" if len(asked) == 1 else ""
        item = {"metadata": {"name": f"p{len(asked)}"}}
        metadata = {"resourceVersion": str(len(asked)), "continue": more}
        return web.json_response({"metadata": metadata, "items": [item]})

    async with served(handler) as api:
        found, version = await api.list(PATH, resourceVersion="0")
    assert ([some.metadata.name for some in found], version) == (["p1", "p2"], "2")
    assert asked == [
        {"limit": "500", "resourceVersion": "0"},
        {"limit": "500", "continue": "token"},
    ]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, KubernetesDenied),
        (403, KubernetesDenied),
        (404, NotThere),
        (410, TooOld),
        (429, KubernetesAway),
        (500, KubernetesAway),
        (302, KubernetesAway),
    ],
)
async def test_what_is_no_answer_says_what_was_said(status: int, error: type[Exception]) -> None:
    text = '{"kind": "Status", "message": "pods is forbidden"}'
    async with served(answering(text, status)) as api:
        with pytest.raises(error, match=f"answered {status} at {PATH}: pods is forbidden") as said:
            await api.get(PATH, Some)
    assert not isinstance(said.value, KubernetesAway | KubernetesDenied) or said.value.next


@pytest.mark.parametrize("text", ["", "<html>", '{"metadata": 7}'])
async def test_what_is_not_kubernetes_is_told(text: str) -> None:
    async with served(answering(text)) as api:
        with pytest.raises(KubernetesAway, match="not Kubernetes'"):
            await api.list(PATH)


async def test_a_token_that_was_renewed_in_its_file_is_taken_at_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    good = "Bearer old"

    async def handler(request: web.Request) -> web.Response:
        if request.headers["Authorization"] != good:
            return web.Response(status=401)
        return web.json_response({"metadata": {"name": "p"}})

    async with served(handler, token_file=token) as api:
        await api.get(PATH, Some)
        token.write_text("new\n")
        good = "Bearer new"
        assert (await api.get(PATH, Some)).metadata.name == "p"


async def test_a_watchs_lines_come_whole_however_they_are_cut() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        line = '{"type": "%s", "object": {"metadata": {"name": "%s", "resourceVersion": "%s"}}}\n'
        text = line % ("ADDED", "a", "8") + line % ("DELETED", "b", "9")
        for start in range(0, len(text), 7):
            await response.write(text[start : start + 7].encode())
        await response.write(b'{"type": "ERROR", "object": {"code": 410, "message": "old"}}\n')
        return response

    seen = []

    async def follow(api: ApiServer) -> None:
        async for change, some in api.watch(PATH, "7"):
            seen.append((change, some.metadata.name, some.metadata.resource_version))

    async with served(handler) as api:
        with pytest.raises(TooOld, match="410"):
            await follow(api)
    assert seen == [
        (Change.BOOKMARK, "", "7"),
        (Change.ADDED, "a", "8"),
        (Change.DELETED, "b", "9"),
    ]


async def test_nobody_who_listens_is_away() -> None:
    where = Access(server="http://127.0.0.1:1")
    async with ApiServer(lambda: where) as api:
        with pytest.raises(NetwrightError, match="connection refused") as away:
            await api.list(PATH)
    assert isinstance(away.value, KubernetesAway)


async def test_who_asks_while_credentials_are_renewed_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connections with the earlier ones are being closed meanwhile."""
    close = ClientSession.close

    async def handler(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer new":
            return web.Response(status=401)
        return web.json_response({"metadata": {"name": "p"}})

    async with served(handler) as api:
        renewed = replace(api._access, token="new")
        meanwhile: list[Some] = []

        async def closed(session: ClientSession) -> None:
            await close(session)
            if not meanwhile:
                meanwhile.append(await api.get(PATH, Some))

        monkeypatch.setattr(ClientSession, "close", closed)
        api._read = lambda: renewed
        found = await api.get(PATH, Some)
        assert meanwhile == [found]


async def test_a_list_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "LISTED_MAX", 3)

    async def handler(request: web.Request) -> web.Response:
        item = {"metadata": {"name": "p"}}
        return web.json_response({"metadata": {"continue": "again"}, "items": [item]})

    async with served(handler) as api:
        with pytest.raises(KubernetesAway, match="more than 3"):
            await api.list(PATH)


async def test_an_answer_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "CONTENT_BYTES_MAX", 1000)
    async with served(answering(" " * 1001 + '{"metadata": {}}')) as api:
        with pytest.raises(KubernetesAway, match="longer than 1000 bytes"):
            await api.get(PATH, Some)


async def test_what_has_no_items_is_no_empty_list() -> None:
    async with served(answering('{"metadata": {}}')) as api:
        with pytest.raises(KubernetesAway, match="not Kubernetes'"):
            await api.list(PATH)


async def test_a_token_that_no_header_can_hold_is_told(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("two\nlines\n")
    async with served(answering('{"metadata": {}}'), token_file=token) as api:
        with pytest.raises(KubernetesAway, match="token") as said:
            await api.get(PATH, Some)
    assert "lines" not in str(said.value)
