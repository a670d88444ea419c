"""The agent's settings as this layer's values."""

from pathlib import Path

from netwright.agent.config import AgentSettings, BondMode, BondSettings
from netwright.agent.ovs.answering import Answering
from netwright.agent.ovs.driver import OvsDriver
from netwright.agent.ovs.host import OvsHost
from netwright.agent.ovs.wiring import Bond, HostWiring, Management, PhysicalBridge


def ovs_host(settings: AgentSettings) -> OvsHost:
    """Return the host's Open vSwitch as its settings describe it, not yet running."""
    ovsdb = Path(settings.ovsdb.removeprefix("unix:"))
    driver = OvsDriver(host_wiring(settings), ovsdb=ovsdb, rundir=ovsdb.parent)
    bridge = settings.integration_bridge
    return OvsHost(driver, answering=Answering(bridge, ovsdb.parent / f"{bridge}.mgmt"))


def host_wiring(settings: AgentSettings) -> HostWiring:
    """The management address lies on the bond's bridge, or on the only one that there is.

    Raises ValueError when the bond or the address names a bridge without a physical network that
    is not the fabric's either.
    """
    names = list(settings.bridges.values())
    home = settings.bond.bridge if settings.bond else (names[0] if len(names) == 1 else None)
    if settings.bond is not None and home not in names:
        raise ValueError(
            f"bond.bridge is {home!r}, but physical_networks and fabric_bridge know only"
            f" {sorted(names)}"
        )
    management = None
    if settings.management_ip is not None:
        if home is None:
            raise ValueError(
                f"management_ip needs one bridge to stand on: name it in bond.bridge,"
                f" physical_networks and fabric_bridge have {sorted(names)}"
            )
        management = Management(home, settings.management_ip, settings.management_gateway)
    bridges = tuple(
        PhysicalBridge(
            name,
            physical_network,
            uplink=_bond(settings.bond) if settings.bond and name == home else None,
            management_vlan=settings.management_vlan if name == home else None,
        )
        for physical_network, name in sorted(settings.bridges.items())
    )
    return HostWiring(
        bridges,
        integration_bridge=settings.integration_bridge,
        datapath_type=settings.datapath_type.value,
        management=management,
    )


def _bond(bond: BondSettings) -> Bond:
    return Bond(
        bond.members,
        name=bond.name,
        mode=bond.mode.value,
        lacp="active" if bond.mode is BondMode.BALANCE_TCP else "off",
        bfd_interval_ms=bond.bfd_interval_ms if bond.bfd else None,
    )
