"""integrations/neutron inside a real Neutron: what a user asks of Neutron stands on Netwright."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.neutron_cloud import HOST, MARK, Cloud, PortStep, cloud

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud(tmp_path_factory.mktemp("neutron")) as one:
        yield one


@pytest.fixture
def red(both: Cloud) -> dict[str, Any]:
    """A VLAN network with a subnet, as Netwright has it, by Neutron's ids."""
    return made_network(both)


_prefixes = iter(range(1, 250))


def made_network(both: Cloud, **attributes: Any) -> dict[str, Any]:
    network = both.network.create_network(name="red", **attributes)
    cidr = f"10.{next(_prefixes)}.0.0/24"
    subnet = both.network.create_subnet(network_id=network.id, ip_version=4, cidr=cidr)
    both.until_handed_over()
    return {"network": network, "subnet": subnet, "id": network.id}


def made_port(both: Cloud, network_id: str, **attributes: Any) -> Any:
    return both.network.create_port(
        network_id=network_id, device_owner="compute:nova", device_id="vm1", **attributes
    )


def test_a_ports_steps(both: Cloud, red: dict[str, Any]) -> None:
    network, subnet = red["network"], red["subnet"]
    held = both.held("networks", network.id)
    assert held is not None
    assert held["provider:segmentation_id"] == network.provider_segmentation_id
    assert held["provider:physical_network"] == "physnet1"
    assert held["tags"] == [MARK]
    assert held["subnets"] == [subnet.id]

    port = made_port(both, network.id, name="web")
    both.until_handed_over()
    held = both.held("ports", port.id)
    assert held is not None
    assert held["fixed_ips"] == port.fixed_ips
    assert held["mac_address"] == port.mac_address
    assert (held["name"], held["device_id"], held["tags"]) == ("web", "vm1", [MARK])
    assert held["status"] == "DOWN"
    assert both.neutron.steps(port.id) == []

    port = both.network.update_port(port.id, binding_host_id=HOST)
    assert (port.binding_vif_type, port.status) == ("ovs", "DOWN")
    assert port.binding_vif_details["bound_by"] == "netwright"
    both.until_seen(port.id, ("HELD", "WIRING", "HELD"))
    held = both.held("ports", port.id)
    assert held is not None
    assert (held["binding:host_id"], held["status"]) == (HOST, "BUILD")
    assert both.status(port.id) == "DOWN"

    both.agent.say(port.id, "up")
    both.until_status(port.id, "ACTIVE")
    both.agent.say(port.id, "down", "its device is gone")
    both.until_status(port.id, "DOWN")
    both.agent.say(port.id, "up")
    both.until_status(port.id, "ACTIVE")
    assert both.neutron.steps(port.id) == [
        PortStep("HELD", "WIRING", "HELD"),
        PortStep("HELD", "ACTIVE", "ACTIVE"),
        PortStep("ACTIVE", "DEGRADED", "DOWN"),
        PortStep("DOWN", "ACTIVE", "ACTIVE"),
    ]
    assert any("its device is gone" in cause for cause in both.neutron.causes(port.id))

    both.network.delete_port(port.id)
    both.until_handed_over()
    assert both.held("ports", port.id) is None
    assert both.neutron.steps(port.id) == []
