import pytest

from netwright.agent.config import AgentSettings, BondMode, BondSettings, DatapathType
from netwright.agent.ovs.settings import host_wiring
from netwright.agent.ovs.wiring import Bond, HostWiring, Management, PhysicalBridge


def test_the_management_address_lies_on_the_bonds_bridge() -> None:
    settings = AgentSettings(
        physical_networks={"physnet2": "br-ex", "physnet1": "br-bond"},
        bond=BondSettings(members=("nic0", "nic1")),
        management_ip="10.1.0.1/24",
        management_vlan=7,
        datapath_type=DatapathType.NETDEV,
    )
    assert host_wiring(settings) == HostWiring(
        (
            PhysicalBridge("br-bond", "physnet1", Bond(("nic0", "nic1")), management_vlan=7),
            PhysicalBridge("br-ex", "physnet2"),
        ),
        datapath_type="netdev",
        management=Management("br-bond", "10.1.0.1/24"),
    )


def test_balance_tcp_needs_lacp_and_bfd_may_be_off() -> None:
    bond = BondSettings(members=("nic0",), mode=BondMode.BALANCE_TCP, bfd=False)
    settings = AgentSettings(physical_networks={"physnet1": "br-bond"}, bond=bond)
    uplink = host_wiring(settings).physical_bridges[0].uplink
    expected = Bond(("nic0",), mode="balance-tcp", lacp="active", bfd_interval_ms=None)
    assert uplink == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (AgentSettings(bond=BondSettings(members=("nic0",))), "bond.bridge is 'br-bond'"),
        (
            AgentSettings(physical_networks={"a": "x", "b": "y"}, management_ip="10.1.0.1/24"),
            "needs one bridge to stand on",
        ),
    ],
)
def test_what_does_not_go_together_is_named(settings: AgentSettings, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        host_wiring(settings)


def test_a_host_may_have_a_bond_to_its_leaves_and_nothing_else() -> None:
    """Its management address is elsewhere, and it has no physical network."""
    settings = AgentSettings(bond=BondSettings(members=("eth0", "eth1")), fabric_bridge="br-bond")
    assert host_wiring(settings) == HostWiring(
        (PhysicalBridge("br-bond", "fabric", Bond(("eth0", "eth1"))),)
    )


def test_the_fabrics_bridge_may_be_beside_those_of_physical_networks() -> None:
    settings = AgentSettings(
        physical_networks={"physnet1": "br-ex"},
        fabric_bridge="br-bond",
        bond=BondSettings(members=("eth0",)),
        management_ip="10.1.0.1/24",
        management_vlan=7,
    )
    assert host_wiring(settings) == HostWiring(
        (
            PhysicalBridge("br-bond", "fabric", Bond(("eth0",)), management_vlan=7),
            PhysicalBridge("br-ex", "physnet1"),
        ),
        management=Management("br-bond", "10.1.0.1/24"),
    )
