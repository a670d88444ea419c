"""`db check` finds rows that do not agree, and names the first few."""

import pytest
from tests.doubles.filled import filled
from tests.doubles.sql import execute

from netwright.server.store import checking
from netwright.server.store.checking import check
from netwright.server.store.existing import DatabaseNotFound
from netwright.server.store.schema import SCHEMA_VERSION


async def test_a_database_in_use_whose_rows_agree(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for page in (1, 2, 5):
        monkeypatch.setattr(checking, "PAGE", page)
        if page == 1:
            async with filled(database_url):
                found = await check(database_url)
        found = await check(database_url)
        assert (found.version, found.wrong, found.wrong_count) == (SCHEMA_VERSION, [], 0)
        assert (found.rows["port"], found.rows["binding"], found.rows["network"]) == (2, 1, 1)


@pytest.mark.parametrize("page", [1, 5])
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "DELETE FROM allocation WHERE port_id = 'bb'",
            "port bb has 10.0.0.3 of subnet sub, but no allocation says so",
        ),
        (
            "UPDATE allocation SET port_id = NULL WHERE port_id = 'a'",
            "port a has 10.0.0.2 of subnet sub, but no allocation says so",
        ),
        (
            "UPDATE allocation SET port_id = 'zz' WHERE port_id = 'bb'",
            "10.0.0.3 is allocated to port zz, which is not there",
        ),
        (
            "UPDATE allocation SET port_id = 'a' WHERE port_id = 'bb'",
            "10.0.0.3 of subnet sub is allocated to port a, which lacks it",
        ),
        ("DELETE FROM binding", "port a has other bindings (hosts: h1) than its binding rows"),
        (
            "UPDATE binding SET host = 'h2'",
            "port a has other bindings (hosts: h1) than its binding rows",
        ),
        ("UPDATE binding SET port_id = 'a-'", "binding rows name port a-, which is not there"),
        ("DELETE FROM network", "port a is in network net, which is not there"),
        ("DELETE FROM subnet", "port a holds an address of subnet sub, which is not there"),
    ],
)
async def test_what_does_not_agree_is_named(
    database_url: str, statement: str, words: str, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "PAGE", page)
    async with filled(database_url):
        pass
    await execute(database_url, statement)
    found = await check(database_url)
    assert words in found.wrong
    assert found.wrong_count == len(found.wrong)


async def test_only_the_first_few_are_named_and_all_are_counted(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "NAMED_MAX", 1)
    async with filled(database_url):
        pass
    await execute(database_url, "DELETE FROM allocation")
    found = await check(database_url)
    assert (len(found.wrong), found.wrong_count) == (1, 2)


async def test_an_empty_database(database_url: str) -> None:
    with pytest.raises(DatabaseNotFound):
        await check(database_url)
