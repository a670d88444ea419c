"""A server with what the oracle asks about: two projects, a host, and one of each to build on."""

import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of

from netwright.model.resources import NetworkType
from netwright.model.segments import SegmentRules, VniRange, own_segment_id
from netwright.model.wire import HostRegistration
from netwright.server.commands import Caller, RegisterHost
from netwright.server.core import Core

MEMBER, STRANGER, HOST = "member", "stranger", "h1"
_RULES = SegmentRules(
    vni_ranges=(VniRange(first=1, last=60_000),), tenant_types=(NetworkType.VXLAN,)
)
Body = dict[str, Any]


def name_of(collection: str) -> str:
    """What one of a collection is called in bodies."""
    irregular = {
        "policies": "policy",
        "rbac_policies": "rbac_policy",
        "network_ip_availabilities": "network_ip_availability",
    }
    return irregular.get(collection, collection[:-1])


def path_of(collection: str) -> str:
    """Where a collection is; `-` in its path is `_` in its bodies, but for two."""
    as_named = {"availability_zones", "floatingip_pools"}
    under = "qos/" if collection in {"policies", "rule_types"} else ""
    return f"/v2.0/{under}{collection if collection in as_named else collection.replace('_', '-')}"


class Scene:
    """What is there to ask; `made` are the ids of what values such as `@subnets` stand for."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.admin = client_of(core, "admin")
        self.member = client_of(core, MEMBER)
        self.made: dict[str, str] = {}
        self._created: list[str] = []
        self._numbers = count(1)

    async def hear(self) -> None:
        """The hosts are heard: nothing is bound to one that is silent."""
        admin = Caller(project_id="", is_admin=True)
        registration = HostRegistration(
            epoch="e", driver="ovs", physical_networks={"physnet1": "br-1"}
        )
        for host in (HOST, "h2"):
            await self._core.commit(
                RegisterHost(caller=admin, host=host, registration=registration)
            )

    async def rack(self) -> None:
        """An inventory: a host in each of two zones."""
        switches = [
            {
                "name": f"leaf-{zone}",
                "kind": "leaf",
                "zone": zone,
                "asn": asn,
                "loopback": f"10.255.0.{asn - 65000}",
            }
            for zone, asn in (("north", 65001), ("south", 65002))
        ]
        links = [
            {
                "lower": {"node": host, "interface": "eth0"},
                "upper": {"node": switch["name"], "interface": "swp1"},
            }
            for host, switch in zip((HOST, "h2"), switches, strict=True)
        ]
        whole = {"switches": switches, "links": links}
        answer = await self.admin.put("/v1/topology", whole)
        assert answer.status == 200, answer

    async def build(self) -> None:
        """One of what others are made of: the member's own, and a network that is shared."""
        for collection in ("networks", "security_groups", "address_scopes", "address_groups"):
            self.made[collection] = (await self.one(collection, self.member))["id"]
        self.made["other_network"] = (await self.one("networks", self.member))["id"]
        subnet = await self.one("subnets", self.member, {"network_id": self.made["networks"]})
        stem = subnet["cidr"].rpartition(".")[0]
        self.made |= {"subnets": subnet["id"], "address": f"{stem}.77", "other": f"{stem}.78"}
        prefixes: Body = {"prefixes": ["10.230.0.0/16"], "default_prefixlen": 26}
        self.made["subnetpools"] = (await self.one("subnetpools", self.member, prefixes))["id"]
        default = {"prefixes": ["2001:db8:900::/40"], "default_prefixlen": 64, "is_default": True}
        await self.one("subnetpools", self.admin, {**default, "shared": True})
        wide: Body = {"shared": True, "project_id": STRANGER}
        shared = await self.one("networks", self.admin, wide)
        self.made["shared"] = shared["id"]
        await self.one("subnets", self.admin, {"network_id": shared["id"]})
        await self._outside()
        for name in ("policy", "other_policy"):
            own = {"project_id": MEMBER}
            self.made[name] = (await self.one("policies", self.admin, own))["id"]
        for name in ("vlan", "segmented", "other_segmented"):
            self.made[name] = (await self.vlan())["id"]
        self.made["own_segment"] = own_segment_id(self.made["segmented"])
        self._created.clear()  # these stay

    async def vlan(self) -> Any:
        """A network of one VLAN."""
        vlan: Body = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}
        vlan |= {"provider:segmentation_id": 200 + self.number() % 3_000, "project_id": MEMBER}
        return await self.one("networks", self.admin, vlan)

    async def _outside(self) -> None:
        """An external network, and a router between it and the member's: what floats there."""
        outer = await self.one("networks", self.admin, {"router:external": True})
        subnet = await self.one("subnets", self.admin, {"network_id": outer["id"]})
        stem = subnet["cidr"].rpartition(".")[0]
        self.made |= {"outer": outer["id"], "outer_subnet": subnet["id"]}
        self.made |= {"outer_address": f"{stem}.77", "outer_other": f"{stem}.78"}
        gateway = {"external_gateway_info": {"network_id": outer["id"]}}
        router = await self.one("routers", self.member, gateway)
        inside = {"subnet_id": self.made["subnets"]}
        path = f"/v2.0/routers/{router['id']}/add_router_interface"
        answer = await self.member.put(path, inside)
        assert answer.status == 200, answer
        port = await self.one("ports", self.member)
        several = {"fixed_ips": [{"subnet_id": self.made["subnets"]}] * 2}
        pair = await self.one("ports", self.member, several)
        self.made |= {"port": port["id"], "pair": pair["id"]}
        for name in ("sub_port", "other_sub_port", "parent", "other_parent"):
            self.made[name] = (await self.one("ports", self.member))["id"]
        first, other = (each["ip_address"] for each in pair["fixed_ips"])
        self.made |= {"pair_address": first, "pair_other": other}

    async def one(self, collection: str, client: Client, more: Mapping[str, Any] = {}) -> Any:
        """A new one of the collection, as it was shown to who made it."""
        answer = await self.create(collection, client, {**await self.body(collection), **more})
        assert answer.status == 201, (collection, more, answer)
        return answer.json[name_of(collection)]

    async def body(self, collection: str) -> Body:
        """What one is made of, at the least."""
        return await MAKE[collection](self)

    async def create(self, collection: str, client: Client, body: Mapping[str, Any]) -> Answer:
        path, name = path_of(collection), name_of(collection)
        answer = await client.post(path, {name: body})
        if answer.status == 201:
            self._created.append(f"{path}/{answer.json[name]['id']}")
        return answer

    def client(self, project: str) -> Client:
        return client_of(self._core, project)

    def forget(self, path: str) -> None:
        """What was made there is gone."""
        self._created.remove(path)

    async def clear(self) -> None:
        """Delete what was made since."""
        while self._created:
            target = self._created.pop()
            answer = await self.admin.ask("DELETE", target)
            if answer.status == 409 and answer.error["type"] == "TrunkDisabled":
                await self.admin.put(target, {"trunk": {"admin_state_up": True}})
                answer = await self.admin.ask("DELETE", target)
            assert answer.status == 204, answer

    async def update(
        self, collection: str, client: Client, id_: str, change: Mapping[str, Any]
    ) -> Answer:
        return await client.put(f"{path_of(collection)}/{id_}", {name_of(collection): change})

    def number(self) -> int:
        return next(self._numbers)

    def cidr(self) -> str:
        """A prefix of 256 addresses that nobody has."""
        return str(ipaddress.ip_network((0x0A000000 + self.number() * 256, 24)))

    def filled(self, value: Any) -> Any:
        """The value, with ids where it says `@collection`."""
        if isinstance(value, str) and value.startswith("@"):
            return self.made[value[1:]]
        if isinstance(value, Mapping):
            return {key: self.filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        return value


async def _network(_: Scene) -> Body:
    return {}


async def _subnet(scene: Scene) -> Body:
    """Of a network of its own, where any prefix and any pool may be."""
    network = await scene.one("networks", scene.member)
    return {"network_id": network["id"], "ip_version": 4, "cidr": scene.cidr()}


async def _segment(scene: Scene) -> Body:
    """Of a network of its own."""
    network = await scene.vlan()
    vlan = {"physical_network": "physnet2", "segmentation_id": 200 + scene.number() % 3_000}
    return {"network_id": network["id"], "network_type": "vlan", **vlan}


async def _port(scene: Scene) -> Body:
    return {"network_id": scene.made["networks"]}


async def _pool(scene: Scene) -> Body:
    return {"name": "p", "prefixes": [scene.cidr()]}


async def _rule(scene: Scene) -> Body:
    """Two rules of a group are never alike."""
    number = 1 + scene.number() % 65_000
    group = (await scene.one("security_groups", scene.member))["id"]
    ports = {"port_range_min": number, "port_range_max": 65_535, "protocol": "tcp"}
    return {"security_group_id": group, "direction": "ingress", **ports}


async def _scope(_: Scene) -> Body:
    return {"ip_version": 4}


async def _floating(scene: Scene) -> Body:
    return {"floating_network_id": scene.made["outer"]}


async def _trunk(scene: Scene) -> Body:
    """Of a parent of its own."""
    return {"port_id": (await scene.one("ports", scene.member))["id"]}


async def _policy(scene: Scene) -> Body:
    network = (await scene.one("networks", scene.member))["id"]
    shared = {"object_type": "network", "object_id": network, "action": "access_as_shared"}
    return {**shared, "target_tenant": "friend"}


async def _default_rule(scene: Scene) -> Body:
    """Not used: groups that are made here have no more rules for it."""
    number = 1 + scene.number() % 65_000
    ports = {"port_range_min": number, "port_range_max": 65_535, "protocol": "tcp"}
    unused = {"used_in_default_sg": False, "used_in_non_default_sg": False}
    return {"direction": "ingress", **ports, **unused}


MAKE: Mapping[str, Callable[[Scene], Awaitable[Body]]] = {
    "floatingips": _floating,
    "rbac_policies": _policy,
    "address_groups": _network,
    "default_security_group_rules": _default_rule,
    "networks": _network,
    "policies": _network,
    "segments": _segment,
    "subnets": _subnet,
    "ports": _port,
    "security_groups": _network,
    "security_group_rules": _rule,
    "address_scopes": _scope,
    "subnetpools": _pool,
    "routers": _network,
    "trunks": _trunk,
}
"""The smallest body of each collection: a new collection needs a line here."""


NOBODYS = frozenset({"default_security_group_rules", "segments"})
"""Collections that are no project's: administrators make what is in them, and all see it."""

HIDDEN = frozenset({"segments"})
"""Those of them that administrators alone see."""


class ReadOnly(NamedTuple):
    """A collection that is never written: `key` names one, `make` brings one about by its key."""

    key: str
    make: Callable[[Scene], Awaitable[str]]
    is_admins_only: bool = True


async def _counted_network(scene: Scene) -> str:
    network: str = (await scene.one("networks", scene.admin, {"project_id": MEMBER}))["id"]
    await scene.one("subnets", scene.admin, {"network_id": network})
    return network


async def _agent(scene: Scene) -> str:
    """The next of them, in turn."""
    agents = (await scene.admin.get("/v2.0/agents")).json["agents"]
    found: str = agents[scene.number() % len(agents)]["id"]
    return found


async def _rule_type(scene: Scene) -> str:
    """The next of them, in turn."""
    return ("bandwidth_limit", "dscp_marking")[scene.number() % 2]


async def _zone(scene: Scene) -> str:
    """A zone's name; it has no page of its own."""
    return ("north", "south")[scene.number() % 2]


async def _floating_pool(scene: Scene) -> str:
    """An external network's subnet, by its id."""
    outer = {"router:external": True, "project_id": MEMBER}
    network = await scene.one("networks", scene.admin, outer)
    within = {"network_id": network["id"], "name": f"pool-{scene.number()}"}
    return str((await scene.one("subnets", scene.admin, within))["id"])


READ_ONLY: Mapping[str, ReadOnly] = {
    "agents": ReadOnly("id", _agent),
    "availability_zones": ReadOnly("name", _zone, is_admins_only=False),
    "floatingip_pools": ReadOnly("subnet_id", _floating_pool, is_admins_only=False),
    "network_ip_availabilities": ReadOnly("network_id", _counted_network),
    "rule_types": ReadOnly("type", _rule_type, is_admins_only=False),
}


UNFILTERED = frozenset({"rule_types"})
"""Those whose lists are asked by nothing, in Neutron too."""

WITHOUT_PAGES = frozenset({"availability_zones", "floatingip_pools"})
"""Those that are only listed, in Neutron too."""


_UNFILTERED = frozenset({"floatingip_pools"})


def selection_of(collection: str, made: Any) -> str:
    """The query that lists one; of what cannot be filtered, all."""
    key = key_of(collection)
    return "limit=1000" if collection in _UNFILTERED else f"{key}={made[key]}"


def key_of(collection: str) -> str:
    """The attribute that names one in a path."""
    return READ_ONLY[collection].key if collection in READ_ONLY else "id"


async def found_or_made(scene: Scene, collection: str) -> Any:
    """One, as administrators see it; the member's, if it is anybody's."""
    if collection not in READ_ONLY:
        return await scene.one(collection, scene.admin)
    key = await READ_ONLY[collection].make(scene)
    query = selection_of(collection, {key_of(collection): key})
    found = await listed_alone(scene, collection, key, query)
    return next(one for one in found if one[key_of(collection)] == key)


async def listed_alone(scene: Scene, collection: str, key: str, query: str) -> Any:
    """What a list has of one."""
    path, name = path_of(collection), key_of(collection)
    if collection in UNFILTERED:
        found = (await scene.admin.get(path)).json[collection]
        return [each for each in found if each[name] == key]
    return (await scene.admin.get(f"{path}?{query}")).json[collection]


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Scene]:
    """The scene on a database of its own."""
    core = await Core.open(f"sqlite:///{directory}/oracle.db", segment_rules=_RULES)
    await core.start()
    try:
        scene = Scene(core)
        await scene.hear()
        await scene.rack()
        await scene.build()
        yield scene
    finally:
        await core.close()
