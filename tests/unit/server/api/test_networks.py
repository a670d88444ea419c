"""Networks: provider attributes, MTU, who may see and set what."""

import pytest
import structlog
from tests.doubles.http import Client
from tests.doubles.service import ServiceDouble

from netwright.model.errors import VlanIdInUse
from netwright.model.resources import NetworkType, Segment
from netwright.server.commands import CreateNetworks, UpdateNetwork

VLAN = {
    "provider:network_type": "vlan",
    "provider:physical_network": "physnet1",
    "provider:segmentation_id": "101",  # the openstack CLI sends it as text
}


async def test_a_provider_network(client: Client, service: ServiceDouble) -> None:
    body = {"network": {"name": "n", "shared": True, "mtu": "9000", **VLAN}}
    answer = await client.post("/v2.0/networks", body)
    assert answer.status == 201
    command = service.commands[-1]
    assert isinstance(command, CreateNetworks)
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=101
    )
    assert command.drafts[0].segment == segment
    network = answer.json["network"]
    assert network["provider:segmentation_id"] == 101
    assert (network["status"], network["mtu"], network["subnets"]) == ("ACTIVE", 9000, [])


async def test_defaults(client: Client, service: ServiceDouble) -> None:
    await client.post("/v2.0/networks", {"network": {"mtu": 0}})
    command = service.commands[-1]
    assert isinstance(command, CreateNetworks)
    (draft,) = command.drafts
    assert (draft.segment, draft.mtu, draft.shared) == (None, None, False)


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"provider:network_type": "gre"}, "provider:network_type"),
        ({"provider:network_type": "flat"}, "provider:physical_network"),
        ({**VLAN, "provider:network_type": "flat"}, "provider:segmentation_id"),
        ({**VLAN, "provider:segmentation_id": 4095}, "provider:segmentation_id"),
        ({**VLAN, "provider:segmentation_id": 0}, "provider:segmentation_id"),
        ({**VLAN, "provider:segmentation_id": 10**30}, "provider:segmentation_id"),
        ({**VLAN, "provider:segmentation_id": "many"}, "provider:segmentation_id"),
        ({**VLAN, "provider:network_type": "vxlan"}, "provider:physical_network"),
        ({"provider:segmentation_id": 101}, "provider:segmentation_id"),
        ({"provider:physical_network": "p"}, "provider:physical_network"),
        ({"mtu": 67}, "mtu"),
        ({"mtu": 70_000}, "mtu"),
        ({"mtu": 10**30}, "mtu"),
        ({"mtu": 1.5}, "mtu"),
        ({"shared": None}, "shared"),
        ({"port_security_enabled": "perhaps"}, "port_security_enabled"),
    ],
)
async def test_a_bad_value_is_named(
    client: Client, service: ServiceDouble, attributes: dict[str, object], named: str
) -> None:
    answer = await client.post("/v2.0/networks", {"network": attributes})
    assert (answer.status, answer.error["type"]) == (400, "InvalidInput")
    assert answer.error["message"].startswith(f"Invalid input for {named}. Reason: ")
    assert not service.commands


async def test_a_segment_is_for_life(client: Client, service: ServiceDouble) -> None:
    made = (await client.post("/v2.0/networks", {"network": {}})).json["network"]["id"]
    path = f"/v2.0/networks/{made}"
    answer = await client.put(path, {"network": {"provider:segmentation_id": 5}})
    said = "Cannot update read-only attribute provider:segmentation_id"
    assert answer.error["message"] == said
    assert (await client.put(path, {"network": {"name": "m", "mtu": 1400}})).status == 200
    command = service.commands[-1]
    assert isinstance(command, UpdateNetwork)
    assert (command.name, command.mtu) == ("m", 1400)


async def test_what_members_see_and_set(client: Client, member: Client) -> None:
    answer = await member.post("/v2.0/networks", {"network": VLAN})
    assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")
    assert (await member.post("/v2.0/networks", {"network": {"shared": True}})).status == 403
    shared = (await client.post("/v2.0/networks", {"network": {"shared": True}})).json["network"]
    hidden = (await client.post("/v2.0/networks", {"network": {}})).json["network"]
    seen = (await member.get(f"/v2.0/networks/{shared['id']}")).json["network"]
    assert not [name for name in seen if name.startswith("provider:")]
    answer = await member.get(f"/v2.0/networks/{hidden['id']}")
    assert (answer.status, answer.error["type"]) == (404, "NetworkNotFound")
    path = f"/v2.0/networks/{hidden['id']}"
    assert (await member.put(path, {"network": {"name": "x"}})).status == 404


async def test_a_physical_network_that_no_host_has_is_logged(client: Client) -> None:
    segment = {"provider:network_type": "vlan", "provider:segmentation_id": 7}
    registration = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "br"}}
    await client.put("/v1/hosts/h1", registration)
    with structlog.testing.capture_logs() as logs:
        for name in ("physnet1", "physnt1"):
            body = {"network": {**segment, "provider:physical_network": name}}
            assert (await client.post("/v2.0/networks", body)).status == 201
    (entry,) = logs
    assert (entry["physical_network"], entry["hosts_have"]) == ("physnt1", ["physnet1"])


async def test_a_physical_network_is_not_logged_of_a_network_that_was_refused(
    client: Client, service: ServiceDouble
) -> None:
    service.failure = VlanIdInUse("VLAN 101 is in use.")
    with structlog.testing.capture_logs() as logs:
        refused = await client.post("/v2.0/networks", {"network": VLAN})
    assert refused.status == 409
    assert logs == []
