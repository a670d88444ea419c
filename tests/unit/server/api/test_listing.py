"""Lists: filters, sorting, pages, fields; unknown words are refused."""

from urllib.parse import quote

import pytest
from tests.doubles.http import Client
from tests.doubles.service import ServiceDouble

from netwright.server.api.v2.networks import Networks
from netwright.server.api.v2.ports import Ports
from netwright.server.api.v2.subnets import Subnets
from netwright.server.queries import Query

NETWORK = "0190c9d2-0000-7000-8000-000000000001"

# neutron-lib's attribute maps of these resources: `is_filter` and `is_sort_key`.
ORACLE = {
    Networks: (
        (
            "id name admin_state_up status tenant_id shared mtu provider:network_type"
            " provider:physical_network provider:segmentation_id"
        ),
        "id name admin_state_up status tenant_id mtu",
    ),
    Subnets: (
        (
            "id name ip_version network_id subnetpool_id cidr gateway_ip tenant_id enable_dhcp"
            " ipv6_ra_mode ipv6_address_mode shared"
        ),
        (
            "id name ip_version network_id subnetpool_id cidr gateway_ip tenant_id enable_dhcp"
            " ipv6_ra_mode ipv6_address_mode"
        ),
    ),
    Ports: (
        (
            "id name network_id admin_state_up mac_address fixed_ips device_id device_owner"
            " tenant_id status binding:host_id"
        ),
        "id name network_id admin_state_up mac_address device_id device_owner tenant_id status",
    ),
}


@pytest.mark.parametrize("resource", ORACLE)
def test_everything_that_neutron_filters_and_sorts_by(
    resource: type[Networks | Subnets | Ports],
) -> None:
    filters, sort_keys = ORACLE[resource]
    assert set(filters.split()) <= set(resource.listable.filters)
    assert set(sort_keys.split()) <= resource.listable.sort_keys


async def _query(client: Client, service: ServiceDouble, target: str) -> Query:
    answer = await client.get(target)
    assert answer.status == 200, answer
    return service.queries[-1]


async def test_filters_are_made_canonical(client: Client, service: ServiceDouble) -> None:
    address = quote("ip_address=2001:DB8::0:1", safe="")
    query = await _query(
        client,
        service,
        f"/v2.0/ports?name=a&name=b&tenant_id=p&admin_state_up=True&mac_address=FA:16:3E:00:00:01"
        f"&fixed_ips={address}&fixed_ips=subnet_id=s&device_id=&binding:host_id=h",
    )
    assert dict(query.filters) == {
        "name": ("a", "b"),
        "project_id": ("p",),
        "admin_state_up": ("true",),
        "mac_address": ("fa:16:3e:00:00:01",),
        "fixed_ips": ("ip_address=2001:db8::1", "subnet_id=s"),
        "device_id": ("",),
        "binding:host_id": ("h",),
    }
    assert query.project_id is None


async def test_sorting_and_paging(client: Client, service: ServiceDouble) -> None:
    query = await _query(
        client,
        service,
        "/v2.0/networks?sort_key=name&sort_dir=desc&sort_key=id&sort_dir=asc"
        "&limit=2&marker=m&page_reverse=True",
    )
    assert query.sort == (("name", False), ("id", True))
    assert (query.limit, query.marker, query.page_reverse) == (2, "m", True)
    query = await _query(client, service, "/v2.0/networks?sort_key=tenant_id&limit=0")
    assert (query.sort, query.limit) == ((("project_id", True),), None)


@pytest.mark.parametrize(
    ("target", "type_", "named"),
    [
        ("/v2.0/ports?colour=red", "HTTPBadRequest", "colour"),
        ("/v2.0/networks?device_id=x", "HTTPBadRequest", "device_id"),
        ("/v2.0/ports?sort_key=fixed_ips", "HTTPBadRequest", "fixed_ips"),
        ("/v2.0/ports?sort_key=id&sort_dir=asc&sort_dir=asc", "HTTPBadRequest", "sort_dirs"),
        ("/v2.0/ports?sort_key=id&sort_dir=up", "InvalidInput", "sort_dir"),
        ("/v2.0/ports?limit=-1", "HTTPBadRequest", "Limit"),
        ("/v2.0/ports?limit=x", "HTTPBadRequest", "Limit"),
        ("/v2.0/ports?limit=" + "9" * 5000, "HTTPBadRequest", "Limit"),
        ("/v2.0/ports?page_reverse=x", "InvalidInput", "page_reverse"),
        ("/v2.0/ports?admin_state_up=x", "InvalidInput", "admin_state_up"),
        ("/v2.0/ports?mac_address=x", "InvalidInput", "mac_address"),
        ("/v2.0/ports?fixed_ips=10.0.0.1", "InvalidInput", "fixed_ips"),
        ("/v2.0/ports?fixed_ips=ip_address=x", "InvalidInput", "fixed_ips"),
        ("/v2.0/networks?mtu=x", "InvalidInput", "mtu"),
        ("/v2.0/networks?mtu=" + "9" * 5000, "InvalidInput", "mtu"),
        ("/v2.0/subnets?cidr=x", "InvalidInput", "cidr"),
        ("/v2.0/ports?name=%ff", "HTTPBadRequest", "query string"),
        ("/v2.0/ports?name=\xff", "HTTPBadRequest", "query string"),
        ("/v2.0/ports?name=%00", "InvalidInput", "name"),
    ],
)
async def test_bad_lists_are_refused(client: Client, target: str, type_: str, named: str) -> None:
    answer = await client.get(target)
    assert (answer.status, answer.error["type"]) == (400, type_)
    assert named in answer.error["message"]


async def test_fields(client: Client) -> None:
    made = await client.post("/v2.0/ports", {"port": {"network_id": NETWORK, "name": "a"}})
    answer = await client.get("/v2.0/ports?fields=name&fields=binding:host_id&fields=unknown")
    assert answer.json == {"ports": [{"name": "a", "binding:host_id": ""}]}
    answer = await client.get(f"/v2.0/ports/{made.json['port']['id']}?fields=name")
    assert answer.json == {"port": {"name": "a"}}


async def test_links_lead_to_the_pages_around(client: Client) -> None:
    assert (await client.get("/v2.0/networks")).json == {"networks": []}
    body = {"networks": [{"name": str(n)} for n in range(3)]}
    ids = [one["id"] for one in (await client.post("/v2.0/networks", body)).json["networks"]]
    answer = await client.get("/v2.0/networks?limit=3&name=a&marker=x")
    base = "http://netwright:9696/v2.0/networks?limit=3&name=a&marker="
    assert answer.json["networks_links"] == [
        {"rel": "next", "href": f"{base}{ids[-1]}"},
        {"rel": "previous", "href": f"{base}{ids[0]}&page_reverse=True"},
    ]
    rels = [link["rel"] for link in (await client.get("/v2.0/networks?limit=4")).json[
        "networks_links"
    ]]  # fmt: skip
    assert rels == ["previous"]
    answer = await client.get("/v2.0/networks?limit=4&page_reverse=1")
    assert [link["rel"] for link in answer.json["networks_links"]] == ["next"]


async def test_long_lists_are_whole(client: Client) -> None:
    body = {"ports": [{"network_id": NETWORK, "name": str(n)} for n in range(1000)]}
    await client.post("/v2.0/ports", body)
    await client.post("/v2.0/ports", {"port": {"network_id": NETWORK, "name": "1000"}})
    ports = (await client.get("/v2.0/ports")).json["ports"]
    assert [port["name"] for port in ports] == [str(n) for n in range(1001)]
