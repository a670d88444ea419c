"""By which of its segments a host has a provider network."""

import pytest
from msgspec.structs import replace
from tests.doubles.values import binding, network, port

from netwright.agent.desired import Desired, desired
from netwright.model.resources import FurtherSegment, Network, NetworkType, Segment, Subnet
from netwright.model.segments import own_segment_id


def on_vlan(physical_network: str, vlan: int) -> Segment:
    return Segment(
        network_type=NetworkType.VLAN, physical_network=physical_network, segmentation_id=vlan
    )


def routed() -> Network:
    further = FurtherSegment(id="s2", segment=on_vlan("rack2", 20))
    return network(segment=on_vlan("rack1", 10), further_segments=(further,))


def wanted(*physical_networks: str) -> Desired:
    return desired("h1", physical_networks, {"p": port("p", binding())}, {routed().id: routed()})


@pytest.mark.parametrize(
    ("physical_networks", "segment"),
    [
        (("rack1",), on_vlan("rack1", 10)),
        (("rack2",), on_vlan("rack2", 20)),
        (("rack2", "rack1"), on_vlan("rack1", 10)),
    ],
)
def test_it_is_the_first_whose_physical_network_the_host_has(
    physical_networks: tuple[str, ...], segment: Segment
) -> None:
    assert wanted(*physical_networks).endpoints["p"].segment == segment


@pytest.mark.parametrize("physical_networks", [("rack1",), ("rack1", "rack2")])
def test_a_port_with_an_address_of_another_segment_is_refused(
    physical_networks: tuple[str, ...],
) -> None:
    """The host has come to be on an earlier one, or has lost the physical network of its own."""
    one = port("p", binding())
    (fixed,) = one.fixed_ips
    found = Subnet(
        id=fixed.subnet_id,
        network_id=routed().id,
        project_id="p",
        cidr="10.0.0.0/24",
        ip_version=4,
        gateway_ip="10.0.0.1",
        allocation_pools=(),
        segment_id="s2",
        created_at=0.0,
        updated_at=0.0,
    )

    def wanted_where(found: Subnet, *physical_networks: str) -> Desired:
        networks, subnets = {routed().id: routed()}, {found.id: found}
        return desired("h1", physical_networks, {"p": one}, networks, subnets=subnets)

    refused = wanted_where(found, *physical_networks)
    assert not refused.endpoints
    assert f"address {fixed.ip_address} is of segment s2" in refused.refusals["p"]
    assert f"it has: {', '.join(physical_networks)}" in refused.refusals["p"]
    assert "start its agent with --physical-network rack2=BRIDGE" in refused.refusals["p"]
    assert wanted_where(found, "rack2").endpoints["p"].segment == on_vlan("rack2", 20)
    for elsewhere in (None, own_segment_id(routed().id)):
        anywhere = replace(found, segment_id=elsewhere)
        placed = wanted_where(anywhere, *physical_networks)
        assert placed.endpoints["p"].segment == on_vlan("rack1", 10)


def test_a_host_on_none_of_them_says_so() -> None:
    (reason,) = wanted("rack3").refusals.values()
    assert "host h1 has no physical network rack1 or rack2 (it has: rack3)" in reason
