"""Address groups: what agents are told of them, who may name them; both databases."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.unit.server.projects import client_of
from tests.unit.server.security.test_watch import (
    ADMIN,
    WAIT_S,
    Watch,
    filled,
    told,
    value,
    watching,
)

from netwright.agent.groups import Filters, KnownGroups
from netwright.model.security import GroupMember, SecurityGroup
from netwright.model.wire import Kind, LineType
from netwright.server.commands import PortChange, UpdatePorts
from netwright.server.core import Core

__all__ = ["filled"]


async def made(core: Core, path: str, name: str, project: str = "p", **body: object) -> str:
    answer = await client_of(core, project).post(f"/v2.0/{path}", {name: body})
    assert answer.status == 201, answer
    return str(answer.json[name]["id"])


async def changed(core: Core, group: str, verb: str, *addresses: str) -> None:
    path = f"/v2.0/address-groups/{group}/{verb}_addresses"
    answer = await client_of(core, "p").put(path, {"addresses": addresses})
    assert answer.status == 200, answer


async def test_hosts_are_told_what_is_in_a_group_that_their_rules_name(filled: Core) -> None:
    group = await made(filled, "address-groups", "address_group", addresses=["10.1.0.0/16"])
    assert group not in await filled.reader.watchable_groups("h1")
    rule = {"security_group_id": await a_group(filled), "direction": "ingress"}
    await made(
        filled,
        "security-group-rules",
        "security_group_rule",
        **rule,
        remote_address_group_id=group,
    )
    groups = (rule["security_group_id"],)
    await filled.commit(
        UpdatePorts(caller=ADMIN, changes=(PortChange(id="a", security_groups=groups),))
    )
    assert group in await filled.reader.watchable_groups("h1")
    async with asyncio.timeout(WAIT_S), watching(filled, group) as stream:
        watch = Watch(stream)
        (first, *_) = await watch.until(LineType.SNAPSHOT_END)
        member = GroupMember(group_id=group, port_id="addresses", addresses=("10.1.0.0/16",))
        assert value(first, GroupMember) == member
        await changed(filled, group, "add", "2001:db8::/32", "10.1.0.9")
        (*_, put) = await watch.until(LineType.PUT, f"addresses@{group}")
        assert put.kind is Kind.GROUP_MEMBER
        assert value(put, GroupMember).addresses == (
            "10.1.0.0/16",
            "10.1.0.9/32",
            "2001:db8::/32",
        )
        await changed(filled, group, "remove", "10.1.0.0/16")
        (*_, put) = await watch.until(LineType.PUT, f"addresses@{group}")
        assert value(put, GroupMember).addresses == ("10.1.0.9/32", "2001:db8::/32")
        path = f"/v2.0/address-groups/{group}"
        assert (await client_of(filled, "p").ask("DELETE", path)).status == 409
        (named,) = (
            await client_of(filled, "p").get(
                f"/v2.0/security-group-rules?remote_address_group_id={group}&fields=id"
            )
        ).json["security_group_rules"]
        gone = f"/v2.0/security-group-rules/{named['id']}"
        assert (await client_of(filled, "p").ask("DELETE", gone)).status == 204
        renamed = {"address_group": {"name": "n"}}
        assert (await client_of(filled, "p").put(path, renamed)).status == 200
        assert (await client_of(filled, "p").ask("DELETE", path)).status == 204
        lines = await watch.until(LineType.DELETE, f"addresses@{group}")
        assert told(lines) == [(LineType.DELETE, f"addresses@{group}")]


async def a_group(core: Core) -> str:
    return await made(core, "security-groups", "security_group", description="g")


async def test_an_agent_takes_an_address_group_for_a_remote_one(filled: Core) -> None:
    """Also an agent of before there were any: what it reads of the rule is the same."""
    group = await made(filled, "address-groups", "address_group")
    security_group = await a_group(filled)
    rule = {"security_group_id": security_group, "direction": "ingress"}
    more = {"remote_address_group_id": group}
    await made(filled, "security-group-rules", "security_group_rule", **rule, **more)
    stored = await filled.reader.one(SecurityGroup, security_group)
    port = await filled.reader.port("b")
    assert stored is not None
    assert port is not None
    known = KnownGroups(groups={security_group: stored}, synced=frozenset({security_group}))
    found = Filters(known).of(replace(port, security_groups=(security_group,)))
    assert found.remote == {group}
    assert (
        found.missing == f"the members of security group {group} have not come from the server yet"
    )


@pytest.mark.parametrize("verb", ["add", "remove"])
async def test_wrong_addresses_are_refused(core: Core, verb: str) -> None:
    group = await made(core, "address-groups", "address_group")
    path = f"/v2.0/address-groups/{group}/{verb}_addresses"
    client = client_of(core, "p")
    assert (await client.put(path, {"addresses": ["10.0.0.0/33"]})).status == 400
    assert (await client.put(path, {"addresses": "10.0.0.1"})).status == 400
    with_host_bits = {"name": "near", "addresses": ["10.0.0.7/24"]}
    made_one = await client.post("/v2.0/address-groups", {"address_group": with_host_bits})
    assert made_one.json["address_group"]["addresses"] == ["10.0.0.0/24"]
    assert (await client_of(core, "q").put(path, {"addresses": ["10.0.0.1"]})).status == 404


async def test_anothers_group_is_named_when_it_is_shared(core: Core) -> None:
    group = await made(core, "address-groups", "address_group", "owner", addresses=["10.0.0.0/8"])
    security_group = await made(
        core, "security-groups", "security_group", "friend", description="g"
    )
    rule = {"security_group_id": security_group, "direction": "egress"}
    whole = {"security_group_rule": {**rule, "remote_address_group_id": group}}
    friend, owner = client_of(core, "friend"), client_of(core, "owner")
    refused = await friend.post("/v2.0/security-group-rules", whole)
    assert (refused.status, refused.error["type"]) == (404, "AddressGroupNotFound")
    shared = {"object_type": "address_group", "object_id": group, "action": "access_as_shared"}
    policy = {"rbac_policy": {**shared, "target_tenant": "friend"}}
    answer = await owner.post("/v2.0/rbac-policies", policy)
    path = f"/v2.0/rbac-policies/{answer.json['rbac_policy']['id']}"
    named = await friend.post("/v2.0/security-group-rules", whole)
    assert named.status == 201, named
    kept = await owner.ask("DELETE", path)
    assert (kept.status, kept.error["type"]) == (409, "RbacPolicyInUse")
    used = await owner.ask("DELETE", f"/v2.0/address-groups/{group}")
    assert (used.status, used.error["type"]) == (409, "AddressGroupInUse")
    gone = f"/v2.0/security-group-rules/{named.json['security_group_rule']['id']}"
    assert (await friend.ask("DELETE", gone)).status == 204
    assert (await owner.ask("DELETE", path)).status == 204
