"""Security groups and rules in the Networking API, edge and core together, on both databases."""

from typing import Any

from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of

from netwright.server.core import Core

GROUPS, RULES = "/v2.0/security-groups", "/v2.0/security-group-rules"


async def listed(client: Client, path: str, **filters: Any) -> list[dict[str, Any]]:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    answer = await client.get(f"{path}?{query}")
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.json[path.rpartition("/")[2].replace("-", "_")]
    return found


async def default_of(client: Client) -> dict[str, Any]:
    (group,) = await listed(client, GROUPS, name="default")
    return group


async def group(client: Client, name: str = "web", **attributes: Any) -> dict[str, Any]:
    answer = await client.post(GROUPS, {"security_group": {"name": name, **attributes}})
    assert answer.status == 201, answer
    made: dict[str, Any] = answer.json["security_group"]
    return made


async def add(client: Client, group_id: str, **attributes: Any) -> Answer:
    rule = {"security_group_id": group_id, "direction": "ingress", **attributes}
    return await client.post(RULES, {"security_group_rule": rule})


def allows(rules: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {(rule["direction"], rule["ethertype"], rule["remote_group_id"]) for rule in rules}


async def test_a_project_that_looks_has_its_default_group_once(core: Core) -> None:
    p = client_of(core, "p")
    first, again = await default_of(p), await default_of(p)
    assert first == again
    assert (first["project_id"], first["stateful"]) == ("p", True)
    assert allows(first["security_group_rules"]) == {
        ("ingress", "IPv4", first["id"]),
        ("ingress", "IPv6", first["id"]),
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
    }
    assert len(await listed(p, RULES)) == 4


async def test_looking_at_rules_makes_it_too_and_an_admin_makes_anothers(core: Core) -> None:
    admin, q = client_of(core, "admin"), client_of(core, "q")
    assert len(await listed(q, RULES)) == 4
    assert [each["name"] for each in await listed(admin, GROUPS, tenant_id="r")] == ["default"]
    assert await listed(q, GROUPS, project_id="r") == []


async def test_a_new_group_lets_all_out_and_nothing_in(core: Core) -> None:
    p = client_of(core, "p")
    made = await group(p, description="of the web", stateful="false")
    assert (made["name"], made["description"], made["stateful"]) == ("web", "of the web", False)
    assert allows(made["security_group_rules"]) == {("egress", v, None) for v in ("IPv4", "IPv6")}
    assert sorted(each["name"] for each in await listed(p, GROUPS)) == ["default", "web"]
    assert (await p.get(f"{GROUPS}/{made['id']}")).json["security_group"] == made


async def test_groups_are_made_in_bulk_changed_and_deleted(core: Core) -> None:
    p = client_of(core, "p")
    drafts = [{"name": f"g{n}"} for n in range(3)]
    answer = await p.post(GROUPS, {"security_groups": drafts})
    made = answer.json["security_groups"]
    assert (answer.status, [one["name"] for one in made]) == (201, ["g0", "g1", "g2"])
    changed = await p.put(f"{GROUPS}/{made[0]['id']}", {"security_group": {"name": "new"}})
    assert changed.json["security_group"]["name"] == "new"
    assert changed.json["security_group"]["revision_number"] == made[0]["revision_number"] + 1
    both = {"security_groups": [{"id": one["id"], "stateful": False} for one in made[1:]]}
    answer = await p.put(GROUPS, both)
    assert [one["stateful"] for one in answer.json["security_groups"]] == [False, False]
    assert (await p.ask("DELETE", f"{GROUPS}/{made[0]['id']}")).status == 204
    gone = await p.get(f"{GROUPS}/{made[0]['id']}")
    assert (gone.status, gone.error["type"]) == (404, "SecurityGroupNotFound")
    ids = {"security_groups": [{"id": one["id"]} for one in made[1:]]}
    assert (await p.ask("DELETE", GROUPS, ids)).status == 204
    assert len(await listed(p, RULES)) == 4  # the default group's


async def test_the_default_group_keeps_its_name_and_stays_for_its_project(core: Core) -> None:
    p, admin = client_of(core, "p"), client_of(core, "admin")
    default = await default_of(p)
    path = f"{GROUPS}/{default['id']}"
    answer = await p.put(path, {"security_group": {"name": "mine"}})
    assert (answer.status, answer.error["type"]) == (409, "SecurityGroupCannotUpdateDefault")
    answer = await p.put(path, {"security_group": {"description": "ours"}})
    assert answer.json["security_group"]["description"] == "ours"
    answer = await p.ask("DELETE", path)
    assert (answer.status, answer.error["type"]) == (409, "SecurityGroupCannotRemoveDefault")
    for taken in ("default", "Default"):
        answer = await p.post(GROUPS, {"security_group": {"name": taken}})
        assert (answer.status, answer.error["type"]) == (409, "SecurityGroupDefaultAlreadyExists")
    other = await group(p)
    answer = await p.put(f"{GROUPS}/{other['id']}", {"security_group": {"name": "default"}})
    assert answer.error["type"] == "SecurityGroupDefaultAlreadyExists"
    assert (await admin.ask("DELETE", path)).status == 204
    assert (await default_of(p))["id"] != default["id"]


async def test_rules_are_added_shown_listed_and_deleted(core: Core) -> None:
    p = client_of(core, "p")
    web = await group(p)
    answer = await add(
        p,
        web["id"],
        protocol="tcp",
        port_range_min="80",
        port_range_max="443",
        remote_ip_prefix="10.0.0.5/8",
        description="http",
    )
    assert answer.status == 201, answer
    rule = answer.json["security_group_rule"]
    assert rule["project_id"] == rule["tenant_id"] == "p"
    assert (rule["port_range_min"], rule["port_range_max"], rule["ethertype"]) == (80, 443, "IPv4")
    assert (rule["remote_ip_prefix"], rule["normalized_cidr"]) == ("10.0.0.5/8", "10.0.0.0/8")
    assert (await p.get(f"{RULES}/{rule['id']}")).json["security_group_rule"] == rule
    now = (await p.get(f"{GROUPS}/{web['id']}")).json["security_group"]
    assert rule in now["security_group_rules"]
    assert now["revision_number"] == web["revision_number"] + 1
    for filters in (
        {"id": rule["id"]},
        {"security_group_id": web["id"], "direction": "ingress"},
        {"protocol": "TCP"},
        {"port_range_min": 80, "port_range_max": 443},
        {"remote_ip_prefix": "10.0.0.5/8"},
        {"normalized_cidr": "10.0.0.0/8"},
        {"description": "http", "revision_number": 0},
        {"remote_group_id": "", "direction": "ingress"},
    ):
        assert await listed(p, RULES, **filters) == [rule], filters
    assert await listed(p, RULES, normalized_cidr="10.0.0.5/8") == []
    ids = [one["id"] for one in await listed(p, RULES, sort_key="protocol", sort_dir="desc")]
    assert ids[0] == rule["id"]
    page = await listed(p, RULES, limit=2, sort_key="remote_ip_prefix", sort_dir="desc")
    assert page[0]["id"] == rule["id"]
    assert (await p.put(f"{RULES}/{rule['id']}", {"security_group_rule": {}})).status == 405
    assert (await p.ask("DELETE", f"{RULES}/{rule['id']}")).status == 204
    gone = await p.get(f"{RULES}/{rule['id']}")
    assert (gone.status, gone.error["type"]) == (404, "SecurityGroupRuleNotFound")
    assert (await p.ask("DELETE", f"{RULES}/{rule['id']}")).status == 404


async def test_a_rule_that_is_there_is_not_added_again(core: Core) -> None:
    p = client_of(core, "p")
    web = await group(p)
    assert (await add(p, web["id"], protocol="tcp")).status == 201
    again = await add(p, web["id"], protocol="6", remote_ip_prefix="0.0.0.0/0")
    assert (again.status, again.error["type"]) == (409, "SecurityGroupRuleExists")
    assert (await add(p, web["id"], protocol="tcp", direction="egress")).status == 201
    twice = [
        {"security_group_id": web["id"], "direction": "ingress", "protocol": name}
        for name in ("udp", "17")
    ]
    answer = await p.post(RULES, {"security_group_rules": twice})
    assert (answer.status, answer.error["type"]) == (409, "DuplicateSecurityGroupRuleInPost")
    assert len(await listed(p, RULES, security_group_id=web["id"])) == 4


async def test_rules_in_bulk_are_of_one_group(core: Core) -> None:
    p, admin = client_of(core, "p"), client_of(core, "admin")
    a, b = await group(p, "a"), await group(p, "b")

    def rules(*group_ids: str, **attributes: Any) -> dict[str, Any]:
        return {
            "security_group_rules": [
                {"security_group_id": id_, "direction": "ingress", "protocol": n + 6, **attributes}
                for n, id_ in enumerate(group_ids)
            ]
        }

    answer = await p.post(RULES, rules(a["id"], a["id"], a["id"]))
    assert [rule["protocol"] for rule in answer.json["security_group_rules"]] == ["6", "7", "8"]
    answer = await p.post(RULES, rules(a["id"], b["id"]))
    assert (answer.status, answer.error["type"]) == (400, "SecurityGroupNotSingleGroupRules")
    mixed = rules(b["id"], b["id"])
    mixed["security_group_rules"][0]["project_id"] = "p"
    answer = await admin.post(RULES, mixed)
    assert (answer.status, answer.error["type"]) == (400, "SecurityGroupRulesNotSingleTenant")
    for named in ({"project_id": "other"}, {}):  # a rule is its group's project's, as its group is
        answer = await admin.post(RULES, rules(b["id"], **named))
        rule = answer.json["security_group_rules"][0]
        assert rule["project_id"] == "p"
        assert (await p.ask("DELETE", f"{RULES}/{rule['id']}")).status == 204


async def test_rules_of_several_groups_go_together_or_each_by_itself(core: Core) -> None:
    p, q = client_of(core, "p"), client_of(core, "q")
    a, b = await group(p, "a"), await group(p, "b")
    wanted = [
        {"security_group_id": id_, "direction": "ingress", "protocol": "tcp"}
        for id_ in (a["id"], b["id"], a["id"])
    ]
    lenient = {"prefer": "handling=lenient"}
    body = {"security_group_rules": wanted}
    said = (await p.ask("POST", RULES, body, headers=lenient)).json["security_group_rules"]
    assert [one["status"] for one in said] == [201, 201, 409]
    assert said[2]["NeutronError"]["type"] == "SecurityGroupRuleExists"
    made = [one["security_group_rule"]["id"] for one in said[:2]]
    gone = {"security_group_rules": [{"id": id_} for id_ in made]}
    assert (await q.ask("DELETE", RULES, gone)).status == 404
    assert (await p.put(RULES, gone)).status == 405
    assert (await p.ask("DELETE", RULES, gone)).status == 204
    assert await listed(p, RULES, direction="ingress", remote_group_id="") == []


async def test_what_the_edge_refuses(core: Core) -> None:
    p = client_of(core, "p")
    web = await group(p)
    for attributes, type_ in (
        ({"direction": "inward"}, "InvalidInput"),
        ({"ethertype": "IPX"}, "SecurityGroupRuleInvalidEtherType"),
        ({"protocol": "tcp", "port_range_min": "x"}, "SecurityGroupInvalidPortValue"),
        ({"remote_ip_prefix": "x"}, "InvalidCIDR"),
        ({"colour": "red"}, "HTTPBadRequest"),
    ):
        answer = await add(p, web["id"], **attributes)
        assert (answer.status, answer.error["type"]) == (400, type_), attributes
    answer = await add(p, web["id"], remote_group_id="x")  # as Neutron has it
    assert (answer.status, answer.error["type"]) == (404, "SecurityGroupNotFound")
    answer = await p.get(f"{RULES}?colour=red")
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")


async def test_a_remote_group_goes_with_the_rules_that_name_it(core: Core) -> None:
    p = client_of(core, "p")
    web, db = await group(p, "web"), await group(p, "db")
    rule = (await add(p, db["id"], remote_group_id=web["id"])).json["security_group_rule"]
    assert await listed(p, RULES, remote_group_id=web["id"]) == [rule]
    assert (await p.ask("DELETE", f"{GROUPS}/{web['id']}")).status == 204
    assert (await p.get(f"{RULES}/{rule['id']}")).status == 404
    now = (await p.get(f"{GROUPS}/{db['id']}")).json["security_group"]
    assert allows(now["security_group_rules"]) == {("egress", v, None) for v in ("IPv4", "IPv6")}
    missing = await add(p, db["id"], remote_group_id=web["id"])
    assert (missing.status, missing.error["type"]) == (404, "SecurityGroupNotFound")


async def test_another_projects_groups_are_not_found(core: Core) -> None:
    p, q = client_of(core, "p"), client_of(core, "q")
    web = await group(p)
    rule = web["security_group_rules"][0]
    for path, name in ((f"{GROUPS}/{web['id']}", "security_group"), (f"{RULES}/{rule['id']}", "")):
        assert (await q.get(path)).status == 404
        assert (await q.ask("DELETE", path)).status == 404
        if name:
            assert (await q.put(path, {name: {"name": "mine"}})).status == 404
    assert (await add(q, web["id"])).status == 404
    own = await group(q)
    assert (await add(q, own["id"], remote_group_id=web["id"])).status == 404
    assert await listed(q, GROUPS, id=web["id"]) == []
    assert await listed(q, RULES, security_group_id=web["id"]) == []
    body = {"security_group": {"project_id": "p"}}
    assert (await q.post(GROUPS, body)).status == 403


async def test_revisions_guard_changes(core: Core) -> None:
    p = client_of(core, "p")
    web = await group(p)
    old = {"if-match": f"revision_number={web['revision_number']}"}
    path = f"{GROUPS}/{web['id']}"
    assert (await add(p, web["id"])).status == 201
    answer = await p.ask("PUT", path, {"security_group": {"name": "x"}}, headers=old)
    assert (answer.status, answer.error["type"]) == (412, "RevisionNumberConstraintFailed")
    assert (await p.ask("DELETE", path, headers=old)).status == 412
