"""integrations/neutron inside a real Neutron: what a user asks of Neutron stands on Netwright."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.neutron_cloud import HOST, MARK, Cloud, FabricController, PortStep, cloud

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


def test_a_port_that_moves(both: Cloud, red: dict[str, Any]) -> None:
    port = made_port(both, red["id"], binding_host_id=HOST)
    both.until_seen(port.id, ("HELD", "WIRING", "HELD"))
    both.agent.say(port.id, "up")
    both.until_status(port.id, "ACTIVE")
    there = both.another_agent("host2")
    moved = both.network.update_port(port.id, binding_host_id="host2")
    assert (moved.binding_vif_type, moved.status) == ("ovs", "DOWN")
    both.until_seen(
        port.id, ("HELD", "MOVING", "HELD")
    )  # it was ACTIVE elsewhere, which is no word
    there.say(port.id, "up")
    both.agent.say(port.id, "withdrawn", generation=1)
    both.until_status(port.id, "ACTIVE")
    held = both.held("ports", port.id)
    assert held is not None
    assert held["binding:host_id"] == "host2"


def test_a_host_that_netwright_does_not_have(both: Cloud, red: dict[str, Any]) -> None:
    port = made_port(both, red["id"], binding_host_id="elsewhere")
    assert (port.binding_vif_type, port.status) == ("binding_failed", "DOWN")
    both.until_handed_over()
    held = both.held("ports", port.id)
    assert held is not None
    assert held["binding:host_id"] == ""
    assert held["fixed_ips"] == port.fixed_ips
    assert "has no host 'elsewhere'" in both.neutron.log


def test_many_at_once_are_few_requests(both: Cloud, red: dict[str, Any]) -> None:
    before = both.requests().count(("POST", "/v2.0/ports"))
    wanted = [{"network_id": red["id"], "name": f"p{n:02}"} for n in range(24)]
    made = {port.id: port.fixed_ips for port in both.network.create_ports(wanted)}
    both.until_handed_over()
    held = both.ask("GET", f"/v2.0/ports?network_id={red['id']}")["ports"]
    assert {port["id"]: port["fixed_ips"] for port in held} == made
    posts = both.until(  # the log is written a little later
        "they are logged", lambda: both.requests().count(("POST", "/v2.0/ports")) - before
    )
    assert posts <= 24 / 3


def test_security_groups_are_neutrons(both: Cloud, red: dict[str, Any]) -> None:
    group = both.network.create_security_group(name="web")
    rule = both.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="tcp",
        port_range_min=80, port_range_max=80, remote_ip_prefix="192.0.2.0/24",
    )  # fmt: skip
    port = made_port(both, red["id"], security_groups=[group.id])
    both.until_handed_over()
    held = both.held("security_groups", group.id)
    assert held is not None
    assert (held["name"], held["tags"]) == ("web", [MARK])
    said = {(r["direction"], r["protocol"], r["port_range_min"], r["remote_ip_prefix"])
            for r in held["security_group_rules"]}  # fmt: skip
    assert ("ingress", "tcp", 80, "192.0.2.0/24") in said
    held = both.held("ports", port.id)
    assert held is not None
    assert held["security_groups"] == [group.id]

    both.network.delete_security_group_rule(rule.id)
    both.until_handed_over()
    held = both.held("security_groups", group.id)
    assert held is not None
    assert not [r for r in held["security_group_rules"] if r["protocol"] == "tcp"]
    both.network.delete_port(port.id)
    both.network.delete_security_group(group.id)
    both.until_handed_over()
    assert both.held("security_groups", group.id) is None


def test_what_is_made_while_netwright_is_away(both: Cloud, red: dict[str, Any]) -> None:
    doomed = made_port(both, red["id"], name="doomed")
    both.until_handed_over()
    both.stop_netwright()
    kept = made_port(both, red["id"], name="kept")
    both.network.update_subnet(red["subnet"].id, name="renamed")
    both.network.delete_port(doomed.id)
    waiting = {id_ for _, id_, _ in both.neutron.marks()}
    assert {kept.id, doomed.id, red["subnet"].id} <= waiting
    # It dies between the commit and what follows it: what is to be handed over is in the journal.
    both.neutron.kill()
    both.start_netwright()
    assert both.held("ports", kept.id) is None
    both.neutron.start()
    both.until_handed_over()
    held = both.held("ports", kept.id)
    assert held is not None
    assert held["fixed_ips"] == kept.fixed_ips
    assert both.held("ports", doomed.id) is None
    subnet = both.held("subnets", red["subnet"].id)
    assert subnet is not None
    assert subnet["name"] == "renamed"


def test_a_state_that_was_told_to_nobody(both: Cloud, red: dict[str, Any]) -> None:
    port = made_port(both, red["id"], binding_host_id=HOST)
    both.until_seen(port.id, ("HELD", "WIRING", "HELD"))
    both.neutron.kill()
    both.agent.say(port.id, "up")
    both.neutron.start()
    both.until_status(port.id, "ACTIVE")
    assert both.neutron.steps(port.id)[-1] == PortStep("HELD", "ACTIVE", "ACTIVE")


def test_resync_heals_what_was_lost_and_what_strayed(both: Cloud, red: dict[str, Any]) -> None:
    lost = made_port(both, red["id"], name="lost")
    changed = made_port(both, red["id"], name="changed")
    both.until_handed_over()
    both.ask("DELETE", f"/v2.0/ports/{lost.id}")
    both.ask("PUT", f"/v2.0/ports/{changed.id}", {"port": {"name": "by hand"}})
    stray_id, other_id = "00000000-0000-4000-8000-00000000000a", ""
    stray = {"network_id": red["id"], "handed_over": {"id": stray_id, "tags": [MARK]}}
    both.ask("POST", "/v2.0/ports", {"port": stray})
    made = both.ask("POST", "/v2.0/ports", {"port": {"network_id": red["id"]}})
    other_id = made["port"]["id"]  # it bears no mark: whose it is, is not known

    both.until("the lost one is back", lambda: both.held("ports", lost.id))
    both.until("the stray is gone", lambda: both.held("ports", stray_id) is None)
    both.until(
        "the name is back", lambda: (both.held("ports", changed.id) or {})["name"] == "changed"
    )
    held = both.held("ports", lost.id)
    assert held is not None
    assert held["fixed_ips"] == lost.fixed_ips
    assert both.held("ports", other_id) is not None
    both.ask("DELETE", f"/v2.0/ports/{other_id}")


def test_what_is_the_same_is_left_alone(both: Cloud, red: dict[str, Any]) -> None:
    """However the two spell it: a resync that saw a difference there would change it for ever."""
    both.network.create_subnet(
        network_id=red["id"], ip_version=6, cidr="2001:db8:0:7::/64",
        dns_nameservers=["2001:DB8::1"],
        host_routes=[{"destination": "2001:db8:1::/48", "nexthop": "2001:db8:0:7:0:0:0:9"}],
    )  # fmt: skip
    group = both.network.create_security_group(name="spelled")
    for rule in (
        {"protocol": "icmpv6", "ethertype": "IPv6"},
        {"protocol": "112"},
        {"protocol": "6", "port_range_min": 22, "port_range_max": 22},
        {"remote_ip_prefix": "192.0.2.1"},
        {"remote_ip_prefix": "0.0.0.0/0", "protocol": "udp"},
        {"remote_group_id": group.id},
    ):
        both.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", **rule
        )
    pair = {"ip_address": "192.0.2.9"}
    made_port(both, red["id"], security_groups=[group.id], allowed_address_pairs=[pair])
    both.until_handed_over()

    last = ("GET", "/v2.0/floatingips")  # of a resync
    begun = both.requests().count(last)
    both.until("all was compared", lambda: both.requests().count(last) > begun)
    seen = len(both.requests())
    both.until("and again", lambda: both.requests().count(last) > begun + 1)
    assert [each for each in both.requests()[seen:] if each[0] != "GET"] == [], both.neutron.log
    assert not both.neutron.marks()


def test_routers_gateways_and_floating_ips(both: Cloud, red: dict[str, Any]) -> None:
    outside = made_network(both, is_router_external=True, provider_network_type="vlan",
                           provider_physical_network="physnet1")  # fmt: skip
    router = both.network.create_router(
        name="edge", external_gateway_info={"network_id": outside["id"]}
    )
    both.network.add_interface_to_router(router.id, subnet_id=red["subnet"].id)
    port = made_port(both, red["id"])
    floating = both.network.create_ip(floating_network_id=outside["id"], port_id=port.id)
    both.until_handed_over()

    held = both.held("routers", router.id)
    assert held is not None
    assert held["tags"] == [MARK]
    gateway = both.network.get_router(router.id).external_gateway_info
    assert held["external_gateway_info"] == {
        "network_id": outside["id"],
        "enable_snat": True,
        "external_fixed_ips": gateway["external_fixed_ips"],
    }
    (interface,) = both.network.ports(device_id=router.id, device_owner="network:router_interface")
    held = both.held("ports", interface.id)
    assert held is not None
    assert (held["device_id"], held["device_owner"]) == (router.id, "network:router_interface")
    assert held["fixed_ips"] == interface.fixed_ips
    held = both.held("floatingips", floating.id)
    assert held is not None
    assert held["floating_ip_address"] == floating.floating_ip_address
    assert (held["port_id"], held["router_id"]) == (port.id, router.id)
    # There is no border that could translate it: Netwright says so, and Neutron after it.
    assert held["status"] == "ERROR"
    both.until("it says so", lambda: both.network.get_ip(floating.id).status == "ERROR")

    route = {"destination": "198.51.100.0/24", "nexthop": port.fixed_ips[0]["ip_address"]}
    both.network.update_router(router.id, routes=[route])
    both.until_handed_over()
    assert (both.held("routers", router.id) or {})["routes"] == [route]

    both.network.update_router(router.id, routes=[])
    both.network.update_ip(floating.id, port_id=None)
    both.until_handed_over()
    assert (both.held("floatingips", floating.id) or {})["port_id"] is None
    both.network.delete_ip(floating.id)
    both.network.remove_interface_from_router(router.id, subnet_id=red["subnet"].id)
    both.network.delete_router(router.id)
    both.until_handed_over()
    assert both.held("floatingips", floating.id) is None
    assert both.held("routers", router.id) is None
    assert both.held("ports", interface.id) is None

    both.network.delete_port(port.id)
    both.network.delete_subnet(red["subnet"].id)
    both.network.delete_network(red["id"])
    both.until_handed_over()
    assert both.held("networks", red["id"]) is None


def test_the_overlay_is_waited_for(both: Cloud, tmp_path: Path) -> None:
    blue = made_network(both, provider_network_type="vxlan")
    port = made_port(both, blue["id"], binding_host_id=HOST)
    assert (port.binding_vif_type, port.status) == ("ovs", "DOWN")
    # There is no fabric yet: Netwright says why it cannot serve that, and Neutron keeps it.
    both.until_seen(port.id, ("HELD", "ERROR", "HELD"))
    assert both.neutron.causes(port.id)[-1]
    assert both.status(port.id) == "DOWN"

    fabric = FabricController(both.netwright, tmp_path)
    fabric.describe()
    both.until_seen(port.id, ("HELD", "WIRING", "HELD"))
    both.agent.say(port.id, "up")
    explained = both.ask("GET", f"/v1/ports/{port.id}/explain")
    assert explained["state"] == "WIRING"
    (wait,) = explained["waits"]
    assert "leaves" in wait["what"], wait
    assert both.status(port.id) == "DOWN"
    assert both.neutron.steps(port.id)[-1] == PortStep("HELD", "WIRING", "HELD")

    with fabric.acting():
        both.until_status(port.id, "ACTIVE")
    seen = [step.seen for step in both.neutron.steps(port.id)]
    assert seen == ["ERROR", "WIRING", "ACTIVE"]
