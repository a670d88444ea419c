"""Ports: what requests may carry, the command they become, how a port is shown."""

from typing import Any

import pytest
from msgspec import UNSET
from tests.doubles.http import Client
from tests.doubles.service import ServiceDouble

from netwright.model.resources import Network, VnicType
from netwright.server.commands import AddressWish, CreatePorts, PairWish, UpdatePorts

NETWORK = "0190c9d2-0000-7000-8000-000000000001"
SUBNET = "0190c9d2-0000-7000-8000-000000000002"


def _created(service: ServiceDouble) -> CreatePorts:
    command = service.commands[-1]
    assert isinstance(command, CreatePorts)
    return command


async def _create(client: Client, **attributes: Any) -> str:
    answer = await client.post("/v2.0/ports", {"port": {"network_id": NETWORK, **attributes}})
    assert answer.status == 201, answer
    created: str = answer.json["port"]["id"]
    return created


async def test_a_port_is_shown_as_neutron_shows_it(client: Client) -> None:
    answer = await client.post("/v2.0/ports", {"port": {"network_id": NETWORK, "name": "a"}})
    port = answer.json["port"]
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    assert port["status"] == "DOWN"
    assert port["tenant_id"] == port["project_id"] == "0" * 32
    assert port["binding:vif_type"] == "unbound"
    assert port["binding:host_id"] == ""
    assert port["security_groups"] == []
    assert port["created_at"] == "2023-11-14T22:13:20Z"


async def test_every_attribute_reaches_the_command(client: Client, service: ServiceDouble) -> None:
    await _create(
        client,
        name="a",
        unique_name="u",
        description="d",
        admin_state_up="False",
        device_id="vm",
        device_owner="compute:nova",
        mac_address="FA-16-3E-00-00-0A",
        fixed_ips=[{"subnet_id": SUBNET}, {"ip_address": "2001:DB8::0:1"}],
        allowed_address_pairs=[{"ip_address": "10.0.0.0/24"}, {"ip_address": "10.1.1.1/32"}],
        port_security_enabled=False,
        security_groups=[],
        tenant_id="p",
        **{"binding:host_id": "h", "binding:vnic_type": "baremetal", "binding:profile": {"a": 1}},
    )
    (draft,) = _created(service).drafts
    assert draft.mac_address == "fa:16:3e:00:00:0a"
    assert draft.fixed_ips == (AddressWish(subnet_id=SUBNET), AddressWish(ip_address="2001:db8::1"))
    assert draft.allowed_address_pairs == (
        PairWish(ip_address="10.0.0.0/24"),
        PairWish(ip_address="10.1.1.1"),
    )
    assert (draft.admin_state_up, draft.port_security_enabled) == (False, False)
    assert (draft.host, draft.vnic_type, draft.profile) == ("h", VnicType.BAREMETAL, {"a": 1})
    assert (draft.project_id, draft.unique_name, draft.device_id) == ("p", "u", "vm")


async def test_what_is_left_out_stays_open(client: Client, service: ServiceDouble) -> None:
    await _create(client)
    (draft,) = _created(service).drafts
    assert draft.fixed_ips is UNSET
    assert draft.port_security_enabled is UNSET
    assert draft.mac_address is None


async def test_a_change_unbinds_by_null_or_an_empty_host(
    client: Client, service: ServiceDouble
) -> None:
    port = await _create(client, **{"binding:host_id": "h"})
    for host in (None, ""):
        body = {"port": {"binding:host_id": host, "device_id": None, "binding:profile": None}}
        assert (await client.put(f"/v2.0/ports/{port}", body)).status == 200
        command = service.commands[-1]
        assert isinstance(command, UpdatePorts)
        assert (command.changes[0].host, command.changes[0].device_id) == ("", "")
        assert command.changes[0].profile == {}
        assert command.changes[0].name is UNSET


async def test_a_second_create_under_a_unique_name_answers_200(client: Client) -> None:
    first = await _create(client, unique_name="u")
    body = {"port": {"network_id": NETWORK, "unique_name": "u"}}
    answer = await client.post("/v2.0/ports", body)
    assert (answer.status, answer.json["port"]["id"]) == (200, first)


async def test_bulk_is_one_command(client: Client, service: ServiceDouble) -> None:
    items = [{"network_id": NETWORK, "name": str(n)} for n in range(1000)]
    answer = await client.post("/v2.0/ports", {"ports": items})
    assert answer.status == 201
    assert [port["name"] for port in answer.json["ports"]] == [str(n) for n in range(1000)]
    assert len(service.commands) == 1


@pytest.mark.parametrize("count", [0, 1001])
async def test_bulk_has_bounds(client: Client, service: ServiceDouble, count: int) -> None:
    answer = await client.post("/v2.0/ports", {"ports": [{"network_id": NETWORK}] * count})
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")
    assert not service.commands


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("network_id", "x"),
        ("name", "n" * 256),
        ("name", 5),
        ("name", "a\0b"),
        ("admin_state_up", "maybe"),
        ("mac_address", "fa:16:3e:00:00"),
        ("mac_address", "01:00:5e:00:00:01"),
        ("mac_address", "00:00:00:00:00:00"),
        ("fixed_ips", "10.0.0.1"),
        ("fixed_ips", [{}]),
        ("fixed_ips", [{"ip_address": "10.0.0.256"}]),
        ("fixed_ips", [{"ip_address": "fe80::1%eth0"}]),
        ("fixed_ips", [{"ip_address": "10.0.0.1"}, {"ip_address": "10.0.0.1"}]),
        ("fixed_ips", [{"subnet_id": "x"}]),
        ("fixed_ips", [{"ip_address": "10.0.0.1"}] * 33),
        ("allowed_address_pairs", [{"mac_address": "fa:16:3e:00:00:01"}]),
        ("allowed_address_pairs", [{"ip_address": "10.0.0.1/24"}]),
        ("allowed_address_pairs", [{"ip_address": "x/y"}]),
        ("allowed_address_pairs", [{"ip_address": "10.0.0.1"}] * 2),
        ("security_groups", ["a"]),
        ("binding:vnic_type", "direct"),
        ("binding:profile", "x"),
        ("binding:profile", {"a": "x" * 5000}),
        ("binding:profile", {"a": {"\0": 1}}),
        ("unique_name", ""),
        ("project_id", "p" * 256),
    ],
)
async def test_a_bad_value_is_named(
    client: Client, service: ServiceDouble, attribute: str, value: object
) -> None:
    body = {"port": {"network_id": NETWORK, attribute: value}}
    answer = await client.post("/v2.0/ports", body)
    assert answer.status == 400, answer
    assert attribute in answer.error["message"]
    if attribute != "allowed_address_pairs" or "ip_address" in str(value):
        assert answer.error["type"] == "InvalidInput"
        assert answer.error["message"].startswith(f"Invalid input for {attribute}. Reason: ")
    assert not service.commands


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"port": {}}, "Required attribute 'network_id' not specified"),
        ({"port": {"network_id": NETWORK, "colour": 1}}, "Unrecognized attribute(s) 'colour'"),
        ({"port": {"network_id": NETWORK, "status": "x"}}, "Attribute 'status' not allowed"),
        ({}, "Unable to find 'port' in request body"),
        ({"port": {"network_id": NETWORK}, "ports": []}, "Unable to find 'port'"),
        ({"port": []}, "Body contains invalid data"),
        ({"prt": {}}, "Unrecognized attribute(s) 'prt'"),
        ([], "Body contains invalid data"),
        (
            {"port": {"network_id": NETWORK, "project_id": "a", "tenant_id": "b"}},
            "'project_id' and 'tenant_id' do not match",
        ),
    ],
)
async def test_a_bad_form_is_named(client: Client, body: object, message: str) -> None:
    answer = await client.post("/v2.0/ports", body)
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")
    assert message in answer.error["message"]


async def test_changes_cannot_carry_what_is_set_for_life(client: Client) -> None:
    port = await _create(client)
    answer = await client.put(f"/v2.0/ports/{port}", {"port": {"network_id": NETWORK}})
    assert answer.status == 400
    assert answer.error["message"] == "Cannot update read-only attribute network_id"


async def test_if_match(client: Client, service: ServiceDouble) -> None:
    port = await _create(client)
    body = {"port": {"name": "b"}}
    answer = await client.put(f"/v2.0/ports/{port}", body, **{"if-match": "revision_number=7"})
    assert answer.status == 200
    command = service.commands[-1]
    assert isinstance(command, UpdatePorts)
    assert command.changes[0].if_match == 7
    answer = await client.put(f"/v2.0/ports/{port}", body, **{"if-match": '"etag"'})
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")


async def test_members_do_not_see_bindings_nor_others(
    client: Client, member: Client, service: ServiceDouble
) -> None:
    theirs = await _create(client, **{"binding:host_id": "h"})
    assert (await member.get(f"/v2.0/ports/{theirs}")).status == 404
    own = await _create(client, project_id="demo")
    shown = (await member.get(f"/v2.0/ports/{own}")).json["port"]
    assert {name for name in shown if name.startswith("binding:")} == {"binding:vnic_type"}
    await member.get("/v2.0/ports")
    assert service.queries[-1].project_id == "demo"


@pytest.mark.parametrize(
    ("attributes", "rule"),
    [
        ({"binding:host_id": "h"}, "binding:host_id"),
        ({"binding:profile": {}}, "binding:profile"),
        ({"mac_address": "fa:16:3e:00:00:01"}, "mac_address"),
        ({"fixed_ips": [{"ip_address": "10.0.0.1"}]}, "fixed_ips:ip_address"),
        ({"device_owner": "network:dhcp"}, "device_owner:network"),
        ({"port_security_enabled": False}, "port_security_enabled"),
    ],
)
async def test_members_may_not_pass_for_others(
    member: Client, service: ServiceDouble, attributes: dict[str, object], rule: str
) -> None:
    body = {"port": {"network_id": NETWORK, **attributes}}
    answer = await member.post("/v2.0/ports", body)
    assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")
    assert f"rule:create_port:{rule} is disallowed by policy" in answer.error["message"]
    assert not service.commands


async def test_members_rule_in_their_own_network(
    client: Client, member: Client, service: ServiceDouble
) -> None:
    body = {"network": {"name": "n", "project_id": "demo"}}
    network = (await client.post("/v2.0/networks", body)).json["network"]["id"]
    assert isinstance(service.found[network], Network)
    own = {"port": {"network_id": network, "mac_address": "fa:16:3e:00:00:01"}}
    assert (await member.post("/v2.0/ports", own)).status == 201
    other = {"port": {"network_id": network, "project_id": "other"}}
    assert (await member.post("/v2.0/ports", other)).status == 403


async def test_delete(client: Client) -> None:
    port = await _create(client)
    answer = await client.ask("DELETE", f"/v2.0/ports/{port}")
    assert (answer.status, answer.body) == (204, b"")
    answer = await client.ask("DELETE", f"/v2.0/ports/{port}")
    assert (answer.status, answer.error["type"]) == (404, "PortNotFound")
    assert (await client.ask("DELETE", "/v2.0/ports/nonsense")).status == 404


@pytest.mark.parametrize(
    ("attributes", "named", "reason"),
    [
        (
            {"binding:vnic_type": "norml"},
            "binding:vnic_type",
            "it is 'norml', but must be one of normal, baremetal (nearest: normal)",
        ),
        (
            {"fixed_ips": [{"subnet_id": "blue"}]},
            "fixed_ips",
            "port.fixed_ips[0].subnet_id is 'blue', but must be a UUID in lower case",
        ),
    ],
)
async def test_what_is_wrong_is_said_in_peoples_words(
    client: Client, attributes: dict[str, Any], named: str, reason: str
) -> None:
    body = {"port": {"network_id": NETWORK, **attributes}}
    answer = await client.post("/v2.0/ports", body)
    assert answer.status == 400
    assert answer.error["message"] == f"Invalid input for {named}. Reason: {reason}."


async def test_an_unknown_attribute_has_its_nearest(client: Client) -> None:
    answer = await client.post("/v2.0/ports", {"port": {"network_id": NETWORK, "nam": "x"}})
    assert answer.error["detail"] == "Did you mean 'name'?"
