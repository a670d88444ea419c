"""What keystone says of a token, and whom it makes of its bearer."""

import json
from typing import Any

import msgspec
import pytest
from tests.doubles.keystone import IN_DOMAIN, IN_SYSTEM, PROJECT_ID, token

from netwright.model.errors import Denied
from netwright.server.api.v2.rules import ACTIONS, ATTRIBUTES
from netwright.server.commands import MEMBERS, Caller
from netwright.server.keystone.tokens import TOKEN_LENGTH_MAX, caller_of, is_possible, vouched
from netwright.server.rights.rules import Rules

RULES = Rules(ACTIONS, ATTRIBUTES)


def caller(body: dict[str, Any]) -> Caller:
    return caller_of(vouched(json.dumps({"token": body}).encode()), RULES)


def test_a_token_of_a_project() -> None:
    assert caller(token("member", "reader")) == Caller(project_id=PROJECT_ID)
    admin = caller(token("admin", "member", "reader"))
    assert (admin.is_admin, admin.project_id, admin.rights) == (True, PROJECT_ID, MEMBERS)
    assert "create_port" in caller(token("reader")).rights.denied


def test_an_admin_of_the_system_is_of_no_project() -> None:
    assert caller(token("admin", scope=IN_SYSTEM)) == Caller(project_id="", is_admin=True)


@pytest.mark.parametrize(
    "body",
    [
        token("member", "reader", scope=IN_SYSTEM),
        token("admin", scope=IN_DOMAIN),
        token(scope={}),
        token("admin", scope={"system": {"all": False}}),
    ],
)
def test_others_may_do_nothing(body: dict[str, Any]) -> None:
    with pytest.raises(Denied) as raised:
        caller(body)
    assert raised.value.next


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"token": {}}', b"<html>", b'{"token": {"user": {"id": "u"}}}',
     json.dumps({"token": token("member", expires_at="2026-01-01T00:00:00")}).encode(),
     json.dumps({"token": token("member", expires_at="soon")}).encode()],
)  # fmt: skip
def test_what_is_no_answer_of_keystones_is_refused(content: bytes) -> None:
    with pytest.raises((ValueError, msgspec.DecodeError)):
        vouched(content)


def test_only_what_can_be_a_token_is_asked_about() -> None:
    assert is_possible(b"gAAAAABrDLWs-_=")
    assert not is_possible(b"a" * (TOKEN_LENGTH_MAX + 1))
    assert not is_possible(b"\xff")
    assert not is_possible(b"a\r\nb")
