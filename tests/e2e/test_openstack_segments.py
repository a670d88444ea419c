"""Networks of several segments, by the unmodified `openstack`."""

import pytest
from tests.e2e.openstack_cli import VLAN, Cli

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations


def test_a_routed_provider_network(cli: Cli) -> None:
    cli(f"network create routed {VLAN} 761")
    (own,) = cli("network segment list --network routed")
    assert (own["Network Type"], own["Segment"]) == ("vlan", 761)
    cli(f"network segment set --name rack1 {own['ID']}")
    on = "--network routed --network-type vlan --physical-network physnet-rack2"
    further = cli(f"network segment create rack2 {on} --segment 762 --description row-2")
    assert (further["segmentation_id"], further["description"]) == (762, "row-2")
    assert "has segment" in cli.refused(f"network segment create rack3 {on} --segment 763")
    names = {each["Name"] for each in cli("network segment list --network routed")}
    assert names == {"rack1", "rack2"}
    cli("network segment set --description row-3 rack2")
    assert cli("network segment show rack2")["description"] == "row-3"

    for number, segment in ((1, "rack1"), (2, "rack2")):
        place = f"--network routed --network-segment {segment}"
        subnet = cli(f"subnet create r{number} {place} --subnet-range 10.76.{number}.0/24")
        assert subnet["segment_id"] == cli(f"network segment show {segment}")["id"]
    (route,) = cli("subnet show r1")["host_routes"]
    assert (route["destination"], route["nexthop"]) == ("10.76.2.0/24", "10.76.1.1")
    port = cli("port create waits --network routed")
    assert (port["fixed_ips"], port["ip_allocation"]) == ([], "deferred")
    assert "subnets are on it" in cli.refused("network segment delete rack2")
    assert "own one" in cli.refused("network segment delete rack1")

    cli("port delete waits")
    cli("subnet delete r2")
    cli("network segment delete rack2")
    assert len(cli("network segment list --network routed")) == 1
    cli("subnet delete r1")
    cli("network delete routed")
    cli.refused("network segment show rack1")


def test_a_subnet_comes_to_the_only_segment(cli: Cli) -> None:
    cli(f"network create unrouted {VLAN} 764")
    cli("subnet create u --network unrouted --subnet-range 10.77.0.0/24")
    (own,) = cli("network segment list --network unrouted")
    cli(f"subnet set --network-segment {own['ID']} u")
    assert cli("subnet show u")["segment_id"] == own["ID"]
    cli("subnet delete u")
    cli("network delete unrouted")
