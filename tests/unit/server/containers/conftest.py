"""A core whose clock stands still until a test moves it; its own upkeep does nothing."""

from collections.abc import AsyncIterator

import pytest
from tests.doubles.clock import Clock

from netwright.server import upkeep
from netwright.server.core import Core


@pytest.fixture(autouse=True)
def _no_upkeep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "UPKEEP_PERIOD_S", 3600.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def core(database_url: str, clock: Clock) -> AsyncIterator[Core]:
    core = await Core.open(database_url, clock)
    await core.start()
    yield core
    await core.close()
