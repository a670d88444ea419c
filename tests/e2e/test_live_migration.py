"""Nova's live migration against our server: its own requests, and openstacksdk's."""

from typing import Any

import openstack
import pytest
import requests
from openstack import exceptions
from tests.e2e.conftest import Server

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations

HOSTS = ("compute1", "compute2")
EPOCH = "life1"


@pytest.fixture(scope="module")
def cloud(open_server: Server) -> Any:
    return openstack.connection.Connection(
        auth_type="none", endpoint=open_server.url, auth={"endpoint": open_server.url}
    ).network


@pytest.fixture(scope="module")
def network(cloud: Any, open_server: Server) -> Any:
    """A VLAN network, and two hosts that serve it."""
    for host in HOSTS:
        agents(open_server, "PUT", host, physical_networks={"physnet1": "br-bond"}, driver="ovs")
    made = cloud.create_network(
        name="migrating",
        provider_network_type="vlan",
        provider_physical_network="physnet1",
        provider_segmentation_id="300",
    )
    cloud.create_subnet(network_id=made.id, ip_version=4, cidr="10.3.0.0/24")
    return made


def agents(server: Server, method: str, path: str, **body: Any) -> Any:
    """What the agent of a host says of itself."""
    url = f"{server.url}/v1/hosts/{path}"
    answer = requests.request(method, url, json={"epoch": EPOCH, **body})
    answer.raise_for_status()
    return answer.json()


def report(server: Server, port_id: str, host: str, status: str, generation: int) -> None:
    one: Any = {"port_id": port_id, "plane": "underlay", "generation": generation, "status": status}
    body: Any = {"host": host, "epoch": EPOCH, "reports": [one]}
    answer = requests.post(f"{server.url}/v1/reports", json=body)
    assert answer.json()["results"] == [{"id": port_id, "result": "applied"}]


def spawned(cloud: Any, network: Any) -> Any:
    """A port as Nova binds it."""
    port = cloud.create_port(network_id=network.id, device_id="vm")
    return cloud.update_port(
        port,
        device_owner="compute:nova",
        binding_host_id=HOSTS[0],
        binding_profile={"os_vif_delegation": True},
    )


def test_as_nova_asks(cloud: Any, network: Any, open_server: Server) -> None:
    """bind_ports_to_host, activate_port_binding, delete_port_binding; errors as it reads them."""
    port = spawned(cloud, network)
    url = f"{open_server.url}/v2.0/ports/{port.id}/bindings"
    report(open_server, port.id, HOSTS[0], "up", 1)
    assert cloud.get_port(port.id).status == "ACTIVE"

    wish: Any = {"host": HOSTS[1], "vnic_type": "normal", "profile": {"migrating_to": HOSTS[1]}}
    answer = requests.post(url, json={"binding": wish})
    assert answer.status_code == 201
    binding = answer.json()["binding"]
    assert (binding["vif_type"], binding["status"]) == ("ovs", "INACTIVE")
    assert binding["vif_details"]["ovs_hybrid_plug"] is False
    assert requests.get(f"{url}/{HOSTS[1]}").json()["binding"] == binding
    shown = cloud.get_port(port.id)
    assert (shown.binding_host_id, shown.status) == (HOSTS[0], "ACTIVE")

    assert requests.put(f"{url}/{HOSTS[1]}/activate").status_code == 200
    assert requests.put(f"{url}/{HOSTS[1]}/activate").status_code == 409  # which Nova tolerates
    shown = cloud.get_port(port.id)
    assert (shown.binding_host_id, shown.status) == (HOSTS[1], "BUILD")
    assert shown.binding_profile == {"migrating_to": HOSTS[1]}
    report(open_server, port.id, HOSTS[0], "withdrawn", 1)
    report(open_server, port.id, HOSTS[1], "up", 3)
    assert cloud.get_port(port.id).status == "ACTIVE"

    assert requests.get(f"{url}/{HOSTS[0]}").json()["binding"]["status"] == "INACTIVE"
    assert requests.delete(f"{url}/{HOSTS[0]}").status_code == 204
    assert requests.delete(f"{url}/{HOSTS[0]}").status_code == 404  # which Nova tolerates
    failed = requests.post(url, json={"binding": {"host": "compute9"}})
    assert failed.status_code == 409  # anything but success is a failed binding to Nova
    assert failed.json()["NeutronError"]["type"] == "PortBindingError"
    assert "compute9 is not registered" in failed.json()["NeutronError"]["message"]
    cloud.delete_port(port)


def test_as_openstacksdk_asks(cloud: Any, network: Any) -> None:
    port = spawned(cloud, network)
    made = cloud.create_port_binding(port.id, host=HOSTS[1])
    assert (made.host, made.status, made.vnic_type) == (HOSTS[1], "INACTIVE", "normal")
    listed = {one.host: one.status for one in cloud.port_bindings(port.id)}
    assert listed == {HOSTS[0]: "ACTIVE", HOSTS[1]: "INACTIVE"}
    assert [one.host for one in cloud.port_bindings(port.id, status="INACTIVE")] == [HOSTS[1]]
    activated = cloud.activate_port_binding(port.id, HOSTS[1])
    assert (activated.host, activated.status) == (HOSTS[1], "ACTIVE")
    with pytest.raises(exceptions.ConflictException):
        cloud.activate_port_binding(port.id, HOSTS[1])
    cloud.delete_port_binding(port.id, HOSTS[0], ignore_missing=False)
    with pytest.raises(exceptions.NotFoundException):
        cloud.delete_port_binding(port.id, HOSTS[0], ignore_missing=False)
    assert [one.host for one in cloud.port_bindings(port.id)] == [HOSTS[1]]
    cloud.delete_port(port)


def test_the_sdk_finds_the_extension(cloud: Any) -> None:
    assert cloud.find_extension("binding-extended").alias == "binding-extended"
