"""What the projects have whose data must not leak: one of everything each."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import uuid4

from tests.doubles.http import Client
from tests.unit.server.projects import client_of

from netwright.model.containers import PodIdentity
from netwright.model.segments import own_segment_id
from netwright.model.wire import CONTAINER_OWNER, HostRegistration
from netwright.server.commands import Caller, PortDraft, RegisterHost
from netwright.server.containers.commands import ClaimPort, EndClaim
from netwright.server.core import Core

HOST, PHYSNET = "zq-host", "zqphys"
Ids = Mapping[str, str]

MAKE: Mapping[str, Callable[[Ids], dict[str, Any]]] = {
    "address-scopes": lambda _: {"ip_version": 4},
    "subnetpools": lambda ids: {
        "prefixes": [ids["prefix"]],
        "address_scope_id": ids["address-scopes"],
    },
    "security-groups": lambda _: {},
    "security-group-rules": lambda ids: {
        "security_group_id": ids["security-groups"],
        "direction": "ingress",
    },
    "networks": lambda _: {},
    "subnets": lambda ids: {"network_id": ids["networks"], "ip_version": 4, "cidr": ids["cidr"]},
    "ports": lambda ids: {"network_id": ids["networks"]},
    "routers": lambda _: {},
    "floatingips": lambda ids: {"floating_network_id": ids["outside"]},
    "address-groups": lambda ids: {"addresses": [ids["prefix"]]},
    "rbac-policies": lambda ids: {
        "object_type": "network",
        "object_id": ids["networks"],
        "action": "access_as_shared",
    },
    "trunks": lambda ids: {"port_id": ids["unbound"]},
}
"""The body that makes one of each collection, given the ids of those before it."""

ADMINS: Mapping[str, Mapping[str, Any]] = {
    "networks": {"provider:network_type": "vlan", "provider:physical_network": PHYSNET},
    "ports": {"binding:host_id": HOST, "binding:profile": {"key": "zq-profile"}},
}
"""What only an administrator gives, and only administrators are shown."""

SHARED = frozenset({"address-scopes", "subnetpools", "networks"})
VISIBLE = SHARED | {"subnets"}  # of a shared network

WORDS = {
    "address-scopes": ("name",),
    "security-group-rules": ("description",),
    "floatingips": ("description",),
    "rbac-policies": ("target_tenant",),
}
"""What each can be told in words, if it is not both a name and a description."""

DEFERRED = {"prefer": "respond-async"}


class Owned(NamedTuple):
    """What a project has, and the words that nobody else may see."""

    ids: dict[str, str]
    secrets: frozenset[str]


Cast = tuple[Core, Owned, Owned, Owned]


@asynccontextmanager
async def acting(database_url: str) -> AsyncIterator[Cast]:
    """Projects a, b and c with one of everything each; c shares its network."""
    core = await Core.open(database_url)
    await core.start()
    registration = HostRegistration(epoch="e", driver="ovs", physical_networks={PHYSNET: "br"})
    caller = Caller(project_id="", is_admin=True)
    await core.commit(RegisterHost(caller=caller, host=HOST, registration=registration))
    admin = client_of(core, "admin")
    outside = await an_external_network(admin)
    a = await made(admin, "zqproj-a", 3701, "10.77", outside)
    b = await made(admin, "b", 3702, "10.78", outside)
    c = await made(admin, "zqproj-c", 3703, "10.79", outside, shared=True)
    a, b, c = [
        await with_operation(core, project, owned)
        for project, owned in (("zqproj-a", a), ("b", b), ("zqproj-c", c))
    ]
    a = await claiming(core, admin, "zqproj-a", a)
    c = await claiming(core, admin, "zqproj-c", c)
    for project in ("zqproj-a", "zqproj-c"):
        assert (await admin.put(f"/v2.0/quotas/{project}", {"quota": {"port": 37}})).status == 200
    yield core, a, b, c
    await core.close()


async def made(
    admin: Client, project: str, vlan: int, prefix: str, outside: str, *, shared: bool = False
) -> Owned:
    """One of each collection, with words in it that are its own alone."""
    ids = {"cidr": f"{prefix}.0.0/24", "prefix": f"{prefix}.64.0/24", "outside": outside}
    secrets: set[str] = {project, str(vlan)}
    for collection, body in MAKE.items():
        if collection == "trunks":
            ids |= await plain_ports(admin, project, ids["networks"])
            secrets |= {ids["parent"], ids["unbound"]}
        name = name_of(collection)
        named = WORDS.get(collection, ("name", "description"))
        words = {key: f"zq-{project}-{name}-{key}" for key in named}
        tags = [f"zq-{project}-{name}-tag"]
        whole = {**body(ids), **words, **ADMINS.get(collection, {}), "project_id": project}
        whole |= _more(project, vlan, prefix, ids).get(collection, {})
        if collection in SHARED:
            whole |= {"shared": shared}
        answer = await admin.post(f"/v2.0/{collection}", {name: whole})
        assert answer.status == 201, answer
        one = answer.json[name]
        ids[collection] = one["id"]
        if collection == "networks":
            ids["segments"] = own_segment_id(one["id"])
            secrets |= {ids["segments"]}
        path = f"/v2.0/{collection}/{one['id']}"
        assert (await admin.put(f"{path}/tags", {"tags": tags})).status in {200, 404}
        if not (shared and collection in VISIBLE):
            secrets |= {one["id"], *words.values(), *tags}
            if collection == "ports":
                secrets |= {whole[key] for key in ("device_id", "device_owner", "unique_name")}
                secrets |= {whole["mac_address"], f"{prefix}.0.77", f"{prefix}.0.200"}
    ids["qos"] = ids["qos/policies"] = await a_policy(admin, project)
    secrets |= {ids["qos"], f"zq-{project}-policy-name"}
    if shared:
        secrets -= {project}
    else:
        secrets |= {ids["cidr"], ids["prefix"], f"{prefix}.0.1"}
    secrets |= {f"{prefix}.80.0/24", *await defaults(admin, project)}
    return Owned(ids, frozenset(secrets | {HOST, PHYSNET, "zq-profile"}))


def _more(project: str, vlan: int, prefix: str, ids: Ids) -> Mapping[str, Mapping[str, Any]]:
    """What a project's own have beside what makes them."""
    port = {
        "device_id": f"zq-{project}-device",
        "device_owner": f"compute:zq-{project}",
        "unique_name": "zq-u-port" if project == "zqproj-a" else f"zq-{project}-unique",
        "mac_address": f"02:00:00:aa:bb:{vlan % 100:02x}",
        "fixed_ips": [{"ip_address": f"{prefix}.0.77"}],
        "allowed_address_pairs": [{"ip_address": f"{prefix}.0.200"}],
        "security_groups": [ids.get("security-groups")],
    }
    return {
        "networks": {"provider:segmentation_id": vlan},
        "security-group-rules": {"remote_ip_prefix": f"{prefix}.80.0/24", "protocol": "tcp"},
        "ports": port,
        "trunks": {"port_id": ids.get("parent")},
    }


async def plain_ports(admin: Client, project: str, network_id: str) -> dict[str, str]:
    """A trunk's parent, and one that another trunk may have."""
    ids = {}
    for of in ("parent", "unbound"):
        port = {"network_id": network_id, "project_id": project}
        ids[of] = (await admin.post("/v2.0/ports", {"port": port})).json["port"]["id"]
    return ids


async def a_policy(admin: Client, project: str) -> str:
    """A project's QoS policy, which only administrators make."""
    policy = {"name": f"zq-{project}-policy-name", "project_id": project}
    answer = await admin.post("/v2.0/qos/policies", {"policy": policy})
    id_: str = answer.json["policy"]["id"]
    return id_


async def an_external_network(admin: Client) -> str:
    """Everybody's to see: its subnet is not."""
    segment = {"provider:network_type": "vlan", "provider:physical_network": PHYSNET}
    network = {**segment, "provider:segmentation_id": 3704, "router:external": True}
    answer = await admin.post("/v2.0/networks", {"network": {"name": "outside", **network}})
    id_: str = answer.json["network"]["id"]
    subnet = {"network_id": id_, "ip_version": 4, "cidr": "203.0.113.0/24"}
    assert (await admin.post("/v2.0/subnets", {"subnet": subnet})).status == 201
    return id_


async def defaults(admin: Client, project: str) -> set[str]:
    """The ids of the project's security groups and their rules: its default ones, too."""
    found = set()
    for collection in ("security-groups", "security-group-rules"):
        listed = (await admin.get(f"/v2.0/{collection}?project_id={project}")).json
        found |= {one["id"] for one in listed[collection.replace("-", "_")]}
    assert len(found) > 3, "a default group with rules"
    return found


async def with_operation(core: Core, project: str, owned: Owned) -> Owned:
    """And an operation of its own, done."""
    client = client_of(core, project)
    path = f"/v2.0/networks/{owned.ids['networks']}"
    change = {"network": {"admin_state_up": True}}
    asked = await client.ask("PUT", path, change, headers=DEFERRED)
    assert asked.status == 202, asked
    id_ = asked.json["id"]
    ended = await client.ask("GET", f"/v1/operations/{id_}", headers={"prefer": "wait=9"})
    assert ended.json["state"] == "done", ended
    return Owned({**owned.ids, "operations": id_}, owned.secrets | {id_})


async def claiming(core: Core, admin: Client, project: str, owned: Owned) -> Owned:
    """And a container's port that is kept for its name: of pods and containers nobody hears."""
    path = f"/v2.0/networks/{owned.ids['networks']}"
    change: dict[str, Any] = {"labels": {"zq": project}}
    assert (await admin.put(path, {"network": change})).status == 200
    words = {key: f"zq-{project}-{key}" for key in ("name", "container", "pod", "namespace")}
    pod = PodIdentity(
        cluster=f"zq-{project}-cluster", namespace=words["namespace"], name=words["pod"], uid="u"
    )
    draft = PortDraft(
        id=str(uuid4()),
        project_id=project,
        network_id="",
        network_labels=f"zq={project}",
        unique_name=words["name"],
        device_id=words["container"],
        device_owner=CONTAINER_OWNER,
        host=HOST,
    )
    caller = Caller(project_id=project, host=HOST)
    claim = ClaimPort(caller=caller, epoch="e", draft=draft, keep="forever", pod=pod)
    port = await core.commit(claim)
    end = EndClaim(caller=caller, host=HOST, unique_name=words["name"])
    await core.commit(end)
    change = {"labels": {}, "drift_domain": ["zq-leaf"]}
    assert (await admin.put(path, {"network": change})).status == 200
    secrets = owned.secrets | {*words.values(), pod.cluster, port.id, "zq-leaf"}
    return Owned(owned.ids, frozenset(secrets))


def name_of(collection: str) -> str:
    """What one of them is called in bodies."""
    singular = (
        collection.removesuffix("ies") + "y" if collection.endswith("ies") else collection[:-1]
    )
    return singular.replace("-", "_")
