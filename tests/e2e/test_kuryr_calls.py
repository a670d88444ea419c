"""What Kuryr asks of the Networking API, call by call.

Recorded from the sources of kuryr-libnetwork 18.0.0 (`controllers.py`, by python-neutronclient) and
kuryr-kubernetes 10.0.0 (`controller/drivers`, by openstacksdk). Its nested pods need trunks, which
are not here. Docker, and Kubernetes' own part, are played by nobody.
"""

import uuid
import warnings
from typing import Any

import pytest
from keystoneauth1 import noauth, session
from neutronclient.v2_0.client import Client
from tests.e2e.conftest import Server

pytestmark = pytest.mark.filterwarnings("ignore")  # both clients' own deprecations
SEGMENT = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}


@pytest.fixture(scope="module")
def neutron(open_server: Server) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        auth = noauth.NoAuth(endpoint=open_server.url)
        return Client(session=session.Session(auth=auth))


def test_a_docker_network_its_pool_and_an_endpoint(neutron: Any) -> None:
    """RequestPool, CreateNetwork, RequestAddress, CreateEndpoint, and what undoes them."""
    for alias in ("subnet_allocation", "standard-attr-tag"):
        neutron.show_extension(alias)
    endpoint, docker_network = uuid.uuid4().hex * 2, uuid.uuid4().hex * 2
    pool_body: dict[str, Any] = {"name": "kuryrPool-10.42.0.0/24", "default_prefixlen": 24}
    pool_body |= {"prefixes": ["10.42.0.0/24"], "shared": False}
    assert neutron.list_subnetpools(name=pool_body["name"])["subnetpools"] == []
    pool = neutron.create_subnetpool({"subnetpool": pool_body})["subnetpool"]
    neutron.add_tag("subnetpools", pool["id"], "kuryr.pool")

    network_body = {"name": f"kuryr-net-{docker_network[:8]}", "admin_state_up": True, **SEGMENT}
    network = neutron.create_network({"network": {**network_body, "provider:segmentation_id": 420}})
    network_id = network["network"]["id"]
    for tag in (f"kuryr.net.uuid.lh:{docker_network[:32]}", "kuryr.net"):
        neutron.add_tag("networks", network_id, tag)
    tagged = neutron.list_networks(tags=f"kuryr.net.uuid.lh:{docker_network[:32]},kuryr.net")
    assert [one["id"] for one in tagged["networks"]] == [network_id]

    new = {"name": "kuryr-subnet-10.42.0.0", "network_id": network_id, "ip_version": 4}
    new |= {"cidr": "10.42.0.0/24", "enable_dhcp": False, "subnetpool_id": pool["id"]}
    new |= {"gateway_ip": "10.42.0.1"}
    (subnet,) = neutron.create_subnet({"subnets": [new]})["subnets"]
    neutron.add_tag("subnets", subnet["id"], pool["id"])
    found = neutron.list_subnets(subnetpool_id=pool["id"], cidr="10.42.0.0/24")["subnets"]
    assert [one["id"] for one in found] == [subnet["id"]]

    unbound = {"name": "kuryr-unbound-port", "admin_state_up": True, "network_id": network_id}
    unbound |= {"binding:host_id": "host1", "fixed_ips": [{"subnet_id": subnet["id"]}]}
    port = neutron.create_port({"port": unbound})["port"]
    address = port["fixed_ips"][0]["ip_address"]
    by_address = [f"subnet_id={subnet['id']}", f"ip_address={address}"]
    assert [one["id"] for one in neutron.list_ports(fixed_ips=by_address)["ports"]] == [port["id"]]
    change: dict[str, Any] = {"name": f"{endpoint[:8]}-port", "device_owner": "kuryr:container"}
    change |= {"device_id": endpoint, "admin_state_up": True, "binding:host_id": "host1"}
    bound = neutron.update_port(port["id"], {"port": change})["port"]
    assert (bound["device_owner"], bound["device_id"]) == ("kuryr:container", endpoint)
    neutron.add_tag("ports", port["id"], f"kuryr.port.existing:{endpoint[:20]}")

    group = neutron.create_security_group({"security_group": {"name": "expose", "tenant_id": ""}})
    group_id = group["security_group"]["id"]
    rule = {"security_group_id": group_id, "protocol": "tcp", "direction": "ingress"}
    rule |= {"port_range_min": 80, "port_range_max": 80, "ethertype": "IPv4"}
    neutron.create_security_group_rule({"security_group_rule": rule})
    groups = [*neutron.show_port(port["id"])["port"]["security_groups"], group_id]
    neutron.update_port(port["id"], {"port": {"security_groups": groups}})
    neutron.update_port(port["id"], {"port": {"security_groups": groups[:-1]}})
    neutron.delete_security_group(group_id)

    neutron.remove_tag("ports", port["id"], f"kuryr.port.existing:{endpoint[:20]}")
    neutron.update_port(port["id"], {"port": {"device_owner": "", "device_id": ""}})
    neutron.delete_port(port["id"])
    neutron.delete_subnet(subnet["id"])
    neutron.delete_subnetpool(pool["id"])
    neutron.delete_network(network_id)


def test_pods_of_a_namespace(cloud: Any) -> None:
    """A namespace's network and subnet, a pool of ports for its pods, one of which gets one."""
    pool = cloud.create_subnet_pool(
        name="pods", prefixes=["10.43.0.0/16"], default_prefixlen=26, is_shared=False
    )
    router = cloud.create_router(name="pods")
    network = cloud.create_network(
        name="ns/one-net", description="one", provider_network_type="vlan",
        provider_physical_network="physnet1", provider_segmentation_id="430",
    )  # fmt: skip
    assert [one.id for one in cloud.networks(name=("ns/one-net", "old/one-net"))] == [network.id]
    subnet = cloud.create_subnet(
        network_id=network.id, ip_version=4, name="ns/one-subnet", enable_dhcp=False,
        subnetpool_id=pool.id,
    )  # fmt: skip
    cloud.add_interface_to_router(router.id, subnet_id=subnet.id)
    group = cloud.create_security_group(name="pods", description="of pods")
    request = {
        "network_id": network.id,
        "fixed_ips": [{"subnet_id": subnet.id}],
        "device_owner": "compute:kuryr",
        "is_admin_state_up": True,
        "binding_host_id": "",
        "security_groups": [group.id],
        "tags": ["kuryr"],
    }
    ports = list(cloud.create_ports([request] * 3))
    for port in ports:
        assert port.tags == ["kuryr"]
        assert port.binding_vif_type == "unbound"
    free = cloud.ports(status="DOWN", tags=["kuryr"], device_owner="compute:kuryr")
    assert {port.id for port in free} == {port.id for port in ports}
    one = cloud.update_port(ports[0].id, name="one/pod", device_id=str(uuid.uuid4()))
    assert cloud.get_port(one.id).name == "one/pod"
    cloud.update_port(one.id, security_groups=[])
    details = cloud.get_quota(quota="one", details=True)
    assert details.ports["used"] == 0
    for port in cloud.ports(network_id=network.id, device_owner="compute:kuryr"):
        cloud.delete_port(port.id)
    cloud.remove_interface_from_router(router.id, subnet_id=subnet.id)
    cloud.delete_network(network.id)
    cloud.delete_router(router.id)
    cloud.delete_security_group(group.id)
    cloud.delete_subnet_pool(pool.id)
