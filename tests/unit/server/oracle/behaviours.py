"""What an alias means that brings no attribute of a body: one check each, over HTTP.

A check raises AssertionError. An alias that is in none of these tables and has no attribute is
announced without a test, which `test_aliases` refuses.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.unit.server.oracle.scene import Scene, path_of

Check = Callable[[Scene], Awaitable[None]]


async def _empty_strings(scene: Scene) -> None:
    named = await scene.one("networks", scene.member, {"name": "named"})
    unnamed = await scene.one("networks", scene.member)
    listed = (await scene.member.get("/v2.0/networks?name=")).json["networks"]
    ids = {one["id"] for one in listed}
    assert unnamed["id"] in ids
    assert named["id"] not in ids


async def _unknown_filters(scene: Scene) -> None:
    answer = await scene.member.get("/v2.0/networks?nonsense=1")
    assert answer.status == 400
    assert answer.error["message"] == "['nonsense'] is invalid attribute for filtering"


async def _unknown_sort_keys(scene: Scene) -> None:
    answer = await scene.member.get("/v2.0/networks?sort_key=nonsense")
    assert answer.status == 400
    assert answer.error["message"] == "['nonsense'] is invalid attribute for sort_keys"


async def _pages(scene: Scene) -> None:
    made = {(await scene.one("routers", scene.member))["id"] for _ in range(3)}
    seen, target = [], "/v2.0/routers?limit=2"
    while target:
        page = (await scene.member.get(target)).json
        seen += [one["id"] for one in page["routers"]]
        links = {one["rel"]: one["href"] for one in page.get("routers_links", ())}
        target = links.get("next", "").partition(":9696")[2]
    assert len(seen) == len(set(seen))
    assert made <= set(seen)


async def _sorting(scene: Scene) -> None:
    for name in ("b", "a", "c"):
        await scene.one("routers", scene.member, {"name": name})
    for direction, wanted in (("asc", ["a", "b", "c"]), ("desc", ["c", "b", "a"])):
        target = f"/v2.0/routers?sort_key=name&sort_dir={direction}&name=a&name=b&name=c"
        listed = (await scene.member.get(target)).json["routers"]
        assert [one["name"] for one in listed] == wanted


async def _projects(scene: Scene) -> None:
    one = await scene.one("networks", scene.member)
    assert one["project_id"] == one["tenant_id"] == "member"
    for name in ("project_id", "tenant_id"):
        listed = (await scene.admin.get(f"/v2.0/networks?{name}=member")).json["networks"]
        assert one["id"] in {each["id"] for each in listed}
        refused = await scene.create("networks", scene.member, {name: "stranger"})
        assert refused.status == 403, refused
    both = {"project_id": "member", "tenant_id": "stranger"}
    assert (await scene.create("networks", scene.admin, both)).status == 400


async def _quotas(scene: Scene) -> None:
    path = "/v2.0/quotas/member"
    assert (await scene.member.get(path)).status == 200
    assert (await scene.member.put(path, {"quota": {"network": 1}})).status == 403
    assert (await scene.admin.put(path, {"quota": {"router": 5000}})).status == 200
    assert (await scene.admin.get(path)).json["quota"]["router"] == 5000
    assert (await scene.admin.ask("DELETE", path)).status == 204
    default = (await scene.member.get(f"{path}/default")).json["quota"]
    assert (await scene.member.get(path)).json["quota"] == default
    assert (await scene.member.get("/v2.0/quotas")).status == 403


async def _quota_details(scene: Scene) -> None:
    before = (await scene.member.get("/v2.0/quotas/member/details.json")).json["quota"]
    await scene.one("routers", scene.member)
    after = (await scene.member.get("/v2.0/quotas/member/details.json")).json["quota"]
    assert after["router"] == {**before["router"], "used": before["router"]["used"] + 1}
    assert set(after["router"]) == {"limit", "used", "reserved"}


async def _quota_limits(scene: Scene) -> None:
    """What is below what the project has already is refused, unless it is forced."""
    await scene.one("routers", scene.member)
    path, too_low = "/v2.0/quotas/member", {"router": 0}
    refused = await scene.admin.put(path, {"quota": {**too_low, "check_limit": True}})
    assert refused.status == 400, refused
    assert (await scene.admin.put(path, {"quota": too_low})).status == 400
    assert (await scene.admin.put(path, {"quota": {**too_low, "force": True}})).status == 200
    assert (await scene.admin.ask("DELETE", path)).status == 204


async def _if_match(scene: Scene) -> None:
    made = await scene.one("networks", scene.member)
    path, body = f"/v2.0/networks/{made['id']}", {"network": {"name": "n"}}
    guard = {"if-match": f"revision_number={made['revision_number']}"}
    assert (await scene.member.put(path, body, **guard)).status == 200
    assert (await scene.member.put(path, body, **guard)).status == 412
    stale = await scene.member.ask("DELETE", path, headers=guard)
    assert stale.status == 412, stale


async def _tags(scene: Scene) -> None:
    for collection in (
        *("networks", "subnets", "subnetpools", "ports", "routers", "security_groups"),
        "floatingips",
    ):
        made = await scene.one(collection, scene.member)
        path = f"/v2.0/{collection.replace('_', '-')}"
        tags = f"{path}/{made['id']}/tags"
        replaced = await scene.member.put(tags, {"tags": ["red", "blue"]})
        assert sorted(replaced.json["tags"]) == ["blue", "red"]
        assert (await scene.member.ask("PUT", f"{tags}/green")).status == 201
        assert (await scene.member.get(f"{tags}/green")).status == 204
        assert (await scene.member.ask("DELETE", f"{tags}/red")).status == 204
        assert (await scene.member.get(f"{tags}/red")).status == 404
        assert sorted((await scene.member.get(tags)).json["tags"]) == ["blue", "green"]
        for query, is_found in (
            *(("tags=blue,green", True), ("tags=blue,red", False)),
            *(("tags-any=blue,red", True), ("tags-any=red", False)),
            *(("not-tags=blue,red", True), ("not-tags=blue,green", False)),
            *(("not-tags-any=red", True), ("not-tags-any=blue,red", False)),
        ):
            found = (await scene.member.get(f"{path}?{query}")).json[collection]
            assert (made["id"] in {one["id"] for one in found}) is is_found, (collection, query)
        assert (await scene.member.ask("DELETE", tags)).status == 204
        assert (await scene.member.get(tags)).json["tags"] == []


async def _tag_creation(scene: Scene) -> None:
    made = await scene.one("networks", scene.member)
    tags = f"/v2.0/networks/{made['id']}/tags"
    for named in (["red"], ["blue", "green"]):
        answer = await scene.member.post(tags, {"tags": named})
        assert answer.status == 201, answer
    assert sorted((await scene.member.get(tags)).json["tags"]) == ["blue", "green", "red"]


async def _tagged_ports(scene: Scene) -> None:
    network = scene.made["networks"]
    ports = [{"network_id": network, "tags": [tag]} for tag in ("red", "blue")]
    answer = await scene.member.post("/v2.0/ports", {"ports": ports})
    assert answer.status == 201, answer
    made = answer.json["ports"]
    assert [one["tags"] for one in made] == [["red"], ["blue"]]
    for one in made:
        assert (await scene.member.ask("DELETE", f"/v2.0/ports/{one['id']}")).status == 204


async def _uplink_status(scene: Scene) -> None:
    """It is true unless a port says otherwise; that it may be changed is another alias."""
    port = await scene.one("ports", scene.member)
    assert port["propagate_uplink_status"] is True
    other = await scene.one("ports", scene.member, {"propagate_uplink_status": False})
    assert other["propagate_uplink_status"] is False


async def _moments(scene: Scene) -> None:
    made = await scene.one("networks", scene.member)
    for query, is_found in (("2001-01-01T00:00:00", True), ("2999-01-01T00:00:00Z", False)):
        target = f"/v2.0/networks?changed_since={query}"
        found = (await scene.member.get(target)).json["networks"]
        assert (made["id"] in {one["id"] for one in found}) is is_found
    assert made["created_at"].endswith("Z")


async def _revisions(scene: Scene) -> None:
    made = await scene.one("networks", scene.member)
    change = await scene.update("networks", scene.member, made["id"], {"name": "n"})
    assert change.json["network"]["revision_number"] > made["revision_number"]


async def _pooled_subnets(scene: Scene) -> None:
    more = {"subnetpool_id": scene.made["subnetpools"]}
    body = {**await scene.body("subnets"), **more}
    body.pop("cidr")
    answer = await scene.create("subnets", scene.member, body)
    assert answer.status == 201, answer
    assert answer.json["subnet"]["cidr"].startswith("10.230.")
    assert answer.json["subnet"]["cidr"].endswith("/26")


async def _containers(scene: Scene) -> None:
    made = await scene.one("ports", scene.member)
    assert made["claim"] is None
    assert (await scene.create("ports", scene.admin, {"claim": {}})).status == 400


async def _drift(scene: Scene) -> None:
    made = await scene.one("networks", scene.admin, {"drift_domain": "zone"})
    assert made["drift_domain"] == "zone"
    assert (await scene.create("networks", scene.member, {"drift_domain": "zone"})).status == 403
    assert (await scene.create("networks", scene.admin, {"drift_domain": "moon"})).status == 400


async def _labels(scene: Scene) -> None:
    network = await scene.one("networks", scene.member, {"labels": {"oracle": "labels"}})
    subnet = {"network_id": network["id"]}
    await scene.one("subnets", scene.member, subnet)
    wanted = {"network_labels": "oracle=labels"}
    answer = await scene.create("ports", scene.member, wanted)
    assert answer.status == 201, answer
    assert answer.json["port"]["network_id"] == network["id"]
    refused = await scene.create("networks", scene.member, {"labels": {"?": "x"}})
    assert refused.status == 400


async def _unique_names(scene: Scene) -> None:
    body: dict[str, Any] = {"network_id": scene.made["networks"], "unique_name": "once"}
    first = await scene.create("ports", scene.member, body)
    again = await scene.create("ports", scene.member, body)
    assert (first.status, again.status) == (201, 200)
    assert first.json["port"]["id"] == again.json["port"]["id"]


async def _ports_of_groups(scene: Scene) -> None:
    group = scene.made["security_groups"]
    inside = await scene.one("ports", scene.member, {"security_groups": [group]})
    outside = await scene.one("ports", scene.member, {"security_groups": []})
    listed = (await scene.member.get(f"/v2.0/ports?security_groups={group}")).json["ports"]
    ids = {one["id"] for one in listed}
    assert inside["id"] in ids
    assert outside["id"] not in ids


async def _no_multicast_pairs(scene: Scene) -> None:
    for group in ("224.0.0.18", "239.0.0.0/8", "ff02::12"):
        pairs = {"allowed_address_pairs": [{"ip_address": group}]}
        body = {**await scene.body("ports"), **pairs}
        answer = await scene.create("ports", scene.member, body)
        assert answer.status == 400, answer
        assert "allowed_address_pairs" in answer.error["message"]


async def _another_mac(scene: Scene) -> None:
    made = await scene.one("ports", scene.member)
    answer = await scene.update("ports", scene.admin, made["id"], {"mac_address": None})
    assert answer.status == 200, answer
    other = answer.json["port"]["mac_address"]
    assert other != made["mac_address"]
    assert other.startswith("fa:16:3e:")


async def _agents(scene: Scene) -> None:
    """A host is an agent, for administrators; it is changed nowhere here."""
    await scene.hear()
    agents = (await scene.admin.get("/v2.0/agents?host=h1")).json["agents"]
    (agent,) = agents
    assert (agent["alive"], agent["admin_state_up"]) == (True, True)
    assert agent["availability_zone"] == "north"
    assert agent["created_at"].endswith("Z")
    path = f"/v2.0/agents/{agent['id']}"
    assert (await scene.admin.get(path)).json["agent"]["host"] == "h1"
    assert (await scene.member.get(path)).status == 404
    assert (await scene.member.get("/v2.0/agents")).json == {"agents": []}
    assert (await scene.admin.ask("DELETE", path)).status == 405
    assert (await scene.admin.get("/v2.0/agents/nobody")).status == 404
    hosts = (await scene.admin.get("/v2.0/agents?sort_key=host&sort_dir=desc")).json["agents"]
    assert [one["host"] for one in hosts] == ["h2", "h1"]


async def _zones(scene: Scene) -> None:
    await scene.hear()
    path, field = "/v2.0/availability_zones", "availability_zones"
    zones = (await scene.member.get(path)).json[field]
    assert {(one["name"], one["resource"], one["state"]) for one in zones} == {
        (name, resource, "available")
        for name in ("north", "south")
        for resource in ("network", "router")
    }
    some = (await scene.member.get(f"{path}?name=north&resource=router")).json[field]
    assert [one["name"] for one in some] == ["north"]
    assert (await scene.member.get(f"{path}?state=unavailable")).json[field] == []


async def _availability(scene: Scene) -> None:
    """Addresses are counted by network and subnet, for administrators."""
    path, name = "/v2.0/network-ip-availabilities", "network_ip_availability"
    network = (await scene.one("networks", scene.member, {"name": "counted"}))["id"]
    pools = [{"start": "10.240.0.10", "end": "10.240.0.19"}]
    within = {"network_id": network, "cidr": "10.240.0.0/24", "allocation_pools": pools}
    subnet = (await scene.one("subnets", scene.member, within))["id"]
    within = {"network_id": network, "cidr": "2001:db8:240::/64", "ip_version": 6}
    await scene.one("subnets", scene.member, within)
    only = {"network_id": network, "fixed_ips": [{"subnet_id": subnet}]}
    await scene.one("ports", scene.member, only)
    shown = (await scene.admin.get(f"{path}/{network}")).json[name]
    ours, theirs = sorted(shown["subnet_ip_availability"], key=lambda one: one["ip_version"])
    assert (ours["total_ips"], ours["used_ips"]) == (10, 1)
    assert (ours["subnet_id"], ours["cidr"]) == (subnet, "10.240.0.0/24")
    assert theirs["used_ips"] == 0
    assert shown["total_ips"] == 10 + theirs["total_ips"]
    assert (shown["used_ips"], shown["network_name"]) == (1, "counted")
    for query, is_found in (
        *((f"network_id={network}", True), ("network_name=counted", True)),
        *(("network_name=other", False), ("tenant_id=member", True), ("tenant_id=x", False)),
        *(("project_id=member", True), (f"network_id={network}&ip_version=6", True)),
    ):
        listed = (await scene.admin.get(f"{path}?{query}")).json["network_ip_availabilities"]
        assert (network in {one["network_id"] for one in listed}) is is_found, query
    of_six = (await scene.admin.get(f"{path}?network_id={network}&ip_version=6")).json
    (counted,) = of_six["network_ip_availabilities"]
    assert [one["ip_version"] for one in counted["subnet_ip_availability"]] == [6]
    assert counted["used_ips"] == 0
    assert (await scene.member.get(path)).json == {"network_ip_availabilities": []}
    assert (await scene.member.get(f"{path}/{network}")).status == 404
    assert (await scene.admin.get(f"{path}/{subnet}")).status == 404


async def _port_details(scene: Scene) -> None:
    """Of the port that it leads to, whoever lists it; null of one that leads nowhere."""
    port = await scene.one("ports", scene.member, {"name": "led", "device_id": "vm"})
    led = {"floating_network_id": scene.made["outer"], "port_id": port["id"]}
    made = await scene.one("floatingips", scene.member, led)
    names = ("name", "network_id", "mac_address", "admin_state_up", "status", "device_id")
    wanted = {name: port[name] for name in (*names, "device_owner")}
    path = f"/v2.0/floatingips/{made['id']}"
    shown = (await scene.member.get(path)).json["floatingip"]
    assert made["port_details"] == shown["port_details"] == wanted
    for query in ("", "&fields=port_details", "&fields=port_details&fields=id"):
        listed = (await scene.member.get(f"/v2.0/floatingips?id={made['id']}{query}")).json
        assert [one["port_details"] for one in listed["floatingips"]] == [wanted]
    freed = await scene.member.put(path, {"floatingip": {"port_id": None}})
    assert freed.json["floatingip"]["port_details"] is None
    listed = (await scene.member.get(f"/v2.0/floatingips?id={made['id']}")).json["floatingips"]
    assert [one["port_details"] for one in listed] == [None]


async def _floating_pools(scene: Scene) -> None:
    """Everybody sees where floating IPs can come from: subnets of IPv4 of external networks."""
    outer = (await scene.one("networks", scene.admin, {"router:external": True}))["id"]
    four = await scene.one("subnets", scene.admin, {"network_id": outer, "name": "pool"})
    six = {"network_id": outer, "ip_version": 6, "cidr": "2001:db8:777::/64"}
    await scene.one("subnets", scene.admin, six)
    inner = await scene.one("subnets", scene.member)
    pools = (await scene.member.get("/v2.0/floatingip_pools")).json["floatingip_pools"]
    (pool,) = (one for one in pools if one["network_id"] == outer)
    wanted = {"subnet_id": four["id"], "subnet_name": "pool", "cidr": four["cidr"]}
    assert pool.items() >= wanted.items()
    assert inner["id"] not in {one["subnet_id"] for one in pools}


async def _routes_one_by_one(scene: Scene) -> None:
    router = await scene.one("routers", scene.member)
    network = await scene.one("networks", scene.member)
    subnet = await scene.one("subnets", scene.member, {"network_id": network["id"]})
    path = f"/v2.0/routers/{router['id']}"
    interface = {"subnet_id": subnet["id"]}
    assert (await scene.member.put(f"{path}/add_router_interface", interface)).status == 200
    nexthop = f"{subnet['cidr'].rpartition('.')[0]}.9"
    one, other = (
        {"destination": f"10.{number}.0.0/16", "nexthop": nexthop} for number in (251, 252)
    )
    for verb, routes, left in (
        *(("add", [one], [one]), ("add", [other, one], [one, other])),
        *(("remove", [one], [other]), ("remove", [one, other], [])),
    ):
        body = {"router": {"routes": routes}}
        answer = await scene.member.put(f"{path}/{verb}_extraroutes", body)
        assert answer.status == 200, answer
        shown = answer.json["router"]["routes"]
        assert sorted(shown, key=lambda each: str(each["destination"])) == left
    assert (await scene.member.put(f"{path}/remove_router_interface", interface)).status == 200


def _shared_as(collection: str, object_type: str) -> Check:
    async def check(scene: Scene) -> None:
        made = await scene.one(collection, scene.member)
        path = f"{path_of(collection)}/{made['id']}"
        stranger = scene.client("stranger")
        assert (await stranger.get(path)).status == 404
        body = {"object_type": object_type, "object_id": made["id"], "target_tenant": "stranger"}
        policy = await scene.one(
            "rbac_policies", scene.member, {**body, "action": "access_as_shared"}
        )
        assert (await stranger.get(path)).status == 200
        assert (await stranger.ask("DELETE", path)).status == 403
        gone = await scene.member.ask("DELETE", f"/v2.0/rbac-policies/{policy['id']}")
        assert gone.status == 204, gone
        scene.forget(f"/v2.0/rbac-policies/{policy['id']}")
        assert (await stranger.get(path)).status == 404

    return check


async def _prefixes_one_by_one(scene: Scene) -> None:
    pool = await scene.one("subnetpools", scene.member, {"prefixes": ["10.220.0.0/24"]})
    path = f"/v2.0/subnetpools/{pool['id']}"
    for verb, named, left in (
        *(("add", "10.220.1.0/24", ["10.220.0.0/23"]), ("add", "10.0.0.0/8", ["10.0.0.0/8"])),
        *(("remove", "10.128.0.0/9", ["10.0.0.0/9"]), ("remove", "10.64.0.0/10", ["10.0.0.0/10"])),
    ):
        answer = await scene.member.put(f"{path}/{verb}_prefixes", {"prefixes": [named]})
        assert (answer.status, answer.json) == (200, {"prefixes": left})


async def _parts_of_addresses(scene: Scene) -> None:
    port = await scene.one("ports", scene.member)
    address = port["fixed_ips"][0]["ip_address"]
    for part, is_found in ((address[:-1], True), (address[2:], True), (f"{address}9", False)):
        target = f"/v2.0/ports?fixed_ips=ip_address_substr%3D{part}"
        listed = (await scene.member.get(target)).json["ports"]
        assert (port["id"] in {one["id"] for one in listed}) is is_found, part


async def _addresses_one_by_one(scene: Scene) -> None:
    group = await scene.one("address_groups", scene.member, {"addresses": ["10.0.0.0/8"]})
    path = f"/v2.0/address-groups/{group['id']}"
    for verb, named, status, left in (
        ("add", "10.1.0.9", 200, ["10.0.0.0/8", "10.1.0.9/32"]),
        ("add", "10.1.0.9/32", 400, None),
        ("remove", "10.0.0.0/8", 200, ["10.1.0.9/32"]),
        ("remove", "10.0.0.0/8", 404, None),
    ):
        answer = await scene.member.put(f"{path}/{verb}_addresses", {"addresses": [named]})
        assert answer.status == status, answer
        if left is not None:
            assert answer.json["address_group"]["addresses"] == left
    more = {"remote_address_group_id": group["id"]}
    rule = await scene.one("security_group_rules", scene.member, more)
    assert rule["remote_group_id"] is None
    assert (await scene.member.ask("DELETE", path)).status == 409


async def _handed_over(scene: Scene) -> None:
    id_ = "00000000-0000-4000-8000-0000000000f1"
    body = {"name": "owned", "handed_over": {"id": id_, "tags": ["cloud"]}}
    assert (await scene.member.post("/v2.0/networks", {"network": body})).status == 403
    made = await scene.admin.post("/v2.0/networks", {"network": body})
    assert made.status == 201, made
    assert (made.json["network"]["id"], made.json["network"]["tags"]) == (id_, ["cloud"])
    again = await scene.admin.post("/v2.0/networks", {"network": body})
    assert (again.status, again.json["NeutronError"]["type"]) == (409, "IdInUse")
    gone = await scene.admin.ask("DELETE", f"/v2.0/networks/{id_}")
    assert gone.status == 204


async def _segment_revisions(scene: Scene) -> None:
    """What other resources have of that kind, segments have too; theirs bear no tags."""
    segment = await scene.one("segments", scene.admin, {"description": "rack 7"})
    path = f"/v2.0/segments/{segment['id']}"
    assert (segment["description"], segment["revision_number"]) == ("rack 7", 1)
    changed = (await scene.admin.put(path, {"segment": {"description": "rack 8"}})).json["segment"]
    assert (changed["description"], changed["revision_number"]) == ("rack 8", 2)
    assert changed["created_at"] == segment["created_at"] <= changed["updated_at"]
    stale = {"If-Match": "revision_number=1"}
    answer = await scene.admin.ask("PUT", path, {"segment": {"name": "x"}}, headers=stale)
    assert answer.status == 412, answer


async def _subnets_come_to_segments(scene: Scene) -> None:
    """A network that was not routed comes to be so: its subnets first, then further segments."""
    network = (await scene.vlan())["id"]
    (own,) = (await scene.admin.get(f"/v2.0/segments?network_id={network}")).json["segments"]
    whose = {"network_id": network, "project_id": "member"}
    subnet = await scene.one("subnets", scene.admin, whose)
    assert subnet["segment_id"] is None
    path, on_it = f"/v2.0/subnets/{subnet['id']}", {"subnet": {"segment_id": own["id"]}}
    answer = await scene.member.put(path, on_it)
    assert answer.status == 403, answer
    answer = await scene.admin.put(path, on_it)
    assert answer.json["subnet"]["segment_id"] == own["id"]
    further = await scene.one("segments", scene.admin, {"network_id": network})
    more = {"network_id": network, "segment_id": further["id"]}
    assert (await scene.one("subnets", scene.admin, more))["segment_id"] == further["id"]
    answer = await scene.admin.put(path, {"subnet": {"segment_id": further["id"]}})
    assert answer.status == 400, answer


async def _routes_to_peers(scene: Scene) -> None:
    """Subnets of different segments lead to each other by their own gateways."""
    network = (await scene.vlan())["id"]
    (own,) = (await scene.admin.get(f"/v2.0/segments?network_id={network}")).json["segments"]
    further = await scene.one("segments", scene.admin, {"network_id": network})
    subnets = [
        await scene.one("subnets", scene.admin, {"network_id": network, "segment_id": one["id"]})
        for one in (own, further)
    ]
    for subnet, peer in (subnets, subnets[::-1]):
        shown = (await scene.admin.get(f"/v2.0/subnets/{subnet['id']}")).json["subnet"]
        wanted = {"destination": peer["cidr"], "nexthop": subnet["gateway_ip"]}
        assert shown["host_routes"] == [wanted]


BEHAVIOURS: Mapping[str, Check] = {
    "aap-reject-multicast": _no_multicast_pairs,
    "address-group": _addresses_one_by_one,
    "agent": _agents,
    "availability_zone": _zones,
    "availability_zone_filter": _zones,
    "container-claims": _containers,
    "drift-domain": _drift,
    "empty-string-filtering": _empty_strings,
    "extraroute-atomic": _routes_one_by_one,
    "filter-validation": _unknown_filters,
    "fip-port-details": _port_details,
    "floatingip-pools": _floating_pools,
    "ip-substring-filtering": _parts_of_addresses,
    "handed-over": _handed_over,
    "network-ip-availability": _availability,
    "network-labels": _labels,
    "pagination": _pages,
    "port-mac-address-regenerate": _another_mac,
    "port-security-groups-filtering": _ports_of_groups,
    "port-unique-name": _unique_names,
    "project-id": _projects,
    "quota-check-limit": _quota_limits,
    "quota-check-limit-default": _quota_limits,
    "quota_details": _quota_details,
    "quotas": _quotas,
    "rbac-address-group": _shared_as("address_groups", "address_group"),
    "rbac-address-scope": _shared_as("address_scopes", "address_scope"),
    "rbac-policies": _shared_as("networks", "network"),
    "rbac-security-groups": _shared_as("security_groups", "security_group"),
    "rbac-subnetpool": _shared_as("subnetpools", "subnetpool"),
    "revision-if-match": _if_match,
    "segments-peer-subnet-host-routes": _routes_to_peers,
    "sort-key-validation": _unknown_sort_keys,
    "sorting": _sorting,
    "standard-attr-revisions": _revisions,
    "standard-attr-segment": _segment_revisions,
    "standard-attr-tag": _tags,
    "standard-attr-timestamp": _moments,
    "subnet-segmentid-writable": _subnets_come_to_segments,
    "subnet_allocation": _pooled_subnets,
    "subnetpool-prefix-ops": _prefixes_one_by_one,
    "tag-creation": _tag_creation,
    "tag-ports-during-bulk-creation": _tagged_ports,
    "uplink-status-propagation": _uplink_status,
}
