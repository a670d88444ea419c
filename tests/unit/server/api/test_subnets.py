"""Subnets: prefixes, pools, gateways, routes, IPv6 modes."""

from typing import Any

import pytest
from msgspec import UNSET
from tests.doubles.http import Client
from tests.doubles.service import ServiceDouble

from netwright.model.resources import HostRoute, Pool
from netwright.server.commands import CreateSubnets, SubnetDraft, UpdateSubnet

NETWORK = "0190c9d2-0000-7000-8000-000000000001"
FOUR = {"network_id": NETWORK, "ip_version": 4, "cidr": "10.0.0.0/24"}
SIX = {"network_id": NETWORK, "ip_version": 6, "cidr": "2001:db8::/64"}


async def _draft(client: Client, service: ServiceDouble, **attributes: Any) -> SubnetDraft:
    answer = await client.post("/v2.0/subnets", {"subnet": {**FOUR, **attributes}})
    assert answer.status == 201, answer
    command = service.commands[-1]
    assert isinstance(command, CreateSubnets)
    return command.drafts[0]


async def test_defaults(client: Client, service: ServiceDouble) -> None:
    draft = await _draft(client, service)
    assert (draft.gateway_ip, draft.allocation_pools, draft.enable_dhcp) == (UNSET, UNSET, True)
    assert (await _draft(client, service, cidr="10.0.0.5/24")).cidr == "10.0.0.0/24"
    shown = (await client.get(f"/v2.0/subnets/{draft.id}")).json["subnet"]
    assert (shown["subnetpool_id"], shown["dns_nameservers"]) == (None, [])


async def test_every_attribute_reaches_the_command(client: Client, service: ServiceDouble) -> None:
    draft = await _draft(
        client,
        service,
        ip_version="6",
        cidr="2001:DB8:0::/64",
        gateway_ip=None,
        allocation_pools=[{"start": "2001:db8::2", "end": "2001:db8::ff"}],
        dns_nameservers=["2001:DB8::53"],
        host_routes=[{"destination": "2001:db8:1::/48", "nexthop": "2001:db8::1"}],
        ipv6_ra_mode="dhcpv6-stateful",
        ipv6_address_mode="dhcpv6-stateful",
        subnetpool_id=None,
    )
    assert (draft.cidr, draft.gateway_ip, draft.ip_version) == ("2001:db8::/64", None, 6)
    assert draft.allocation_pools == (Pool(start="2001:db8::2", end="2001:db8::ff"),)
    assert draft.dns_nameservers == ("2001:db8::53",)
    assert draft.host_routes == (HostRoute(destination="2001:db8:1::/48", nexthop="2001:db8::1"),)
    assert draft.ipv6_ra_mode == "dhcpv6-stateful"


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"cidr": "10.0.0.0"}, "cidr"),
        ({"cidr": "10.0.0.0/255.255.255.0"}, "cidr"),
        ({"cidr": "10.0.0.0/33"}, "cidr"),
        ({"cidr": "0.0.0.0/0"}, "cidr"),
        ({"cidr": "224.0.0.0/24"}, "cidr"),
        ({"cidr": "127.0.0.0/8"}, "cidr"),
        ({"cidr": "2001:db8::/64"}, "cidr"),
        ({"cidr": None}, "cidr"),
        ({"ip_version": 5}, "ip_version"),
        ({"gateway_ip": "2001:db8::1"}, "gateway_ip"),
        ({"gateway_ip": "x"}, "gateway_ip"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.2"}]}, "allocation_pools"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "::1"}]}, "allocation_pools"),
        ({"allocation_pools": [{"start": "::1", "end": "::2"}]}, "allocation_pools"),
        ({"allocation_pools": [{"start": "10.0.0.9"}]}, "allocation_pools"),
        ({"dns_nameservers": ["10.0.0.1", "10.0.0.1"]}, "dns_nameservers"),
        ({"dns_nameservers": "10.0.0.1"}, "dns_nameservers"),
        ({"host_routes": [{"destination": "10.0.0.0/8", "nexthop": "::1"}]}, "host_routes"),
        ({"host_routes": [{"destination": "x", "nexthop": "::1"}]}, "host_routes"),
        ({"ipv6_ra_mode": "slaac"}, "ipv6_ra_mode"),
        ({**SIX, "cidr": "2001:db8::/80", "ipv6_address_mode": "slaac"}, "cidr"),
        ({"ipv6_address_mode": "magic"}, "ipv6_address_mode"),
        ({**SIX, "ipv6_ra_mode": "slaac", "enable_dhcp": False}, "ipv6_ra_mode"),
        (
            {**SIX, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
            "ipv6_address_mode",
        ),
        ({"subnetpool_id": "prefix_delegation"}, "subnetpool_id"),
        ({"network_id": "x"}, "network_id"),
    ],
)
async def test_a_bad_value_is_named(
    client: Client, service: ServiceDouble, attributes: dict[str, object], named: str
) -> None:
    answer = await client.post("/v2.0/subnets", {"subnet": {**FOUR, **attributes}})
    assert answer.status == 400, answer
    assert named in answer.error["message"]
    if "Required attribute" not in answer.error["message"]:
        assert answer.error["message"].startswith(f"Invalid input for {named}. Reason: ")
    assert not service.commands


async def test_a_change(client: Client, service: ServiceDouble) -> None:
    draft = await _draft(client, service)
    body: dict[str, object] = {
        "gateway_ip": None,
        "dns_nameservers": None,
        "host_routes": [],
        "allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.20"}],
    }
    assert (await client.put(f"/v2.0/subnets/{draft.id}", {"subnet": body})).status == 200
    command = service.commands[-1]
    assert isinstance(command, UpdateSubnet)
    assert (command.gateway_ip, command.dns_nameservers, command.host_routes) == (None, (), ())
    assert command.allocation_pools == (Pool(start="10.0.0.9", end="10.0.0.20"),)
    assert command.enable_dhcp is UNSET


async def test_members_see_subnets_of_shared_networks(client: Client, member: Client) -> None:
    for shared, status in ((True, 200), (False, 404)):
        body = {"network": {"shared": shared}}
        network = (await client.post("/v2.0/networks", body)).json["network"]["id"]
        made = await client.post("/v2.0/subnets", {"subnet": {**FOUR, "network_id": network}})
        subnet = made.json["subnet"]["id"]
        assert (await member.get(f"/v2.0/subnets/{subnet}")).status == status
