"""What the uplinks' own checks say: carrier, BFD, LACP. Pure, from the replica.

The agent reports it as a condition of the host (`redundancy lost`); a port is down only when none
of its uplink's members is verified for a while (`lost_uplinks`).
"""

from typing import Literal

import msgspec

from netwright.agent.ovs.actual import Rows
from netwright.agent.ovs.rows import InterfaceRow
from netwright.agent.ovs.wiring import HostWiring


class Member(msgspec.Struct, frozen=True):
    """One NIC of an uplink. `bfd` is RFC 5880's local session state, or "off"."""

    name: str
    carrier: bool
    bfd: Literal["off", "admin_down", "down", "init", "up"]
    active: bool

    @property
    def verified(self) -> bool:
        """Carrier, and the far end answers where it is asked."""
        return self.carrier and self.bfd in ("off", "up")


class UplinkState(msgspec.Struct, frozen=True):
    """The uplink of one physical bridge, with all its NICs in the order of their names."""

    bridge: str
    port: str
    members: tuple[Member, ...]

    @property
    def up(self) -> bool:
        """Whether at least one path is verified."""
        return any(member.verified for member in self.members)

    @property
    def redundancy_lost(self) -> bool:
        """Whether it was built with several paths and has fewer than two now."""
        return len(self.members) > 1 and sum(member.verified for member in self.members) < 2  # noqa: PLR2004 - two paths are what redundancy means


def uplink_states(wiring: HostWiring, rows: Rows) -> tuple[UplinkState, ...]:
    """Return every uplink: ports of physical bridges whose interfaces are NICs."""
    states = []
    for bridge in wiring.physical_bridges:
        for port in rows.ports_of(rows.bridge(bridge.name)):
            interfaces = rows.interfaces_of(port)
            if interfaces and all(interface.type in ("", "system") for interface in interfaces):
                active_mac = port.bond_active_slave if len(interfaces) > 1 else None
                members = tuple(_member(interface, active_mac) for interface in interfaces)
                states.append(UplinkState(bridge.name, port.name, members))
    return tuple(states)


def _member(interface: InterfaceRow, active_mac: str | None) -> Member:
    bfd = interface.bfd_status.get("state", "down")
    if interface.bfd.get("enable") != "true":
        bfd = "off"
    return msgspec.convert(
        {
            "name": interface.name,
            "carrier": interface.link_state == "up",
            "bfd": bfd,
            "active": active_mac in (None, interface.mac_in_use),
        },
        Member,
    )
