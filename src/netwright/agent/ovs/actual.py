"""What is there: OVSDB rows and flows at one moment, and what a plan asks of them. Pure."""

import functools
from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TypeAlias

import msgspec

from netwright.agent.ovs.address_sets import NO_ADDRESS_FLOWS, AddressFlows
from netwright.agent.ovs.flows import Flow
from netwright.agent.ovs.rows import BridgeRow, InterfaceRow, PortRow
from netwright.agent.ovs.wiring import Rate

IFACE_ID = "iface-id"
"""external_ids key by which an orchestrator names the port that a device is for."""

CONTAINER_MARK = "netwright-container"
"""external_ids key on an interface that we plugged for a container: CONTAINER@INTERFACE."""

ASKED_FROM = 20_000
"""From here on OpenFlow ports are asked for; ovs-vswitchd gives its own from 1 on."""

FlowsByCookie: TypeAlias = Mapping[int, frozenset[Flow]]


class Device(msgspec.Struct, frozen=True):
    """A plugged device: an interface on the integration bridge that carries an iface-id."""

    port_id: str
    port: PortRow
    interface: InterfaceRow

    @property
    def ofport(self) -> int | None:
        """Its OpenFlow port, or None while ovs-vswitchd has not opened it or could not.

        Of a container's that is not opened yet, the one that we asked for: its flows are put in
        place meanwhile.
        """
        ofport = self.interface.ofport
        if ofport is None and CONTAINER_MARK in self.interface.external_ids:
            return self.interface.ofport_request
        return ofport if ofport is not None and ofport > 0 else None

    @property
    def is_open(self) -> bool:
        return self.interface.ofport is not None and self.interface.ofport > 0


class Plugged(msgspec.Struct, frozen=True):
    """A bridge's devices: the first by name of each port id, and those that carry it as well."""

    by_port: Mapping[str, Device] = {}
    twins: tuple[Device, ...] = ()


class Rows(msgspec.Struct, frozen=True, dict=True):
    """OVSDB's rows by uuid; its views are made once, for the planning asks for them often."""

    bridges: Mapping[str, BridgeRow] = {}
    ports: Mapping[str, PortRow] = {}
    interfaces: Mapping[str, InterfaceRow] = {}

    def then(
        self,
        bridges: Mapping[str, BridgeRow],
        ports: Mapping[str, PortRow],
        interfaces: Mapping[str, InterfaceRow],
    ) -> "Rows":
        """The rows that came after these; of what is the same, the views are used again."""
        rows = Rows(
            self.bridges if bridges == self.bridges else bridges,
            self.ports if ports == self.ports else ports,
            interfaces,
        )
        if rows.bridges is self.bridges and rows.ports is self.ports:
            rows.__dict__["_ports"] = self._ports
        if rows.bridges is self.bridges:
            rows.__dict__["_named"] = self._named
        rows.__dict__["_known"] = {
            device.port.uuid: device for devices in self._devices.values() for device in devices
        }
        return rows

    def differ_in_containers_alone(self, others: "Rows") -> bool:
        """Whether nothing but devices of containers, if anything, is not as it was there."""
        if self is others:
            return True
        if self.interfaces_but_containers != others.interfaces_but_containers:
            return False
        is_same = self.bridges is others.bridges and self.ports is others.ports
        return is_same or self.ports_but_containers == others.ports_but_containers

    @functools.cached_property
    def interfaces_but_containers(self) -> Mapping[str, InterfaceRow]:
        interfaces = self.interfaces.items()
        return {uuid: row for uuid, row in interfaces if CONTAINER_MARK not in row.external_ids}

    @functools.cached_property
    def ports_but_containers(self) -> tuple[Mapping[str, PortRow], Sequence[BridgeRow]]:
        """Ports that have not containers' interfaces alone, and bridges with no others."""
        of_containers = self.interfaces.keys() - self.interfaces_but_containers.keys()
        ports = {
            uuid: row
            for uuid, row in self.ports.items()
            if not row.interfaces or not of_containers.issuperset(row.interfaces)
        }
        return ports, [_with_ports(row, ports) for row in self.bridges.values()]

    def bridge(self, name: str) -> BridgeRow | None:
        return self._named.get(name)

    def ports_of(self, bridge: BridgeRow | None) -> tuple[PortRow, ...]:
        """Ports of a bridge in the order of their names; none for no bridge."""
        return self._ports[bridge.uuid] if bridge is not None else ()

    def port(self, bridge: str, name: str) -> PortRow | None:
        """The port of this name on the bridge; OVSDB has no two of one name."""
        ports = self.ports_of(self.bridge(bridge))
        at = bisect_left(ports, name, key=_NAME)
        return ports[at] if at < len(ports) and ports[at].name == name else None

    def interfaces_of(self, port: PortRow) -> tuple[InterfaceRow, ...]:
        if len(port.interfaces) == 1:  # nearly all
            row = self.interfaces.get(port.interfaces[0])
            return () if row is None else (row,)
        rows = [self.interfaces[uuid] for uuid in port.interfaces if uuid in self.interfaces]
        return tuple(sorted(rows, key=_NAME))

    def ofport(self, bridge: str, port_name: str) -> int | None:
        """Return the OpenFlow port of a one-interface port, or None while it has none."""
        port = self.port(bridge, port_name)
        for interface in () if port is None else self.interfaces_of(port):
            if interface.ofport is not None and interface.ofport > 0:
                return interface.ofport
        return None

    def devices(self, bridge: str) -> tuple[Device, ...]:
        """Every plugged device of the bridge, in the order of its port's name."""
        row = self.bridge(bridge)
        return self._devices[row.uuid] if row is not None else ()

    def plugged(self, bridge: str) -> Plugged:
        """The same devices, by the port that they are for."""
        row = self.bridge(bridge)
        return self._plugged[row.uuid] if row is not None else _NONE_PLUGGED

    @functools.cached_property
    def gives_what_is_asked(self) -> bool:
        """Whether ovs-vswitchd's own OpenFlow ports are still below those that are asked for.

        Beyond, it may have given one to another device when we ask for it.
        """
        given = (one for one in self.interfaces.values() if (one.ofport or 0) >= ASKED_FROM)
        return all(one.ofport == one.ofport_request for one in given)

    @functools.cached_property
    def _named(self) -> Mapping[str, BridgeRow]:
        return {row.name: row for row in self.bridges.values()}

    @functools.cached_property
    def _ports(self) -> Mapping[str, tuple[PortRow, ...]]:
        rows = self.ports
        return {
            bridge.uuid: tuple(
                sorted((rows[uuid] for uuid in bridge.ports if uuid in rows), key=_NAME)
            )
            for bridge in self.bridges.values()
        }

    @functools.cached_property
    def _devices(self) -> Mapping[str, tuple[Device, ...]]:
        return {uuid: tuple(self._devices_of(ports)) for uuid, ports in self._ports.items()}

    @functools.cached_property
    def _plugged(self) -> Mapping[str, Plugged]:
        return {uuid: _by_port(devices) for uuid, devices in self._devices.items()}

    @functools.cached_property
    def _known(self) -> Mapping[str, Device]:
        return {}

    def _devices_of(self, ports: Iterable[PortRow]) -> Iterator[Device]:
        known, interfaces = self._known, self.interfaces
        for port in ports:
            device = known.get(port.uuid)
            if (
                device is not None
                and device.port is port
                and interfaces.get(device.interface.uuid) is device.interface
            ):
                yield device  # the same one, by which the planning knows it again
            elif (device := self._device(port)) is not None:
                yield device

    def _device(self, port: PortRow) -> Device | None:
        interfaces = self.interfaces_of(port)
        if len(interfaces) != 1:
            return None
        port_id = interfaces[0].external_ids.get(IFACE_ID)
        return Device(port_id, port, interfaces[0]) if port_id else None


class Actual(msgspec.Struct, frozen=True):
    """Rows, and flows by bridge name and cookie.

    A bridge without an entry in `flows` has no OpenFlow connection now: its flows are unknown.
    `addresses` are the integration bridge's flows of remote groups' addresses; they are not in
    `flows`. `meters` are its meters by number (`meters`).
    """

    rows: Rows
    flows: Mapping[str, FlowsByCookie] = {}
    addresses: AddressFlows = NO_ADDRESS_FLOWS
    meters: Mapping[int, Rate | None] = {}


def by_cookie(flows: Iterable[Flow]) -> dict[int, frozenset[Flow]]:
    """Group flows by their cookie, our owners and strangers alike."""
    groups: dict[int, set[Flow]] = {}
    for flow in flows:
        groups.setdefault(flow.cookie, set()).add(flow)
    return {cookie: frozenset(group) for cookie, group in groups.items()}


def renewed(known: FlowsByCookie, found: FlowsByCookie) -> FlowsByCookie:
    """`found`, with the very groups that are known already where they are the same.

    So whoever remembers a group sees at a glance that nothing happened to it.
    """
    if known == found:
        return known
    return {
        cookie: before if (before := known.get(cookie)) == group else group
        for cookie, group in found.items()
    }


def reread(known: FlowsByCookie, owners: Iterable[int], found: Iterable[Flow]) -> FlowsByCookie:
    """`known` with what was found of these owners alone, as `renewed`."""
    groups = by_cookie(found)
    changed = {cookie: group for cookie, group in groups.items() if known.get(cookie) != group}
    gone = [cookie for cookie in owners if cookie in known and cookie not in groups]
    if not (changed or gone):
        return known
    now = {**known, **changed}
    for cookie in gone:
        del now[cookie]
    return now


def _with_ports(bridge: BridgeRow, ports: Container[str]) -> BridgeRow:
    found = tuple(uuid for uuid in bridge.ports if uuid in ports)
    return bridge if found == bridge.ports else msgspec.structs.replace(bridge, ports=found)


def _by_port(devices: tuple[Device, ...]) -> Plugged:
    by_port: dict[str, Device] = {}
    for device in devices:
        by_port.setdefault(device.port_id, device)
    if len(by_port) == len(devices):
        return Plugged(by_port)
    return Plugged(by_port, tuple(one for one in devices if by_port[one.port_id] is not one))


_NAME = attrgetter("name")
_NONE_PLUGGED = Plugged()
