"""By which of its segments a host has a provider network."""

import pytest
from tests.doubles.values import binding, network, port

from netwright.agent.desired import Desired, desired
from netwright.model.resources import FurtherSegment, Network, NetworkType, Segment


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


def test_a_host_on_none_of_them_says_so() -> None:
    (reason,) = wanted("rack3").refusals.values()
    assert "host h1 has no physical network rack1 or rack2 (it has: rack3)" in reason
