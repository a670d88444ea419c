"""Many resources in one request, edge and core together: all or none, or each by itself."""

from typing import Any

import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of

from netwright.server.api.ids import new_id
from netwright.server.core import Core

LENIENT = {"prefer": "respond-later, Handling=Lenient; q=1"}


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


async def made(client: Client, name: str, *items: dict[str, Any]) -> list[str]:
    answer = await client.post(f"/v2.0/{name}s", {f"{name}s": items})
    assert answer.status == 201, answer
    return [one["id"] for one in answer.json[f"{name}s"]]


async def a_network(admin: Client, vlan: int = 101, **attributes: Any) -> str:
    segment = {
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": vlan,
    }
    (network,) = await made(admin, "network", {**segment, **attributes})
    await made(admin, "subnet", {"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"})
    return network


async def some_ports(client: Client, network: str, count: int, **attributes: Any) -> list[str]:
    return await made(client, "port", *({"network_id": network, **attributes},) * count)


async def names(client: Client) -> dict[str, str]:
    return {one["id"]: one["name"] for one in (await client.get("/v2.0/ports")).json["ports"]}


async def delete(client: Client, name: str, *ids: str, **headers: str) -> Answer:
    body = {f"{name}s": [{"id": id_} for id_ in ids]}
    return await client.ask("DELETE", f"/v2.0/{name}s", body, headers=headers)


async def test_each_may_be_wrapped_once_more(admin: Client) -> None:
    """As Neutron takes it, and its test suite's clients send it."""
    groups: list[Any] = [{"security_group": {"name": name}} for name in "ab"]
    body = {"security_groups": groups}
    answer = await admin.post("/v2.0/security-groups", body)
    assert [one["name"] for one in answer.json["security_groups"]] == ["a", "b"]
    groups.append({"name": "c"})
    answer = await admin.post("/v2.0/security-groups", body)
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")
    assert "'security_group'" in answer.error["message"]
    twice = [{"security_group": {"security_group": {"name": "d"}}}]
    answer = await admin.post("/v2.0/security-groups", {"security_groups": twice})
    assert answer.status == 400
    beside = {"security_groups": [{"security_group": {"name": "e"}}], "security_group": {}}
    assert (await admin.post("/v2.0/security-groups", beside)).status == 400


async def test_changes_are_made_together(admin: Client) -> None:
    one, two = await some_ports(admin, await a_network(admin), 2)
    changes = [{"id": one, "name": "a"}, {"id": two, "name": "b", "admin_state_up": False}]
    answer = await admin.put("/v2.0/ports", {"ports": changes})
    assert answer.status == 200
    assert [(port["id"], port["name"]) for port in answer.json["ports"]] == [(one, "a"), (two, "b")]
    assert await names(admin) == {one: "a", two: "b"}


async def test_one_that_cannot_be_changed_keeps_all_as_they_are(admin: Client) -> None:
    (one,) = await some_ports(admin, await a_network(admin), 1)
    missing = new_id()
    changes = [{"id": one, "name": "a"}, {"id": missing, "name": "b"}]
    answer = await admin.put("/v2.0/ports", {"ports": changes})
    assert (answer.status, answer.error["type"]) == (404, "PortNotFound")
    assert missing in answer.error["message"]
    assert await names(admin) == {one: ""}


async def test_deletions_are_made_together(admin: Client) -> None:
    ids = await some_ports(admin, await a_network(admin), 3)
    assert (await delete(admin, "port", *ids[:2], new_id())).status == 404
    assert await names(admin) == dict.fromkeys(ids, "")
    answer = await delete(admin, "port", *ids[:2])
    assert (answer.status, answer.body) == (204, b"")
    assert await names(admin) == {ids[2]: ""}


async def test_networks_and_subnets_too(admin: Client) -> None:
    networks = [await a_network(admin, vlan) for vlan in (101, 102)]
    found = (await admin.get("/v2.0/subnets")).json["subnets"]
    subnets = [
        one["id"] for one in sorted(found, key=lambda each: networks.index(each["network_id"]))
    ]
    for name, ids in (("network", networks), ("subnet", subnets)):
        changes = [{"id": id_, "description": f"my {name}"} for id_ in ids]
        answer = await admin.put(f"/v2.0/{name}s", {f"{name}s": changes})
        assert {one["description"] for one in answer.json[f"{name}s"]} == {f"my {name}"}
    await some_ports(admin, networks[0], 1)
    assert (await delete(admin, "network", *networks)).error["type"] == "NetworkInUse"
    assert len((await admin.get("/v2.0/networks")).json["networks"]) == 2
    assert (await delete(admin, "subnet", subnets[1])).status == 204
    assert (await delete(admin, "network", networks[1])).status == 204


async def test_leniency_gives_each_its_own_outcome_in_order(admin: Client) -> None:
    network = await a_network(admin)
    taken = {"fixed_ips": [{"ip_address": "10.0.0.9"}]}
    items = [{"network_id": network, **taken}, {"network_id": network, **taken},
             {"network_id": new_id()}, {"network_id": network, "name": "last"}]  # fmt: skip
    answer = await admin.ask("POST", "/v2.0/ports", {"ports": items}, headers=LENIENT)
    assert answer.status == 200
    assert answer.headers["preference-applied"] == "handling=lenient"
    outcomes = answer.json["ports"]
    assert [one["status"] for one in outcomes] == [201, 409, 404, 201]
    assert outcomes[1]["NeutronError"]["type"] == "IpAddressAlreadyAllocated"
    assert outcomes[2]["NeutronError"]["type"] == "NetworkNotFound"
    assert outcomes[3]["port"]["name"] == "last"
    ids = [one["port"]["id"] for one in outcomes if "port" in one]
    assert set(await names(admin)) == set(ids)

    changes = [{"id": ids[0], "name": "a"}, {"id": new_id()}, {"id": ids[1], "mac_address": "no"}]
    answer = await admin.ask("PUT", "/v2.0/ports", {"ports": changes}, headers=LENIENT)
    assert [one["status"] for one in answer.json["ports"]] == [200, 404, 400]
    assert answer.json["ports"][0]["port"]["name"] == "a"
    assert "mac_address" in answer.json["ports"][2]["NeutronError"]["message"]

    answer = await delete(admin, "port", ids[0], new_id(), ids[1], **LENIENT)
    assert [one["status"] for one in answer.json["ports"]] == [204, 404, 204]
    assert await names(admin) == {}


async def test_a_thousand_of_each(admin: Client) -> None:
    segment = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}
    (network,) = await made(admin, "network", {**segment, "provider:segmentation_id": 7})
    await made(admin, "subnet", {"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/16"})
    ids = await some_ports(admin, network, 1000)
    for n, headers in enumerate(({}, LENIENT)):
        changes = {"ports": [{"id": id_, "name": f"n{n}"} for id_ in ids]}
        assert (await admin.ask("PUT", "/v2.0/ports", changes, headers=headers)).status == 200
        assert set((await names(admin)).values()) == {f"n{n}"}
    assert (await delete(admin, "port", *ids, new_id())).status == 400
    assert (await delete(admin, "port", *ids)).status == 204
    assert await names(admin) == {}


async def test_one_more_than_a_thousand_is_refused(admin: Client) -> None:
    network = await a_network(admin)
    subnet = {"network_id": network, "ip_version": 4, "cidr": "10.1.0.0/16"}
    await made(admin, "subnet", subnet)
    one = {"network_id": network}
    answer = await admin.post("/v2.0/ports", {"ports": [one] * 1001})
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")
    assert "1 to 1000 ports, not 1001" in answer.error["message"]
    assert await names(admin) == {}
    ids = await some_ports(admin, network, 1000)
    changes = [{"id": each, "name": "x"} for each in (*ids, new_id())]
    answer = await admin.put("/v2.0/ports", {"ports": changes})
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")
    assert "changes 1 to 1000 ports, not 1001" in answer.error["message"]
    answer = await delete(admin, "port", *ids, new_id())
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")
    assert set((await names(admin)).values()) == {""}


async def test_what_is_wrong_with_the_request(admin: Client) -> None:
    (one,) = await some_ports(admin, await a_network(admin), 1)
    for body, words in (
        ({"ports": []}, "changes 1 to 1000 ports, not 0"),
        ({"ports": [{"id": one}, {"id": one}]}, "named twice"),
        ({"ports": [{"name": "x"}]}, "id"),
        ({"ports": [{"id": "x"}]}, "id"),
        ({"ports": [{"id": one, "nme": "x"}]}, "nme"),
        ({"port": {"id": one}}, "port"),
    ):
        answer = await admin.put("/v2.0/ports", body)
        assert answer.status == 400, answer
        assert words in answer.error["message"]
    matched = await admin.put(
        "/v2.0/ports", {"ports": [{"id": one}]}, **{"if-match": "revision_number=1"}
    )
    assert (matched.status, "If-Match" in matched.error["message"]) == (400, True)


async def test_another_projects_ports_are_not_reached(core: Core, admin: Client) -> None:
    network = await a_network(admin, shared=True)
    (theirs,) = await some_ports(client_of(core, "other"), network, 1)
    member = client_of(core, "demo")
    (own,) = await some_ports(member, network, 1)
    changes = {"ports": [{"id": own, "name": "x"}, {"id": theirs, "name": "x"}]}
    for headers, statuses in (({}, None), (LENIENT, [200, 404])):
        answer = await member.ask("PUT", "/v2.0/ports", changes, headers=headers)
        if statuses is None:
            assert answer.status == 404
            assert set((await names(admin)).values()) == {""}
        else:
            assert [one["status"] for one in answer.json["ports"]] == statuses
    answer = await delete(member, "port", theirs, own, **LENIENT)
    assert [one["status"] for one in answer.json["ports"]] == [404, 204]
    assert set(await names(admin)) == {theirs}


async def test_what_only_an_admin_or_the_networks_owner_may(core: Core, admin: Client) -> None:
    network = await a_network(admin, shared=True)
    member = client_of(core, "demo")
    (own,) = await some_ports(member, network, 1)
    for wish in ({"binding:host_id": "h1"}, {"mac_address": "02:00:00:00:00:01"}):
        answer = await member.put("/v2.0/ports", {"ports": [{"id": own, **wish}]})
        assert answer.status == 403, answer
        lenient = await member.ask(
            "POST", "/v2.0/ports", {"ports": [{"network_id": network, **wish}] * 2}, headers=LENIENT
        )
        assert [one["status"] for one in lenient.json["ports"]] == [403, 403]
    assert set(await names(admin)) == {own}


async def test_a_stopping_server_is_unavailable_and_does_not_say_so_a_thousand_times(
    core: Core, admin: Client
) -> None:
    ids = await some_ports(admin, await a_network(admin), 2)
    await core._committer.close()
    answer = await delete(admin, "port", *ids, **LENIENT)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


async def test_pools_that_are_not_changed_after_all_are_as_they_were(admin: Client) -> None:
    network = await a_network(admin)
    await some_ports(admin, network, 3)
    (subnet,) = (await admin.get("/v2.0/subnets")).json["subnets"]
    pools = [{"start": "10.0.0.100", "end": "10.0.0.110"}]
    changes = [{"id": subnet["id"], "allocation_pools": pools}, {"id": new_id(), "name": "x"}]
    assert (await admin.put("/v2.0/subnets", {"subnets": changes})).status == 404
    await some_ports(admin, network, 3)
    found = (await admin.get("/v2.0/ports")).json["ports"]
    addresses = {one["fixed_ips"][0]["ip_address"] for one in found}
    assert addresses == {f"10.0.0.{n}" for n in range(2, 8)}
