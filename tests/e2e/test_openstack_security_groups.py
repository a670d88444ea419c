"""Security groups as people use them: the unmodified openstacksdk and `openstack` command line."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack import exceptions
from tests.e2e.conftest import Server
from tests.e2e.openstack_cli import Cli

from netwright.client.api import Client
from netwright.lab.networks import let_all_in

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations


@pytest.fixture
def network(cloud: Any) -> Iterator[Any]:
    made = cloud.create_network(
        name="sg",
        provider_network_type="vlan",
        provider_physical_network="physnet1",
        provider_segmentation_id="300",
    )
    cloud.create_subnet(network_id=made.id, ip_version=4, cidr="10.3.0.0/24", name="s")
    yield made
    for port in cloud.ports(network_id=made.id):
        cloud.delete_port(port)
    cloud.delete_network(made)


def test_groups_rules_and_ports(cloud: Any, network: Any) -> None:
    default = cloud.find_security_group("default")
    port = cloud.create_port(network_id=network.id, name="first")
    assert port.security_group_ids == [default.id]
    web = cloud.create_security_group(name="web", description="of the web", stateful=False)
    assert (web.name, web.stateful, len(web.security_group_rules)) == ("web", False, 2)
    rule = cloud.create_security_group_rule(
        security_group_id=web.id,
        direction="ingress",
        protocol="tcp",
        port_range_min=80,
        port_range_max=443,
        remote_ip_prefix="10.0.0.5/8",
    )
    assert (rule.normalized_cidr, rule.ether_type) == ("10.0.0.0/8", "IPv4")
    with pytest.raises(exceptions.ConflictException, match="already exists"):
        cloud.create_security_group_rule(
            security_group_id=web.id,
            direction="ingress",
            protocol="6",
            port_range_min=80,
            port_range_max=443,
            remote_ip_prefix="10.0.0.0/8",
        )
    many = [
        {"security_group_id": web.id, "direction": "ingress", "protocol": name}
        for name in ("udp", "icmp")
    ]
    assert [one.protocol for one in cloud.create_security_group_rules(many)] == ["udp", "icmp"]
    found = cloud.security_group_rules(security_group_id=web.id, direction="ingress")
    assert {one.protocol for one in found} == {"tcp", "udp", "icmp"}
    cloud.update_port(port, security_groups=[web.id])
    assert [one.id for one in cloud.ports(security_groups=web.id)] == [port.id]
    with pytest.raises(exceptions.ConflictException, match="in use"):
        cloud.delete_security_group(web, ignore_missing=False)
    cloud.update_port(port, security_groups=[], port_security_enabled=False)
    cloud.delete_security_group_rule(rule, ignore_missing=False)
    cloud.delete_security_group(web, ignore_missing=False)
    assert cloud.find_security_group("web") is None
    assert cloud.find_extension("security-group").alias == "security-group"
    assert cloud.find_extension("stateful-security-group").alias == "stateful-security-group"


async def test_the_lab_lets_all_in_once(open_server: Server, cloud: Any) -> None:
    default = cloud.find_security_group("default")
    for _ in range(2):
        async with Client(open_server.url) as client:
            await let_all_in(client)
        rules = list(cloud.security_group_rules(security_group_id=default.id, direction="ingress"))
        open_ = [rule for rule in rules if rule.remote_group_id is None]
        assert sorted(rule.ether_type for rule in open_) == ["IPv4", "IPv6"]
    for rule in open_:
        cloud.delete_security_group_rule(rule)


def test_the_command_line(cli: Cli, network: Any) -> None:
    rule = cli("security group rule create default --ingress --protocol tcp --dst-port 22")
    assert (rule["direction"], rule["port_range_min"], rule["ether_type"]) == (
        "ingress",
        22,
        "IPv4",
    )
    web = cli("security group create web --stateless")
    assert (web["name"], web["stateful"]) == ("web", False)
    cli("security group set web --description www")
    assert cli("security group show web")["description"] == "www"
    assert sorted(row["Name"] for row in cli("security group list")) == ["default", "web"]
    cli("security group rule create web --ingress --remote-group web --ethertype IPv6")
    cli("security group rule create web --egress --protocol icmp --icmp-type 8 --icmp-code 0")
    refused = cli.refused("security group rule create web --protocol 58 --ethertype IPv4")
    assert "Invalid ethertype IPv4 for protocol" in refused
    assert len(cli("security group rule list web")) == 4
    assert cli("security group rule show " + rule["id"])["id"] == rule["id"]
    port = cli("port create p --network sg --security-group web")
    assert port["security_group_ids"] == [web["id"]]
    assert "in use" in cli.refused("security group delete web")
    cli("port set p --no-security-group --disable-port-security")
    cli("port create q --network sg --no-security-group")
    cli(f"security group rule delete {rule['id']}")
    cli("security group delete web")
    assert [row["Name"] for row in cli("security group list")] == ["default"]
