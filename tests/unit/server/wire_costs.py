"""What endpoints about QoS and trunks may cost in SQL statements (`endpoint_costs`)."""

from collections.abc import Callable
from typing import Any

from tests.unit.server.scene import Request, Scene

Make = Callable[[Scene], Any]

POLICIES = "/v2.0/qos/policies"
_RULES = {
    "bandwidth_limit": {"max_kbps": 700},
    "dscp_marking": {"dscp_mark": 46},
    "minimum_bandwidth": {"min_kbps": 7},
}


async def _policy(scene: Scene) -> str:
    made = await scene.done("POST", POLICIES, {"policy": {"name": "p"}})
    return str(made["policy"]["id"])


def _on_policy(after: str = "", body: Any = None) -> Make:
    async def make(scene: Scene) -> Request:
        return Request(f"{POLICIES}/{await _policy(scene)}{after}", body)

    return make


def _policies(**change: Any) -> Make:
    async def make(scene: Scene) -> Request:
        items = [{"id": await _policy(scene), **change} for _ in range(2)]
        return Request(POLICIES, {"policies": items})

    return make


def _at(path: str, body: Any = None) -> Make:
    async def make(_: Scene) -> Request:
        return Request(path, body)

    return make


def _tagged(after: str = "", body: Any = None, within: str = POLICIES) -> Make:
    async def make(scene: Scene) -> Request:
        path = f"{within}/{await _policy(scene)}/tags"
        await scene.done("PUT", path, {"tags": ["a"]})
        return Request(f"{path}{after}", body)

    return make


def _rule(kind: str, *, is_changed: bool = False) -> Make:
    async def make(scene: Scene) -> Request:
        path = f"{POLICIES}/{await _policy(scene)}/{kind}_rules"
        name = f"{kind}_rule"
        made = await scene.done("POST", path, {name: _RULES[kind]})
        changed = dict.fromkeys(_RULES[kind], 0)
        return Request(f"{path}/{made[name]['id']}", {name: changed} if is_changed else None)

    return make


_TAGS = {"tags": ["b", "c"]}
QOS: dict[str, tuple[Make, int, int]] = {
    f"GET {POLICIES}": (_at(POLICIES), 1, 1),
    f"POST {POLICIES}": (_at(POLICIES, {"policy": {"name": "x"}}), 3, 5),
    f"PUT {POLICIES}": (_policies(name="x"), 6, 6),
    f"DELETE {POLICIES}": (_policies(), 8, 8),
    f"GET {POLICIES}/{{id}}": (_on_policy(), 1, 1),
    f"PUT {POLICIES}/{{id}}": (_on_policy("", {"policy": {"name": "x"}}), 4, 6),
    f"DELETE {POLICIES}/{{id}}": (_on_policy(), 5, 7),
    **{
        f"{method} {within}/{{id}}/tags{after}": (_tagged(end, body, within), *cost)
        for within in (POLICIES, "/v2.0/policies")
        for method, after, end, body, cost in (
            ("GET", "", "", None, (1, 1)),
            ("PUT", "", "", _TAGS, (7, 8)),
            ("POST", "", "", _TAGS, (6, 7)),
            ("DELETE", "", "", None, (5, 7)),
            ("GET", "/{tag}", "/a", None, (1, 1)),
            ("PUT", "/{tag}", "/c", None, (5, 7)),
            ("DELETE", "/{tag}", "/a", None, (5, 7)),
        )
    },
    "GET /v2.0/qos/rule-types": (_at("/v2.0/qos/rule-types"), 0, 0),
    "GET /v2.0/qos/rule-types/{id}": (_at("/v2.0/qos/rule-types/dscp_marking"), 0, 0),
    **{
        f"{method} {POLICIES}/{{id}}/{kind}_rules{after}": cost
        for kind in _RULES
        for method, after, cost in (
            ("GET", "", (_on_policy(f"/{kind}_rules"), 1, 1)),
            ("POST", "", (_on_policy(f"/{kind}_rules", {f"{kind}_rule": _RULES[kind]}), 5, 7)),
            ("GET", "/{rule}", (_rule(kind), 1, 1)),
            ("PUT", "/{rule}", (_rule(kind, is_changed=True), 5, 7)),
            ("DELETE", "/{rule}", (_rule(kind), 5, 7)),
        )
    },
}
"""By endpoint: how its request is made, and statements on SQLite and PostgreSQL."""


TRUNKS_PATH = "/v2.0/trunks"


async def _parent(scene: Scene) -> str:
    return str(await scene.port())


async def _sub_port(scene: Scene) -> dict[str, Any]:
    port = await scene.port()
    return {"port_id": port, "segmentation_type": "vlan", "segmentation_id": 8}


async def _trunk(scene: Scene) -> str:
    """With a subport."""
    sub = {**await _sub_port(scene), "segmentation_id": 7}
    wanted = {"port_id": await _parent(scene), "sub_ports": [sub]}
    made = await scene.done("POST", TRUNKS_PATH, {"trunk": wanted})
    return str(made["trunk"]["id"])


async def _new_trunk(scene: Scene) -> Request:
    wanted = {"port_id": await _parent(scene), "sub_ports": [await _sub_port(scene)]}
    return Request(TRUNKS_PATH, {"trunk": wanted})


def _on_trunk(after: str = "", body: Any = None) -> Make:
    async def make(scene: Scene) -> Request:
        return Request(f"{TRUNKS_PATH}/{await _trunk(scene)}{after}", body)

    return make


def _trunks(**change: Any) -> Make:
    async def make(scene: Scene) -> Request:
        items = [{"id": await _trunk(scene), **change} for _ in range(2)]
        return Request(TRUNKS_PATH, {"trunks": items})

    return make


async def _added(scene: Scene) -> Request:
    added = {"sub_ports": [await _sub_port(scene)]}
    return Request(f"{TRUNKS_PATH}/{await _trunk(scene)}/add_subports", added)


async def _removed(scene: Scene) -> Request:
    trunk = await _trunk(scene)
    (sub,) = (await scene.done("GET", f"{TRUNKS_PATH}/{trunk}/get_subports"))["sub_ports"]
    gone = {"sub_ports": [{"port_id": sub["port_id"]}]}
    return Request(f"{TRUNKS_PATH}/{trunk}/remove_subports", gone)


async def _moved_parent(scene: Scene) -> Request:
    trunk = await scene.done("GET", f"{TRUNKS_PATH}/{await _trunk(scene)}")
    port = trunk["trunk"]["port_id"]
    return Request(f"/v2.0/ports/{port}", {"port": {"binding:host_id": "h1"}})


def _tagged_trunk(after: str = "", body: Any = None) -> Make:
    async def make(scene: Scene) -> Request:
        path = f"{TRUNKS_PATH}/{await _trunk(scene)}/tags"
        await scene.done("PUT", path, {"tags": ["a"]})
        return Request(f"{path}{after}", body)

    return make


TRUNKS: dict[str, tuple[Make, int, int]] = {
    f"GET {TRUNKS_PATH}": (_at(TRUNKS_PATH), 1, 1),
    f"POST {TRUNKS_PATH}": (_new_trunk, 10, 8),
    f"PUT {TRUNKS_PATH}": (_trunks(name="x"), 11, 8),
    f"DELETE {TRUNKS_PATH}": (_trunks(), 20, 10),
    f"GET {TRUNKS_PATH}/{{id}}": (_on_trunk(), 1, 1),
    f"PUT {TRUNKS_PATH}/{{id}}": (_on_trunk("", {"trunk": {"name": "x"}}), 7, 8),
    f"DELETE {TRUNKS_PATH}/{{id}}": (_on_trunk(), 12, 10),
    f"PUT {TRUNKS_PATH}/{{id}}/add_subports": (_added, 12, 9),
    f"PUT {TRUNKS_PATH}/{{id}}/remove_subports": (_removed, 11, 9),
    f"GET {TRUNKS_PATH}/{{id}}/get_subports": (_on_trunk("/get_subports"), 1, 1),
    "PUT /v2.0/ports/{id} (of a trunk, bound)": (_moved_parent, 21, 14),
    f"GET {TRUNKS_PATH}/{{id}}/tags": (_tagged_trunk(), 1, 1),
    f"PUT {TRUNKS_PATH}/{{id}}/tags": (_tagged_trunk("", _TAGS), 10, 10),
    f"POST {TRUNKS_PATH}/{{id}}/tags": (_tagged_trunk("", _TAGS), 9, 9),
    f"DELETE {TRUNKS_PATH}/{{id}}/tags": (_tagged_trunk(), 8, 9),
    f"GET {TRUNKS_PATH}/{{id}}/tags/{{tag}}": (_tagged_trunk("/a"), 1, 1),
    f"PUT {TRUNKS_PATH}/{{id}}/tags/{{tag}}": (_tagged_trunk("/c"), 8, 9),
    f"DELETE {TRUNKS_PATH}/{{id}}/tags/{{tag}}": (_tagged_trunk("/a"), 8, 9),
}
"""As `QOS`."""
