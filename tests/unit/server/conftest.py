"""A running core on an empty database; a test with it runs on both kinds."""

from collections.abc import AsyncIterator

import pytest

from netwright.server.core import Core


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    core = await Core.open(database_url)
    await core.start()
    yield core
    await core.close()
