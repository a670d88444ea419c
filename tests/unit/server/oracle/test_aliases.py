"""Every announced alias: announced as Neutron does, with what it requires, and none untested."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.unit.server.oracle.behaviours import BEHAVIOURS
from tests.unit.server.oracle.definitions import OURS, attributes_of, known
from tests.unit.server.oracle.exceptions import ACTIONS_LATER, LATER
from tests.unit.server.oracle.scene import Scene, opened, path_of

from netwright.server.api.v2 import extensions

ANNOUNCED = sorted(extensions.announced())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with opened(tmp_path_factory.mktemp("aliases")) as found:
        yield found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("alias", ANNOUNCED)
async def test_alias_is_announced_as_neutron_does(scene: Scene, alias: str) -> None:
    shown = (await scene.member.get(f"/v2.0/extensions/{alias}")).json["extension"]
    assert shown["alias"] == alias
    if alias in OURS:
        assert alias not in known(), "it is Neutron's now"
        return
    one = known()[alias]
    said = {"name": one.name, "description": one.description, "updated": one.updated}
    assert {key: shown[key] for key in said} == said
    assert extensions.announced() >= set(one.requires), "what it requires is announced too"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("alias", sorted(BEHAVIOURS))
async def test_alias_does_what_it_says(scene: Scene, alias: str) -> None:
    await BEHAVIOURS[alias](scene)
    await scene.clear()


def test_no_alias_is_announced_untested() -> None:
    brought = {
        alias
        for attributes in attributes_of(extensions.announced()).values()
        for alias, _ in attributes.values()
    }
    untested = extensions.announced() - brought - BEHAVIOURS.keys() - _SUPERSEDED.keys()
    untested -= {alias for alias in untested if alias in known() and known()[alias].sub_resources}
    assert not untested
    assert extensions.announced() >= BEHAVIOURS.keys()


_SUPERSEDED = {"net-mtu": "net-mtu-writable says the same attribute anew"}


@pytest.mark.asyncio(loop_scope="module")
async def test_every_action_has_a_route(scene: Scene) -> None:
    paths = (await scene.admin.get("/openapi.json")).json["paths"]
    missing = set()
    for alias in extensions.announced() - OURS.keys():
        one = known()[alias]
        for name, actions in one.actions.items():
            parents = [f"{path_of(_plural(name))}/{{id}}"]
            if name in {_singular(each) for each in one.sub_resources}:
                parents = [
                    f"{path_of(says['parent']['collection_name'])}/{{id}}/{each}/{{host}}"
                    for each, says in one.sub_resources.items()
                ]
            for action, method in actions.items():
                if not any(
                    method.lower() in paths.get(f"{parent}/{action}", {}) for parent in parents
                ):
                    missing.add(action)
    assert missing == ACTIONS_LATER.keys()


def _plural(name: str) -> str:
    return f"{name}s"


def _singular(collection: str) -> str:
    return collection.removesuffix("s")


@pytest.mark.asyncio(loop_scope="module")
async def test_collections_that_come_later_are_not_served(scene: Scene) -> None:
    for collection in LATER:
        answer = await scene.admin.get(path_of(collection))
        assert answer.status == 404, f"{collection} are served: let the oracle check them"
