"""What is checked of the attributes of sub-resources of announced aliases, over HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from tests.doubles.http import Answer
from tests.unit.server.oracle.definitions import OURS, Attribute, known
from tests.unit.server.oracle.scene import HOST, Scene, path_of

from netwright.server.api.v2 import extensions


def said() -> Mapping[tuple[str, str], tuple[str, Attribute]]:
    """By collection and attribute: the alias that brings it, and what is said of it."""
    return {
        (collection, name): (alias, one)
        for alias in sorted(extensions.announced() - OURS.keys())
        for collection, says in known()[alias].sub_resources.items()
        for name, one in says["parameters"].items()
    }


async def _bindings(scene: Scene) -> tuple[str, Mapping[str, Any]]:
    """Where a new port's bindings are, and the body that makes one."""
    await scene.hear()
    bound = {"binding:host_id": HOST, "network_id": scene.made["vlan"], "device_owner": "compute:n"}
    port = await scene.one("ports", scene.admin, bound)
    return f"{path_of('ports')}/{port['id']}/bindings", {"host": "h2"}


MAKE: Mapping[str, Callable[[Scene], Awaitable[tuple[str, Mapping[str, Any]]]]] = {
    "bindings": _bindings,
}
SHOWN_BY_NOBODY = {
    ("bindings", "project_id"): "Neutron's ML2 shows it in no binding, though its definition has it"
}


async def checked_sub(
    scene: Scene, collection: str, attribute: str
) -> AsyncIterator[tuple[str, str | None]]:
    """Each check's name, and what was wrong, if anything was."""
    _, says = said()[collection, attribute]
    name = collection.removesuffix("s")
    path, body = await MAKE[collection](scene)
    answer = await scene.member.post(path, {name: body})
    yield "member makes one", _is(answer, 403)
    if not says["allow_post"]:
        answer = await scene.admin.post(path, {name: {**body, attribute: "one"}})
        yield "create refused", _is(answer, 400, f"Attribute '{attribute}' not allowed in POST")
    answer = await scene.admin.post(path, {name: body})
    yield "create", _is(answer, 201)
    if answer.status != 201:
        return
    made = answer.json[name]
    is_shown = bool(says.get("is_visible")) and (collection, attribute) not in SHOWN_BY_NOBODY
    yield "shown", None if (attribute in made) is is_shown else f"its keys are {sorted(made)}"
    if not says["allow_put"]:
        answer = await scene.admin.put(f"{path}/{body['host']}", {name: {attribute: "one"}})
        yield "update refused", _is(answer, 400)
    answer = await scene.admin.get(f"{path}?{attribute}={made.get(attribute, 'one')}")
    if not says.get("is_filter"):
        wanted = f"['{attribute}'] is invalid attribute for filtering"
        yield "filter refused", _is(answer, 400, wanted)
        return
    hosts = {one["host"] for one in answer.json[collection]}
    yield "filter", None if body["host"] in hosts else f"it finds {hosts}"
    answer = await scene.admin.get(f"{path}?{attribute}=nobody")
    yield "filter otherwise", None if answer.json[collection] == [] else f"{answer}"


def _is(answer: Answer, status: int, message: str = "") -> str | None:
    is_so = answer.status == status and (not message or answer.error["message"] == message)
    return None if is_so else f"{answer.status} {answer.body.decode()[:300]}"
