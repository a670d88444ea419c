"""The unmodified openstacksdk against our server."""

from typing import Any

import openstack
import pytest
from openstack import exceptions
from tests.e2e.conftest import Server

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations


@pytest.fixture(scope="module")
def cloud(open_server: Server) -> Any:
    return openstack.connection.Connection(
        auth_type="none", endpoint=open_server.url, auth={"endpoint": open_server.url}
    ).network


@pytest.fixture
def network(cloud: Any) -> Any:
    made = cloud.create_network(
        name="sdk",
        provider_network_type="vlan",
        provider_physical_network="physnet1",
        provider_segmentation_id="200",
    )
    cloud.create_subnet(network_id=made.id, ip_version=4, cidr="10.1.0.0/16", name="s")
    yield made
    for port in cloud.ports(network_id=made.id):
        cloud.delete_port(port)
    cloud.delete_network(made)


def test_bulk_lists_and_pages(cloud: Any, network: Any) -> None:
    items = [{"network_id": network.id, "name": f"p{n:02}"} for n in range(25)]
    made = list(cloud.create_ports(items))
    assert len({port.fixed_ips[0]["ip_address"] for port in made}) == 25
    paged = list(cloud.ports(network_id=network.id, limit=10, sort_key="name", sort_dir="desc"))
    assert [port.name for port in paged] == [f"p{n:02}" for n in reversed(range(25))]
    found = cloud.find_port("p07")
    assert found.id == next(port.id for port in made if port.name == "p07")
    wanted = f"ip_address={found.fixed_ips[0]['ip_address']}"
    assert [port.id for port in cloud.ports(fixed_ips=wanted)] == [found.id]


def test_revisions_guard_changes(cloud: Any, network: Any) -> None:
    port = cloud.create_port(network_id=network.id, name="guarded")
    assert port.created_at.endswith("Z")
    old = port.revision_number
    changed = cloud.update_port(port, if_revision=old, description="first")
    assert changed.revision_number > old
    with pytest.raises(exceptions.HttpException) as raised:
        cloud.update_port(cloud.get_port(port.id), if_revision=old, description="second")
    assert raised.value.status_code == 412


def test_errors_carry_our_words(cloud: Any, network: Any) -> None:
    with pytest.raises(exceptions.BadRequestException, match="Invalid input for mac_address"):
        cloud.create_port(network_id=network.id, mac_address="x")
    with pytest.raises(exceptions.NotFoundException):
        cloud.get_port("0190c9d2-0000-7000-8000-000000000001")
    cloud.create_port(network_id=network.id)
    with pytest.raises(exceptions.ConflictException):
        cloud.delete_network(network)


def test_extensions_decide_what_the_sdk_does(cloud: Any) -> None:
    assert cloud.find_extension("port-security").alias == "port-security"
    assert cloud.find_extension("vpnaas") is None
