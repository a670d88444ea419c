"""Scenarios in virtual time."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.doubles import fabrics, virtual_time
from tests.doubles.fabric_world import World

from netwright.model.topology import Topology


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Runs a scenario with a world of two leaves, two hosts."""

    def run(
        scenario: Callable[[World], Awaitable[None]], topology: Topology | None = None, **how: Any
    ) -> None:
        async def main() -> None:
            await scenario(World(tmp_path, topology or fabrics.topology(), **how))

        virtual_time.run(main())

    return run
