"""Networks, routers and floating IPs, asked for at the edge, for the tests of them."""

from typing import Any, NamedTuple

from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of
from tests.unit.server.test_routers import a_network, a_router, a_subnet, add, made, said

from netwright.server.core import Core

__all__ = ["Scene", "a_network", "a_router", "a_subnet", "add", "made", "said", "scene"]


class Scene(NamedTuple):
    """An external network with 203.0.113.0/28; router `r` from it to the subnet of port `p`.

    All but the external network is `owner`'s.
    """

    admin: Client
    owner: Client
    outside: str
    subnet: str
    router: str
    inside: str
    inner: str
    port: str

    async def gateway(self, **more: Any) -> Answer:
        """Give the router its gateway, as an administrator."""
        info = {"network_id": self.outside, **more}
        return await self.change({"external_gateway_info": info})

    async def change(self, change: dict[str, Any]) -> Answer:
        return await self.admin.put(f"/v2.0/routers/{self.router}", {"router": change})

    async def floating(self, client: Client | None = None, **more: Any) -> Answer:
        item = {"floating_network_id": self.outside, **more}
        return await (client or self.owner).post("/v2.0/floatingips", {"floatingip": item})

    async def shown(self, path: str) -> Any:
        """The resource at `collection/id`, as an administrator sees it."""
        answer = await self.admin.get(f"/v2.0/{path}")
        return answer.json[path.partition("/")[0][:-1]]


async def scene(core: Core) -> Scene:
    admin, owner = client_of(core, "admin"), client_of(core, "owner")
    outside = await a_network(admin, **{"router:external": True})
    subnet = await a_subnet(admin, "203.0.113.0/28", outside)
    router = await a_router(owner)
    inside = await a_network(admin, project_id="owner")
    inner = await a_subnet(owner, "10.0.0.0/24", inside)
    assert (await add(owner, router, subnet_id=inner)).status == 200
    port = (await made(owner, "port", network_id=inside))["id"]
    return Scene(admin, owner, outside, subnet, router, inside, inner, port)
