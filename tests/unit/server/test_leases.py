"""Leases by name: one holder at a time, on either database."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.doubles.clock import Clock
from tests.doubles.postgres import Postgres
from tests.unit.server.projects import client_of

from netwright.model.errors import LeaseHeld, Unavailable
from netwright.server.core import Core


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def core(database_url: str, clock: Clock) -> AsyncIterator[Core]:
    core = await Core.open(database_url, clock)
    await core.start()
    yield core
    await core.close()


async def test_one_holds_it_and_renews_it(core: Core, clock: Clock) -> None:
    token = await core.take_lease("fabric", "a", 10)
    with pytest.raises(LeaseHeld, match=r"held by a for another 10\.0 s"):
        await core.take_lease("fabric", "b", 10)
    await core.take_lease("other", "b", 10)
    clock.now += 9
    assert await core.take_lease("fabric", "a", 10) == token
    clock.now += 9
    with pytest.raises(LeaseHeld, match=r"another 1\.0 s"):
        await core.take_lease("fabric", "b", 10)


async def test_each_tenure_has_a_higher_token(core: Core, clock: Clock) -> None:
    tokens = [await core.take_lease("fabric", "a", 10)]
    clock.now += 10
    tokens.append(await core.take_lease("fabric", "b", 10))
    clock.now += 11
    tokens.append(await core.take_lease("fabric", "b", 10))  # it lapsed: somebody may have acted
    await core.take_lease("fabric", "b", 0)
    tokens.append(await core.take_lease("fabric", "a", 10))
    clock.now = 5.0  # it was set back: everybody's lease lasts longer, no token comes again
    with pytest.raises(LeaseHeld):
        await core.take_lease("fabric", "b", 10)
    await core.take_lease("fabric", "a", 0)
    tokens.append(await core.take_lease("fabric", "b", 10))
    assert tokens == sorted(set(tokens))


async def test_it_outlives_the_server(database_url: str, clock: Clock) -> None:
    tokens = []
    for _ in range(2):
        core = await Core.open(database_url, clock)
        tokens.append(await core.take_lease("fabric", "a", 10))
        with pytest.raises(LeaseHeld):
            await core.take_lease("fabric", "b", 10)
        await core.close()
    assert tokens[0] == tokens[1]


async def test_of_many_who_want_it_at_once_one_has_it(postgres_server: Postgres) -> None:
    url = postgres_server.new_database()
    cores = [await Core.open(url) for _ in range(4)]
    try:
        tokens = []
        for _ in range(10):
            wishes = [core.take_lease("fabric", f"h{n}", 10) for n, core in enumerate(cores)]
            said = await asyncio.gather(*wishes, return_exceptions=True)
            (holder,) = [n for n, one in enumerate(said) if isinstance(one, int)]
            assert all(isinstance(one, int | LeaseHeld) for one in said)
            tokens.append(said[holder])
            await cores[holder].take_lease("fabric", f"h{holder}", 0)
        assert len(set(tokens)) == len(tokens)
    finally:
        for core in cores:
            await core.close()


async def test_over_http(core: Core) -> None:
    admin = client_of(core, "admin")
    answer = await admin.post("/v1/leases/fabric", {"holder": "a", "ttl_s": 15})
    assert (answer.status, answer.json) == (200, {"token": 1_000})
    answer = await admin.post("/v1/leases/fabric", {"holder": "b", "ttl_s": 15})
    assert (answer.status, answer.error["type"]) == (409, "LeaseHeld")
    assert "held by a" in answer.error["message"]
    for body in (
        {"holder": "a"},
        {"holder": "", "ttl_s": 1},
        {"holder": "a", "ttl_s": -1},
        {"holder": "a", "ttl_s": 3601},
        {"holder": "a", "ttl_s": "x"},
        {"holder": "a", "ttl_s": 1, "token": 9},
    ):
        assert (await admin.post("/v1/leases/fabric", body)).status == 400, body
    for name in ("x" * 256, "a\0b", "a b", "ä"):
        assert (await admin.post(f"/v1/leases/{name}", {"holder": "a", "ttl_s": 1})).status == 400
    member = client_of(core, "demo")
    assert (await member.post("/v1/leases/x", {"holder": "a", "ttl_s": 1})).status == 403


async def test_who_holds_it_is_told_to_admins(core: Core, clock: Clock) -> None:
    admin, path = client_of(core, "admin"), "/v1/leases/fabric"
    never = await admin.get(path)
    assert (never.status, never.error["type"]) == (404, "LeaseNotFound")
    began = clock.now
    await admin.post(path, {"holder": "a", "ttl_s": 15})
    clock.now += 9
    await admin.post(path, {"holder": "a", "ttl_s": 15})
    lease = {"name": "fabric", "holder": "a", "expires_at": began + 24}
    assert (await admin.get(path)).json == {**lease, "is_held": True, "since": began}
    clock.now += 60
    assert (await admin.get(path)).json == {**lease, "is_held": False, "since": began + 24}
    assert (await admin.get("/v1/leases/a b")).status == 400
    assert (await client_of(core, "demo").get(path)).status == 403


async def test_a_stopping_server_gives_none(database_url: str) -> None:
    core = await Core.open(database_url)
    await core.close()
    with pytest.raises(Unavailable, match="stopping"):
        await core.take_lease("fabric", "a", 10)
