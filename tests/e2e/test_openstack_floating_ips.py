"""External networks, gateways and floating IPs, by the unmodified openstacksdk and `openstack`."""

from typing import Any

import pytest
from openstack import exceptions
from tests.e2e.openstack_cli import VLAN, Cli

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations


def test_the_command_line(cli: Cli) -> None:
    made = cli(f"network create public --external {VLAN} 731")
    assert made["router:external"] is True
    cli("subnet create public-a --network public --subnet-range 203.0.113.0/28")
    assert [each["Name"] for each in cli("network list --external")] == ["public"]
    cli(f"network create n {VLAN} 732")
    cli("subnet create s --network n --subnet-range 10.60.0.0/24")
    cli("router create r --external-gateway public")
    cli("router add subnet r s")
    shown = cli("router show r")["external_gateway_info"]
    assert (shown["network_id"], shown["enable_snat"]) == (made["id"], True)
    cli("router set r --external-gateway public --disable-snat"
        " --fixed-ip subnet=public-a,ip-address=203.0.113.9")  # fmt: skip
    shown = cli("router show r")["external_gateway_info"]
    (address,) = shown["external_fixed_ips"]
    assert (address["ip_address"], shown["enable_snat"]) == ("203.0.113.9", False)

    cli("port create vm --network n")
    floating = cli("floating ip create public --description of-vm")
    address = floating["floating_ip_address"]
    assert (floating["status"], floating["port_id"]) == ("DOWN", None)
    cli(f"floating ip set {address} --port vm")
    shown = cli(f"floating ip show {address}")
    assert (shown["port_id"], shown["router_id"]) == (
        cli("port show vm")["id"],
        cli("router show r")["id"],
    )
    assert shown["description"] == "of-vm"
    assert [each["Floating IP Address"] for each in cli("floating ip list --port vm")] == [address]
    assert "required by one or more floating IPs" in cli.refused("router remove subnet r s")
    assert "required by one or more floating IPs" in cli.refused(
        "router unset r --external-gateway"
    )
    cli(f"floating ip set {address} --tag a --description d")
    assert cli(f"floating ip show {address}")["tags"] == ["a"]
    cli(f"floating ip unset {address} --port")
    assert cli(f"floating ip show {address}")["port_id"] is None
    chosen = cli("floating ip create public --floating-ip-address 203.0.113.12 --port vm")
    assert chosen["floating_ip_address"] == "203.0.113.12"
    cli("port delete vm")
    assert cli("floating ip show 203.0.113.12")["port_id"] is None
    assert "existing gateway ports" in cli.refused("network set public --internal")
    cli(f"floating ip delete {address} 203.0.113.12")
    cli("router unset r --external-gateway")
    assert cli("router show r")["external_gateway_info"] is None
    cli("router remove subnet r s")
    cli("router delete r")
    cli("network set public --internal")
    cli("network delete n public")


def test_the_sdk(cloud: Any) -> None:
    for alias in ("external-net", "ext-gw-mode", "extraroute", "extraroute-atomic", "router"):
        assert cloud.find_extension(alias).alias == alias
    networks = [
        cloud.create_network(
            name=name, is_router_external=external, provider_network_type="vlan",
            provider_physical_network="physnet1", provider_segmentation_id=vlan,
        )
        for name, external, vlan in (("outside", True, "741"), ("inside", False, "742"))
    ]  # fmt: skip
    outside, inside = networks
    assert outside.id in {each.id for each in cloud.networks(is_router_external=True)}
    assert inside.id in {each.id for each in cloud.networks(is_router_external=False)}
    cloud.create_subnet(network_id=outside.id, ip_version=4, cidr="198.51.100.0/28")
    inner = cloud.create_subnet(network_id=inside.id, ip_version=4, cidr="10.61.0.0/24")
    gateway = {"network_id": outside.id}
    router = cloud.create_router(name="r", external_gateway_info=gateway)
    assert router.external_gateway_info["network_id"] == outside.id
    cloud.add_interface_to_router(router, subnet_id=inner.id)
    routes = [{"destination": "10.99.0.0/16", "nexthop": "10.61.0.9"}]
    body = {"router": {"routes": routes}}
    assert cloud.add_extra_routes_to_router(router, body).routes == routes
    assert cloud.remove_extra_routes_from_router(router, body).routes == []
    port = cloud.create_port(network_id=inside.id)
    floating = cloud.create_ip(floating_network_id=outside.id, port_id=port.id)
    assert (floating.fixed_ip_address, floating.router_id) == (
        port.fixed_ips[0]["ip_address"],
        router.id,
    )
    assert [each.id for each in cloud.ips(router_id=router.id)] == [floating.id]
    with pytest.raises(exceptions.ConflictException, match="already has a floating IP"):
        cloud.create_ip(floating_network_id=outside.id, port_id=port.id)
    floating = cloud.update_ip(floating, port_id=None)
    assert (floating.port_id, floating.status) == (None, "DOWN")
    assert cloud.find_available_ip().id == floating.id
    cloud.delete_ip(floating)
    cloud.remove_interface_from_router(router, subnet_id=inner.id)
    cloud.delete_router(router)
    for network in networks:
        for each in cloud.ports(network_id=network.id):
            cloud.delete_port(each)
        cloud.delete_network(network)
