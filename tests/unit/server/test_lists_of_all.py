"""Of every resource: a list shows what `show` shows, and answers all that it announces."""

from typing import Any

import pytest
from tests.doubles.http import Client
from tests.unit.server.projects import client_of
from tests.unit.server.test_shared_database import REGISTRATION

from netwright.server.api.v2.address_scopes import AddressScopes
from netwright.server.api.v2.floatingips import FloatingIps
from netwright.server.api.v2.networks import Networks
from netwright.server.api.v2.ports import Ports
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.routers import Routers
from netwright.server.api.v2.security_group_rules import SecurityGroupRules
from netwright.server.api.v2.security_groups import SecurityGroups
from netwright.server.api.v2.subnetpools import SubnetPools
from netwright.server.api.v2.subnets import Subnets
from netwright.server.commands import Caller, RegisterHost
from netwright.server.core import Core

ADMIN = Caller(project_id="admin", is_admin=True)
RESOURCES: tuple[Resource[Any, Any, Any], ...] = (
    Networks(), Subnets(), Ports(), Routers(), FloatingIps(), SubnetPools(),
    AddressScopes(), SecurityGroups(), SecurityGroupRules(),
)  # fmt: skip
VALUES = {
    "mac_address": "02:00:00:00:00:01",
    "fixed_ips": "ip_address=10.0.0.9",
    "cidr": "10.0.0.0/24",
    "gateway_ip": "10.0.0.1",
    "changed_since": "2026-01-31T12:00:00Z",
    "labels": "a=b",
}


async def made(client: Client, path: str, name: str, /, **body: Any) -> str:
    answer = await client.post(f"/v2.0/{path}", {name: body})
    assert answer.status == 201, answer
    id_: str = answer.json[name]["id"]
    return id_


@pytest.fixture
async def filled(core: Core) -> Core:
    """Of each resource at least one with all that it can have, `p`'s, and one with the least."""
    admin, p = client_of(core, "admin"), client_of(core, "p")
    await core.commit(RegisterHost(caller=ADMIN, host="h1", registration=REGISTRATION))
    pool_id = await pools(p)
    network_id = await networks(admin)
    subnet_id = await subnets(p, network_id, pool_id)
    port_id = await ports(admin, p, network_id, await groups(p))
    router_id = await routers(p, subnet_id)
    await floating(admin, p, router_id, network_id)
    for path in (f"networks/{network_id}", f"subnets/{subnet_id}", f"ports/{port_id}"):
        await put(p, f"{path}/tags", {"tags": ["b", "a"]})
    return core


async def put(client: Client, path: str, body: Any) -> None:
    answer = await client.ask("PUT", f"/v2.0/{path}", body)
    assert answer.status == 200, answer


async def pools(p: Client) -> str:
    scope = await made(p, "address-scopes", "address_scope", name="s", ip_version=4)
    await made(p, "subnetpools", "subnetpool", name="b", prefixes=["fd00::/48"])
    return await made(
        p, "subnetpools", "subnetpool", name="a", prefixes=["10.0.0.0/8"], description="d",
        address_scope_id=scope, default_prefixlen=24,
    )  # fmt: skip


async def networks(admin: Client) -> str:
    flat = {"provider:network_type": "flat", "provider:physical_network": "physnet1"}
    await made(admin, "networks", "network", name="bare", shared=True, **flat)
    vlan = {"provider:network_type": "vlan", "provider:physical_network": "physnet1",
            "provider:segmentation_id": 101}  # fmt: skip
    return await made(
        admin, "networks", "network", project_id="p", name="n", description="d", mtu=1400,
        labels={"a": "b"}, **vlan,
    )  # fmt: skip


async def subnets(p: Client, network_id: str, pool_id: str) -> str:
    await made(
        p, "subnets", "subnet", network_id=network_id, cidr="2001:db8::/64", ip_version=6,
        ipv6_address_mode="slaac", ipv6_ra_mode="slaac", gateway_ip=None,
    )  # fmt: skip
    return await made(
        p, "subnets", "subnet", network_id=network_id, subnetpool_id=pool_id, ip_version=4,
        dns_nameservers=["192.0.2.1"],
        host_routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}],
    )  # fmt: skip


async def groups(p: Client) -> str:
    group_id = await made(p, "security-groups", "security_group", name="g", stateful=False)
    for rule in (
        {"direction": "ingress", "protocol": "tcp", "port_range_min": 1, "port_range_max": 9,
         "remote_ip_prefix": "10.1.2.3/8", "description": "d"},
        {"direction": "egress", "ethertype": "IPv6", "protocol": "icmp",
         "remote_group_id": group_id},
    ):  # fmt: skip
        path, name = "security-group-rules", "security_group_rule"
        await made(p, path, name, security_group_id=group_id, **rule)
    return group_id


async def ports(admin: Client, p: Client, network_id: str, group_id: str) -> str:
    await made(
        p, "ports", "port", network_id=network_id, security_groups=[group_id], tags=["x"],
        unique_name="u", allowed_address_pairs=[{"ip_address": "10.0.0.77"}],
    )  # fmt: skip
    await made(
        admin, "ports", "port", network_id=network_id, project_id="p",
        device_owner="network:dhcp", port_security_enabled=False,
    )  # fmt: skip
    bound = {"binding:host_id": "h1", "binding:profile": {"x": [1]}}
    return await made(
        admin, "ports", "port", network_id=network_id, project_id="p",
        device_owner="compute:nova", device_id="3a1b5f0e-0000-4000-8000-000000000001", **bound,
    )  # fmt: skip


async def routers(p: Client, subnet_id: str) -> str:
    await made(p, "routers", "router", name="r2", admin_state_up=False)
    router_id = await made(p, "routers", "router", name="r", description="d")
    await put(p, f"routers/{router_id}/add_router_interface", {"subnet_id": subnet_id})
    routes = [{"destination": "10.77.0.0/16", "nexthop": "10.0.0.9"}]
    await put(p, f"routers/{router_id}", {"router": {"routes": routes}})
    return router_id


async def floating(admin: Client, p: Client, router_id: str, network_id: str) -> None:
    vlan = {"provider:network_type": "vlan", "provider:physical_network": "physnet1",
            "provider:segmentation_id": 102, "router:external": True}  # fmt: skip
    outside = await made(admin, "networks", "network", name="outside", **vlan)
    await made(admin, "subnets", "subnet", network_id=outside, cidr="203.0.113.0/24", ip_version=4)
    await put(p, f"routers/{router_id}", {
        "router": {"external_gateway_info": {"network_id": outside}}
    })  # fmt: skip
    port_id = await made(p, "ports", "port", network_id=network_id)
    await made(p, "floatingips", "floatingip", floating_network_id=outside)
    await made(
        p, "floatingips", "floatingip", floating_network_id=outside, port_id=port_id,
        description="d",
    )  # fmt: skip


async def listed(client: Client, resource: Resource[Any, Any, Any], query: str = "") -> Any:
    answer = await client.get(f"{resource.path}?{query}" if query else resource.path)
    assert answer.status == 200, (resource, query, answer)
    return answer.json[resource.collection]


async def test_a_list_shows_what_show_does(filled: Core) -> None:
    for project in ("admin", "p", "other"):
        client = client_of(filled, project)
        for resource in RESOURCES:
            found = await listed(client, resource)
            assert found or project == "other", resource
            for each in found:
                shown = await client.get(f"{resource.path}/{each['id']}")
                assert shown.json[resource.name] == each
                wanted = {name: value for name, value in each.items() if name > "d"}
                fields = "&".join(f"fields={name}" for name in wanted)
                assert await listed(client, resource, f"id={each['id']}&{fields}") == [wanted]


async def test_each_is_found_by_what_it_shows(filled: Core) -> None:
    for project in ("admin", "p"):
        client = client_of(filled, project)
        for resource in RESOURCES:
            for each in await listed(client, resource):
                for name in resource.listable.filters:
                    await require_found(client, resource, each, name)


async def require_found(
    client: Client, resource: Resource[Any, Any, Any], each: Any, name: str
) -> None:
    """By this attribute, and all that is found so has the same."""
    value = each.get(name)
    if value is None or isinstance(value, dict) or value in ("", []):
        return
    if name == "fixed_ips":
        value = [f"ip_address={value[0]['ip_address']}"]
    is_list = isinstance(value, list)
    found = await listed(client, resource, f"{name}={value[0] if is_list else value}")
    assert each in found, (resource, name, value)
    assert is_list or all(one[name] == value for one in found), (resource, name)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: str(each.collection))
async def test_what_is_announced_is_answered_in_pages_too(filled: Core, resource: Any) -> None:
    admin = client_of(filled, "admin")
    everything = {each["id"] for each in await listed(admin, resource)}
    for key in resource.listable.sort_keys:
        for way in ("asc", "desc"):
            query = f"sort_key={key}&sort_dir={way}"
            whole = await listed(admin, resource, query)
            assert {each["id"] for each in whole} == everything
            paged: list[Any] = []
            while len(paged) < len(whole):
                marker = f"&marker={paged[-1]['id']}" if paged else ""
                page = await listed(admin, resource, f"{query}&limit=1{marker}")
                assert len(page) == 1
                paged += page
            assert paged == whole, query
    for name in resource.listable.filters:
        await listed(admin, resource, f"{name}={VALUES.get(name, '1')}")
