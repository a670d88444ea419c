"""Sub-resources of announced aliases: each attribute as neutron-lib says, over HTTP."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.unit.server.oracle.scene import Scene, opened
from tests.unit.server.oracle.sub_resources import MAKE, checked_sub, said


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with opened(tmp_path_factory.mktemp("sub")) as found:
        yield found


def test_every_sub_resource_can_be_made() -> None:
    assert MAKE.keys() == {collection for collection, _ in said()}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("collection", "attribute"), list(said()))
async def test_attribute_is_neutrons(scene: Scene, collection: str, attribute: str) -> None:
    found = [each async for each in checked_sub(scene, collection, attribute)]
    await scene.clear()
    assert found
    assert [each for each in found if each[1] is not None] == []
