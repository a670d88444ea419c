"""VXLAN networks by the Networking API, on both databases: whole, but for what carries them."""

from typing import Any

import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of

from netwright.model.wire import HostRegistration
from netwright.server.commands import Caller, RegisterHost
from netwright.server.core import Core

ADMIN = Caller(project_id="p", is_admin=True)


@pytest.fixture
def client(core: Core) -> Client:
    return client_of(core, "admin")


async def vxlan(client: Client, vni: int | None = None, **given: Any) -> Answer:
    named = {} if vni is None else {"provider:segmentation_id": vni}
    body = {"provider:network_type": "vxlan", **named, **given}
    return await client.post("/v2.0/networks", {"network": body})


def of(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.error["type"]


async def test_a_network_with_its_vni(client: Client, core: Core) -> None:
    answer = await vxlan(client, 2**24 - 1, shared=True)
    network = answer.json["network"]
    assert answer.status == 201
    assert network["provider:network_type"] == "vxlan"
    assert network["provider:physical_network"] is None
    assert network["provider:segmentation_id"] == 2**24 - 1
    assert network["mtu"] == 1450
    path = f"/v2.0/networks/{network['id']}"
    member = client_of(core, "demo")
    assert "provider:segmentation_id" not in (await member.get(path)).json["network"]
    listed = await client.get(f"/v2.0/networks?provider:segmentation_id={2**24 - 1}")
    assert [one["id"] for one in listed.json["networks"]] == [network["id"]]


async def test_what_cannot_be(client: Client) -> None:
    assert (await vxlan(client, 5)).status == 201
    taken = await vxlan(client, 5)
    assert of(taken) == (409, "TunnelIdInUse")
    assert "tunnel ID 5 is in use by network" in taken.error["message"]
    for vni in (0, 2**24, -1):
        refused = await vxlan(client, vni)
        assert of(refused) == (400, "InvalidInput")
        assert f"{vni} is not in 1 to 16777215" in refused.error["message"]
    refused = await vxlan(client, 6, **{"provider:physical_network": "physnet1"})
    assert refused.error["message"] == (
        "Invalid input for provider:physical_network. Reason: a vxlan network has none."
    )
    unconfigured = await vxlan(client)
    assert of(unconfigured) == (409, "NoNetworkAvailable")
    assert "no vni_ranges" in unconfigured.error["message"]
    assert of(await vxlan(client, 7, mtu=1500)) == (400, "InvalidInput")


async def test_an_mtu_of_zero_is_the_default_again(client: Client) -> None:
    network = (await vxlan(client, 5, mtu=1400)).json["network"]
    assert network["mtu"] == 1400
    path = f"/v2.0/networks/{network['id']}"
    assert (await client.put(path, {"network": {"mtu": 0}})).json["network"]["mtu"] == 1450


async def test_ipv6_needs_an_mtu_of_1280(client: Client) -> None:
    network = (await vxlan(client, 5, mtu=1279)).json["network"]["id"]
    six = {"network_id": network, "ip_version": 6, "cidr": "2001:db8::/64"}
    path, refused = f"/v2.0/networks/{network}", (409, "NetworkMTUSubnetConflict")
    answer = await client.post("/v2.0/subnets", {"subnet": six})
    assert (answer.status, answer.error["type"]) == refused
    assert (await client.put(path, {"network": {"mtu": 1280}})).status == 200
    assert (await client.post("/v2.0/subnets", {"subnet": six})).status == 201
    answer = await client.put(path, {"network": {"mtu": 1279}})
    assert (answer.status, answer.error["type"]) == refused


async def test_its_ports_are_refused_at_binding_with_the_reason(client: Client, core: Core) -> None:
    registration = HostRegistration(
        epoch="life1", driver="ovs", physical_networks={"physnet1": "br-bond"}
    )
    await core.commit(RegisterHost(caller=ADMIN, host="h1", registration=registration))
    network = (await vxlan(client, 5)).json["network"]["id"]
    made = await client.post(
        "/v2.0/ports", {"port": {"network_id": network, "device_owner": "compute:nova"}}
    )
    path = f"/v2.0/ports/{made.json['port']['id']}"
    bound = (await client.put(path, {"port": {"binding:host_id": "h1"}})).json["port"]
    assert (bound["binding:vif_type"], bound["status"]) == ("binding_failed", "ERROR")
    explained = (await client.get(path.replace("/v2.0/", "/v1/") + "/explain")).json
    why = f"the inventory knows no link of host h1 to a leaf, which network {network} would come"
    assert why in explained["text"]
    await core.commit(RegisterHost(caller=ADMIN, host="h2", registration=registration))
    prepared = await client.post(f"{path}/bindings", {"binding": {"host": "h2"}})
    assert of(prepared) == (409, "PortBindingError")
    assert why.replace("h1", "h2") in prepared.error["message"]
