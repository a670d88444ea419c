"""A port that names labels in place of a network: which it gets, and why it gets none."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.doubles.http import Answer, Client
from tests.doubles.postgres import Postgres
from tests.unit.server.projects import client_of

from netwright.model.resources import Port
from netwright.server.core import Core
from netwright.server.queries import Query

SEGMENT = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


async def a_network(
    admin: Client, vlan: int, labels: dict[str, str], *cidrs: str, **attributes: Any
) -> str:
    network = {**SEGMENT, "provider:segmentation_id": vlan, "name": f"net{vlan}", **attributes}
    answer = await admin.post("/v2.0/networks", {"network": {**network, "labels": labels}})
    assert answer.status == 201, answer
    network_id: str = answer.json["network"]["id"]
    for cidr in cidrs:
        version = 6 if ":" in cidr else 4
        subnet = {"network_id": network_id, "ip_version": version, "cidr": cidr}
        assert (await admin.post("/v2.0/subnets", {"subnet": subnet})).status == 201
    return network_id


async def a_port(client: Client, labels: str, **attributes: Any) -> Answer:
    return await client.post("/v2.0/ports", {"port": {"network_labels": labels, **attributes}})


async def network_of(client: Client, labels: str, **attributes: Any) -> str:
    answer = await a_port(client, labels, **attributes)
    assert answer.status == 201, answer
    network_id: str = answer.json["port"]["network_id"]
    return network_id


async def test_a_network_that_matches_is_chosen(admin: Client) -> None:
    web = await a_network(admin, 101, {"app": "web", "zone": "a"}, "10.0.1.0/24")
    db = await a_network(admin, 102, {"app": "db"}, "10.0.2.0/24")
    await a_network(admin, 103, {}, "10.0.3.0/24")
    assert await network_of(admin, "app=web") == web
    assert await network_of(admin, "app in (db, cache), zone!=a") == db
    assert await network_of(admin, "app,!zone") == db


async def test_ports_are_spread_by_how_full_networks_are(admin: Client) -> None:
    large = await a_network(admin, 101, {"app": "web"}, "10.0.1.0/25")  # 125 addresses
    small = await a_network(admin, 102, {"app": "web"}, "10.0.2.0/26")  # 61
    each = {"network_labels": "app=web"}
    answer = await admin.post("/v2.0/ports", {"ports": [each] * 60})
    assert answer.status == 201
    places = Counter(port["network_id"] for port in answer.json["ports"])
    assert places[large] == pytest.approx(40, abs=2)
    assert places[small] == pytest.approx(20, abs=2)
    more = [await network_of(admin, "app=web") for _ in range(6)]
    assert Counter(more)[large] == pytest.approx(4, abs=1)


async def test_every_address_is_found_before_any_is_refused(admin: Client) -> None:
    networks = {
        await a_network(admin, 101 + n, {"app": "web"}, f"10.0.{n}.0/29") for n in range(4)
    }  # 5 addresses each
    answers = await asyncio.gather(*(a_port(admin, "app=web") for _ in range(22)))
    made = [answer.json["port"] for answer in answers if answer.status == 201]
    assert Counter(port["network_id"] for port in made) == dict.fromkeys(networks, 5)
    refused = [answer for answer in answers if answer.status != 201]
    assert {(answer.status, answer.error["type"]) for answer in refused} == {
        (409, "NoNetworkForLabels")
    }
    message = refused[0].error["message"]
    assert message.startswith("None of the 4 networks that match 'app=web' has a free address: ")
    assert all(f"net{101 + n} (" in message for n in range(4))
    assert "all 5 are in use" in message
    gone = made[7]
    assert (await admin.ask("DELETE", f"/v2.0/ports/{gone['id']}")).status == 204
    assert await network_of(admin, "app=web") == gone["network_id"]


async def test_a_network_with_no_address_of_one_version_is_passed_over(admin: Client) -> None:
    """How full it is counts IPv4; its IPv6 subnet is full all the same."""
    dual = await a_network(admin, 101, {"app": "web"}, "10.0.1.0/24", "2001:db8::/126")
    plain = await a_network(admin, 102, {"app": "web"}, "10.0.2.0/28")
    places = Counter([await network_of(admin, "app=web") for _ in range(12)])
    assert places == {dual: 2, plain: 10}


async def test_nothing_matches_says_how_to_make_something_match(admin: Client) -> None:
    await a_network(admin, 101, {"app": "web"}, "10.0.1.0/24")
    answer = await a_port(admin, "app=mail")
    assert (answer.status, answer.error["type"]) == (409, "NoNetworkForLabels")
    assert (
        "No network that project admin may use has labels that match 'app=mail'"
        in (answer.error["message"])
    )


async def test_a_network_without_addresses_says_so(admin: Client) -> None:
    await a_network(admin, 101, {"app": "web"})
    answer = await a_port(admin, "app=web")
    assert answer.status == 409
    assert "it has no addresses to give" in answer.error["message"]


async def test_a_project_gets_its_own_networks_and_shared_ones(core: Core, admin: Client) -> None:
    alice = client_of(core, "alice")
    own = await a_network(admin, 101, {"app": "web"}, "10.0.1.0/30", project_id="alice")
    await a_network(admin, 102, {"app": "web"}, "10.0.2.0/24", project_id="bob")
    shared = await a_network(admin, 103, {"app": "web"}, "10.0.3.0/24", shared=True)
    places = {await network_of(alice, "app=web") for _ in range(4)}
    assert places == {own, shared}
    answer = await a_port(client_of(core, "carol"), "app=web,!other")
    assert answer.json["port"]["network_id"] == shared
    mine = await network_of(admin, "app=web", project_id="alice", name="for alice")
    assert mine in {own, shared}, "an admin asks for the project that the port will be in"


async def test_labels_change_and_go(core: Core, admin: Client) -> None:
    one = await a_network(admin, 101, {"app": "web"}, "10.0.1.0/24")
    two = await a_network(admin, 102, {}, "10.0.2.0/24")
    path = f"/v2.0/networks/{one}"
    answer = await admin.put(path, {"network": {"labels": {"app": "db"}}})
    assert answer.json["network"]["labels"] == {"app": "db"}
    assert (await a_port(admin, "app=web")).status == 409
    await admin.put(f"/v2.0/networks/{two}", {"network": {"labels": {"app": "web"}}})
    assert await network_of(admin, "app=web") == two
    found = await admin.get("/v2.0/networks?labels=app=db&labels=app=nothing")
    assert [network["id"] for network in found.json["networks"]] == [one]
    assert (await admin.ask("DELETE", path)).status == 204
    assert (await a_port(admin, "app=db")).status == 409
    ports = await core.reader.many(Port, Query())
    assert {port.network_id for port in ports} == {two}


async def test_a_change_in_the_same_batch_counts(admin: Client) -> None:
    """The committer takes them all at once: what the first makes untrue holds for the others."""
    one = await a_network(admin, 101, {"app": "web"}, "10.0.1.0/24")
    relabel = admin.put(f"/v2.0/networks/{one}", {"network": {"labels": {}}})
    answers = await asyncio.gather(relabel, *(a_port(admin, "app=web") for _ in range(3)))
    assert answers[0].status == 200
    assert {answer.status for answer in answers[1:]} <= {201, 409}
    assert (await a_port(admin, "app=web")).status == 409


async def test_a_name_brings_back_the_same_port(admin: Client) -> None:
    await a_network(admin, 101, {"app": "web"}, "10.0.1.0/24")
    await a_network(admin, 102, {"app": "web"}, "10.0.2.0/24")
    await a_network(admin, 103, {"app": "db"}, "10.0.3.0/24")
    answers = await asyncio.gather(
        *(a_port(admin, "app=web", unique_name="web-0") for _ in range(50))
    )
    assert Counter(answer.status for answer in answers) == {201: 1, 200: 49}
    assert len({answer.json["port"]["id"] for answer in answers}) == 1
    other = await a_port(admin, "app=db", unique_name="web-0")
    assert (other.status, other.error["type"]) == (409, "UniqueNameConflict")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"network_labels": "app=web", "network_id": "0190c9d2-0000-7000-8000-000000000001"},
         "in place of network_id"),
        ({"network_labels": ""}, "it is empty"),
        ({"network_labels": "app = = web"}, "is no value"),
        ({"network_labels": "app=web", "fixed_ips": [{"ip_address": "10.0.0.5"}]},
         "where network_labels chooses the network"),
        ({}, "Required attribute 'network_id' not specified"),
    ],
)  # fmt: skip
async def test_bad_requests_are_refused(
    admin: Client, attributes: dict[str, Any], message: str
) -> None:
    answer = await admin.post("/v2.0/ports", {"port": attributes})
    assert answer.status == 400
    assert message.replace("is no value", "is no value") in answer.error["message"]


@pytest.mark.parametrize("labels", [{"a b": "x"}, {"a": "x y"}, {"a": 1}, ["a"]])
async def test_bad_labels_are_refused(admin: Client, labels: Any) -> None:
    segment = {**SEGMENT, "provider:segmentation_id": 101}
    answer = await admin.post("/v2.0/networks", {"network": {**segment, "labels": labels}})
    assert (answer.status, answer.error["type"]) == (400, "InvalidInput")


async def test_only_a_networks_owner_chooses_a_mac_there(core: Core, admin: Client) -> None:
    await a_network(admin, 101, {"app": "web"}, "10.0.1.0/24", shared=True)
    answer = await a_port(client_of(core, "alice"), "app=web", mac_address="fa:16:3e:00:00:01")
    assert answer.status == 403


@pytest.fixture
async def two_cores(postgres_server: Postgres) -> AsyncIterator[list[Core]]:
    url = postgres_server.new_database()
    cores = [await Core.open(url) for _ in range(2)]
    for core in cores:
        await core.start()
    yield cores
    for core in cores:
        await core.close()


async def test_two_processes_fill_the_same_networks(two_cores: list[Core]) -> None:
    clients = [client_of(core, "admin") for core in two_cores]
    networks = {
        await a_network(clients[0], 101 + n, {"app": "web"}, f"10.0.{n}.0/28") for n in range(3)
    }  # 13 addresses each
    answers = await asyncio.gather(*(a_port(clients[n % 2], "app=web") for n in range(42)))
    made = [answer.json["port"] for answer in answers if answer.status == 201]
    assert Counter(port["network_id"] for port in made) == dict.fromkeys(networks, 13)
    assert Counter(answer.status for answer in answers) == {201: 39, 409: 3}
    addresses = [ip["ip_address"] for port in made for ip in port["fixed_ips"]]
    assert len(set(addresses)) == 39


async def test_what_another_process_changes_counts_at_once(two_cores: list[Core]) -> None:
    """Labels, sharing, addresses, and what is full there."""
    a, b = (client_of(core, "admin") for core in two_cores)
    alice = client_of(two_cores[0], "alice")
    one = await a_network(b, 101, {"app": "web"}, "10.0.1.0/30", project_id="alice")
    two = await a_network(b, 102, {"app": "web"}, "10.0.2.0/29")
    assert await network_of(alice, "app=web") == one
    assert (await a_port(alice, "app=web")).status == 409
    await b.put(f"/v2.0/networks/{two}", {"network": {"shared": True}})
    assert await network_of(alice, "app=web") == two
    await b.put(f"/v2.0/networks/{two}", {"network": {"labels": {}}})
    assert (await a_port(alice, "app=web")).status == 409
    subnet = {"network_id": one, "ip_version": 4, "cidr": "10.0.3.0/29"}
    assert (await b.post("/v2.0/subnets", {"subnet": subnet})).status == 201
    for _ in range(5):
        assert (await b.post("/v2.0/ports", {"port": {"network_id": one}})).status == 201
    three = await a_network(b, 103, {"app": "web"}, "10.0.4.0/24", shared=True)
    assert await network_of(alice, "app=web") == three, "the first one is full again"
    await b.ask("DELETE", f"/v2.0/networks/{two}")
    assert await network_of(a, "app=web") == three
