"""Which subnets serve ports of which owners, edge and core together, on both databases."""

from typing import Any

import pytest
from tests.doubles.http import Client
from tests.unit.server.projects import client_of

from netwright.server.core import Core

SEGMENT = {"provider:network_type": "vxlan", "provider:segmentation_id": 7}


@pytest.fixture
async def admin(core: Core) -> Client:
    return client_of(core, "admin")


async def a_network(admin: Client, *service_types: list[str]) -> tuple[str, list[str]]:
    """A network with a subnet of each of these, and their ids in order."""
    answer = await admin.post("/v2.0/networks", {"network": {**SEGMENT}})
    network: str = answer.json["network"]["id"]
    subnets = []
    for number, types in enumerate(service_types):
        body = {"network_id": network, "ip_version": 4, "cidr": f"10.0.{number}.0/24"}
        answer = await admin.post("/v2.0/subnets", {"subnet": {**body, "service_types": types}})
        assert answer.json["subnet"]["service_types"] == types
        subnets.append(answer.json["subnet"]["id"])
    return network, subnets


async def a_port(admin: Client, network: str, owner: str, **more: Any) -> Any:
    body = {"network_id": network, "device_owner": owner, **more}
    return await admin.post("/v2.0/ports", {"port": body})


async def subnet_of(admin: Client, network: str, owner: str, **more: Any) -> str:
    answer = await a_port(admin, network, owner, **more)
    assert answer.status == 201, answer
    (fixed_ip,) = answer.json["port"]["fixed_ips"]
    return str(fixed_ip["subnet_id"])


async def test_a_port_gets_what_is_for_its_owner_then_what_is_for_all(admin: Client) -> None:
    network, (of_all, of_nova) = await a_network(admin, [], ["compute:nova", "network:dhcp"])
    assert await subnet_of(admin, network, "compute:nova") == of_nova
    assert await subnet_of(admin, network, "network:dhcp") == of_nova
    assert await subnet_of(admin, network, "compute:other") == of_all
    assert await subnet_of(admin, network, "") == of_all
    wish = [{"subnet_id": of_nova}]
    assert await subnet_of(admin, network, "compute:other", fixed_ips=wish) == of_nova


async def test_a_network_without_a_subnet_for_a_port_says_so(admin: Client) -> None:
    network, (subnet,) = await a_network(admin, ["network:dhcp"])
    refused = await a_port(admin, network, "compute:nova")
    wanted = (409, "IpAddressGenerationFailureNoMatchingSubnet")
    assert (refused.status, refused.error["type"]) == wanted
    change: dict[str, Any] = {"subnet": {"service_types": []}}
    assert (await admin.put(f"/v2.0/subnets/{subnet}", change)).status == 200
    assert await subnet_of(admin, network, "compute:nova") == subnet


@pytest.mark.parametrize("wrong", ["nova", "compute", "", "router:interface"])
async def test_other_owners_are_refused(admin: Client, wrong: str) -> None:
    network, _ = await a_network(admin)
    body = {"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"}
    answer = await admin.post("/v2.0/subnets", {"subnet": {**body, "service_types": [wrong]}})
    assert answer.status == 400
