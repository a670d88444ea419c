"""The unmodified bindings of python-neutronclient, `v2_0.client.Client`."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from keystoneauth1 import noauth, session
from neutronclient.common import exceptions
from neutronclient.v2_0.client import Client
from tests.e2e.conftest import Server

pytestmark = pytest.mark.filterwarnings("ignore")  # it says itself that the SDK replaces it
SEGMENT = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}


@pytest.fixture(scope="module")
def neutron(open_server: Server) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        auth = noauth.NoAuth(endpoint=open_server.url)
        return Client(session=session.Session(auth=auth))


@pytest.fixture
def network(neutron: Any) -> Iterator[Any]:
    body = {"network": {"name": "nc", **SEGMENT, "provider:segmentation_id": 410}}
    made = neutron.create_network(body)["network"]
    subnet = {"network_id": made["id"], "ip_version": 4, "cidr": "10.41.0.0/24", "name": "nc-a"}
    neutron.create_subnet({"subnet": subnet})
    yield made
    for port in neutron.list_ports(network_id=made["id"])["ports"]:
        neutron.delete_port(port["id"])
    neutron.delete_network(made["id"])


def test_networks_and_ports(neutron: Any, network: Any) -> None:
    assert neutron.list_networks(name="nc")["networks"][0]["id"] == network["id"]
    by_hints = neutron.list_networks(sort_key="availability_zone_hints", sort_dir="desc")
    assert [one["availability_zone_hints"] for one in by_hints["networks"]] == [[]]
    neutron.update_network(network["id"], {"network": {"description": "one"}})
    assert neutron.show_network(network["id"], fields="description") == {
        "network": {"description": "one"}
    }
    bodies = [{"network_id": network["id"], "name": f"p{n}"} for n in range(5)]
    made = neutron.create_port({"ports": bodies})["ports"]
    assert [port["name"] for port in made] == [body["name"] for body in bodies]
    (subnet,) = neutron.list_subnets(network_id=network["id"])["subnets"]
    wish = ["subnet_id=" + subnet["id"], "ip_address=" + made[2]["fixed_ips"][0]["ip_address"]]
    assert [port["id"] for port in neutron.list_ports(fixed_ips=wish)["ports"]] == [made[2]["id"]]
    options = [{"opt_name": "bootfile-name", "opt_value": "pxelinux.0"}]
    change = {"extra_dhcp_opts": options, "dns_name": "two"}
    changed = neutron.update_port(made[2]["id"], {"port": change})["port"]
    assert changed["extra_dhcp_opts"] == [{**options[0], "ip_version": 4}]
    assert changed["dns_assignment"][0]["hostname"] == "two"


def test_lists_follow_their_pages(neutron: Any, network: Any) -> None:
    bodies = [{"network_id": network["id"], "name": f"p{n:02}"} for n in range(12)]
    neutron.create_port({"ports": bodies})
    pages = list(
        neutron.list_ports(
            retrieve_all=False, network_id=network["id"], limit=5, sort_key="name", sort_dir="asc"
        )
    )
    assert [len(page["ports"]) for page in pages] == [5, 5, 2]
    whole = neutron.list_ports(network_id=network["id"], limit=5)["ports"]
    assert sorted(port["name"] for port in whole) == [body["name"] for body in bodies]


def test_routers_groups_and_tags(neutron: Any, network: Any) -> None:
    (subnet,) = neutron.list_subnets(network_id=network["id"])["subnets"]
    router = neutron.create_router({"router": {"name": "nc"}})["router"]
    added = neutron.add_interface_router(router["id"], {"subnet_id": subnet["id"]})
    assert added["subnet_id"] == subnet["id"]
    with pytest.raises(exceptions.Conflict):
        neutron.delete_router(router["id"])
    neutron.replace_tag("routers", router["id"], {"tags": ["blue"]})
    assert [each["id"] for each in neutron.list_routers(tags="blue")["routers"]] == [router["id"]]
    neutron.remove_interface_router(router["id"], {"subnet_id": subnet["id"]})
    neutron.delete_router(router["id"])
    group = neutron.create_security_group({"security_group": {"name": "nc"}})["security_group"]
    rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp"}
    rule |= {"port_range_min": 22, "port_range_max": 22}
    made = neutron.create_security_group_rule({"security_group_rule": rule})["security_group_rule"]
    neutron.delete_security_group_rule(made["id"])
    neutron.delete_security_group(group["id"])


def test_external_networks_and_floating_ips(neutron: Any) -> None:
    body = {"network": {"name": "nc-out", "router:external": True, **SEGMENT}}
    body["network"]["provider:segmentation_id"] = 411
    outer = neutron.create_network(body)["network"]
    subnet = {"network_id": outer["id"], "ip_version": 4, "cidr": "203.0.113.0/28"}
    neutron.create_subnet({"subnet": subnet})
    floating = neutron.create_floatingip({"floatingip": {"floating_network_id": outer["id"]}})
    id_ = floating["floatingip"]["id"]
    assert [one["id"] for one in neutron.list_floatingips()["floatingips"]] == [id_]
    neutron.delete_floatingip(id_)
    neutron.delete_network(outer["id"])


def test_errors_are_the_bindings_own(neutron: Any, network: Any) -> None:
    """It makes a class of each error by the type that the server names."""
    missing = "0190c9d2-0000-7000-8000-000000000001"
    for show, error in (
        (neutron.show_port, exceptions.PortNotFoundClient),
        (neutron.show_network, exceptions.NetworkNotFoundClient),
    ):
        with pytest.raises(error):
            show(missing)
    neutron.create_port({"port": {"network_id": network["id"]}})
    with pytest.raises(exceptions.NetworkInUseClient):
        neutron.delete_network(network["id"])
    with pytest.raises(exceptions.BadRequest, match="Invalid input for mac_address"):
        neutron.create_port({"port": {"network_id": network["id"], "mac_address": "x"}})


def test_extensions_and_quotas(neutron: Any) -> None:
    assert neutron.show_extension("extra_dhcp_opt")["extension"]["alias"] == "extra_dhcp_opt"
    with pytest.raises(exceptions.NotFound):
        neutron.show_extension("fwaas_v2")
    assert neutron.show_quota_details("p")["quota"]["port"]["used"] == 0
