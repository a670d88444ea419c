"""Keystone over HTTP, by a double of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doubles.keystone import (
    PASSWORD,
    PROJECT_ID,
    USER,
    KeystoneDouble,
    keystone_double,
    token,
)

from netwright.server.keystone.service import Access, Keystone, KeystoneAway

TIMEOUT_S = 10.0


@pytest.fixture
def double() -> Iterator[KeystoneDouble]:
    with keystone_double() as running:
        running.tokens["t"] = token("member", "reader")
        yield running


@pytest.fixture
def access(double: KeystoneDouble, tmp_path: Path) -> Access:
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    return Access(
        url=double.url,
        user=USER,
        user_domain="Default",
        project="service",
        project_domain="Default",
        password_file=password,
        ca_file=None,
        timeout_s=TIMEOUT_S,
    )


@pytest.fixture
async def keystone(access: Access) -> AsyncIterator[Keystone]:
    one = Keystone(access)
    yield one
    await one.close()


async def test_it_says_whose_a_token_is(keystone: Keystone, double: KeystoneDouble) -> None:
    found = await keystone.vouch("t")
    assert found is not None
    assert found.project_id == PROJECT_ID
    assert found.roles == {"member", "reader"}
    assert await keystone.vouch("another") is None
    assert double.asked == ["t", "another"]
    assert all(query.endswith("?nocatalog") or "nocatalog=" in query for query in double.queries)


async def test_it_logs_in_once_for_all(keystone: Keystone, double: KeystoneDouble) -> None:
    await asyncio.gather(*(keystone.vouch("t") for _ in range(20)))
    assert len(double.logins) == 1
    assert double.logins[0]["auth"]["scope"] == {
        "project": {"name": "service", "domain": {"name": "Default"}}
    }


async def test_its_own_token_is_had_anew_when_it_is_revoked(
    keystone: Keystone, double: KeystoneDouble
) -> None:
    await keystone.vouch("t")
    double.own = "revoked"
    found = await asyncio.gather(*(keystone.vouch("t") for _ in range(5)))
    assert all(each is not None for each in found)
    assert len(double.logins) == 2


async def test_a_changed_password_is_read_again(
    keystone: Keystone, double: KeystoneDouble, access: Access
) -> None:
    await keystone.vouch("t")
    double.own, double.password = "revoked", "new"
    with pytest.raises(KeystoneAway, match="does not let user netwright of this server in"):
        await keystone.vouch("t")
    access.password_file.write_text("new")
    assert await keystone.vouch("t") is not None


@pytest.mark.parametrize("content", [None, "", "\n"])
async def test_no_password_is_said(keystone: Keystone, access: Access, content: str | None) -> None:
    access.password_file.unlink()
    if content is not None:
        access.password_file.write_text(content)
    with pytest.raises(KeystoneAway, match=str(access.password_file)) as raised:
        await keystone.vouch("t")
    assert raised.value.next


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (200, "does not answer as keystone does"),
        (302, "answers 302"),
        (403, "answers 403 to user netwright"),
        (404, "answers 404: not what keystone says"),
        (500, "answers 500"),
    ],
)
async def test_what_is_no_answer_of_keystones_says_nothing_of_a_token(
    keystone: Keystone, double: KeystoneDouble, status: int, why: str
) -> None:
    await keystone.vouch("t")
    double.status = status
    with pytest.raises(KeystoneAway, match=why) as raised:
        await keystone.vouch("t")
    assert raised.value.next


async def test_a_keystone_that_hangs_is_waited_for_no_longer_than_is_set(
    double: KeystoneDouble, access: Access
) -> None:
    double.gate.clear()
    keystone = Keystone(replace(access, timeout_s=0.2))
    with pytest.raises(KeystoneAway, match=r"no answer within 0\.2 s"):
        await keystone.vouch("t")
    double.gate.set()
    await keystone.close()


async def test_a_keystone_that_is_not_there_is_said(access: Access) -> None:
    keystone = Keystone(replace(access, url="http://127.0.0.1:1/v3"))
    with pytest.raises(KeystoneAway, match="connection refused"):
        await keystone.vouch("t")
    await keystone.close()


async def test_certificates_that_are_none_are_said(access: Access) -> None:
    keystone = Keystone(replace(access, url="https://127.0.0.1:1/v3", ca_file=access.password_file))
    with pytest.raises(KeystoneAway, match="cannot be asked"):
        await keystone.vouch("t")
    await keystone.close()
