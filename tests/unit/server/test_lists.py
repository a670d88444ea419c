"""Every filter and sort key that a collection announces is one that the store can answer."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.doubles.http import Client

from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.api.v2.networks import Networks
from netwright.server.api.v2.ports import Ports
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.subnets import Subnets
from netwright.server.auth import OpenAuthenticator
from netwright.server.core import Core
from netwright.server.metrics import Metrics

RESOURCES: tuple[Resource[Any, Any, Any], ...] = (Networks(), Subnets(), Ports())
VALUES = {
    "mac_address": "02:00:00:00:00:01",
    "fixed_ips": "ip_address=10.0.0.9",
    "cidr": "10.0.0.0/24",
    "gateway_ip": "10.0.0.1",
    "changed_since": "2026-01-31T12:00:00Z",
}


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[Client]:
    core = await Core.open(database_url)
    await core.start()
    edge = Edge(core, OpenAuthenticator(b"x"), Metrics(), body_bytes_max=1 << 20)
    yield Client(application(edge))
    await core.close()


async def network(client: Client, vlan: int, *, shared: bool) -> str:
    made = {
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": vlan,
        "shared": shared,
    }
    answer = await client.post("/v2.0/networks", {"network": made})
    id_: str = answer.json["network"]["id"]
    subnet = {"network_id": id_, "ip_version": 4, "cidr": "10.0.0.0/24"}
    await client.post("/v2.0/subnets", {"subnet": subnet})
    return id_


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: str(each.collection))
async def test_what_is_announced_is_answered(
    client: Client, resource: Resource[Any, Any, Any]
) -> None:
    asked = [f"sort_key={key}" for key in resource.listable.sort_keys]
    asked += [f"{name}={VALUES.get(name, '1')}" for name in resource.listable.filters]
    for query in sorted(asked):
        answer = await client.get(f"/v2.0/{resource.collection}?{query}")
        assert answer.status == 200, (query, answer)


async def test_a_subnet_is_as_shared_as_its_network(client: Client) -> None:
    networks = {
        shared: await network(client, 7 + shared, shared=shared) for shared in (True, False)
    }
    for shared, id_ in networks.items():
        found = (await client.get(f"/v2.0/subnets?shared={shared}")).json["subnets"]
        assert [subnet["network_id"] for subnet in found] == [id_]
    assert len((await client.get("/v2.0/subnets?subnetpool_id=")).json["subnets"]) == 2
    assert (await client.get("/v2.0/subnets?subnetpool_id=x")).json["subnets"] == []


@pytest.mark.parametrize(
    "query",
    [
        "networks?mtu=2147483648",
        "ports?revision_number=4294967296",
        "subnets?ip_version=-99999999999",
    ],
)
async def test_a_number_that_no_column_holds_finds_nothing(client: Client, query: str) -> None:
    answer = await client.get(f"/v2.0/{query}")
    assert answer.status == 200
    assert list(answer.json.values()) == [[]]


@pytest.mark.parametrize(
    "order", ["", "&sort_key=name", "&sort_key=device_id&sort_dir=desc", "&sort_key=admin_state_up"]
)
async def test_pages_hold_everything_once_whatever_is_equal(client: Client, order: str) -> None:
    id_ = await network(client, 9, shared=False)
    for name in ("a", "b"):
        ports = [{"network_id": id_, "name": name}] * 5
        assert (await client.post("/v2.0/ports", {"ports": ports})).status == 201
    whole = [port["id"] for port in (await client.get(f"/v2.0/ports?{order}")).json["ports"]]
    paged: list[str] = []
    while True:
        marker = f"&marker={paged[-1]}" if paged else ""
        page = (await client.get(f"/v2.0/ports?limit=3{order}{marker}")).json["ports"]
        if not page:
            break
        paged += [port["id"] for port in page]
    assert paged == whole
    assert len(set(paged)) == 10
