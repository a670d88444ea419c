"""Sub-resources of announced aliases: each attribute as neutron-lib says, over HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
import pytest_asyncio
from tests.unit.server.oracle.definitions import OURS, Attribute, known
from tests.unit.server.oracle.scene import HOST, Scene, opened, path_of

from netwright.server.api.v2 import extensions


def _said() -> Mapping[str, tuple[Mapping[str, str], Mapping[str, Attribute]]]:
    """By collection: its parent, and its attributes."""
    return {
        collection: (says["parent"], says["parameters"])
        for alias in sorted(extensions.announced() - OURS.keys())
        for collection, says in known()[alias].sub_resources.items()
    }


async def _bindings(scene: Scene) -> tuple[str, Mapping[str, Any]]:
    """Where a new port's bindings are, and the body that makes one."""
    bound = {"binding:host_id": HOST, "network_id": scene.made["vlan"], "device_owner": "compute:n"}
    port = await scene.one("ports", scene.admin, bound)
    return f"{path_of('ports')}/{port['id']}/bindings", {"host": "h2"}


MAKE: Mapping[str, Callable[[Scene], Awaitable[tuple[str, Mapping[str, Any]]]]] = {
    "bindings": _bindings,
}
SHOWN_BY_NOBODY = {
    ("bindings", "project_id"): "Neutron's ML2 shows it in no binding, though its definition has it"
}
CASES = [(each, name) for each, (_, names) in _said().items() for name in names]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with opened(tmp_path_factory.mktemp("sub")) as found:
        yield found


def test_every_sub_resource_can_be_made() -> None:
    assert MAKE.keys() == _said().keys()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("collection", "attribute"), CASES)
async def test_attribute_is_neutrons(scene: Scene, collection: str, attribute: str) -> None:
    _, attributes = _said()[collection]
    says, name = attributes[attribute], collection.removesuffix("s")
    path, body = await MAKE[collection](scene)
    refused = await scene.member.post(path, {name: body})
    assert refused.status == 403, "administrators' only"
    if not says["allow_post"]:
        answer = await scene.admin.post(path, {name: {**body, attribute: "one"}})
        said = f"Attribute '{attribute}' not allowed in POST"
        assert (answer.status, answer.error["message"]) == (400, said)
    answer = await scene.admin.post(path, {name: body})
    assert answer.status == 201, answer
    made = answer.json[name]
    is_shown = bool(says.get("is_visible")) and (collection, attribute) not in SHOWN_BY_NOBODY
    assert (attribute in made) is is_shown
    if not says["allow_put"]:
        answer = await scene.admin.put(f"{path}/{body['host']}", {name: {attribute: "one"}})
        assert answer.status == 400, answer
    answer = await scene.admin.get(f"{path}?{attribute}={made.get(attribute, 'one')}")
    if says.get("is_filter"):
        assert body["host"] in {one["host"] for one in answer.json[collection]}
        answer = await scene.admin.get(f"{path}?{attribute}=nobody")
        assert answer.json[collection] == []
    else:
        said = f"['{attribute}'] is invalid attribute for filtering"
        assert (answer.status, answer.error["message"]) == (400, said)
    await scene.clear()
