"""A running core on an empty database; a test with it runs on both kinds."""

from collections.abc import AsyncIterator

import pytest
from tests.doubles.places import Place, PostgresPlace, SqlitePlace

from netwright.server.core import Core


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    core = await Core.open(database_url)
    await core.start()
    yield core
    await core.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Place:
    """Where a `Store` keeps its tables: a test with it runs on both kinds of database."""
    if request.param == "sqlite":
        return SqlitePlace()
    place: PostgresPlace = request.getfixturevalue("postgres_place")
    return place.emptied()
