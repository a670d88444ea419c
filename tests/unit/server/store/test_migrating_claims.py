"""The step that brings containers' claims, forth and back and forth, with ports that are kept."""

import pytest
from tests.doubles.clock import Clock
from tests.doubles.sql import execute
from tests.unit.server.containers.scene import begin, claim, end, pod, stored, upkeep

from netwright.server import upkeep as upkeep_module
from netwright.server.containers.owners import owners_gone
from netwright.server.core import Core
from netwright.server.store.checking import check
from netwright.server.store.migrating import migrate


async def opened(url: str, clock: Clock) -> Core:
    core = await Core.open(url, clock)
    await core.start()
    return core


async def test_what_is_kept_is_kept_as_long_over_a_step_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "UPKEEP_PERIOD_S", 3600.0)
    clock = Clock()
    core = await opened(database_url, clock)
    await begin(core, ["h1"])
    kept = {"soon": "90s", "late": "24h", "ours": "while-owner-exists", "ever": "forever"}
    for name, keep in kept.items():
        await core.commit(claim("h1", name, name, keep=keep, pod=pod(name)))
        await core.commit(end("h1", name, name))
    await core.commit(claim("h1", "alone", "c", keep="while-owner-exists", pod=pod("alone", None)))
    await core.close()
    rows = await execute(database_url, "SELECT * FROM container_claim ORDER BY port_id")
    assert len(rows) == 4
    await migrate(database_url, "x", "0012")
    await migrate(database_url, "x")
    again = await execute(database_url, "SELECT * FROM container_claim ORDER BY port_id")
    assert [tuple(row) for row in again] == [tuple(row) for row in rows]
    assert (await check(database_url)).wrong == []
    core = await opened(database_url, clock)
    clock.now += 91.0
    await upkeep(core, clock)
    assert await stored(core, "soon") is None
    assert await stored(core, "late") is not None
    assert await owners_gone(core, "blue", {"u-set"}) == 1
    assert await stored(core, "ours") is None
    await core.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE container_claim SET kept_until = 7", "is kept otherwise than its row"),
        ("DELETE FROM container_claim", "is kept otherwise than its row"),
        ("UPDATE container_claim SET port_id = 'zz'", "a claim's row names port zz"),
    ],
)
async def test_rows_that_do_not_agree_are_found(
    database_url: str, monkeypatch: pytest.MonkeyPatch, change: str, says: str
) -> None:
    monkeypatch.setattr(upkeep_module, "UPKEEP_PERIOD_S", 3600.0)
    core = await opened(database_url, Clock())
    await begin(core, ["h1"])
    await core.commit(claim("h1", "web-0", "a"))
    await core.commit(end("h1", "web-0", "a"))
    await core.close()
    assert (await check(database_url)).wrong == []
    await execute(database_url, change)
    assert any(says in each for each in (await check(database_url)).wrong)
