"""What is checked of the attributes of sub-resources of announced aliases, over HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from tests.doubles.http import Answer
from tests.unit.server.oracle.definitions import OURS, Attribute, known
from tests.unit.server.oracle.probes import refused
from tests.unit.server.oracle.scene import HOST, MEMBER, Scene, path_of

from netwright.server.api.v2 import extensions


def said() -> Mapping[tuple[str, str], tuple[str, Attribute]]:
    """By collection and attribute: the alias that brings it, and what is said of it."""
    return {
        (collection, name): (alias, one)
        for alias in sorted(extensions.announced() - OURS.keys())
        for collection, says in known()[alias].sub_resources.items()
        for name, one in says["parameters"].items()
    }


class Made(NamedTuple):
    """Where one's collection is, two bodies that make one, and by which attribute one is named."""

    path: str
    first: Mapping[str, Any]
    second: Mapping[str, Any]
    key: str = "id"


async def _bindings(scene: Scene) -> Made:
    """A new port's bindings."""
    await scene.hear()
    bound = {"binding:host_id": HOST, "network_id": scene.made["vlan"], "device_owner": "compute:n"}
    port = await scene.one("ports", scene.admin, bound)
    body = {"host": "h2"}
    return Made(f"{path_of('ports')}/{port['id']}/bindings", body, body, "host")


async def _limits(scene: Scene) -> Made:
    first = {"max_kbps": 700, "max_burst_kbps": 70, "direction": "egress"}
    second = {"max_kbps": 800, "max_burst_kbps": 80, "direction": "ingress"}
    return await _rules(scene, "bandwidth_limit", first, second)


async def _marks(scene: Scene) -> Made:
    return await _rules(scene, "dscp_marking", {"dscp_mark": 46}, {"dscp_mark": 26})


async def _minima(scene: Scene) -> Made:
    first = {"min_kbps": 700, "direction": "egress"}
    return await _rules(
        scene, "minimum_bandwidth", first, {"min_kbps": 800, "direction": "ingress"}
    )


async def _rules(
    scene: Scene, kind: str, first: Mapping[str, Any], second: Mapping[str, Any]
) -> Made:
    """A new policy's rules."""
    policy = await scene.one("policies", scene.admin, {"project_id": MEMBER})
    return Made(f"{path_of('policies')}/{policy['id']}/{kind}_rules", first, second)


MAKE: Mapping[str, Callable[[Scene], Awaitable[Made]]] = {
    "bandwidth_limit_rules": _limits,
    "bindings": _bindings,
    "dscp_marking_rules": _marks,
    "minimum_bandwidth_rules": _minima,
}
SHOWN_BY_NOBODY = {
    ("bindings", "project_id"): "Neutron's ML2 shows it in no binding, though its definition has it"
}
_FORBIDDEN = 403
_REFUSED = 400


async def checked_sub(
    scene: Scene, collection: str, attribute: str
) -> AsyncIterator[tuple[str, str | None]]:
    """Each check's name, and what was wrong, if anything was."""
    _, says = said()[collection, attribute]
    name = collection.removesuffix("s")
    where = await MAKE[collection](scene)
    path, body = where.path, where.first
    answer = await scene.member.post(path, {name: body})
    yield "member makes one", _is(answer, _FORBIDDEN)
    async for each in _not_made(scene, where, name, attribute, says):
        yield each
    answer = await scene.admin.post(path, {name: body})
    yield "create", _is(answer, 201)
    if answer.status != 201:
        return
    made = answer.json[name]
    is_shown = bool(says.get("is_visible")) and (collection, attribute) not in SHOWN_BY_NOBODY
    yield "shown", None if (attribute in made) is is_shown else f"its keys are {sorted(made)}"
    async for each in _changed(scene, where, name, attribute, made):
        yield each
    answer = await scene.admin.get(f"{path}?{attribute}={made.get(attribute, 'one')}")
    if not says.get("is_filter"):
        wanted = f"['{attribute}'] is invalid attribute for filtering"
        yield "filter refused", _is(answer, _REFUSED, wanted)
        return
    found = {one[where.key] for one in answer.json[collection]}
    yield "filter", None if made[where.key] in found else f"it finds {found}"
    other = 7 if isinstance(made.get(attribute), int) else "nobody"
    answer = await scene.admin.get(f"{path}?{attribute}={other}")
    yield "filter otherwise", None if answer.json[collection] == [] else f"{answer}"
    if says.get("is_sort_key"):
        answer = await scene.admin.get(f"{path}?sort_key={attribute}")
        yield "sort", _is(answer, 200)


async def _not_made(
    scene: Scene, where: Made, name: str, attribute: str, says: Attribute
) -> AsyncIterator[tuple[str, str | None]]:
    """What is not to be taken."""
    if not says["allow_post"]:
        answer = await scene.admin.post(where.path, {name: {**where.first, attribute: "one"}})
        said_so = f"Attribute '{attribute}' not allowed in POST"
        yield "create refused", _is(answer, _REFUSED, said_so)
        return
    for probe in refused(attribute, says):
        answer = await scene.admin.post(where.path, {name: {**where.first, attribute: probe}})
        yield f"create refuses {probe!r:.40}", _is(answer, _REFUSED)
    if "default" not in says and attribute in where.first and len(where.first) > 1:
        rest = {key: value for key, value in where.first.items() if key != attribute}
        answer = await scene.admin.post(where.path, {name: rest})
        yield "required", _is(answer, _REFUSED)


async def _changed(
    scene: Scene, where: Made, name: str, attribute: str, made: Mapping[str, Any]
) -> AsyncIterator[tuple[str, str | None]]:
    says = said()[f"{name}s", attribute][1]
    one = f"{where.path}/{made[where.key]}"
    if not says["allow_put"]:
        answer = await scene.admin.put(one, {name: {attribute: "one"}})
        yield "update refused", _is(answer, _REFUSED)
        return
    if attribute not in where.second:
        return
    for given in (where.second[attribute], where.first[attribute]):
        answer = await scene.admin.put(one, {name: {attribute: given}})
        is_so = answer.status == 200 and answer.json[name][attribute] == given
        yield f"update to {given}", None if is_so else f"{answer}"
    for probe in refused(attribute, says):
        answer = await scene.admin.put(one, {name: {attribute: probe}})
        yield f"update refuses {probe!r:.40}", _is(answer, _REFUSED)
    after = (await scene.admin.get(one)).json[name]
    yield "unchanged by what was refused", None if after == made else f"{made} -> {after}"
    answer = await scene.member.put(one, {name: {attribute: where.second[attribute]}})
    yield "member updates it", _is(answer, _FORBIDDEN)


def _is(answer: Answer, status: int, message: str = "") -> str | None:
    is_so = answer.status == status and (not message or answer.error["message"] == message)
    return None if is_so else f"{answer.status} {answer.body.decode()[:300]}"
