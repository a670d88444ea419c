"""What endpoints about segments may cost in SQL statements (`endpoint_costs`)."""

from collections.abc import Callable
from typing import Any

from tests.unit.server.scene import Request, Scene

Make = Callable[[Scene], Any]

SEGMENTS = "/v2.0/segments"


async def _wanted(scene: Scene) -> dict[str, Any]:
    """A further segment of a network of one's own."""
    where = {"physical_network": f"rack-{scene.next_vlan()}", "segmentation_id": scene.next_vlan()}
    return {"network_id": await scene.network(), "network_type": "vlan", **where}


async def _segment(scene: Scene) -> str:
    made = await scene.done("POST", SEGMENTS, {"segment": await _wanted(scene)})
    return str(made["segment"]["id"])


async def _listed(_: Scene) -> Request:
    return Request(f"{SEGMENTS}?limit=9")


async def _new(scene: Scene) -> Request:
    return Request(SEGMENTS, {"segment": await _wanted(scene)})


def _one(**change: Any) -> Make:
    async def make(scene: Scene) -> Request:
        body = {"segment": change} if change else None
        return Request(f"{SEGMENTS}/{await _segment(scene)}", body)

    return make


def _two(**change: Any) -> Make:
    async def make(scene: Scene) -> Request:
        items = [{"id": await _segment(scene), **change} for _ in range(2)]
        return Request(SEGMENTS, {"segments": items})

    return make


COSTS: dict[str, tuple[Make, int, int]] = {
    f"GET {SEGMENTS}": (_listed, 1, 1),
    f"POST {SEGMENTS}": (_new, 8, 10),
    f"PUT {SEGMENTS}": (_two(name="x"), 11, 10),
    f"DELETE {SEGMENTS}": (_two(), 11, 10),
    f"GET {SEGMENTS}/{{id}}": (_one(), 1, 1),
    f"PUT {SEGMENTS}/{{id}}": (_one(name="x"), 8, 10),
    f"DELETE {SEGMENTS}/{{id}}": (_one(), 8, 10),
}
"""By endpoint: how its request is made, and statements on SQLite and PostgreSQL."""
