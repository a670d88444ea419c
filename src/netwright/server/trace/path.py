"""The way of a packet from one port's vNIC to another's, device by device.

    vNIC ─▶ its host up to where ports meet ─▶ (the host's uplink ─▶ fabric ─▶ gateways ─▶ fabric)
         ─▶ the other host, inward ─▶ vNIC

Where it cannot go on, the way ends, with the reason.
"""

from collections.abc import Iterator, Mapping

from netwright.model.topology import Gateway, Topology
from netwright.model.trace import Crossing, Device, DeviceKind, Trace
from netwright.server.trace.fabric import Fabric
from netwright.server.trace.hosts import WIRINGS, HostWiring, Layer, devices
from netwright.server.trace.station import (
    PathEnds,
    Station,
    WayUnknown,
    last_told,
    require_attached,
    require_gateway,
    require_one_segment,
    require_traceable,
    require_wired,
    subnets,
    wiring_of,
)

_APPLY = "Describe it: netwright topology apply FILE."


def trace(
    source: Station,
    target: Station,
    topology: Topology,
    wirings: Mapping[str, HostWiring] = WIRINGS,
) -> Trace:
    """The devices from the source's vNIC to the target's, or up to where the way ends."""
    nics = {one.host.name: one.host.nics for one in (source, target) if one.host}
    walk = _Walk(Fabric(topology, nics), wirings)
    complete = known = True
    reason, next_ = last_told((source, target))
    try:
        _go(walk, source, target)
        require_wired(source)
        require_wired(target)
    except PathEnds as end:
        complete, reason, next_ = False, end.reason, end.next
        known = not isinstance(end, WayUnknown)
    return Trace(
        count=len(walk.devices),
        devices=tuple(walk.devices),
        links=tuple(walk.links),
        complete=complete,
        known=known,
        reason=reason,
        next=next_,
    )


def _go(walk: "_Walk", source: Station, target: Station) -> None:
    require_traceable(source, target)
    subnet, target_subnet = subnets(source, target)
    require_one_segment(source, target, subnet, target_subnet)
    walk.depart(source)
    if subnet.id != target_subnet.id:
        require_gateway(source, subnet)
        require_gateway(target, target_subnet)
        walk.route(source, target)
    walk.arrive(target)


class _Walk:
    """The way so far. `_at` is the node where the packet is; `_inside` while within its host."""

    def __init__(self, fabric: Fabric, wirings: Mapping[str, HostWiring]) -> None:
        self.devices: list[Device] = []
        self.links: list[Crossing] = []
        self._fabric = fabric
        self._wirings = wirings
        self._at = ""
        self._inside: Station | None = None

    def depart(self, source: Station) -> None:
        """From the vNIC to where the ports of its host meet."""
        require_attached(source)
        self._at = source.host_name
        if source.is_bare_metal:
            self.devices.append(self._bare_metal_nic(source))
            return
        wiring = wiring_of(source, self._wirings)
        self.devices.append(_vnic(source))
        self._add(source, wiring.own(source.port))
        self._add(source, wiring.meeting)
        self._inside = source

    def route(self, source: Station, target: Station) -> None:
        """To the core that has both networks' gateways: in by the one, out by the other."""
        entry, leave = self._gateways(source, target)
        self._leave_host()
        self._cross(entry.switch)
        for interface in dict.fromkeys((entry.interface, leave.interface)):
            device = Device(node=entry.switch, device=interface, kind=DeviceKind.GATEWAY)
            self.devices.append(device)

    def arrive(self, target: Station) -> None:
        """From wherever it is to the target's vNIC."""
        require_attached(target)
        if target.is_bare_metal:
            self._leave_host()
            self._cross(target.host_name)
            self.devices.append(self._bare_metal_nic(target))
            return
        wiring = wiring_of(target, self._wirings)
        if self._inside is None or self._at != target.host_name:
            self._leave_host()
            self._cross(target.host_name)
            self.devices.append(_nic(self.links[-1].enters.node, self.links[-1].enters.interface))
            self._add(target, wiring.shared[::-1])
        self._add(target, wiring.own(target.port)[::-1])
        self.devices.append(_vnic(target))

    def _leave_host(self) -> None:
        """Out by the host's uplink and NIC, if it is within a host."""
        station, self._inside = self._inside, None
        if station is not None:
            self._add(station, wiring_of(station, self._wirings).uplink)
            self.devices.append(_nic(self._at, self._uplink_interface(self._at)))

    def _cross(self, goal: str) -> None:
        """Over the fabric; the switches between are devices, what is crossed at the goal is not."""
        if goal not in self._fabric.switches:
            self._uplink_interface(goal)
        way = self._fabric.way(self._at, goal)
        if way is None:
            raise PathEnds(
                f"The topology knows no way from {self._at} to {goal} over the links in use.",
                then=f"Look for the link that is missing: netwright topology show. {_APPLY}",
            )
        for crossing in way:
            self.links.append(crossing)
            node = crossing.enters.node
            if node != goal:
                kind = DeviceKind(self._fabric.switches[node].kind)
                self.devices.append(Device(node=node, device=node, kind=kind))
        self._at = goal

    def _gateways(self, source: Station, target: Station) -> tuple[Gateway, Gateway]:
        entries, exits = self._gateways_of(source), self._gateways_of(target)
        for entry in entries:
            for leave in exits:
                if entry.switch == leave.switch:
                    return entry, leave
        raise WayUnknown(
            f"No core has gateways of both {source.segment_label}, and {target.segment_label}; "
            "what cores route among themselves is not known here.",
            then=f"If one core has both, the topology lacks it. {_APPLY}",
        )

    def _gateways_of(self, station: Station) -> list[Gateway]:
        segment = station.segment
        found = self._fabric.gateways(segment.physical_network, segment.segmentation_id)
        if not found:
            raise PathEnds(
                f"The topology knows no gateway of {station.segment_label}.", then=_APPLY
            )
        return found

    def _add(self, station: Station, layers: tuple[Layer, ...]) -> None:
        self.devices.extend(_on_host(station, layers))

    def _bare_metal_nic(self, station: Station) -> Device:
        """Its vNIC is its NIC."""
        interface = self._uplink_interface(station.host_name)
        return Device(node=station.host_name, device=interface, kind=DeviceKind.VNIC)

    def _uplink_interface(self, host: str) -> str:
        link = self._fabric.uplink(host)
        if link is not None:
            return link.lower.interface
        if self._fabric.has_links(host):
            raise PathEnds(
                f"Host {host} reports every NIC as failed that the topology knows of it.",
                then=f"netwright host show {host} lists its NICs; see to their links.",
            )
        raise PathEnds(f"The topology knows no link of {host}.", then=_APPLY)


def _on_host(station: Station, layers: tuple[Layer, ...]) -> Iterator[Device]:
    host, binding = station.host, station.port.active_binding
    assert host is not None, "the wiring was asked for before"
    assert binding is not None, "an attached port has a binding"
    return devices(
        layers,
        host.name,
        port_id=station.port.id,
        integration=str(binding.vif_details.get("bridge_name", "br-int")),
        physical=host.physical_networks[station.segment.physical_network or ""],
    )


def _vnic(station: Station) -> Device:
    port = station.port
    node = port.device_id or port.name or port.id
    return Device(node=node, device=port.mac_address, kind=DeviceKind.VNIC)


def _nic(node: str, interface: str) -> Device:
    return Device(node=node, device=interface, kind=DeviceKind.NIC)
