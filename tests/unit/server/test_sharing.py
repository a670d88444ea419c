"""What is shared with single projects, and with all: edge and core together, on both databases."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of

from netwright.server.api.ids import new_id
from netwright.server.core import Core
from netwright.server.store.checking import check


class Scene(NamedTuple):
    admin: Client
    owner: Client
    friend: Client
    stranger: Client

    async def made(self, client: Client, collection: str, **body: Any) -> str:
        name = {"rbac-policies": "rbac_policy"}.get(collection, collection[:-1].replace("-", "_"))
        answer = await client.post(f"/v2.0/{collection}", {name: body})
        assert answer.status == 201, answer
        return str(answer.json[name]["id"])

    async def share(
        self,
        object_id: str,
        target: str = "friend",
        *,
        type_: str = "network",
        action: str = "access_as_shared",
        client: Client | None = None,
    ) -> Answer:
        body = {"object_type": type_, "object_id": object_id, "action": action}
        whole = {"rbac_policy": {**body, "target_tenant": target}}
        return await (client or self.owner).post("/v2.0/rbac-policies", whole)


def id_of(answer: Answer) -> str:
    assert answer.status == 201, answer
    return str(answer.json["rbac_policy"]["id"])


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.error["type"]


@pytest.fixture
async def scene(core: Core) -> Scene:
    return Scene(*(client_of(core, name) for name in ("admin", "owner", "friend", "stranger")))


@pytest.fixture(autouse=True)
async def consistent(core: Core, database_url: str) -> AsyncIterator[None]:
    yield
    assert (await check(database_url)).wrong == []


async def a_network(scene: Scene) -> tuple[str, str]:
    segment = {"provider:network_type": "vxlan", "provider:segmentation_id": 7}
    network = await scene.made(scene.admin, "networks", **segment, project_id="owner")
    where = {"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"}
    return network, await scene.made(scene.owner, "subnets", **where)


async def test_a_network_is_seen_and_used_by_whom_it_is_shared_with(scene: Scene) -> None:
    network, subnet = await a_network(scene)
    for client in (scene.friend, scene.stranger):
        assert (await client.get(f"/v2.0/networks/{network}")).status == 404
    assert (await scene.share(network)).status == 201
    shown = (await scene.friend.get(f"/v2.0/networks/{network}")).json["network"]
    assert shown["shared"] is True
    listed = (await scene.friend.get("/v2.0/networks?fields=shared&fields=id")).json["networks"]
    assert listed == [{"id": network, "shared": True}]
    assert (await scene.owner.get("/v2.0/networks")).json["networks"][0]["shared"] is False
    assert (await scene.friend.get("/v2.0/subnets")).json["subnets"][0]["id"] == subnet
    assert (await scene.friend.get(f"/v2.0/subnets/{subnet}")).status == 200
    port = await scene.made(scene.friend, "ports", network_id=network)
    assert (await scene.owner.get(f"/v2.0/ports/{port}")).status == 404
    for kind in ("networks", "subnets"):
        assert (await scene.stranger.get(f"/v2.0/{kind}")).json[kind] == []
        assert len((await scene.friend.get(f"/v2.0/{kind}?shared=true")).json[kind]) == 1
        assert (await scene.friend.get(f"/v2.0/{kind}?shared=false")).json[kind] == []
        assert len((await scene.owner.get(f"/v2.0/{kind}?shared=false")).json[kind]) == 1
    body = {"port": {"network_id": network}}
    assert said(await scene.stranger.post("/v2.0/ports", body)) == (404, "NetworkNotFound")


async def test_who_only_uses_a_network_does_not_change_it(scene: Scene) -> None:
    network, subnet = await a_network(scene)
    await scene.share(network)
    path, change = f"/v2.0/networks/{network}", {"network": {"name": "mine"}}
    assert said(await scene.friend.put(path, change)) == (403, "PolicyNotAuthorized")
    assert (await scene.friend.ask("DELETE", path)).status == 403
    more = {"subnet": {"network_id": network, "ip_version": 4, "cidr": "10.1.0.0/24"}}
    assert said(await scene.friend.post("/v2.0/subnets", more)) == (403, "PolicyNotAuthorized")
    assert said(await scene.stranger.post("/v2.0/subnets", more)) == (404, "NetworkNotFound")
    assert (await scene.friend.ask("DELETE", f"/v2.0/subnets/{subnet}")).status == 403
    mac = {"port": {"network_id": network, "mac_address": "fa:16:3e:00:00:01"}}
    assert (await scene.friend.post("/v2.0/ports", mac)).status == 403
    assert said(await scene.share(network, "stranger", client=scene.friend)) == (
        400,
        "InvalidInput",
    )


async def test_what_is_used_by_a_policy_keeps_it(scene: Scene) -> None:
    network, _ = await a_network(scene)
    policy = id_of(await scene.share(network))
    path = f"/v2.0/rbac-policies/{policy}"
    port = await scene.made(scene.friend, "ports", network_id=network)
    assert said(await scene.owner.ask("DELETE", path)) == (409, "RbacPolicyInUse")
    other = {"rbac_policy": {"target_tenant": "stranger"}}
    assert said(await scene.owner.put(path, other)) == (409, "RbacPolicyInUse")
    everybody = id_of(await scene.share(network, "*", client=scene.admin))
    assert (await scene.owner.put(path, other)).json["rbac_policy"]["target_tenant"] == "stranger"
    assert said(await scene.admin.ask("DELETE", f"/v2.0/rbac-policies/{everybody}")) == (
        409,
        "RbacPolicyInUse",
    )
    whole = {"network": {"shared": False}}
    assert said(await scene.admin.put(f"/v2.0/networks/{network}", whole)) == (
        409,
        "InvalidSharedSetting",
    )
    assert (await scene.friend.ask("DELETE", f"/v2.0/ports/{port}")).status == 204
    assert (await scene.admin.put(f"/v2.0/networks/{network}", whole)).status == 200
    assert (await scene.admin.get(f"/v2.0/rbac-policies/{everybody}")).status == 404
    assert (await scene.owner.ask("DELETE", path)).status == 204
    assert (await scene.stranger.get(f"/v2.0/networks/{network}")).status == 404


async def test_shared_and_external_are_policies_for_everybody(scene: Scene) -> None:
    network, _ = await a_network(scene)
    path = f"/v2.0/networks/{network}"
    both = {"network": {"shared": True, "router:external": True}}
    before = (await scene.admin.put(path, both)).json["network"]["revision_number"]
    listed = (await scene.owner.get("/v2.0/rbac-policies")).json["rbac_policies"]
    assert {(one["action"], one["target_tenant"], one["object_id"]) for one in listed} == {
        ("access_as_shared", "*", network),
        ("access_as_external", "*", network),
    }
    again = (await scene.admin.put(path, both)).json["network"]
    assert len((await scene.owner.get("/v2.0/rbac-policies")).json["rbac_policies"]) == 2
    for one in listed:
        gone = await scene.owner.ask("DELETE", f"/v2.0/rbac-policies/{one['id']}")
        assert gone.status == 204
    now = (await scene.owner.get(path)).json["network"]
    assert (now["shared"], now["router:external"]) == (False, False)
    assert now["revision_number"] > again["revision_number"] >= before
    await scene.admin.put(path, both)
    assert (await scene.owner.ask("DELETE", path)).status == 204
    assert (await scene.admin.get("/v2.0/rbac-policies")).json["rbac_policies"] == []


async def test_a_network_is_external_to_some(scene: Scene) -> None:
    network, _ = await a_network(scene)
    shared = await scene.share(network, action="access_as_external", client=scene.admin)
    policy = id_of(shared)
    path, query = f"/v2.0/networks/{network}", "/v2.0/networks?router:external=true"
    assert (await scene.friend.get(path)).json["network"]["router:external"] is True
    assert [one["id"] for one in (await scene.friend.get(query)).json["networks"]] == [network]
    assert (await scene.stranger.get(query)).json["networks"] == []
    assert (await scene.stranger.get(path)).status == 404
    gateway = {"router": {"external_gateway_info": {"network_id": network}}}
    assert said(await scene.stranger.post("/v2.0/routers", gateway)) == (404, "NetworkNotFound")
    floating = {"floatingip": {"floating_network_id": network}}
    assert (await scene.stranger.post("/v2.0/floatingips", floating)).status == 400
    assert (await scene.friend.post("/v2.0/floatingips", floating)).status == 201
    router = (await scene.friend.post("/v2.0/routers", gateway)).json["router"]["id"]
    assert (await scene.friend.post("/v2.0/ports", {"port": {"network_id": network}})).status == 403
    gone = await scene.admin.ask("DELETE", f"/v2.0/rbac-policies/{policy}")
    assert said(gone) == (409, "RbacPolicyInUse")
    assert (await scene.friend.ask("DELETE", f"/v2.0/routers/{router}")).status == 204
    assert (await scene.admin.ask("DELETE", f"/v2.0/rbac-policies/{policy}")).status == 204
    assert (await scene.admin.get(path)).json["network"]["router:external"] is False


async def test_only_administrators_share_with_everybody(scene: Scene) -> None:
    network, _ = await a_network(scene)
    assert said(await scene.share(network, "*")) == (403, "PolicyNotAuthorized")
    path = f"/v2.0/rbac-policies/{id_of(await scene.share(network))}"
    everybody = {"rbac_policy": {"target_tenant": "*"}}
    assert said(await scene.owner.put(path, everybody)) == (403, "PolicyNotAuthorized")
    assert (await scene.admin.put(path, everybody)).status == 200
    assert (await scene.owner.get(f"/v2.0/networks/{network}")).json["network"]["shared"] is True


async def test_wrong_policies_are_refused(scene: Scene) -> None:
    network, _ = await a_network(scene)
    assert said(await scene.share(new_id())) == (404, "NetworkNotFound")
    assert said(await scene.share(network, client=scene.stranger)) == (404, "NetworkNotFound")
    assert said(await scene.share(network, action="access_as_friend")) == (400, "InvalidInput")
    assert said(await scene.share(network, type_="bgpvpn")) == (400, "InvalidInput")
    scope = await scene.made(scene.owner, "address-scopes", ip_version=4)
    external = await scene.share(scope, type_="address_scope", action="access_as_external")
    assert said(external) == (400, "InvalidInput")
    assert (await scene.share(network)).status == 201
    assert said(await scene.share(network)) == (409, "DuplicateRbacPolicy")
    path = f"/v2.0/rbac-policies/{new_id()}"
    assert said(await scene.owner.ask("DELETE", path)) == (404, "RbacPolicyNotFound")
    assert said(await scene.admin.ask("DELETE", path)) == (404, "RbacPolicyNotFound")


async def test_policies_are_their_projects(scene: Scene) -> None:
    network, _ = await a_network(scene)
    path = f"/v2.0/rbac-policies/{id_of(await scene.share(network))}"
    assert (await scene.owner.get(path)).status == 200
    for client in (scene.friend, scene.stranger):
        assert (await client.get(path)).status == 404
        assert (await client.get("/v2.0/rbac-policies")).json["rbac_policies"] == []
        assert (await client.ask("DELETE", path)).status == 404


async def test_pools_and_scopes_are_shared_with_single_projects(scene: Scene) -> None:
    scope = await scene.made(scene.owner, "address-scopes", ip_version=4)
    pool = await scene.made(scene.owner, "subnetpools", name="p", prefixes=["10.8.0.0/16"])
    shared = {}
    for path, type_, id_ in (
        ("address-scopes", "address_scope", scope),
        ("subnetpools", "subnetpool", pool),
    ):
        collection = path.replace("-", "_")
        assert (await scene.friend.get(f"/v2.0/{path}/{id_}")).status == 404
        shared[id_] = f"/v2.0/rbac-policies/{id_of(await scene.share(id_, type_=type_))}"
        assert (await scene.friend.get(f"/v2.0/{path}")).json[collection][0]["shared"] is True
        assert (await scene.stranger.get(f"/v2.0/{path}")).json[collection] == []
    segment = {"provider:network_type": "vxlan", "provider:segmentation_id": 9}
    network = await scene.made(scene.admin, "networks", **segment, project_id="friend")
    where = {"network_id": network, "ip_version": 4, "subnetpool_id": pool, "prefixlen": 26}
    subnet = await scene.made(scene.friend, "subnets", **where)
    await scene.made(
        scene.friend, "subnetpools", name="q", prefixes=["10.9.0.0/16"], address_scope_id=scope
    )
    for path in shared.values():
        assert said(await scene.owner.ask("DELETE", path)) == (409, "RbacPolicyInUse")
    assert (await scene.friend.ask("DELETE", f"/v2.0/subnets/{subnet}")).status == 204
    assert (await scene.owner.ask("DELETE", shared[pool])).status == 204
    assert (await scene.friend.get(f"/v2.0/subnetpools/{pool}")).status == 404


async def test_security_groups_are_shared_with_single_projects(scene: Scene) -> None:
    group = await scene.made(scene.owner, "security-groups", name="g")
    segment = {"provider:network_type": "vxlan", "provider:segmentation_id": 9}
    network = await scene.made(scene.admin, "networks", **segment, project_id="friend")
    wanted = {"network_id": network, "security_groups": [group]}
    refused = await scene.friend.post("/v2.0/ports", {"port": wanted})
    assert said(refused) == (404, "SecurityGroupNotFound")
    path = f"/v2.0/rbac-policies/{id_of(await scene.share(group, type_='security_group'))}"
    port = await scene.made(scene.friend, "ports", **wanted)
    assert (await scene.friend.get(f"/v2.0/security-groups/{group}")).status == 200
    listed = (await scene.friend.get("/v2.0/security-groups?shared=true")).json["security_groups"]
    assert [(one["id"], one["shared"]) for one in listed] == [(group, True)]
    mine = await scene.made(scene.friend, "security-groups", name="mine")
    rule = {"security_group_id": mine, "direction": "ingress", "remote_group_id": group}
    await scene.made(scene.friend, "security-group-rules", **rule)
    more = {"security_group_rule": {"security_group_id": group, "direction": "ingress"}}
    assert (await scene.friend.post("/v2.0/security-group-rules", more)).status in {403, 404}
    assert said(await scene.owner.ask("DELETE", path)) == (409, "RbacPolicyInUse")
    assert (await scene.friend.ask("DELETE", f"/v2.0/ports/{port}")).status == 204
    assert (await scene.owner.ask("DELETE", path)).status == 204
    refused = await scene.friend.post("/v2.0/ports", {"port": wanted})
    assert said(refused) == (404, "SecurityGroupNotFound")


async def test_policies_count_in_quotas(scene: Scene) -> None:
    network, _ = await a_network(scene)
    limit = {"quota": {"rbac_policy": 1}}
    assert (await scene.admin.put("/v2.0/quotas/owner", limit)).status == 200
    path = f"/v2.0/rbac-policies/{id_of(await scene.share(network))}"
    assert said(await scene.share(network, "stranger")) == (409, "OverQuota")
    assert (await scene.owner.ask("DELETE", path)).status == 204
    assert (await scene.share(network, "stranger")).status == 201
