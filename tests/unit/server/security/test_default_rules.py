"""What new security groups begin with, edge and core together, on both databases."""

from typing import Any

from tests.doubles.http import Client
from tests.unit.server.projects import client_of

from netwright.server.core import Core

PATH, NAME = "/v2.0/default-security-group-rules", "default_security_group_rule"


def summary(rules: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    keys = ("direction", "ethertype", "protocol", "port_range_min", "remote_group_id")
    return {tuple(rule[key] for key in keys) for rule in rules}


async def a_group(client: Client) -> dict[str, Any]:
    answer = await client.post("/v2.0/security-groups", {"security_group": {"name": "g"}})
    found: dict[str, Any] = answer.json["security_group"]
    return found


async def the_default_group(client: Client) -> dict[str, Any]:
    listed = (await client.get("/v2.0/security-groups?name=default")).json["security_groups"]
    (found,) = listed
    assert isinstance(found, dict)
    return found


async def test_the_first_are_neutrons(core: Core) -> None:
    admin = client_of(core, "admin")
    rules = (await client_of(core, "p").get(PATH)).json[f"{NAME}s"]
    wanted = {
        (direction, ethertype, None, None, remote)
        for direction, remote in (("egress", None), ("ingress", "PARENT"))
        for ethertype in ("IPv4", "IPv6")
    }
    assert summary(rules) == wanted
    default = await the_default_group(client_of(core, "p"))
    out = {each for each in wanted if each[0] == "egress"}
    among = {("ingress", version, None, None, default["id"]) for version in ("IPv4", "IPv6")}
    assert summary(default["security_group_rules"]) == out | among
    assert summary((await a_group(admin))["security_group_rules"]) == out


async def test_groups_that_are_made_afterwards_have_a_new_rule(core: Core) -> None:
    admin = client_of(core, "admin")
    before = await the_default_group(client_of(core, "old"))
    ssh = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    both = {**ssh, "used_in_default_sg": True}
    made = await admin.post(PATH, {NAME: both})
    assert made.status == 201, made
    again = await admin.post(PATH, {NAME: ssh})
    assert (again.status, again.error["type"]) == (409, "DefaultSecurityGroupRuleExists")
    said = ("ingress", "IPv4", "tcp", 22, None)
    assert said not in summary(
        (await the_default_group(client_of(core, "old")))["security_group_rules"]
    )
    assert before["revision_number"] == 1
    default = await the_default_group(client_of(core, "new"))
    assert said in summary(default["security_group_rules"])
    assert said in summary((await a_group(client_of(core, "new")))["security_group_rules"])
    gone = await admin.ask("DELETE", f"{PATH}/{made.json[NAME]['id']}")
    assert gone.status == 204
    assert said not in summary((await a_group(admin))["security_group_rules"])


async def test_only_administrators_change_them(core: Core) -> None:
    member = client_of(core, "p")
    (first, *_) = (await member.get(PATH)).json[f"{NAME}s"]
    assert (await member.get(f"{PATH}/{first['id']}")).json[NAME] == first
    body = {NAME: {"direction": "ingress", "protocol": "udp"}}
    assert (await member.post(PATH, body)).status == 403
    assert (await member.ask("DELETE", f"{PATH}/{first['id']}")).status == 403
    assert (await client_of(core, "admin").ask("DELETE", f"{PATH}/{first['id']}")).status == 204
    body = {NAME: {"direction": "ingress", "remote_group_id": first["id"]}}
    assert (await client_of(core, "admin").post(PATH, body)).status == 400
