"""A lone claim is decided where it stands once its networks are counted (`docs/adr/0009`)."""

from typing import Any

import pytest
from tests.unit.server.containers.scene import begin, claim

from netwright.db.postgres import PostgresDatabase
from netwright.db.sqlite import SqliteDatabase
from netwright.server.core import Core


@pytest.fixture
def briefs(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each write, whether it is said to be brief; a server's own tasks' never are."""
    seen: list[bool] = []
    for kind in (SqliteDatabase, PostgresDatabase):
        monkeypatch.setattr(kind, "write", _noting(kind.write, seen))
    return seen


def _noting(write: Any, seen: list[bool]) -> Any:
    async def noting(self: Any, work: Any, *, brief: bool = False) -> Any:
        seen.append(brief)
        return await write(self, work, brief=brief)

    return noting


async def test_the_first_claim_of_a_selector_is_not_brief(core: Core, briefs: list[bool]) -> None:
    await begin(core, ["h1"])
    for number, expected in enumerate((False, True, True)):
        briefs.clear()
        await core.commit(claim("h1", f"web-{number}", f"c-{number}"))
        assert any(briefs) is expected, number


async def test_one_of_many_slots_is_not(core: Core, briefs: list[bool]) -> None:
    await begin(core, ["h1"])
    for number in range(2):
        briefs.clear()
        await core.commit(claim("h1", "web-{slot}", f"c-{number}", slots=9))
        assert not any(briefs), number
