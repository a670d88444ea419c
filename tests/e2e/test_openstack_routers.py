"""Address scopes, subnet pools and routers, by the unmodified openstacksdk and `openstack`."""

from typing import Any

import pytest
from openstack import exceptions
from tests.e2e.openstack_cli import VLAN, Cli

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations


def _network(cloud: Any, vlan: int) -> Any:
    return cloud.create_network(
        name=f"n{vlan}",
        provider_network_type="vlan",
        provider_physical_network="physnet1",
        provider_segmentation_id=str(vlan),
    )


def test_the_sdk(cloud: Any) -> None:
    for alias in ("address-scope", "subnet_allocation", "default-subnetpools", "router"):
        assert cloud.find_extension(alias).alias == alias
    scope = cloud.create_address_scope(name="vpc", ip_version=4, shared=True)
    assert cloud.find_address_scope("vpc").id == scope.id
    scope = cloud.update_address_scope(scope, name="vpc-1")
    pool = cloud.create_subnet_pool(
        name="pool",
        prefixes=["10.40.0.0/16"],
        default_prefix_length=24,
        address_scope_id=scope.id,
        is_default=True,
    )
    assert (pool.minimum_prefix_length, pool.maximum_prefix_length) == (8, 32)
    pool = cloud.update_subnet_pool(pool, prefixes=["10.40.0.0/15"], description="larger")
    assert (pool.prefixes, pool.revision_number) == (["10.40.0.0/15"], 2)
    networks = [_network(cloud, vlan) for vlan in (701, 702, 703)]
    subnets = [
        cloud.create_subnet(network_id=network.id, ip_version=4, **source)
        for network, source in zip(
            networks,
            (
                {"subnet_pool_id": pool.id},
                {"subnet_pool_id": pool.id, "prefix_length": 26},
                {"use_default_subnet_pool": True},
            ),
            strict=True,
        )
    ]
    cidrs = ["10.40.0.0/24", "10.40.1.0/26", "10.40.2.0/24"]
    assert [subnet.cidr for subnet in subnets] == cidrs
    assert cloud.get_network(networks[0].id).ipv4_address_scope_id == scope.id
    found = {one.id for one in cloud.subnets(subnet_pool_id=pool.id)}
    assert found == {one.id for one in subnets}
    with pytest.raises(exceptions.BadRequestException, match="existing allocations"):
        cloud.delete_subnet_pool(pool)
    with pytest.raises(exceptions.ConflictException):
        cloud.delete_address_scope(scope)

    router = cloud.create_router(name="r", description="of a VPC")
    assert (router.status, router.external_gateway_info) == ("ACTIVE", None)
    added = cloud.add_interface_to_router(router, subnet_id=subnets[0].id)
    port = cloud.create_port(network_id=networks[1].id)
    cloud.add_interface_to_router(router, port_id=port.id)
    ports = {one.id: one for one in cloud.ports(device_id=router.id)}
    assert set(ports) == {added["port_id"], port.id}
    assert ports[added["port_id"]].fixed_ips[0]["ip_address"] == "10.40.0.1"
    routes = [{"destination": "10.99.0.0/16", "nexthop": "10.40.0.9"}]
    assert cloud.update_router(router, routes=routes).routes == routes
    with pytest.raises(exceptions.ConflictException):
        cloud.delete_router(router)
    with pytest.raises(exceptions.ConflictException, match="cannot be deleted directly"):
        cloud.delete_port(port)
    cloud.update_router(router, routes=[])
    cloud.remove_interface_from_router(router, subnet_id=subnets[0].id)
    cloud.remove_interface_from_router(router, port_id=port.id)
    with pytest.raises(exceptions.NotFoundException, match="has no interface on subnet"):
        cloud.remove_interface_from_router(router, subnet_id=subnets[0].id)
    cloud.delete_router(router)
    assert cloud.find_router("r") is None
    for network in networks:
        cloud.delete_network(network)
    cloud.delete_subnet_pool(pool)
    cloud.delete_address_scope(scope)


def test_the_command_line(cli: Cli) -> None:
    cli("address scope create vpc --ip-version 4 --no-share")
    made = cli(
        "subnet pool create pool --pool-prefix 10.50.0.0/16 --default-prefix-length 24"
        " --address-scope vpc --no-share --description plan"
    )
    assert (made["prefixes"], made["default_prefixlen"]) == (["10.50.0.0/16"], 24)
    cli(f"network create n {VLAN} 711")
    assert cli("subnet create s --network n --subnet-pool pool")["cidr"] == "10.50.0.0/24"
    made = cli("subnet create t --network n --subnet-pool pool --prefix-length 28")
    assert made["cidr"] == "10.50.1.0/28"
    cli("router create r --description d")
    cli("router add subnet r s")
    cli("router set r --route destination=10.8.0.0/16,gateway=10.50.0.9")
    shown = cli("router show r")
    assert [one["ip_address"] for one in shown["interfaces_info"]] == ["10.50.0.1"]
    assert shown["routes"] == [{"destination": "10.8.0.0/16", "nexthop": "10.50.0.9"}]
    assert "required by one or more routes" in cli.refused("router remove subnet r s")
    cli("router unset r --route destination=10.8.0.0/16,gateway=10.50.0.9")
    assert "still has ports" in cli.refused("router delete r")
    cli("router remove subnet r s")
    cli("router delete r")
    assert "existing allocations" in cli.refused("subnet pool delete pool")
    cli("network delete n")
    cli("subnet pool delete pool")
    cli("address scope delete vpc")
