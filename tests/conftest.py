"""What tests of several levels share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.doubles.places import PostgresPlace
from tests.doubles.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A private PostgreSQL; each test takes a database of its own in it."""
    with postgres(durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_place(postgres_server: Postgres) -> Iterator[PostgresPlace]:
    place = PostgresPlace(postgres_server.new_database())
    yield place
    place.end()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of either kind: a test with it runs on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/netwright.db"
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.new_database()
