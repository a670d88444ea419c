"""QoS policies, edge and core together, on both databases."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of
from tests.unit.server.routing_scene import a_network, made, said

from netwright.model.wire import Kind
from netwright.server.core import Core
from netwright.server.store.checking import check

POLICIES = "/v2.0/qos/policies"


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


@pytest.fixture
def owner(core: Core) -> Client:
    return client_of(core, "owner")


@pytest.fixture(autouse=True)
async def consistent(core: Core, database_url: str) -> AsyncIterator[None]:
    yield
    assert (await check(database_url)).wrong == []


async def a_policy(admin: Client, **attributes: Any) -> str:
    given = {"project_id": "owner", **attributes}
    answer = await admin.post(POLICIES, {"policy": given})
    assert answer.status == 201, answer
    return str(answer.json["policy"]["id"])


async def add(admin: Client, policy: str, kind: str, **attributes: Any) -> Answer:
    return await admin.post(f"{POLICIES}/{policy}/{kind}_rules", {f"{kind}_rule": attributes})


async def put(client: Client, path: str, **attributes: Any) -> Answer:
    name = path.split("/", maxsplit=1)[0].removesuffix("s")
    return await client.put(f"/v2.0/{path}", {name: attributes})


async def sharing(admin: Client, policy: str, *, with_all: bool) -> Answer:
    return await admin.put(f"{POLICIES}/{policy}", {"policy": {"shared": with_all}})


async def test_a_policy_shows_its_rules(admin: Client, owner: Client) -> None:
    policy = await a_policy(admin, name="gold")
    limit = (await add(admin, policy, "bandwidth_limit", max_kbps=700)).json["bandwidth_limit_rule"]
    mark = (await add(admin, policy, "dscp_marking", dscp_mark=26)).json["dscp_marking_rule"]
    shown = (await owner.get(f"{POLICIES}/{policy}")).json["policy"]
    assert limit == {**limit, "max_kbps": 700, "max_burst_kbps": 0, "direction": "egress"}
    assert shown["rules"] == [
        {**limit, "type": "bandwidth_limit", "qos_policy_id": policy},
        {**mark, "type": "dscp_marking", "qos_policy_id": policy},
    ]
    one = f"{POLICIES}/{policy}/bandwidth_limit_rules/{limit['id']}"
    changed = await admin.put(one, {"bandwidth_limit_rule": {"max_kbps": 800}})
    assert changed.json["bandwidth_limit_rule"] == {**limit, "max_kbps": 800}
    assert (await admin.ask("DELETE", one)).status == 204
    assert said(await admin.get(one)) == (404, "QosRuleNotFound")
    (left,) = (await owner.get(f"{POLICIES}/{policy}")).json["policy"]["rules"]
    assert left["type"] == "dscp_marking"


async def test_a_policy_has_one_rule_of_a_kind_and_guarantees_no_more_than_it_allows(
    admin: Client,
) -> None:
    policy = await a_policy(admin)
    assert (await add(admin, policy, "bandwidth_limit", max_kbps=700)).status == 201
    for kind, attributes, error in (
        ("bandwidth_limit", {"max_kbps": 7}, "QoSRulesConflict"),
        ("minimum_bandwidth", {"min_kbps": 701}, "QoSRuleParameterConflict"),
    ):
        assert said(await add(admin, policy, kind, **attributes)) == (409, error)
    ingress = {"direction": "ingress"}
    assert (await add(admin, policy, "bandwidth_limit", max_kbps=7, **ingress)).status == 201
    assert (await add(admin, policy, "minimum_bandwidth", min_kbps=700)).status == 201
    (limit, *_) = (await admin.get(f"{POLICIES}/{policy}")).json["policy"]["rules"]
    path = f"{POLICIES}/{policy}/bandwidth_limit_rules/{limit['id']}"
    answer = await admin.put(path, {"bandwidth_limit_rule": {"max_kbps": 699}})
    assert said(answer) == (409, "QoSRuleParameterConflict")


async def test_administrators_make_them_and_projects_use_their_own_and_shared_ones(
    admin: Client, owner: Client, core: Core
) -> None:
    mine = await a_policy(admin)
    shared = await a_policy(admin, project_id="other", shared=True)
    hidden = await a_policy(admin, project_id="other")
    assert (await owner.post(POLICIES, {"policy": {}})).status == 403
    assert (await owner.ask("DELETE", f"{POLICIES}/{mine}")).status == 403
    assert (await add(owner, mine, "dscp_marking", dscp_mark=0)).status == 403
    assert (await add(owner, hidden, "dscp_marking", dscp_mark=0)).status == 403
    assert (await owner.ask("DELETE", f"{POLICIES}/{hidden}")).status == 404
    listed = (await owner.get(POLICIES)).json["policies"]
    assert {each["id"] for each in listed} == {mine, shared}
    network = await a_network(admin, project_id="owner")
    port = (await made(owner, "port", network_id=network))["id"]
    for path in (f"networks/{network}", f"ports/{port}"):
        for policy in (mine, shared):
            assert (await put(owner, path, qos_policy_id=policy)).status == 200
        answer = await put(owner, path, qos_policy_id=hidden)
        assert said(answer) == (404, "QosPolicyNotFound")
    stranger = client_of(core, "stranger")
    new = {"port": {"network_id": network, "qos_policy_id": mine}}
    assert (await stranger.post("/v2.0/ports", new)).status == 404


async def test_a_policy_is_shared_with_single_projects(
    admin: Client, owner: Client, core: Core
) -> None:
    """Whoever uses it keeps it, also by the flag that shares it with all."""
    policy, friend = await a_policy(admin), client_of(core, "friend")
    share = {"object_type": "qos_policy", "object_id": policy, "action": "access_as_shared"}
    wrong = {**share, "action": "access_as_external", "target_tenant": "friend"}
    answer = await admin.post("/v2.0/rbac-policies", {"rbac_policy": wrong})
    assert said(answer) == (400, "InvalidInput")
    assert (await friend.get(f"{POLICIES}/{policy}")).status == 404
    shared = {"rbac_policy": {**share, "target_tenant": "friend"}}
    one = (await admin.post("/v2.0/rbac-policies", shared)).json["rbac_policy"]
    path = f"/v2.0/rbac-policies/{one['id']}"
    assert (await friend.get(f"{POLICIES}/{policy}")).json["policy"]["shared"] is True
    assert [one["id"] for one in (await friend.get(POLICIES)).json["policies"]] == [policy]
    assert (await client_of(core, "stranger").get(POLICIES)).json["policies"] == []
    network = await a_network(admin, project_id="friend")
    assert (await put(friend, f"networks/{network}", qos_policy_id=policy)).status == 200
    assert said(await admin.ask("DELETE", path)) == (409, "RbacPolicyInUse")
    assert (await sharing(admin, policy, with_all=True)).status == 200
    assert (await admin.ask("DELETE", path)).status == 204
    answer = await sharing(admin, policy, with_all=False)
    assert said(answer) == (409, "RbacPolicyInUse")
    port = (await made(friend, "port", network_id=network, qos_policy_id=policy))["id"]
    assert (await put(friend, f"networks/{network}", qos_policy_id=None)).status == 200
    answer = await sharing(admin, policy, with_all=False)
    assert said(answer) == (409, "RbacPolicyInUse")
    assert (await put(friend, f"ports/{port}", qos_policy_id=None)).status == 200
    assert (await sharing(admin, policy, with_all=False)).status == 200
    assert (await admin.get("/v2.0/rbac-policies")).json["rbac_policies"] == []
    assert (await friend.get(POLICIES)).json["policies"] == []


async def test_its_tags_are_where_clients_look_for_them(admin: Client) -> None:
    """Terraform's beside the policy, Neutron's own without `qos`."""
    policy = await a_policy(admin)
    for path in (POLICIES, "/v2.0/policies"):
        answer = await admin.put(f"{path}/{policy}/tags", {"tags": [path]})
        assert answer.json == {"tags": [path]}
        assert (await admin.get(f"{POLICIES}/{policy}")).json["policy"]["tags"] == [path]


async def test_a_policy_in_use_stays(admin: Client, owner: Client) -> None:
    policy = await a_policy(admin)
    network = await a_network(admin, project_id="owner", qos_policy_id=policy)
    port = (await made(owner, "port", network_id=network, qos_policy_id=policy))["id"]
    one = f"{POLICIES}/{policy}"
    assert said(await admin.ask("DELETE", one)) == (409, "QosPolicyInUse")
    assert (await put(owner, f"networks/{network}", qos_policy_id=None)).status == 200
    assert said(await admin.ask("DELETE", one)) == (409, "QosPolicyInUse")
    assert (await owner.ask("DELETE", f"/v2.0/ports/{port}")).status == 204
    assert (await admin.ask("DELETE", one)).status == 204
    assert (await admin.get(one)).status == 404


async def test_a_projects_default_is_its_new_networks(admin: Client, owner: Client) -> None:
    policy = await a_policy(admin, is_default=True)
    other = await a_policy(admin)
    new = {"policy": {"project_id": "owner", "is_default": True}}
    refused = (409, "QoSPolicyDefaultAlreadyExists")
    assert said(await admin.post(POLICIES, new)) == refused
    answer = await admin.put(f"{POLICIES}/{other}", {"policy": {"is_default": True}})
    assert said(answer) == refused
    segment = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}
    found = await made(
        admin, "network", project_id="owner", **segment, **{"provider:segmentation_id": 3001}
    )
    assert found["qos_policy_id"] == policy
    none = await made(
        admin,
        "network",
        project_id="owner",
        qos_policy_id=None,
        **segment,
        **{"provider:segmentation_id": 3002},
    )
    assert none["qos_policy_id"] is None
    answer = await admin.put(f"{POLICIES}/{policy}", {"policy": {"is_default": False}})
    assert answer.status == 200
    answer = await admin.put(f"{POLICIES}/{other}", {"policy": {"is_default": True}})
    assert answer.status == 200


async def test_types_say_what_is_enforced(admin: Client, owner: Client) -> None:
    """Minimum bandwidth is kept and shown, and is no type that anything here enforces."""
    listed = (await owner.get("/v2.0/qos/rule-types")).json["rule_types"]
    assert listed == [{"type": "bandwidth_limit"}, {"type": "dscp_marking"}]
    assert (await owner.get("/v2.0/qos/rule-types/dscp_marking")).status == 403
    shown = (await admin.get("/v2.0/qos/rule-types/dscp_marking")).json["rule_type"]
    (driver,) = shown["drivers"]
    assert driver["supported_parameters"][0]["parameter_name"] == "dscp_mark"
    answer = await admin.get("/v2.0/qos/rule-types/minimum_bandwidth")
    assert said(answer) == (404, "QosRuleTypeNotFound")


async def test_every_host_is_told_of_policies(admin: Client, core: Core) -> None:
    policy = await a_policy(admin, name="told")
    lines = core.watch(after=None, kinds=frozenset({Kind.QOS_POLICY}), host="h9")
    seen = b""
    async for chunk in lines:
        seen += chunk
        if b"told" in seen and b"snapshot_end" in seen and b"later" not in seen:
            await admin.put(f"{POLICIES}/{policy}", {"policy": {"name": "later"}})
        if b"later" in seen:
            break
    assert seen.index(b"told") < seen.index(b"snapshot_end") < seen.index(b"later")
