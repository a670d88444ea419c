"""The client of Nova's endpoint, against a real HTTP server that holds it to Nova's contract."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.doubles.nova import TOKEN, NovaDouble, nova

from netwright.server.nova.answers import Reception
from netwright.server.nova.endpoint import NovaEndpoint
from netwright.server.nova.notices import Name, Notice, Status

A = "11111111-2222-4333-8444-555555555555"
B = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
C = "cccccccc-bbbb-4ccc-8ddd-eeeeeeeeeeee"


@pytest.fixture
def double() -> Iterator[NovaDouble]:
    with nova() as serving:
        yield serving


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "nova.token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
async def endpoint(double: NovaDouble, token_file: Path) -> AsyncIterator[NovaEndpoint]:
    made = NovaEndpoint(f"{double.url}/", token_file, timeout_s=0.5)
    yield made
    await made.close()


def notice(server_uuid: str = A, name: Name = Name.PLUGGED, port_id: str = "x") -> Notice:
    return Notice(port_id=port_id, server_uuid=server_uuid, name=name)


async def test_every_event_is_as_novas_schema_has_it(
    double: NovaDouble, endpoint: NovaEndpoint
) -> None:
    notices = [notice(name=name) for name in Name]
    notices.append(Notice(port_id="y", server_uuid=B, name=Name.PLUGGED, status=Status.FAILED))
    answer = await endpoint.tell(notices)
    assert (answer.reception, answer.status, set(answer.codes)) == (Reception.EACH, 200, {200})
    assert not double.wrong
    assert double.heard_of("y") == ["network-vif-plugged failed"]
    assert len(double.heard_of("x")) == len(Name)


async def test_codes_come_in_the_order_of_the_request(
    double: NovaDouble, endpoint: NovaEndpoint
) -> None:
    double.instances = {A: "h1", B: None}
    notices = [notice(server_uuid) for server_uuid in (B, C, A)]
    answer = await endpoint.tell(notices)
    assert (answer.status, answer.codes) == (207, (422, 404, 200))
    double.lacks = True
    answer = await endpoint.tell(notices)
    assert answer.codes == (None, 404, 200)


async def test_the_token_is_read_at_each_use(
    double: NovaDouble, endpoint: NovaEndpoint, token_file: Path
) -> None:
    token_file.write_text("old")
    answer = await endpoint.tell([notice()])
    assert (answer.reception, answer.status) == (Reception.AWAY, 401)
    assert f"the token is not accepted ({token_file})" in answer.why
    for content, why in (("", "one token alone"), ("a b", "one token alone"), ("ä", "no token")):
        token_file.write_text(content)
        answer = await endpoint.tell([notice()])
        assert (answer.reception, answer.status) == (Reception.AWAY, None)
        assert why in answer.why
    token_file.unlink()
    assert "No such file" in (await endpoint.tell([notice()])).why
    assert not double.heard
    token_file.write_text(TOKEN)
    assert (await endpoint.tell([notice()])).codes == (200,)


async def test_without_a_token_file_none_is_sent(double: NovaDouble) -> None:
    endpoint = NovaEndpoint(double.url, None, timeout_s=5)
    answer = await endpoint.tell([notice()])
    assert answer.status == 401
    assert "nova_token_file is not set" in answer.why
    await endpoint.close()


@pytest.mark.parametrize(
    ("status", "reception"),
    [
        (400, Reception.REFUSED),
        (413, Reception.REFUSED),
        (403, Reception.AWAY),
        (404, Reception.AWAY),
        (429, Reception.AWAY),
        (500, Reception.AWAY),
        (503, Reception.AWAY),
        (302, Reception.AWAY),
        (202, Reception.AWAY),
    ],
)
async def test_requests_that_fail_as_a_whole(
    double: NovaDouble, endpoint: NovaEndpoint, status: int, reception: Reception
) -> None:
    double.status = status
    answer = await endpoint.tell([notice()])
    assert (answer.reception, answer.status) == (reception, status)
    assert f"answered {status}: " in answer.why
    assert "as told" in answer.why


async def test_an_answer_that_is_not_novas(double: NovaDouble, endpoint: NovaEndpoint) -> None:
    double.status = 200
    answer = await endpoint.tell([notice()])
    assert answer.reception is Reception.AWAY
    assert "not as Nova does" in answer.why


async def test_an_old_nova_accepts_nothing_of_a_request(
    double: NovaDouble, endpoint: NovaEndpoint
) -> None:
    double.is_old, double.instances = True, {}
    answer = await endpoint.tell([notice()])
    assert (answer.reception, answer.status) == (Reception.NONE_ACCEPTED, 404)


async def test_no_answer(double: NovaDouble, endpoint: NovaEndpoint) -> None:
    double.breaks = True
    answer = await endpoint.tell([notice()])
    assert (answer.reception, answer.status) == (Reception.AWAY, None)
    assert "cannot be asked" in answer.why
    double.breaks = False
    double.gate.clear()
    answer = await endpoint.tell([notice()])
    assert "no answer within 0.5 s" in answer.why
    double.gate.set()
    assert (await endpoint.tell([notice()])).codes == (200,)


async def test_nobody_listens(token_file: Path) -> None:
    endpoint = NovaEndpoint("http://127.0.0.1:1/v2.1", token_file, timeout_s=5)
    answer = await endpoint.tell([notice()])
    assert answer.reception is Reception.AWAY
    assert "connection refused" in answer.why
    await endpoint.close()
