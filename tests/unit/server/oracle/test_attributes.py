"""Every attribute of every announced alias is as Neutron says, over HTTP.

neutron-lib's definitions are the oracle; what is checked of each is in `checks`. Where we deviate
stands in `exceptions`, with a reason; an exception that is needed no more has to go from there.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.unit.server.oracle.checks import Case, cases, checked
from tests.unit.server.oracle.definitions import OUR_ATTRIBUTES, attributes_of
from tests.unit.server.oracle.exceptions import DEVIATIONS, LATER, excused
from tests.unit.server.oracle.scene import MAKE, READ_ONLY, Scene, found_or_made, opened

from netwright.server.api.v2 import extensions


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with opened(tmp_path_factory.mktemp("oracle")) as found:
        yield found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case[0]}.{case[1]}")
async def test_attribute_is_neutrons(scene: Scene, case: Case) -> None:
    found = await checked(scene, case)
    assert found, "nothing was checked"
    wrong = {name: said for name, said in found.items() if said is not None}
    known = excused(case.collection, case.attribute, found)
    unknown = {name: said for name, said in wrong.items() if name not in known}
    assert not unknown, "\n".join(f"{name}: {said}" for name, said in unknown.items())
    needless = known - wrong.keys()
    assert not needless, f"no exception is needed any more for {sorted(needless)}"


def test_every_collection_can_be_made_or_comes_later() -> None:
    collections = attributes_of(extensions.announced()).keys()
    assert MAKE.keys() | READ_ONLY.keys() | LATER.keys() >= collections
    assert not (MAKE.keys() | READ_ONLY.keys()) & LATER.keys()
    assert LATER.keys() <= collections, "one that is announced no more"


def test_every_exception_is_of_something() -> None:
    attributes = {(case.collection, case.attribute) for case in cases()}
    assert {(one.collection, one.attribute) for one in DEVIATIONS} <= attributes


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("collection", sorted({*MAKE, *READ_ONLY}))
async def test_all_that_is_shown_is_somebodys(scene: Scene, collection: str) -> None:
    said = attributes_of(extensions.announced())[collection].keys() | {"project_id"}
    made = await found_or_made(scene, collection)
    await scene.clear()
    assert made.keys() - said == OUR_ATTRIBUTES.get(collection, frozenset())


CHANGED = {
    "is_visible": "shown",
    "is_filter": "filter refused",
    "is_sort_key": "sort refused",
    "allow_post": "create refused",
    "allow_put": "update refused",
}
"""A flag of a name's, and the check that notices when the server does otherwise."""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("flag", CHANGED)
async def test_the_oracle_notices(scene: Scene, flag: str) -> None:
    (case,) = (each for each in cases() if each[:2] == ("networks", "name"))
    found = await checked(scene, case._replace(says={**case.says, flag: False}))
    assert found[CHANGED[flag]] is not None


@pytest.mark.asyncio(loop_scope="module")
async def test_the_oracle_notices_other_values(scene: Scene) -> None:
    (case,) = (each for each in cases() if each[:2] == ("networks", "name"))
    says = {**case.says, "default": "nobody", "validate": {"type:not_empty_string": 3}}
    found = await checked(scene, case._replace(says=says))
    wrong = {name for name, said in found.items() if said is not None}
    assert {"default", "create refuses ''", "update refuses 'maybe'"} <= wrong
    ruled = case._replace(attribute="description", says={**case.says, "enforce_policy": True})
    assert (await checked(scene, ruled))["policy"] is not None
