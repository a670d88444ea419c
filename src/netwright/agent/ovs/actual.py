"""What is there: OVSDB rows and flows at one moment, and what a plan asks of them. Pure."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from netwright.agent.ovs.flows import Flow
from netwright.agent.ovs.rows import BridgeRow, InterfaceRow, PortRow

IFACE_ID = "iface-id"
"""external_ids key by which an orchestrator names the port that a device is for."""

FlowsByCookie: TypeAlias = Mapping[int, frozenset[Flow]]


class Device(msgspec.Struct, frozen=True):
    """A plugged device: an interface on the integration bridge that carries an iface-id."""

    port_id: str
    port: PortRow
    interface: InterfaceRow

    @property
    def ofport(self) -> int | None:
        """Its OpenFlow port, or None while ovs-vswitchd has not opened it or could not."""
        ofport = self.interface.ofport
        return ofport if ofport is not None and ofport > 0 else None


class Actual(msgspec.Struct, frozen=True):
    """Rows by uuid; flows by bridge name and cookie.

    A bridge without an entry in `flows` has no OpenFlow connection now: its flows are unknown.
    """

    bridges: Mapping[str, BridgeRow] = {}
    ports: Mapping[str, PortRow] = {}
    interfaces: Mapping[str, InterfaceRow] = {}
    flows: Mapping[str, FlowsByCookie] = {}

    def bridge(self, name: str) -> BridgeRow | None:
        return next((row for row in self.bridges.values() if row.name == name), None)

    def ports_of(self, bridge: BridgeRow | None) -> tuple[PortRow, ...]:
        """Ports of a bridge in the order of their names; none for no bridge."""
        uuids = bridge.ports if bridge is not None else ()
        ports = [self.ports[uuid] for uuid in uuids if uuid in self.ports]
        return tuple(sorted(ports, key=lambda port: port.name))

    def interfaces_of(self, port: PortRow) -> tuple[InterfaceRow, ...]:
        rows = [self.interfaces[uuid] for uuid in port.interfaces if uuid in self.interfaces]
        return tuple(sorted(rows, key=lambda row: row.name))

    def ofport(self, bridge: str, port_name: str) -> int | None:
        """Return the OpenFlow port of a one-interface port, or None while it has none."""
        for port in self.ports_of(self.bridge(bridge)):
            if port.name == port_name:
                for interface in self.interfaces_of(port):
                    if interface.ofport is not None and interface.ofport > 0:
                        return interface.ofport
        return None

    def devices(self, bridge: str) -> tuple[Device, ...]:
        """Every plugged device of the bridge, in the order of its port's name."""
        found = []
        for port in self.ports_of(self.bridge(bridge)):
            interfaces = self.interfaces_of(port)
            if len(interfaces) == 1 and (port_id := interfaces[0].external_ids.get(IFACE_ID)):
                found.append(Device(port_id, port, interfaces[0]))
        return tuple(found)


def by_cookie(flows: Iterable[Flow]) -> dict[int, frozenset[Flow]]:
    """Group flows by their cookie, our owners and strangers alike."""
    groups: dict[int, set[Flow]] = {}
    for flow in flows:
        groups.setdefault(flow.cookie, set()).add(flow)
    return {cookie: frozenset(group) for cookie, group in groups.items()}
