"""Which bridge leads to the leaves."""

from typing import Any

import pytest

from netwright.agent.config import AgentSettings, BondSettings
from netwright.agent.placing import FabricUplink

BOND = BondSettings(members=("eth0", "eth1"))


@pytest.mark.parametrize(
    ("given", "uplink"),
    [
        ({}, None),
        ({"physical_networks": {"a": "br-a"}}, ("br-a", "a", None)),
        ({"physical_networks": {"a": "br-a", "b": "br-b"}}, None),
        (
            {"physical_networks": {"a": "br-a", "b": "br-b"}, "fabric_bridge": "br-b"},
            ("br-b", "b", None),
        ),
        (
            {"physical_networks": {"a": "br-a"}, "fabric_bridge": "br-bond"},
            ("br-bond", "fabric", None),
        ),
        ({"fabric_bridge": "br-bond", "bond": BOND}, ("br-bond", "fabric", None)),
        (
            {"fabric_bridge": "br-bond", "bond": BOND, "management_vlan": 7},
            ("br-bond", "fabric", 7),
        ),
        (
            {
                "physical_networks": {"a": "br-bond"},
                "bond": BOND,
                "fabric_bridge": "br-fab",
                "management_vlan": 7,
            },
            ("br-fab", "fabric", None),
        ),
    ],
)
def test_the_bridge_to_the_leaves(
    given: dict[str, Any], uplink: tuple[str, str, int | None] | None
) -> None:
    found = AgentSettings(**given).fabric
    if uplink is None:
        assert found is None
        return
    bridge, physical_network, management_vlan = uplink
    assert found == FabricUplink(
        bridge=bridge, physical_network=physical_network, management_vlan=management_vlan
    )


def test_a_physical_network_by_the_fabrics_name_has_its_bridge() -> None:
    physical = {"fabric": "br-a"}
    with pytest.raises(ValueError, match="physical network 'fabric' has another bridge, 'br-a'"):
        AgentSettings(physical_networks=physical, fabric_bridge="br-bond")
    assert AgentSettings(physical_networks=physical, fabric_bridge="br-a").fabric is not None
