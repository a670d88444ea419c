"""A server with few or many of everything, to count what a request costs in it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.doubles.http import Client

from netwright.model.resources import Attachment
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import OpenAuthenticator
from netwright.server.core import Core
from netwright.server.metrics import Metrics

REGISTRATION = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "br"}}


class Request(NamedTuple):
    target: str
    body: Any = None
    headers: Mapping[str, str] = {}


class Scene:
    """A server with so many of everything.

    What grows by what it holds is there once with so much in it: `groups[0]` has so many rules,
    `scopes[0]` so many pools, `pools[0]` so many subnets, `routers[0]` so many interfaces.
    """

    def __init__(self, core: Core, count: int) -> None:
        edge = Edge(core, OpenAuthenticator(b"x"), Metrics(), body_bytes_max=1 << 22)
        self.core = core
        self.client = Client(application(edge), {"x-project-id": "p"})
        self.count = count
        self.networks: list[str] = []
        self.subnets: list[str] = []
        self.ports: list[str] = []
        self.bound: list[str] = []
        self.groups: list[str] = []
        self.scopes: list[str] = []
        self.pools: list[str] = []
        self.routers: list[str] = []
        self.outside = ""
        self.floating: list[str] = []
        self.renamed = 0
        self.are_labelled = False
        self._made = 0
        self._vlan = 0

    async def fill(self) -> None:
        for _ in range(self.count):
            await self.host()
        await self.done("PUT", "/v1/topology", self.topology())
        self.networks = [await self.network() for _ in range(self.count)]
        self.subnets = [await self.subnet(id_) for id_ in self.networks]
        self.ports = [await self.port() for _ in range(self.count)]
        self.bound = [await self.port(bound=True) for _ in range(self.count)]
        self.groups = [await self.group() for _ in range(self.count)]
        self.scopes = [await self.scope() for _ in range(self.count)]
        self.pools = [await self.pool() for _ in range(self.count)]
        self.routers = [await self.router() for _ in range(self.count)]
        await self._share()
        await self._lead_out()
        self.floating = [await self.floating_ip() for _ in range(self.count)]
        for number in range(self.count):
            await self.rule()
            new = self.pooled_subnet(await self.network())
            await self.done("POST", "/v2.0/subnets", new)
            await self.interface()
            await self.done("PUT", f"/v2.0/quotas/q{number}", {"quota": {"port": 9}})

    async def network(self) -> str:
        return str((await self.done("POST", "/v2.0/networks", self.new_network()))["network"]["id"])

    async def subnet(self, network_id: str) -> str:
        made = await self.done("POST", "/v2.0/subnets", self.new_subnet(network_id))
        return str(made["subnet"]["id"])

    async def label(self) -> None:
        """So many networks are chosen from by a label, and each but the first has been."""
        if self.are_labelled:
            return
        self.are_labelled = True
        for network_id in self.networks:
            labels = {"network": {"labels": {"app": "web"}}}
            await self.done("PUT", f"/v2.0/networks/{network_id}", labels)
        ports = [{"network_labels": "app=web"}] * (10 * len(self.networks))
        await self.done("POST", "/v2.0/ports", {"ports": ports})

    async def port(self, *, bound: bool = False) -> str:
        made = await self.done("POST", "/v2.0/ports", self.new_port(bound=bound))
        return str(made["port"]["id"])

    async def group(self) -> str:
        return await self._one("security-groups", {"name": f"g{self._next()}"})

    async def rule(self) -> str:
        return await self._one("security-group-rules", self.new_rule())

    async def scope(self) -> str:
        return await self._one("address-scopes", {"name": f"s{self._next()}", "ip_version": 4})

    async def pool(self) -> str:
        return await self._one("subnetpools", self.new_pool())

    async def router(self) -> str:
        return await self._one("routers", {"name": f"r{self._next()}"})

    async def policy(self) -> str:
        """Of a new network, of which nobody else knows."""
        return await self._one("rbac-policies", self.new_policy(await self.network()))

    def new_policy(self, network_id: str) -> dict[str, str]:
        shared = {"object_type": "network", "action": "access_as_shared"}
        return {**shared, "object_id": network_id, "target_tenant": f"t{self._next()}"}

    async def address_group(self) -> str:
        return await self._one("address-groups", {"addresses": ["10.0.0.0/8"]})

    def new_default_rule(self) -> dict[str, Any]:
        number = 1 + self._next() % 60_000
        ports = {"protocol": "tcp", "port_range_min": number, "port_range_max": number}
        return {"direction": "ingress", **ports, "used_in_non_default_sg": False}

    async def default_rule(self) -> str:
        return await self._one("default-security-group-rules", self.new_default_rule())

    async def floating_ip(self, **more: Any) -> str:
        return await self._one("floatingips", {"floating_network_id": self.outside, **more})

    async def led_floating_ip(self) -> str:
        """One that leads to a port by the router with the most interfaces."""
        return await self.floating_ip(port_id=await self.led_port())

    async def led_port(self) -> str:
        """A port behind that router."""
        subnet_id = await self.interface()
        found = await self.done("GET", f"/v2.0/subnets/{subnet_id}")
        port = {"port": {"network_id": found["subnet"]["network_id"]}}
        return str((await self.done("POST", "/v2.0/ports", port))["port"]["id"])

    async def _share(self) -> None:
        """So many policies, groups of addresses, rules of new groups."""
        for _ in range(self.count):
            await self._one("rbac-policies", self.new_policy(self.networks[0]))
            await self.address_group()
            await self.default_rule()

    async def _lead_out(self) -> None:
        """The router with the most interfaces has a gateway, in an external network."""
        new = self.new_network()
        new["network"]["router:external"] = True
        self.outside = str((await self.done("POST", "/v2.0/networks", new))["network"]["id"])
        subnet = {"network_id": self.outside, "ip_version": 4, "cidr": "203.0.112.0/22"}
        await self.done("POST", "/v2.0/subnets", {"subnet": subnet})
        info = {"external_gateway_info": {"network_id": self.outside}}
        await self.done("PUT", f"/v2.0/routers/{self.routers[0]}", {"router": info})

    async def interface(self) -> str:
        """A subnet that has come to be on the router with the most of them."""
        subnet_id = await self.routable_subnet()
        path = f"/v2.0/routers/{self.routers[0]}/add_router_interface"
        await self.done("PUT", path, {"subnet_id": subnet_id})
        return subnet_id

    async def routable_subnet(self) -> str:
        new = self.new_subnet(await self.network())
        number = self._next()
        cidr = f"172.{16 + number // 256}.{number % 256}.0/24"
        made = await self.done("POST", "/v2.0/subnets", {"subnet": {**new["subnet"], "cidr": cidr}})
        return str(made["subnet"]["id"])

    async def operation(self) -> str:
        """One that is done."""
        asked = {"prefer": "respond-async"}
        answer = await self.client.ask("POST", "/v2.0/networks", self.new_network(), headers=asked)
        assert answer.status == 202, answer
        id_ = str(answer.json["id"])
        wait = {"prefer": "wait=9"}
        ended = await self.client.ask("GET", f"/v1/operations/{id_}", headers=wait)
        assert ended.json["state"] == "done", ended
        return id_

    async def host(self) -> str:
        name = f"h{self._next()}"
        await self.done("PUT", f"/v1/hosts/{name}", REGISTRATION)
        return name

    def topology(self) -> dict[str, Any]:
        """A leaf, with all the hosts on it."""
        leaf = {"name": "leaf1", "kind": "leaf", "asn": 65001, "loopback": "10.255.0.1"}
        links = [
            {
                "lower": {"node": f"h{n}", "interface": "eth0"},
                "upper": {"node": "leaf1", "interface": f"swp{n}"},
            }
            for n in range(1, self.count + 1)
        ]
        fabric = {"vlans": [{"first": 100, "last": 3999}]}
        return {"switches": [leaf], "links": links, "fabric": fabric}

    async def fabric_network(self) -> str:
        number = self._next()
        vni = {"provider:network_type": "vxlan", "provider:segmentation_id": 10_000 + number}
        made = await self.done("POST", "/v2.0/networks", {"network": vni})
        return str(made["network"]["id"])

    async def attachment(self) -> Attachment:
        """A fabric network's on the first host, wanted, with two ports."""
        network_id = await self.fabric_network()
        for _ in range(2):
            port = {"network_id": network_id, "binding:host_id": "h1"}
            await self.done("POST", "/v2.0/ports", {"port": port})
        (attachment,) = await self.core.reader.attachments(network_id)
        return attachment

    async def lease(self) -> int:
        taken = await self.done("POST", "/v1/leases/fabric", {"holder": "x", "ttl_s": 9})
        return int(taken["token"])

    async def fenced(self) -> str:
        name = await self.host()
        await self.done("POST", f"/v1/hosts/{name}/fence", {"reason": "gone"})
        return name

    def next_vlan(self) -> int:
        self._vlan += 1
        return self._vlan

    def new_network(self) -> dict[str, Any]:
        segment = {
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": self.next_vlan(),
        }
        return {"network": {"name": f"n{self._next()}", **segment}}

    def new_subnet(self, network_id: str) -> dict[str, Any]:
        return {"subnet": {"network_id": network_id, "ip_version": 4, "cidr": "10.0.0.0/16"}}

    def pooled_subnet(self, network_id: str) -> dict[str, Any]:
        pool = {"subnetpool_id": self.pools[0], "prefixlen": 28}
        return {"subnet": {"network_id": network_id, "ip_version": 4, **pool}}

    def new_pool(self) -> dict[str, Any]:
        number = self._next()
        high, low = 11 + number // 128, 2 * (number % 128)
        prefixes = [f"{high}.{low}.0.0/16", f"{high}.{low + 1}.0.0/24"]
        return {"name": f"p{number}", "prefixes": prefixes, "address_scope_id": self.scopes[0]}

    def new_rule(self) -> dict[str, Any]:
        port = {"port_range_min": self._next(), "port_range_max": 60000, "protocol": "tcp"}
        return {"security_group_id": self.groups[0], "direction": "ingress", **port}

    def new_port(self, *, bound: bool = False) -> dict[str, Any]:
        host = {"binding:host_id": "h1"} if bound else {}
        return {"port": {"network_id": self.networks[0], "name": f"p{self._next()}", **host}}

    def _next(self) -> int:
        self._made += 1
        return self._made

    async def _one(self, path: str, new: Any) -> str:
        plural = path.replace("-", "_")
        name = {"rbac_policies": "rbac_policy"}.get(plural, plural[:-1])
        return str((await self.done("POST", f"/v2.0/{path}", {name: new}))[name]["id"])

    async def done(self, method: str, target: str, body: Any = None) -> Any:
        answer = await self.client.ask(method, target, body)
        assert answer.status < 300, (method, target, answer)
        return answer.json if answer.body else None
